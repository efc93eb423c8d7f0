# SPDX-License-Identifier: Apache-2.0
"""Plan against plan: what another plan would change, as data and as text. No runtime is asked; see its `diff` for that.

A secret is never shown: that it changed is said, its value is not.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from fleetflow_tasks.config.model import HIDDEN, Data, Port, Secret, ServiceName, Volume
from fleetflow_tasks.plan.leave import settled
from fleetflow_tasks.plan.model import Plan, ResolvedBuild, ResolvedDependency, ResolvedService

Kind = Literal["added", "changed", "removed", "same"]

_SIGN: Mapping[Kind, str] = {"added": "+", "changed": "~", "removed": "-", "same": "="}
_NOT_COMPARED = {"name", "places", "env_from_stage"}  # where the text says it, not what it says
_BY_KEY = {"environment", "secrets", "secret_refs", "labels", "options"}


class FieldDifference(Data, frozen=True, kw_only=True):
    """old, new: as text; None where the field is absent. Both are `[hidden]` where a secret changed."""

    field: str
    old: str | None
    new: str | None


class Difference(Data, frozen=True, kw_only=True):
    """service: None for the settings of the stage itself. fields: only of a changed one, sorted."""

    service: ServiceName | None
    kind: Kind
    fields: tuple[FieldDifference, ...] = ()


def compare(old: Plan | None, new: Plan) -> tuple[Difference, ...]:
    """What differs, the stage's settings first (if they do), then every service by name. old: None where nothing was."""
    before = {service.name: service for service in old.services} if old is not None else {}
    after = {service.name: service for service in new.services}
    settings = _fields(_flat(settled(old.options) if old is not None else {}), _flat(settled(new.options)))
    stage = [Difference(service=None, kind="changed", fields=settings)] if settings and old is not None else []
    return (*stage, *(_difference(name, before.get(name), after.get(name)) for name in sorted({*before, *after})))


def text(differences: Iterable[Difference]) -> list[str]:
    """A line per difference, its fields below it; what is the same is only counted."""
    shown = [each for each in differences if each.kind != "same"]
    same = sum(1 for each in differences if each.kind == "same")
    lines = [line for each in shown for line in _lines(each)]
    return [*lines, f"= {same} unchanged"] if same or not shown else lines


def _difference(name: ServiceName, old: ResolvedService | None, new: ResolvedService | None) -> Difference:
    if old is None:
        return Difference(service=name, kind="added")
    if new is None:
        return Difference(service=name, kind="removed")
    fields = _fields(_said(old), _said(new), secrets=_secret_keys(old, new))
    return Difference(service=name, kind="changed" if fields else "same", fields=fields)


def _fields(
    old: Mapping[str, str], new: Mapping[str, str], *, secrets: Iterable[str] = ()
) -> tuple[FieldDifference, ...]:
    plain = [
        FieldDifference(field=field, old=old.get(field), new=new.get(field))
        for field in {*old, *new}
        if old.get(field) != new.get(field)
    ]
    hidden = [FieldDifference(field=f"secrets.{key}", old=HIDDEN, new=HIDDEN) for key in secrets]
    return tuple(sorted([*plain, *hidden], key=lambda each: each.field))


def _secret_keys(old: ResolvedService, new: ResolvedService) -> list[str]:
    """Secrets that both have, with another value."""
    return [key for key in old.secrets.keys() & new.secrets.keys() if old.secrets[key] != new.secrets[key]]


def _said(service: ResolvedService) -> dict[str, str]:
    """What the service says, field -> text; defaults are left out, maps stand by key."""
    said: dict[str, str] = {}
    for field in msgspec.structs.fields(ResolvedService):
        value = getattr(service, field.name)
        if field.name in _NOT_COMPARED or (not field.required and value == field.default):
            continue
        if field.name in _BY_KEY:
            said.update({f"{field.name}.{key}": _text(each) for key, each in value.items()})
        else:
            said[field.name] = _field_text(field.name, value)
    return said


def _field_text(field: str, value: object) -> str:
    if field in {"command", "entrypoint"} and isinstance(value, tuple):
        return shlex.join(value)
    return ", ".join(_text(each) for each in value) if isinstance(value, tuple) else _text(value)


def _text(value: object) -> str:
    """As a person would write it; what has no short form stands as JSON."""
    match value:
        case Secret():
            return HIDDEN
        case str():
            return value
        case Port():
            host = f"{value.host_ip}:" * bool(value.host_ip) + (f"{value.host}->" if value.host is not None else "")
            return f"{host}{value.container}/{value.protocol}"
        case Volume():
            return f"{value.source or '(anonymous)'}:{value.target}{':ro' if value.read_only else ''}"
        case ResolvedBuild():
            return f"{value.context} ({value.hash[:12]})"
        case ResolvedDependency():
            return f"{value.condition} {value.service}{'' if value.wait else ' (wait=#false)'}"
        case _:
            return msgspec.json.encode(value, order="deterministic").decode()


def _flat(options: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {f"{runtime}.{key}": value for runtime, values in options.items() for key, value in values.items()}


def _lines(difference: Difference) -> Iterator[str]:
    yield f"{_SIGN[difference.kind]} {difference.service or '(stage)'}"
    for each in difference.fields:
        if each.old == each.new == HIDDEN:
            yield f"    {each.field}: {HIDDEN}, changed"
        else:
            yield f"    {each.field}: {_shown(each.old)} -> {_shown(each.new)}"


def _shown(value: str | None) -> str:
    return "-" if value is None else value or '""'
