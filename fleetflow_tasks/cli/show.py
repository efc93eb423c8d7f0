# SPDX-License-Identifier: Apache-2.0
"""`flow show`: a run as it was, its plan and its steps, whoever asks and however long ago."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import colour, columns, here, json_option


@click.command("show")
@click.argument("run", required=False, shell_complete=completing.runs)
@json_option
def command(run: str | None, as_json: bool) -> None:
    """Show how a run went: its plan, who began it and from where, each step's times, and what it changed.

    RUN is its id or its last letters, at least 4; without it, the newest run is taken. Images and changes can be shown only
    where the key of the plan is at hand.
    """
    from fleetflow_tasks.view import show

    record = api.shown(here(), run)
    click.echo(show.as_json(record) if as_json else show.screen(record, colour=colour(), columns=columns()))
