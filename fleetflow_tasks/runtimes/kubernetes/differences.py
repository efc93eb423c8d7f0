# SPDX-License-Identifier: Apache-2.0
"""Which fields of a live object are not as we want them. Pure; a Secret's values never appear.

Three questions are behind it: has somebody changed what we applied, what would a new version change, and what would it
take away. We only speak for what we send: all else (defaults, a status, what webhooks and other managers added) is none
of our business, so what is desired must be *within* what is live. Only what we own by the API's own book-keeping and no
longer send goes when we apply.

The API writes the same in other words: "0.5" cores come back as "500m", an empty map not at all, a list merged by key
in its own order. None of that is a difference.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fleetflow_tasks.runtimes.base import FieldChange
from fleetflow_tasks.runtimes.kubernetes import amounts, merging
from fleetflow_tasks.runtimes.kubernetes.managed import gone
from fleetflow_tasks.runtimes.kubernetes.manifests import TEMPLATE
from fleetflow_tasks.runtimes.kubernetes.objects import MANAGER, Json, at, text
from fleetflow_tasks.runtimes.labels import SLASHED

# Where absent is not the same as false or empty: the API keeps these as they are sent, and reads their absence as true,
# or as another choice.
_TELLING = frozenset({"automountServiceAccountToken", "allowPrivilegeEscalation", "enableServiceLinks", "emptyDir"})
_AMOUNTS = frozenset({"limits", "requests", "hard", "capacity"})  # maps of quantities
_AMOUNT = frozenset({"sizeLimit", "averageValue", "divisor"})
_ANSWERED = frozenset({"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"})  # of metadata

# The API's place -> the language's word. There is one container; what stands elsewhere keeps the API's words.
_CONTAINER = re.compile(r"spec\.template\.spec\.containers\[[^\]]*\]\.(?P<rest>.+)")
_REFERENCE = re.compile(r".*\.env\[[^\]]*\]\.valueFrom\.(?:configMap|secret)KeyRef\.name")
_WORDS = {
    "spec.replicas": "replicas",
    "spec.template.spec.terminationGracePeriodSeconds": "stop_grace",
    "args": "command",
    "command": "entrypoint",
    "workingDir": "working_dir",
}
_ENV = re.compile(r"env\[(?P<name>[^\]]*)\](?:\.value)?")

Where = tuple[str, ...]
_ANNOTATIONS = ("metadata", "annotations")


def differences(desired: Json, live: Json) -> tuple[FieldChange, ...]:
    """What applying *desired* would change in *live*, by field; nothing where it would change nothing.

    live: as the API answered; `{}` where there is none: then every field is new.
    """
    secret = desired.get("kind") == "Secret"
    lost = ((where, had, None) for where, had in _one_by_one(gone(desired, live, MANAGER)) if not _nothing(where, had))
    found = [(where, old, new) for where, old, new in (*_within(desired, live, ()), *lost) if not _ours(where)]
    changes = {_field(where): _change(where, old, new, secret=secret) for where, old, new in _telling(found)}
    return tuple(changes[field] for field in sorted(changes))


def _one_by_one(found: Iterable[tuple[Where, Any]]) -> Iterator[tuple[Where, Any]]:
    """All annotations may go at once; what we note there for ourselves is none that anybody misses."""
    for where, had in found:
        if where == _ANNOTATIONS:
            yield from (((*where, name), value) for name, value in had.items())
        else:
            yield where, had


def _within(desired: Any, live: Any, where: Where) -> Iterator[tuple[Where, Any, Any]]:
    """(where, old, new) of each field of *desired* that is otherwise in *live*."""
    name = where[-1] if where else ""
    if _nothing(where, desired) and (live is None or _nothing(where, live)):
        return
    if name in merging.WHOLE:
        yield from [] if desired == live else [(where, live, desired)]
    elif isinstance(desired, Mapping) and (isinstance(live, Mapping) or (live is None and desired)):
        for field, value in desired.items():
            yield from _within(value, at(live, field), (*where, field))
    elif isinstance(desired, list) and merging.keys(name, desired) and isinstance(live, list | None):
        yield from _by_key(desired, live or [], where, merging.keys(name, desired))
    elif not _equal(desired, live, where):
        yield where, live, desired


def _by_key(
    desired: Sequence[Any], live: Sequence[Any], where: Where, fields: tuple[str, ...]
) -> Iterator[tuple[Where, Any, Any]]:
    """Items are compared with those of the same key. A new one is told without its key, which its place already says."""
    found = {merging.key(entry, fields): entry for entry in live}
    for entry in desired:
        key = merging.key(entry, fields)
        here = (*where, f"[{','.join(key)}]")
        if key in found:
            yield from _within(entry, found[key], here)
        else:
            rest = {field: value for field, value in entry.items() if field not in fields}
            whole = where[-1] == "env" or not rest
            yield from [(here, None, entry)] if whole else _within(rest, None, here)


def _equal(desired: Any, live: Any, where: Where) -> bool:
    if isinstance(desired, list) and isinstance(live, list):
        return len(desired) == len(live) and _matched(desired, live, where)
    if isinstance(desired, Mapping) or isinstance(live, Mapping | list | None) or isinstance(desired, bool):
        return bool(desired == live)
    if _is_amount(where):
        return amounts.same(desired, live) or str(desired) == str(live)
    return not isinstance(live, bool) and str(desired) == str(live)


def _matched(desired: list[Any], live: list[Any], where: Where) -> bool:
    """A list that is one value to the API; yet the items that are objects have defaults filled in."""
    if merging.unordered(where[-1]):
        return all(any(not [*_within(entry, one, (*where, "[]"))] for one in live) for entry in desired)
    return all(not [*_within(entry, one, (*where, "[]"))] for entry, one in zip(desired, live, strict=True))


def _is_amount(where: Where) -> bool:
    return where[-1] in _AMOUNT or (len(where) > 1 and where[-2] in _AMOUNTS) or where[-2:] == ("target", "value")


def _nothing(where: Where, value: Any) -> bool:
    """The API drops what is empty, and a false or a zero with it, but for the few where that says something."""
    return not value and (value is None or not where or where[-1] not in _TELLING)


def _ours(where: Where) -> bool:
    """Marks of the run that made it, and what is the API's own."""
    if where[0] != "metadata":
        return where[0] == "status"
    return where[1] in _ANSWERED or (where[1] in {"labels", "annotations"} and where[-1].startswith(SLASHED))


