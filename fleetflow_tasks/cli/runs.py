# SPDX-License-Identifier: Apache-2.0
"""`flow runs`: what was deployed, by whom, and how it ended."""

import os

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import colour, json_option


@click.command("runs")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@json_option
def command(limit: int, as_json: bool) -> None:
    """Show the newest runs of all stages on this Redis."""
    from fleetflow_tasks.view import tables

    with api.opened(api.Request(environ=dict(os.environ))) as store:
        listed, now = store.runs(limit=limit), store.now()
    click.echo(tables.runs_json(listed) if as_json else tables.runs(listed, now=now, colour=colour()))
