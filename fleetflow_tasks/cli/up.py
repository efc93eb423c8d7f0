# SPDX-License-Identifier: Apache-2.0
"""`flow up`: a stage carried out in this process, with nothing else to start.

It looks first. Where nothing would change and no run holds the stage, it says so and ends: that needs no Redis, and is
what a stage that is up costs.
"""

from collections.abc import Mapping

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import (
    adopt_option,
    canary_option,
    json_option,
    leave_options,
    names,
    no_deps_option,
    only_option,
    project_options,
    quiet_option,
    timeout_option,
    warn,
    warn_along,
)
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.runtimes.base import Change


@click.command("up")
@project_options
@only_option
@no_deps_option
@leave_options
@canary_option
@timeout_option
@adopt_option
@json_option
@quiet_option
def command(
    request: api.Request,
    only: tuple[str, ...],
    no_deps: bool,
    timeout: float | None,
    adopt: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Deploy a stage from this machine and wait until it serves.

    Ctrl-C once: nothing new begins, and what has begun comes to its end. Twice: leave now.
    """
    planned = api.plan(request, only=names(only, no_deps=no_deps), with_dependencies=not no_deps)
    found = api.changes(request, planned.plan)
    if all(change.kind == "none" for change in found.values()) and not api.is_held(request, planned.plan):
        warn(planned.warnings)
        return _nothing_to_do(planned, found, as_json=as_json)
    from fleetflow_tasks.cli.here import carried_out

    warn_along((*planned.warnings, *api.unpushed(request, planned.plan)), as_json=as_json)
    return carried_out(request, planned.plan, as_json=as_json, quiet=quiet, timeout=timeout, adopt=adopt)


def _nothing_to_do(planned: "api.Planned", found: Mapping[StepId, Change], *, as_json: bool) -> int:
    from fleetflow_tasks.view import tables
    from fleetflow_tasks.view.ink import counted

    plan = planned.plan
    if as_json:
        click.echo(tables.changes_json(plan, found, planned.warnings))
    else:
        services = counted(sum(1 for step in plan.steps if step.action == "deploy"), "service")
        click.echo(f"{plan.project}/{plan.stage} is up to date: {services} unchanged")
    return 0