def _telling(found: Sequence[tuple[Where, Any, Any]]) -> list[tuple[Where, Any, Any]]:
    """Without the template's own hash, which says nothing beside what it changed for."""
    rest = [one for one in found if one[0][-1] != TEMPLATE]
    return rest or list(found)


def _field(where: Where) -> str:
    """A field in the language's words where it has one: `image`, `environment.LOG`, `replicas`.

    A hashed name of a ConfigMap or Secret changes in each variable that comes from it; that is one change.
    """
    path = ".".join(where).replace(".[", "[")
    inside = _CONTAINER.fullmatch(path)
    short = inside["rest"] if inside else path
    if _REFERENCE.fullmatch(path):
        return "environment"
    variable = _ENV.match(short)
    return f"environment.{variable['name']}" if variable else _WORDS.get(short, short)


def _change(where: Where, old: Any, new: Any, *, secret: bool) -> FieldChange:
    hide = secret and where[0] in {"data", "stringData"}
    return FieldChange(field=_field(where), old=_shown(old, hide=hide), new=_shown(new, hide=hide))


def _shown(value: Any, *, hide: bool) -> str | None:
    if value is None:
        return None
    said = (
        value if isinstance(value, str) else _variable(value) or json.dumps(value, sort_keys=True, ensure_ascii=False)
    )
    return f"sha256:{hashlib.sha256(said.encode()).hexdigest()[:12]}" if hide else said


def _variable(value: Any) -> str:
    """An environment variable as a whole: its value, or where it comes from; "" where it is none."""
    for kind, words in (("configMapKeyRef", "config map"), ("secretKeyRef", "secret")):
        if source := at(value, "valueFrom", kind):
            return f"from {words} {source.get('name')}"
    return text(value, "value") if isinstance(value, Mapping) and value.keys() == {"name", "value"} else ""
