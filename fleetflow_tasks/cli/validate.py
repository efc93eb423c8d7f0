# SPDX-License-Identifier: Apache-2.0
"""`flow validate`: every stage, or the named one, read, planned and checked; nothing is asked of any platform."""

import click
from msgspec.structs import replace

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option, project_options, warn
from fleetflow_tasks.errors import EXIT_OK, FleetFlowError, PlanError, Problem
from fleetflow_tasks.plan.model import Plan


@click.command("validate")
@project_options
@json_option
def command(request: api.Request, as_json: bool) -> int:
    """Check the files, and change nothing. Without a stage, all of them are checked."""
    from fleetflow_tasks.view import jsonl, tables

    wrong: list[Problem] = []
    warnings: list[Problem] = []
    plans: list[Plan] = []
    with api.reading_once():
        for name in _stages(request, wrong):
            try:
                planned = api.validated(replace(request, stage=name))
            except FleetFlowError as error:
                wrong += [problem for problem in error.problems if problem not in wrong]
                continue
            warnings += [problem for problem in planned.warnings if problem not in warnings]
            plans.append(planned.plan)
    if as_json:
        warn([*warnings, *wrong])
        stages = [plan.stage for plan in plans]
        click.echo(jsonl.document("validate", {"valid": not wrong, "stages": stages, "problems": [*wrong, *warnings]}))
        return PlanError.exit_code if wrong else EXIT_OK
    warn(warnings)
    for plan in plans:
        click.echo(tables.validated(plan))
    if wrong:
        raise PlanError(*wrong)
    return EXIT_OK


def _stages(request: api.Request, wrong: list[Problem]) -> tuple[str, ...]:
    """The one that was named, else all; none where not even that can be read, and *wrong* then says why."""
    if request.stage:
        return (request.stage,)
    try:
        return api.stages(request)
    except FleetFlowError as error:
        wrong += error.problems
        return ()
