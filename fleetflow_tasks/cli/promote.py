# SPDX-License-Identifier: Apache-2.0
"""`flow promote`: one stage gets the very images that another one runs, whatever their tags mean by now."""

from collections.abc import Mapping

import click
from msgspec.structs import replace

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import (
    adopt_option,
    canary_option,
    colour,
    columns,
    conflict_options,
    fail_fast_option,
    file_options,
    json_option,
    leave_options,
    names,
    quiet_option,
    rollback_option,
    timeout_option,
    unicode,
    wait_option,
    wait_workers_option,
    warn,
)
from fleetflow_tasks.engine.model import Conflict
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.runtimes.base import Change


@click.command("promote")
@file_options
@click.option(
    "--from",
    "source",
    required=True,
    metavar="STAGE",
    shell_complete=completing.stages,
    help="The stage whose images are taken.",
)
@click.option(
    "--to", "target", required=True, metavar="STAGE", shell_complete=completing.stages, help="The stage that gets them."
)
@click.option(
    "--only", multiple=True, metavar="SERVICE[,…]", help="Only these services; all others are left as they are."
)
@click.option("--dry-run", is_flag=True, help="Say which images it would be and what changes, and change nothing.")
@click.option("--force", is_flag=True, help="Also what is not well there, or is being deployed just now.")
@wait_option
@conflict_options
@rollback_option
@fail_fast_option
@timeout_option
@wait_workers_option
@click.option("--idempotency-key", "key", help="A promotion with a key that was used before finds its run.")
@adopt_option
@leave_options
@canary_option
@json_option
@quiet_option
def command(
    request: api.Request,
    source: str,
    target: str,
    only: tuple[str, ...],
    dry_run: bool,
    force: bool,
    wait: bool,
    conflict: Conflict,
    rollback: bool,
    fail_fast: bool,
    timeout: float | None,
    wait_workers: bool,
    key: str | None,
    adopt: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Deploy to one stage the very images that another one runs.

    The containers of --from are asked for the digests of their images, so it does not matter where a tag has moved
    since. Everything but the images is what the files say of --to; its next `flow submit` takes the images from the
    files again.
    """
    from fleetflow_tasks.cli.follow import told_or_followed

    found = api.promotion(request, source, target, only=names(only), force=force)
    warn(found.warnings)
    onto = replace(request, stage=target)
    changed = api.changes(onto, found.plan)
    if dry_run or not quiet:
        _tell(found, changed, as_json=as_json)
    if dry_run or _is_there(onto, found, changed):
        return 0
    with api.submitted(
        onto,
        found.plan,
        conflict=conflict,
        key=key,
        fail_fast=fail_fast,
        wait_workers=wait_workers,
        timeout=timeout,
        rollback=rollback,
        adopt=adopt,
        because=found.because,
    ) as following:
        return told_or_followed(following, wait=wait, as_json=as_json, quiet=quiet)


def _tell(found: "api.Promotion", changed: Mapping[StepId, Change], *, as_json: bool) -> None:
    from fleetflow_tasks.view import changes, promoted

    if as_json:
        click.echo(promoted.as_json(found.source, found.plan, found.images, found.runs, changed, found.warnings))
        return
    click.echo(promoted.text(found.source, found.plan, found.images, found.runs))
    click.echo(changes.text(found.plan, changed, colour=colour(), unicode=unicode(), columns=columns()))


def _is_there(onto: api.Request, found: "api.Promotion", changed: Mapping[StepId, Change]) -> bool:
    return all(change.kind == "none" for change in changed.values()) and not api.is_held(onto, found.plan)
