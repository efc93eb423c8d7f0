# SPDX-License-Identifier: Apache-2.0
"""Who waits for whom in a stage: `depends_on` with nothing left open, or everything that is wrong with it at once.

An optional dependency (`required=false`) gives way: it is dropped where the stage does not hold the other service, and
where it would close a circle.
"""

from collections.abc import Iterable, Mapping
from itertools import islice, pairwise

from fleetflow_tasks.config.limits import MAX_PROBLEMS
from fleetflow_tasks.config.model import Condition, Dependency, Project, Service, ServiceName, Stage
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan import graph
from fleetflow_tasks.plan.model import ResolvedDependency, ResolvedService

Waits = Mapping[ServiceName, tuple[ResolvedDependency, ...]]
Edges = dict[ServiceName, dict[ServiceName, Dependency]]  # service -> the one it depends on -> what the text says of it

_FIX = {1: "remove it", 2: "remove one of the two, or mark it `required=false`"}


def waits(project: Project, stage: Stage) -> tuple[Waits, tuple[Problem, ...]]:
    """Each service's dependencies, sorted by name, and what is wrong: unknown services, such as the stage lacks, circles."""
    services = {service.name: service for service in stage.services}
    edges = _without_optional_circles({name: _present(service, services) for name, service in services.items()})
    resolved = {
        name: tuple(
            ResolvedDependency(
                service=other, condition=edge.condition or default_condition(services[other]), wait=edge.wait
            )
            for other, edge in sorted(found.items())
        )
        for name, found in edges.items()
    }
    return resolved, (*islice(_absent(project, stage, services), MAX_PROBLEMS), *_circles(stage, services, edges))


def default_condition(other: Service) -> Condition:
    """What one waits for where the text does not say: a job's good end, a check's yes, else the mere start."""
    if other.job:
        return "completed"
    return "healthy" if is_checked(other) else "started"


def is_checked(service: Service | ResolvedService) -> bool:
    """Whether somebody can ask it how it is. The test `NONE` only switches off the check that an image brings."""
    check = service.healthcheck
    return service.readiness is not None or (check is not None and check.test[:1] != ("NONE",))


def place_of(service: Service | ResolvedService, other: ServiceName) -> Place | None:
    """Where *service* says that it depends on *other*."""
    places = service.places
    return places.get(f"depends_on.{other}") or places.get("depends_on") or places.get("")


def _present(service: Service, services: Mapping[ServiceName, Service]) -> dict[ServiceName, Dependency]:
    return {edge.service: edge for edge in service.depends_on if edge.service in services}


def _without_optional_circles(edges: Edges) -> Edges:
    knot_of = {name: knot for knot in graph.knots(edges) for name in knot}
    return {
        name: {
            other: edge
            for other, edge in found.items()
            if edge.required or name not in knot_of or other not in knot_of[name]
        }
        for name, found in edges.items()
    }


def _absent(project: Project, stage: Stage, services: Mapping[ServiceName, Service]) -> Iterable[Problem]:
    known = {*project.declared, *(service.name for each in project.stages for service in each.services)}
    for service in stage.services:
        for edge in service.depends_on:
            if edge.required and edge.service not in services:
                yield _not_in_stage(stage, service, edge) if edge.service in known else _unknown(service, edge, known)


def _not_in_stage(stage: Stage, service: Service, edge: Dependency) -> Problem:
    return Problem(
        code="dependency-not-in-stage",
        message=f"service `{service.name}` depends on `{edge.service}`, which stage `{stage.name}` does not hold",
        fix=f'add `service "{edge.service}"` to stage `{stage.name}`, or mark the dependency `required=false`',
        place=place_of(service, edge.service),
    )


def _unknown(service: Service, edge: Dependency, known: Iterable[ServiceName]) -> Problem:
    return Problem(
        code="unknown-service",
        message=f"service `{service.name}` depends on `{edge.service}`, which is no service of this project",
        fix=suggestion(edge.service, known),
        place=place_of(service, edge.service),
    )


def _circles(stage: Stage, services: Mapping[ServiceName, Service], edges: Edges) -> Iterable[Problem]:
    for path in graph.cycles(edges):
        said = [(f"{one} depends on {other}", place_of(services[one], other)) for one, other in pairwise(path)]
        width = max(len(text) for text, _ in said)
        yield Problem(
            code="dependency-cycle",
            message=f"stage `{stage.name}`: {_headline(path)}: {' -> '.join(path)}",
            cause=tuple(f"{text:{width}}   {place}" if place else text for text, place in said),
            fix=_FIX.get(len(said), "remove one of them, or mark it `required=false`"),
        )


def _headline(path: tuple[ServiceName, ...]) -> str:
    return "a service waits for itself" if len(path) == 2 else "services wait for each other"
