# SPDX-License-Identifier: Apache-2.0
"""What `flow config` tells: a stage as it is once everything is read, and its variables, each with where it came from.

No platform is asked, and what a platform would refuse is not looked at: a stage that it refuses is one to look at.
"""

from collections.abc import Collection

from fleetflow_tasks.api.request import Request, chosen, foreign, runtime_of
from fleetflow_tasks.config.model import Data, Project, ProjectName, ServiceName, StageName
from fleetflow_tasks.config.provenance import Origin, Told
from fleetflow_tasks.config.schema import Row
from fleetflow_tasks.errors import PlanError, Problem
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.plan.resolve import Runtimes
from fleetflow_tasks.plan.settled import Settled, settled
from fleetflow_tasks.plan.variables import VariableTold, variables


class Configured(Data, frozen=True, kw_only=True):
    """A stage, settled. row: what can be said in a file. warnings: of the files alone."""

    settled: Settled
    row: Row
    warnings: tuple[Problem, ...] = ()


class Known(Data, frozen=True, kw_only=True):
    """A stage's variables, by name."""

    project: ProjectName
    stage: StageName
    variables: tuple[VariableTold, ...]
    warnings: tuple[Problem, ...] = ()


def configured(request: Request, *, only: Collection[str] = (), with_dependencies: bool = True) -> Configured:
    """The stage that is asked for. Raises ConfigError and PlanError with all problems."""
    project, plan, told, warnings = _planned(request, only, with_dependencies=with_dependencies)
    stage = next(stage for stage in project.stages if stage.name == plan.stage)
    runtime = Runtimes(stage, runtime=runtime_of(request), known=plan.runtimes).default
    found = settled(project, plan, told, runtime=runtime, forced=_forced(request))
    return Configured(settled=found, row=told.row, warnings=warnings)


def known_variables(request: Request) -> Known:
    """Every variable that the stage could use. Raises ConfigError and PlanError with all problems."""
    project, plan, told, warnings = _planned(request, (), with_dependencies=True)
    found = variables(project, plan, told)
    return Known(project=plan.project, stage=plan.stage, variables=found, warnings=warnings)


def _planned(
    request: Request, only: Collection[str], *, with_dependencies: bool
) -> tuple[Project, Plan, Told, tuple[Problem, ...]]:
    loaded, stage = chosen(request, values=False)
    plan = build(
        loaded.project,
        stage,
        only=[ServiceName(name) for name in only],
        with_dependencies=with_dependencies,
        runtime=runtime_of(request),
        known=foreign(loaded, request),
        home=request.environ.get("HOME"),
        values=False,
    )
    if request.strict and loaded.warnings:
        raise PlanError(*loaded.warnings)
    return loaded.project, plan, loaded.told[stage], loaded.warnings


def _forced(request: Request) -> Origin | None:
    if request.runtime:
        return Origin(source="--runtime")
    return Origin(source="FLEETFLOW_RUNTIME of the process") if runtime_of(request) else None
