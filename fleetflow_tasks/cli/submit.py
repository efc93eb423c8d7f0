# SPDX-License-Identifier: Apache-2.0
"""`flow submit`: a stage handed to the workers; they carry it out whether anybody watches or not."""

from contextlib import ExitStack

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import (
    adopt_option,
    canary_option,
    conflict_options,
    fail_fast_option,
    json_option,
    leave_options,
    names,
    no_deps_option,
    only_option,
    project_options,
    quiet_option,
    rollback_option,
    say,
    timeout_option,
    told_if_interrupted,
    wait_option,
    wait_workers_option,
    warn,
)
from fleetflow_tasks.engine.model import Conflict


@click.command("submit")
@project_options
@only_option
@no_deps_option
@leave_options
@canary_option
@wait_option
@conflict_options
@rollback_option
@fail_fast_option
@timeout_option
@wait_workers_option
@click.option(
    "--idempotency-key",
    "key",
    help="A submit with a key that was used before finds its run. In CI the job and the plan are the key; '' for none.",
)
@adopt_option
@json_option
@quiet_option
def command(
    request: api.Request,
    only: tuple[str, ...],
    no_deps: bool,
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
    """Hand a stage to the workers.

    With --wait the run is followed to its end. Ctrl-C then ends the following, not the run. With --rollback the
    stage's last good plan comes again if the run fails; that is followed too, and the exit code is still 1.
    """
    from fleetflow_tasks.cli.follow import told_or_followed

    with told_if_interrupted("nothing was submitted"):
        planned = api.plan(request, only=names(only, no_deps=no_deps), with_dependencies=not no_deps)
        warnings = (*planned.warnings, *api.unpushed(request, planned.plan, workers=True))
    warn(warnings)
    with ExitStack() as stack:
        with told_if_interrupted("`flow runs` says whether it was submitted by then"):
            following = stack.enter_context(
                api.submitted(
                    request,
                    planned.plan,
                    conflict=conflict,
                    key=key,
                    fail_fast=fail_fast,
                    wait_workers=wait_workers,
                    timeout=timeout,
                    rollback=rollback,
                    adopt=adopt,
                )
            )
        if key is None and following.key and not following.repeated:
            say(f"its key is `{following.key}`: if this job submits the same plan again, it finds this run")
        return told_or_followed(following, wait=wait, as_json=as_json, quiet=quiet, warnings=warnings)
