# SPDX-License-Identifier: Apache-2.0
"""Resolved services -> steps and edges, each with its cause.

Every service has two steps. `prepare` only adds (an image, a container that is not started), so all of them may run at
once; `deploy` waits for its own `prepare` and for the `deploy` of each dependency, so that only what must be serial is.
The stage's own steps stand around them: `stage:prepare` makes the network, `stage:prune` removes what is declared no
more, once all is well. A `deploy` does not name `stage:prepare`: its own `prepare` has waited for it.
"""

from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from fleetflow_tasks.config.model import Project, RuntimeName, Service, ServiceName, Stage, StageName
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.errors import PlanError, Problem, errors_among
from fleetflow_tasks.plan import graph
from fleetflow_tasks.plan.model import STAGE, Action, Need, Plan, ResolvedService, Step, StepId
from fleetflow_tasks.plan.resolve import Runtimes, resolve

# Seconds that one attempt may take.
PREPARE = 600.0  # an image of some gigabytes over a slow line
BUILD = 3600.0  # compilers, and package managers over a slow line
STAGE_PREPARE = 60.0  # one or two calls: a network, a namespace
REMOVE = 120.0  # a container's grace period is 10 s by default, and some ask for more
PRUNE = 300.0  # any number of removals, one after the other

DECLARED = "declared"
NETWORK = "network"
ALL_DEPLOYED = "all deployed"
ALL_REMOVED = "all removed"


def build(
    project: Project,
    stage_name: StageName,
    *,
    only: Collection[ServiceName] = (),
    with_dependencies: bool = True,
    images: Mapping[ServiceName, str] = {},
    contents: Mapping[ServiceName, str] = {},
    runtime: RuntimeName | None = None,
    known: Collection[str] = (),
    home: str | None = None,
    values: bool = True,
) -> Plan:
    """The plan that brings *stage_name* to what the project says.

    only: these services and what they depend on get steps; the others are left alone, so nothing is pruned then.
    with_dependencies: False: `only` alone get steps. What they depend on is taken to be up, whatever the condition says.
    images: references that count instead of what the text says, by service. contents: hashes of what is built, likewise.
    runtime: instead of the stage's own. known: runtimes beside the built-in ones. home: the folder that `~` means.
    values: False: secrets that have no value here are left out; such a plan is for looking, not for deploying.
    Raises PlanError with all problems.
    """
    stage = _stage(project, stage_name)
    runtimes = Runtimes(stage, runtime=runtime, known=known)
    services, problems = resolve(project, stage, runtimes, images=images, contents=contents, home=home, values=values)
    wrong = errors_among((*_reserved(stage), *_not_there(stage, only), *problems))
    if wrong:
        raise PlanError(*wrong)
    chosen = _chosen(services, only, with_dependencies=with_dependencies)
    used = _used(runtimes, (service.runtime for service in chosen))
    steps = [_stage_step("prepare", each, used, runtimes) for each in used]
    steps += [_prepare(service, used, runtimes) for service in chosen]
    planned = frozenset(service.name for service in chosen)
    steps += [_deploy(service, planned, runtimes) for service in chosen]
    if not only:
        after = _needs((_id(service.name, "deploy") for service in chosen), ALL_DEPLOYED)
        steps += [_stage_step("prune", each, used, runtimes, needs=after) for each in used]
    # Of the runtimes without steps too: who depends on a service there has to be told where it is.
    there = _used(runtimes, (service.runtime for service in services))
    return _plan(project, stage, steps, services, options=_options(runtimes, there))


def teardown(
    project: Project,
    stage_name: StageName,
    *,
    services: Collection[ServiceName],
    found: Mapping[ServiceName, Collection[RuntimeName]] = {},
    runtime: RuntimeName | None = None,
    known: Collection[str] = (),
) -> Plan:
    """The same graph turned round: each of *services* is removed after all that depend on it, then the stage's own things.

    services: those that are there, whether the text still declares them or not. found: on which runtimes; a service is
    removed where it is, which need not be where the text has it by now. What is wrong with the text beyond its
    runtimes does not matter here: a stage that cannot be built any more can still be taken down. Raises PlanError.
    """
    stage = _stage(project, stage_name)
    runtimes = Runtimes(stage, runtime=runtime, known=known)
    if runtimes.problems:
        raise PlanError(*runtimes.problems)
    declared = {service.name: service for service in stage.services}
    names = sorted(set(services))
    dependants = _dependants(declared, names)
    places = {name: _whereabouts(declared.get(name), found.get(name, ()), runtimes) for name in names}
    steps = [_remove(name, places[name], dependants[name], runtimes) for name in names]
    used = _used(runtimes, [runtimes.default, *(runtimes.of(service) for service in stage.services), *places.values()])
    after = _needs((_id(name, "remove") for name in names), ALL_REMOVED)
    steps += [_stage_step("prune", each, used, runtimes, needs=after) for each in used]
    return _plan(project, stage, steps, (), options=_options(runtimes, used))


def _stage(project: Project, name: StageName) -> Stage:
    stage = project.stage(name)
    if stage is None:
        fix = suggestion(name, (each.name for each in project.stages))
        message = f"project `{project.name}` has no stage `{name}`"
        raise PlanError(Problem(code="unknown-stage", message=message, fix=fix or f'write `stage "{name}" {{ … }}`'))
    return stage


def _reserved(stage: Stage) -> Iterable[Problem]:
    for service in stage.services:
        if service.name == STAGE:
            yield Problem(
                code="reserved-name",
                message=f"no service can be called `{STAGE}`: `{STAGE}:prepare` and `{STAGE}:prune` are the stage's own steps",
                fix="give it another name",
                place=service.places.get(""),
            )


