# SPDX-License-Identifier: Apache-2.0
"""Questions: what a stage's plan is, what it would change, what runs, what it says. Nothing is changed by any of them."""

import queue
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

from msgspec.structs import replace

from fleetflow_tasks.api.addresses import with_urls
from fleetflow_tasks.api.contexts import contents, unread
from fleetflow_tasks.api.leave import allowed, settled_here
from fleetflow_tasks.api.neighbours import crowded
from fleetflow_tasks.api.request import Request, chosen, foreign, load_project, runtime_of, runtimes_of
from fleetflow_tasks.config.load import Loaded
from fleetflow_tasks.config.model import Data, RuntimeName, ServiceName, StageName
from fleetflow_tasks.config.nearest import listed, suggestion
from fleetflow_tasks.engine.hide import Hide, hidden_problem, hider
from fleetflow_tasks.errors import FleetFlowError, PlanError, Problem, UnavailableError
from fleetflow_tasks.plan.build import build, teardown
from fleetflow_tasks.plan.check import check
from fleetflow_tasks.plan.leave import given
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Change, HeldVolume, Holding, LogLine, LogOptions, ServiceStatus


class Planned(Data, frozen=True, kw_only=True):
    """A plan that holds no error; warnings are for the user's eyes.

    blind: services with a secret that has no value here, or with files that nobody has read, so that nobody can say
    whether they are what the text wants.
    """

    plan: Plan
    warnings: tuple[Problem, ...] = ()
    blind: frozenset[ServiceName] = frozenset()


def plan(
    request: Request,
    *,
    only: Collection[str] = (),
    with_dependencies: bool = True,
    images: Mapping[ServiceName, str] = {},
    values: bool = True,
) -> Planned:
    """The stage's plan, checked offline. Raises ConfigError or PlanError with all problems.

    only: these services and what they depend on; with_dependencies False: these alone. images: instead of what the text
    says. values: False for who only looks: a secret may then be without a value here, and what is built is not read.
    """
    loaded, stage = chosen(request, values=values)
    hashes, told = contents(loaded.project, stage, but=images) if values else ({}, ())
    try:
        made = build(
            loaded.project,
            stage,
            only=[ServiceName(name) for name in only],
            with_dependencies=with_dependencies,
            images=images,
            contents=hashes,
            runtime=runtime_of(request),
            known=foreign(loaded, request),
            home=request.environ.get("HOME"),
            values=values,
        )
    except PlanError as error:
        raise PlanError(*error.problems, *told, *loaded.warnings) from None  # a misspelt node may be why
    made = allowed(request, settled_here(request, made))
    problems = (*loaded.warnings, *told, *check(made), *crowded(request, made), *_unfit(request, made))
    if wrong := [
        each for each in problems if each.severity == "error" or (request.strict and each.severity == "warning")
    ]:
        raise PlanError(*wrong, *(each for each in problems if each not in wrong))
    return Planned(plan=made, warnings=tuple(problems), blind=_blind(loaded, stage) | unread(made))


def stages(request: Request) -> tuple[StageName, ...]:
    """The names of the project's stages, in the order of the text."""
    return tuple(stage.name for stage in load_project(request, None).project.stages)


def teardown_plan(request: Request, *, only: Collection[str] = (), volumes: bool = False) -> Planned:
    """The plan that takes the stage down: what is there, whether the text still declares it or not.

    only: these services alone; network and volumes then stay. Raises ConfigError, PlanError, UnavailableError.
    """
    loaded, stage = chosen(request, values=False)
    runtime, known = runtime_of(request), foreign(loaded, request)
    empty = teardown(loaded.project, stage, services=(), runtime=runtime, known=known)
    found: dict[ServiceName, set[RuntimeName]] = {}
    for each in status(request, empty):
        found.setdefault(each.service, set()).add(each.runtime)
    if missing := sorted(set(only) - found.keys()):
        raise PlanError(*(_nothing_of(name, stage, found, empty) for name in missing))
    leaving = {name for name in found if name in only} if only else set(found)
    made = teardown(loaded.project, stage, services=leaving, found=found, runtime=runtime, known=known)
    return Planned(plan=_without_prune(made) if only else _with_volumes(made) if volumes else made)


def volumes(request: Request, made: Plan) -> Mapping[RuntimeName, Sequence[HeldVolume]]:
    """What is lost with the volumes of a stage that *made* takes down, by runtime. Raises UnavailableError."""
    runtimes = runtimes_of(request)
    asked = {name: runtimes(name) for name in made.runtimes}
    return {
        name: cast(Holding, runtime).volumes(made)
        for name, runtime in asked.items()
        if callable(getattr(runtime, "volumes", None))
    }


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


def status(
    request: Request, made: Plan, *, blind: Collection[ServiceName] = (), only: Collection[str] = ()
) -> Sequence[ServiceStatus]:
    """What runs now, by service. blind: of which nobody can say whether they are what the text wants. only: of these.

    Raises UnavailableError; PlanError for a name that neither the plan nor the platform knows.
    """
    runtimes, hide = runtimes_of(request), hider(made)
    with _hidden(hide):
        told = with_urls(made, runtimes)
        found = [each for name in made.runtimes for each in runtimes(name).status(told)]
    if missing := sorted(set(only) - {each.service for each in found}):
        raise PlanError(*(no_service(made, name, request) for name in missing))
    chosen = [each for each in found if not only or each.service in only]
    return [replace(each, text=hide(each.text), drift=each.drift and each.service not in blind) for each in chosen]


def logs(request: Request, made: Plan, services: Sequence[ServiceName], options: LogOptions) -> Iterator[LogLine]:
    """Lines of all runtimes of the stage, as they come. Raises PlanError for a service that the plan does not hold."""
    held = {service.name for service in made.services}
    if missing := sorted(set(services) - held):
        raise PlanError(*(no_service(made, name, request) for name in missing))
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


def no_service(made: Plan, name: str, request: Request) -> Problem:
    """Where *name* should be a service of the plan, and is none."""
    names = [service.name for service in made.services]
    fix = f"`{name}` is a stage: `--stage={name}`; services are {listed(names)}" if name in stages(request) else ""
    return Problem(
        code="unknown-service",
        message=f"stage `{made.stage}` has no service `{name}`",
        fix=fix or suggestion(name, names),
    )


def _nothing_of(name: str, stage: StageName, there: Collection[str], asked: Plan) -> Problem:
    runtimes = " and ".join(asked.runtimes)
    return Problem(
        code="unknown-service",
        message=f"nothing of a service `{name}` is there in stage `{stage}`",
        cause=(f"looked for on {runtimes}; there is: {', '.join(sorted(there)) or 'nothing'}",),
        fix=suggestion(name, there) if there else "",
    )


def _blind(loaded: Loaded, name: StageName) -> frozenset[ServiceName]:
    stage = loaded.project.stage(name)
    return frozenset(
        service.name
        for service in (stage.services if stage is not None else ())
        if loaded.incomplete
        or any(source.kind != "ref" and source.value is None for source in service.secrets.values())
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
