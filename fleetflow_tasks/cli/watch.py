# SPDX-License-Identifier: Apache-2.0
"""`flow watch`: follow a run, from any machine that reaches its Redis."""

import os

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option, quiet_option


@click.command("watch")
@click.argument("run", required=False)
@json_option
@quiet_option
def command(run: str | None, as_json: bool, quiet: bool) -> int:
    """Follow a run to its end, or read how one ended; the exit code is the run's.

    RUN is its id or the last letters of it; without it, the newest run is taken. Ctrl-C ends the following, not the run.
    """
    from fleetflow_tasks.cli.show import Screen
    from fleetflow_tasks.cli.submit import GOES_ON

    screen = Screen(as_json=as_json, quiet=quiet, interrupted=GOES_ON)
    with api.followed(api.Request(environ=dict(os.environ)), run) as following:
        screen.follow(following)
    screen.end()
    return screen.exit_code
