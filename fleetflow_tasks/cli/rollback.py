# SPDX-License-Identifier: Apache-2.0
"""`flow rollback`: an earlier plan of a stage, deployed again as a new run."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import (
    adopt_option,
    colour,
    conflict_options,
    fail_fast_option,
    json_option,
    leave_options,
    place,
    project_here,
    quiet_option,
    stage_name_options,
    timeout_option,
    wait_option,
    wait_workers_option,
)
from fleetflow_tasks.engine.model import Conflict


@click.command("rollback")
@stage_name_options
@click.option(
    "--to",
    metavar="RUN",
    shell_complete=completing.runs,
    help="The run whose plan is to come again; else the version before this one.",
)
@click.option("--dry-run", is_flag=True, help="Say which run it would be and what changes, and change nothing.")
@wait_option
@conflict_options
@fail_fast_option
@timeout_option
@wait_workers_option
@adopt_option
@leave_options
@json_option
@quiet_option
def command(
    request: api.Request,
    stage_argument: str | None,
    stage: str | None,
    project: str | None,
    to: str | None,
    dry_run: bool,
    wait: bool,
    conflict: Conflict,
    fail_fast: bool,
    timeout: float | None,
    wait_workers: bool,
    adopt: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Deploy an earlier plan of a stage again, as a new run.

    Without --to it is that of the newest run that deployed the whole stage, succeeded, and whose plan differs from the
    last one and was not rolled back from. STAGE may be left out where only one is known, and be written PROJECT/STAGE;
    in a project's folder it is that project's. Of its files nothing else is read.
    Carried out as the stage's last run was: here after `flow up`, unless --wait-workers is said; by workers after `flow submit`.
    """
    from fleetflow_tasks.view import version

    named_project, named_stage = place(stage_argument, stage, project)
    found = api.version_before(request, project=project_here(named_project), stage=named_stage, to=to)
    if dry_run or not quiet:
        text = version.as_json(found) if as_json else version.text(found, colour=colour())
        click.echo(text)
    if dry_run:
        return 0
    if found.here and not wait_workers:
        from fleetflow_tasks.cli import here

        return here.rolled_back(
            request,
            found,
            conflict=conflict,
            fail_fast=fail_fast,
            as_json=as_json,
            quiet=quiet,
            timeout=timeout,
            adopt=adopt,
        )
    from fleetflow_tasks.cli.follow import told_or_followed

    with api.rolled_back(
        request,
        found,
        conflict=conflict,
        fail_fast=fail_fast,
        wait_workers=wait_workers,
        timeout=timeout,
        adopt=adopt,
    ) as following:
        return told_or_followed(following, wait=wait, as_json=as_json, quiet=quiet)
