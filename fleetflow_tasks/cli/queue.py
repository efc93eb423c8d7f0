# SPDX-License-Identifier: Apache-2.0
"""`flow queue`: what runs, what waits, and for what."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import colour, columns, here, json_option


@click.command("queue")
@json_option
def command(as_json: bool) -> None:
    """Show what runs and what waits in all stages, and why: the run before it, no worker, no free slot, the next try."""
    from fleetflow_tasks.view import queue

    seen = api.queue(here())
    click.echo(queue.as_json(seen) if as_json else queue.text(seen, colour=colour(), columns=columns()))
