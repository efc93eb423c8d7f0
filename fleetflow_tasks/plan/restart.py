# SPDX-License-Identifier: Apache-2.0
"""A stage's services started anew as they are: a plan of `restart` steps, in the order of the dependencies.

A service restarts once all that it depends on is ready again, whether that stands between them or not: where `web` needs
`api` and `api` needs `db`, and `api` is left alone, `web` still waits for `db`.
"""

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.plan import graph
from fleetflow_tasks.plan.model import Need, Plan, QueueName, ResolvedService, Step, StepId
from fleetflow_tasks.plan.resolve import queue


def restarting(made: Plan, services: Collection[ServiceName]) -> Plan:
    """*made*, a plan of the stage, with steps that restart *services* and no others."""
    needs = {service.name: tuple(each.service for each in service.depends_on) for service in made.services}
    before = {name: graph.closure(needs, needs[name]) & frozenset(services) for name in sorted(services)}
    nearest = {name: _nearest(found, before) for name, found in before.items()}
    weights = graph.heights(nearest)
    steps = (_step(made, made.service(name), nearest[name], weights[name]) for name in graph.ordered(nearest))
    return replace(made, steps=tuple(steps))


def _nearest(
    found: Collection[ServiceName], before: Mapping[ServiceName, Collection[ServiceName]]
) -> list[ServiceName]:
    """Without those for which another one of them waits already."""
    return sorted(name for name in found if not any(name in before[other] for other in found))


def _step(made: Plan, service: ResolvedService, before: Collection[ServiceName], weight: int) -> Step:
    return Step(
        id=_id(service.name),
        action="restart",
        runtime=service.runtime,
        queue=_queue(made, service),
        service=service.name,
        needs=tuple(Need(step=_id(name), cause=f"{name} is ready again") for name in before),
        weight=weight,
        timeout=service.timeout,
        retries=service.retries,
    )


def _queue(made: Plan, service: ResolvedService) -> QueueName:
    return queue(service.runtime, made.options.get(service.runtime, {}))


def _id(service: ServiceName) -> StepId:
    return StepId(f"{service}:restart")
