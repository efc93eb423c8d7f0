# SPDX-License-Identifier: Apache-2.0
"""`flow promote-traffic`: what is on trial on Cloud Run gets more of the requests, or all of them."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import (
    colour,
    columns,
    conflict_options,
    here,
    json_option,
    place,
    project_here,
    quiet_option,
    timeout_option,
    unicode,
    wait_option,
    wait_workers_option,
    warn,
)
from fleetflow_tasks.engine.model import Conflict


@click.command("promote-traffic")
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=completing.services)
@click.option(
    "-s", "--stage", metavar="STAGE", help="The stage, or PROJECT/STAGE; else FLEETFLOW_STAGE, or the only one."
)
@click.option("-p", "--project", help="The project.")
@click.option(
    "--to",
    "share",
    type=click.IntRange(0, 100),
    default=100,
    metavar="N",
    help="Percent of the requests; 100 if not said.",
)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@wait_option
@conflict_options
@timeout_option
@wait_workers_option
@json_option
@quiet_option
def command(
    services: tuple[str, ...],
    stage: str | None,
    project: str | None,
    share: int,
    dry_run: bool,
    wait: bool,
    conflict: Conflict,
    timeout: float | None,
    wait_workers: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Give what is on trial on Cloud Run more of the requests: --to percent, or all of them.

    A version comes on trial with `--canary` or `traffic`. All services that have one are meant, or those that are named.
    No file is read: the stage stays what its last run made of it. Carried out as that run was: here after `flow up`, by
    workers after `flow submit`. `flow rollback` goes the other way.
    """
    from fleetflow_tasks.view import changes, tables

    request = here()
    named_project, named_stage = place(stage or request.environ.get("FLEETFLOW_STAGE"), None, project)
    found = api.shift(request, share, project=project_here(named_project), stage=named_stage, only=services)
    warn(found.notes)
    if dry_run or not quiet:
        text = (
            tables.changes_json(found.plan, found.changes, found.notes)
            if as_json
            else changes.text(found.plan, found.changes, colour=colour(), unicode=unicode(), columns=columns())
        )
        click.echo(text)
    if dry_run:
        return 0
    if found.here:
        from fleetflow_tasks.cli.here import carried_out

        return carried_out(request, found.plan, as_json=as_json, quiet=quiet, timeout=timeout)
    from fleetflow_tasks.cli.follow import told_or_followed

    with api.submitted(request, found.plan, conflict=conflict, timeout=timeout, wait_workers=wait_workers) as following:
        return told_or_followed(following, wait=wait, as_json=as_json, quiet=quiet)
