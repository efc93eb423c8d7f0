# SPDX-License-Identifier: Apache-2.0
"""`flow validate`: every stage, or the named one, read, planned and checked; nothing is asked of any platform."""

import click
from msgspec.structs import replace

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option, project_options, warn
from fleetflow_tasks.errors import FleetFlowError, PlanError, Problem


@click.command("validate")
@project_options
@json_option
def command(request: api.Request, as_json: bool) -> None:
    """Check the files, and change nothing. Without a stage, all of them are checked."""
    from fleetflow_tasks.view import jsonl, tables

    wrong: list[Problem] = []
    warnings: list[Problem] = []
    lines: list[str] = []
    for name in _stages(request, wrong):
        try:
            planned = api.validated(replace(request, stage=name))
        except FleetFlowError as error:
            wrong += [problem for problem in error.problems if problem not in wrong]
            continue
        warnings += [problem for problem in planned.warnings if problem not in warnings]
        lines.append(tables.validated(planned.plan))
    if as_json:
        click.echo(jsonl.document("validate", {"valid": not wrong, "problems": [*wrong, *warnings]}))
    else:
        warn(warnings)
        for line in lines:
            click.echo(line)
    if wrong:
        raise PlanError(*wrong)


def _stages(request: api.Request, wrong: list[Problem]) -> tuple[str, ...]:
    """The one that was named, else all; none where not even that can be read, and *wrong* then says why."""
    if request.stage:
        return (request.stage,)
    try:
        return api.stages(request)
    except FleetFlowError as error:
        wrong += error.problems
        return ()
