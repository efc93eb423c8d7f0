# SPDX-License-Identifier: Apache-2.0
"""Questions: what a stage's plan is, what it would change, what runs, what it says. Nothing is changed by any of them."""

import queue
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from fleetflow_tasks.api.addresses import with_urls
from fleetflow_tasks.api.leave import allowed, settled_here
from fleetflow_tasks.api.neighbours import crowded
from fleetflow_tasks.api.request import Request, chosen, foreign, load_project, runtime_of, runtimes_of
from fleetflow_tasks.config.model import Data, ServiceName, StageName
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.engine.hide import Hide, hidden_problem, hider
from fleetflow_tasks.errors import FleetFlowError, PlanError, Problem, UnavailableError
from fleetflow_tasks.plan.build import build, teardown
from fleetflow_tasks.plan.check import check
from fleetflow_tasks.plan.leave import given
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Change, LogLine, LogOptions, ServiceStatus


class Planned(Data, frozen=True, kw_only=True):
    """A plan that holds no error; warnings are for the user's eyes."""

    plan: Plan
    warnings: tuple[Problem, ...] = ()


def plan(
    request: Request,
    *,
    only: Collection[str] = (),
    with_dependencies: bool = True,
    images: Mapping[ServiceName, str] = {},
) -> Planned:
    """The stage's plan, checked offline. Raises ConfigError or PlanError with all problems.

    only: these services and what they depend on; with_dependencies False: these alone. images: instead of what the text
    says.
    """
    loaded, stage = chosen(request)
    made = build(
        loaded.project,
        stage,
        only=[ServiceName(name) for name in only],
        with_dependencies=with_dependencies,
        images=images,
        runtime=runtime_of(request),
        known=foreign(loaded, request),
        home=request.environ.get("HOME"),
    )
    made = allowed(request, settled_here(request, made))
    problems = (*loaded.warnings, *check(made), *crowded(request, made), *_unfit(request, made))
    if wrong := [
        each for each in problems if each.severity == "error" or (request.strict and each.severity == "warning")
    ]:
        raise PlanError(*wrong)
    return Planned(plan=made, warnings=tuple(problems))


def stages(request: Request) -> tuple[StageName, ...]:
    """The names of the project's stages, in the order of the text."""
    return tuple(stage.name for stage in load_project(request, None).project.stages)


def teardown_plan(request: Request, *, only: Collection[str] = (), volumes: bool = False) -> Planned:
    """The plan that takes the stage down: what is there, whether the text still declares it or not.

    only: these services alone; network and volumes then stay. Raises ConfigError, PlanError, UnavailableError.
    """
    loaded, stage = chosen(request)
    runtime, known = runtime_of(request), foreign(loaded, request)
    empty = teardown(loaded.project, stage, services=(), runtime=runtime, known=known)
    there = {each.service for each in status(request, empty)}
    if missing := sorted(set(only) - there):
        raise PlanError(*(_not_there(name, stage, there) for name in missing))
    leaving = {name for name in there if name in only} if only else there
    made = teardown(loaded.project, stage, services=leaving, runtime=runtime, known=known)
    return Planned(plan=_without_prune(made) if only else _with_volumes(made) if volumes else made)


def changes(request: Request, made: Plan) -> Mapping[StepId, Change]:
    """What carrying *made* out would do, from one look at each runtime. Raises UnavailableError."""
    runtimes, hide = runtimes_of(request), hider(made)
    found: dict[StepId, Change] = {}
    with _hidden(hide):
        told = with_urls(
            made, runtimes, [step.service for step in made.steps if step.service and step.action == "deploy"]
        )
        for name in made.runtimes:
            found |= runtimes(name).diff(told)
    return {step: replace(change, cause=hide(change.cause)) for step, change in found.items()}


def status(request: Request, made: Plan) -> Sequence[ServiceStatus]:
    """What runs now, by service. Raises UnavailableError."""
    runtimes, hide = runtimes_of(request), hider(made)
    with _hidden(hide):
        told = with_urls(made, runtimes)
        found = [each for name in made.runtimes for each in runtimes(name).status(told)]
    return [replace(each, text=hide(each.text)) for each in found]


def logs(request: Request, made: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
    """Lines of all runtimes of the stage, as they come. Raises PlanError for a service that the plan does not hold."""
    held = {service.name for service in made.services}
    if missing := sorted(set(services) - held):
        raise PlanError(*(_not_there(name, made.stage, held) for name in missing))
    runtimes = runtimes_of(request)
    meant = {service.runtime for service in made.services if not services or service.name in services}
    sources = [runtimes(name).logs(made, services, options) for name in made.runtimes if name in meant]
    return sources[0] if len(sources) == 1 else _merged(sources)


@contextmanager
def _hidden(hide: Hide) -> Iterator[None]:
    """A runtime is asked past the engine here, and a platform may say what it was given."""
    try:
        yield
    except UnavailableError as error:
        raise UnavailableError(*(hidden_problem(each, hide) for each in error.problems)) from None


def _unfit(request: Request, made: Plan) -> Iterator[Problem]:
    runtimes = runtimes_of(request)
    for name in made.runtimes:
        yield from runtimes(name).check(made)


def _not_there(name: str, stage: StageName, there: Collection[str]) -> Problem:
    return Problem(
        code="unknown-service",
        message=f"stage `{stage}` has no service `{name}`",
        fix=suggestion(name, there),
    )


def _without_prune(made: Plan) -> Plan:
    return replace(made, steps=tuple(step for step in made.steps if step.action != "prune"))


def _with_volumes(made: Plan) -> Plan:
    for name in made.runtimes:
        made = given(made, name, volumes="remove")
    return made


def _merged(sources: Sequence[Iterator[LogLine]]) -> Iterator[LogLine]:
    """Lines of several runtimes as they come, each read by a thread of its own. What one of them raises ends it all."""
    lines: queue.SimpleQueue[LogLine | FleetFlowError | None] = queue.SimpleQueue()

    def pump(source: Iterator[LogLine]) -> None:
        try:
            for line in source:
                lines.put(line)
        except FleetFlowError as error:
            lines.put(error)
        finally:
            lines.put(None)

    for source in sources:
        threading.Thread(target=pump, args=(source,), daemon=True).start()
    left = len(sources)
    while left:
        match lines.get():
            case None:
                left -= 1
            case FleetFlowError() as error:
                raise error
            case line:
                yield line
