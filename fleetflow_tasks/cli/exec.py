# SPDX-License-Identifier: Apache-2.0
"""`flow exec`: a command inside a running service, as if it ran here."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import named_stage_options, pod_option


@click.command("exec")
@click.argument("service", shell_complete=completing.services)
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND…", type=click.UNPROCESSED)
@named_stage_options
@pod_option
@click.option("-T", "--no-tty", is_flag=True, help="No terminal for it, also where this is one.")
@click.option("--no-input", is_flag=True, help="Leave what is typed or piped in to others.")
def command(request: api.Request, service: str, words: tuple[str, ...], pod: str, no_tty: bool, no_input: bool) -> int:
    """Run a command inside a running service; the exit code is the command's.

    \b
      flow exec api -- sh
      flow exec db --stage stg -- pg_dump shop > shop.sql

    Where input and output are a terminal the command gets one, of the same size, and Ctrl-C goes to it. Of several pods
    the oldest that is ready is taken, unless --pod says which. Where there is no such command, the exit code is 127; of
    some Docker Engines 126.
    """
    from fleetflow_tasks.cli.terminal import opened

    planned = api.plan(request, values=False)
    with opened(tty=not no_tty, typed=not no_input) as terminal:
        return api.execute(request, planned.plan, service, words, terminal, instance=pod)
