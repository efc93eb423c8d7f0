# SPDX-License-Identifier: Apache-2.0
"""`flow down`: what is there of a stage, removed in the reverse order of its dependencies."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option, names, only_option, project_options, quiet_option, say, warn


@click.command("down")
@project_options
@only_option
@click.option("--volumes", is_flag=True, help="Remove the stage's named volumes too: their data is lost.")
@json_option
@quiet_option
def command(request: api.Request, only: tuple[str, ...], volumes: bool, as_json: bool, quiet: bool) -> int:
    """Remove a stage's services and network; named volumes stay, and with them the data."""
    from fleetflow_tasks.cli.show import Screen

    planned = api.teardown_plan(request, only=names(only), volumes=volumes)
    warn(planned.warnings)
    screen = Screen(as_json=as_json, quiet=quiet, interrupted="stopping: what has begun comes to its end")
    api.up(request, planned.plan, follow=screen.follow, say=lambda text: None if quiet or as_json else say(text))
    screen.end()
    return screen.exit_code
