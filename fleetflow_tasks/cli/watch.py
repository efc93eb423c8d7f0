# SPDX-License-Identifier: Apache-2.0
"""`flow watch`: follow a run, from any machine that reaches its Redis."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import here, json_option, quiet_option


@click.command("watch")
@click.argument("run", required=False, shell_complete=completing.runs)
@json_option
@quiet_option
def command(run: str | None, as_json: bool, quiet: bool) -> int:
    """Follow a run to its end, or read how one ended; the exit code is the run's.

    RUN is its id or its last letters, at least 4; without it, the newest run is taken. Ctrl-C ends the following, not the run.
    """
    from fleetflow_tasks.cli.follow import followed

    with api.followed(here(), run) as following:
        return followed(following, as_json=as_json, quiet=quiet)
