# SPDX-License-Identifier: Apache-2.0
"""Two stages of one project that would take each other's place: in one namespace, with services of one name.

A stage is read and planned by itself. Only where it names its namespace are the others looked at too; what is wrong in
one of them is told when that one is planned.
"""

from collections.abc import Iterator, Sequence

from fleetflow_tasks.api.request import Request, load_project
from fleetflow_tasks.config.model import Stage
from fleetflow_tasks.errors import ConfigError, Problem
from fleetflow_tasks.plan.model import Plan

_SHARED = "kubernetes"  # where stages lie side by side under names that we do not choose alone


def crowded(request: Request, made: Plan) -> Iterator[Problem]:
    said = made.options.get(_SHARED, {})
    names = {service.name for service in made.services if service.runtime == _SHARED}
    for other in _others(request, made) if said.get("namespace") and names else ():
        both = sorted(names & {service.name for service in other.services})
        if both and _where(other) == (said["namespace"], said.get("context", "")):
            yield _problem(made, other, both, said["namespace"])


def _others(request: Request, made: Plan) -> list[Stage]:
    try:
        stages = load_project(request, None).project.stages
    except ConfigError:
        return []
    return [stage for stage in stages if stage.name != made.stage and stage.runtime.name == _SHARED]


def _where(stage: Stage) -> tuple[str, str]:
    return stage.runtime.options.get("namespace", ""), stage.runtime.options.get("context", "")


def _problem(made: Plan, other: Stage, both: Sequence[str], namespace: str) -> Problem:
    pair = " and ".join(f"`{name}`" for name in sorted((made.stage, other.name)))
    names = ", ".join(f"`{name}`" for name in both)
    return Problem(
        code="stages-in-one-namespace",
        message=f"stages {pair} share the namespace `{namespace}`, and both hold {names}",
        cause=("an object is there once for a name: each deployment would be in the way of the other",),
        fix='give each stage a namespace of its own: `runtime "kubernetes" { namespace "…" }`',
        place=other.runtime.place,
    )
