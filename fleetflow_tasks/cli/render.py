# SPDX-License-Identifier: Apache-2.0
"""`flow render`: what would be sent to the platform, printed, or written as files; nobody is asked for it."""

from pathlib import Path

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import (
    json_option,
    names,
    no_deps_option,
    only_option,
    project_options,
    say,
    warn,
)


@click.command("render")
@project_options
@only_option
@no_deps_option
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    metavar="DIR",
    help="Write a file per service into this folder; only files that an earlier `flow render` wrote are replaced.",
)
@click.option("--show-secrets", is_flag=True, help="Secrets by their values, instead of masked.")
@json_option
def command(
    request: api.Request, only: tuple[str, ...], no_deps: bool, output: str | None, show_secrets: bool, as_json: bool
) -> None:
    """Print what would be sent to the platform, and send nothing.

    On Kubernetes: manifests that kubectl takes, `flow render stg --show-secrets | kubectl apply -f -`. On Docker: the
    Engine's own requests. On Cloud Run: the YAML that `gcloud run services replace` takes, with -o the API's JSON beside
    it. With -o one file per service, for review in git or for `kubectl apply -f DIR`. Masked secrets are for reading:
    applied, they would be the services' secrets.
    """
    from fleetflow_tasks.view import rendered

    if only and output is not None:
        raise click.UsageError("--only and --output exclude each other: a folder holds a stage's files as a whole")
    planned = api.plan(request, only=names(only, no_deps=no_deps), with_dependencies=not no_deps)
    warn(planned.warnings)
    texts = api.rendered(request, planned.plan, secrets=show_secrets, part=bool(only))
    if output is not None:
        done = api.written(Path(output), planned.plan, texts, secrets=show_secrets)
        click.echo(rendered.wrote_json(output, done, planned.warnings) if as_json else rendered.wrote(output, done))
        if not show_secrets and any(service.secrets for service in planned.plan.services):
            say("secrets are masked: with --show-secrets they are written by their values")
    elif as_json:
        click.echo(rendered.as_json(planned.plan, texts, planned.warnings))
    else:
        click.echo(rendered.text(texts))