def _not_there(stage: Stage, only: Collection[ServiceName]) -> Iterable[Problem]:
    names = [service.name for service in stage.services]
    for name in sorted(set(only) - set(names)):
        message = f"stage `{stage.name}` holds no service `{name}`"
        yield Problem(code="unknown-service", message=message, fix=suggestion(name, names))


def _chosen(
    services: tuple[ResolvedService, ...], only: Collection[ServiceName], *, with_dependencies: bool
) -> tuple[ResolvedService, ...]:
    if not only:
        return services
    needs = {service.name: tuple(each.service for each in service.depends_on) for service in services}
    names = graph.closure(needs, only) if with_dependencies else only
    return tuple(service for service in services if service.name in names)


def _used(runtimes: Runtimes, wanted: Iterable[RuntimeName]) -> tuple[RuntimeName, ...]:
    return tuple(sorted(set(wanted))) or (runtimes.default,)


def _stage_step(
    action: Action,
    runtime: RuntimeName,
    used: tuple[RuntimeName, ...],
    runtimes: Runtimes,
    needs: tuple[Need, ...] = (),
) -> Step:
    return Step(
        id=_stage_id(action, runtime, used),
        action=action,
        runtime=runtime,
        queue=runtimes.queue(runtime),
        needs=needs,
        timeout=PRUNE if action == "prune" else STAGE_PREPARE,
    )


def _prepare(service: ResolvedService, used: tuple[RuntimeName, ...], runtimes: Runtimes) -> Step:
    return Step(
        id=_id(service.name, "prepare"),
        action="prepare",
        runtime=service.runtime,
        queue=runtimes.queue(service.runtime),
        service=service.name,
        needs=(Need(step=_stage_id("prepare", service.runtime, used), cause=NETWORK),),
        timeout=PREPARE if service.build is None else BUILD,
        retries=service.retries,
    )


def _deploy(service: ResolvedService, planned: Collection[ServiceName], runtimes: Runtimes) -> Step:
    """planned: who has steps in this plan; nobody can wait for anybody else."""
    waits = [
        Need(step=_id(each.service, "deploy"), cause=f"waits for {each.condition} {each.service}")
        for each in service.depends_on
        if each.service in planned
    ]
    own = Need(step=_id(service.name, "prepare"), cause=DECLARED)
    return Step(
        id=_id(service.name, "deploy"),
        action="deploy",
        runtime=service.runtime,
        queue=runtimes.queue(service.runtime),
        service=service.name,
        needs=tuple(sorted([own, *waits], key=lambda need: need.step)),
        timeout=service.timeout,
        retries=service.retries,
    )


def _whereabouts(service: Service | None, found: Collection[RuntimeName], runtimes: Runtimes) -> RuntimeName:
    """Where the text has it, unless it was found elsewhere alone."""
    said = runtimes.of(service) if service is not None else runtimes.default
    return said if said in found or not found else min(found)


def _remove(name: ServiceName, runtime: RuntimeName, dependants: tuple[ServiceName, ...], runtimes: Runtimes) -> Step:
    return Step(
        id=_id(name, "remove"),
        action="remove",
        runtime=runtime,
        queue=runtimes.queue(runtime),
        service=name,
        needs=tuple(Need(step=_id(each, "remove"), cause=f"{each} depends on it") for each in sorted(dependants)),
        timeout=REMOVE,
    )


def _dependants(
    declared: Mapping[ServiceName, Service], names: list[ServiceName]
) -> dict[ServiceName, tuple[ServiceName, ...]]:
    """Who must be gone before each of *names*. Services in a circle have no order, and go in any."""
    there = frozenset(names)
    needs = {
        name: tuple(edge.service for edge in declared[name].depends_on if edge.service in there)
        if name in declared
        else ()
        for name in names
    }
    knot_of = {name: knot for knot in graph.knots(needs) for name in knot}
    return graph.turned(
        {name: tuple(each for each in before if each not in knot_of.get(name, ())) for name, before in needs.items()}
    )


def _needs(steps: Iterable[StepId], cause: str) -> tuple[Need, ...]:
    return tuple(Need(step=step, cause=cause) for step in sorted(steps))


def _options(runtimes: Runtimes, used: tuple[RuntimeName, ...]) -> Mapping[str, Mapping[str, str]]:
    return {runtime: options for runtime in used if (options := runtimes.options(runtime))}


def _plan(
    project: Project,
    stage: Stage,
    steps: list[Step],
    services: tuple[ResolvedService, ...],
    *,
    options: Mapping[str, Mapping[str, str]],
) -> Plan:
    by_id = {step.id: step for step in steps}
    needs = {step.id: tuple(need.step for need in step.needs) for step in steps}
    weights = graph.heights(needs)
    return Plan(
        project=project.name,
        stage=stage.name,
        root=project.root,
        services=tuple(sorted(services, key=lambda service: service.name)),
        steps=tuple(replace(by_id[step], weight=weights[step]) for step in graph.ordered(needs)),
        options=options,
    )


def _id(service: ServiceName, action: Action) -> StepId:
    return StepId(f"{service}:{action}")


def _stage_id(action: Action, runtime: RuntimeName, used: tuple[RuntimeName, ...]) -> StepId:
    """`stage:prepare`; where a stage is spread over several runtimes, each has its own: `stage:prepare.kubernetes`."""
    return StepId(f"{STAGE}:{action}" if len(used) == 1 else f"{STAGE}:{action}.{runtime}")
