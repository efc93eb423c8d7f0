# SPDX-License-Identifier: Apache-2.0
"""A stage's variables: value, where it came from, what it beats, who uses it.

One that went into a secret is hidden, and so is one that nobody uses: a `.env` file holds what other tools need too. Of
the process's own only those are told that are used, or that the files know as well.
"""

from collections.abc import Iterator

from fleetflow_tasks.config.model import HIDDEN, Data, Project, Service, Stage
from fleetflow_tasks.config.provenance import Origin, Told, line
from fleetflow_tasks.config.schema import RESERVED_VARIABLES
from fleetflow_tasks.config.trail import Trail
from fleetflow_tasks.config.uses import Use
from fleetflow_tasks.plan.hidden import Hider, for_eyes, hider
from fleetflow_tasks.plan.model import Plan


class VariableTold(Data, frozen=True, kw_only=True):
    """value: None where nobody uses it, or where it cannot be worked out. users: `service api at services/api.kdl:5`."""

    name: str
    value: str | None
    origin: Origin
    users: tuple[str, ...] = ()


def variables(project: Project, plan: Plan, told: Told) -> tuple[VariableTold, ...]:
    """By name."""
    stage = project.stage(plan.stage)
    assert stage is not None, plan.stage  # noqa: S101  (the plan was made of it)
    trail = Trail(told, stage.name)
    hide = hider(stage, plan, trail)
    names = {*told.sources.scope.variables, *(use.name for use in trail.uses)}
    return tuple(_variables(sorted(names), stage, told, trail, hide))


def _variables(names: list[str], stage: Stage, told: Told, trail: Trail, hide: Hider) -> Iterator[VariableTold]:
    for name in names:
        origin = trail.variable(name) or Origin(source="not set")
        users = tuple(dict.fromkeys(_users(name, stage, told, trail)))
        if users or origin.place or origin.over or origin.source == "--var":
            value = _value(name, trail, hide) if users else None
            yield VariableTold(name=name, value=value, origin=origin, users=users)


def _value(name: str, trail: Trail, hide: Hider) -> str | None:
    value = trail.value(name)
    if value is None:
        return None
    return HIDDEN if hide.is_secret(name) else for_eyes(*hide.shown([value], {name: 1}))


def _users(name: str, stage: Stage, told: Told, trail: Trail) -> Iterator[str]:
    yield from (_user(use) for use in trail.uses if use.name == name)
    for service in stage.services:
        yield from _secrets(name, service)
    if name in stage.variables:
        yield "every service, in its environment"
    if name in RESERVED_VARIABLES and name in {**told.document.texts("variables"), **told.stage.texts("variables")}:
        yield "the stage's runtime"


def _user(use: Use) -> str:
    owner = next(
        (each for each in reversed(use.inside) if each.startswith("service ")), use.inside[0] if use.inside else ""
    )
    return f"{owner} at {line(use.place)}" if owner else line(use.place)


def _secrets(name: str, service: Service) -> Iterator[str]:
    for secret, source in service.secrets.items():
        if source.kind == "env" and source.name == name:
            yield f"secret {secret} of service {service.name}"
