# SPDX-License-Identifier: Apache-2.0
"""`flow import`: what a platform runs already, written as KDL. The platform is not asked: its own tool has printed it."""

import sys
from pathlib import Path

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option
from fleetflow_tasks.errors import ConfigError, Problem


@click.command("import")
@click.argument("platform", metavar="PLATFORM")
@click.argument("file", metavar="FILE", type=click.Path(allow_dash=True))
@click.option("-s", "--stage", default="", help="What to call the stage; else as the labels there say, or `prd`.")
@json_option
def command(platform: str, file: str, stage: str, as_json: bool) -> None:
    """Write KDL from what a platform's own tool has printed, `-` to read it from there.

    \b
      gcloud run services describe api --format=json | flow import cloudrun -
      gcloud run services list --format=json | flow import cloudrun - > fleet.kdl

    What has no place in KDL stands beside its service as a comment.
    """
    source = "standard input" if file == "-" else file
    kdl = api.imported(platform, _read(file), source=source, stage=stage)
    if as_json:
        from fleetflow_tasks.view import jsonl

        click.echo(jsonl.document("import", {"platform": platform, "kdl": kdl}))
    else:
        click.echo(kdl, nl=False)


def _read(file: str) -> str:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(Problem(code="import-file", message=f"`{file}` cannot be read: {error.strerror}")) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            Problem(code="import-file", message=f"`{file}` is no UTF-8 text", fix="convert it to UTF-8")
        ) from error
