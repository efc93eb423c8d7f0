# SPDX-License-Identifier: Apache-2.0
"""Reading the API's JSON objects: what is absent, null or of another kind reads as nothing.

Times are RFC 3339 on the API's clock, most of them in whole seconds.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

Json = Mapping[str, Any]

MANAGER = "fleetflow"  # as whom we apply
RENEWER = f"{MANAGER}-restart"  # as whom we say that pods are to be made anew
_OURS = frozenset({MANAGER, RENEWER})

# What JSON is decoded to stands first: to ask an abstract class takes ten times as long, and waiting asks often.
_MAPPING = (dict, Mapping)
_SEQUENCE = (list, tuple, Sequence)


def at(tree: object, *path: str | int) -> Any:
    """What stands at *path*, None where nothing does."""
    value: Any = tree
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, _MAPPING) else None
        else:
            value = value[step] if _is_list(value) and step < len(value) else None
    return value


def _is_list(value: object) -> bool:
    return isinstance(value, _SEQUENCE) and not isinstance(value, str)


def mapping(tree: object, *path: str | int) -> Json:
    value = at(tree, *path)
    return value if isinstance(value, _MAPPING) else {}


def items(tree: object, *path: str | int) -> Sequence[Any]:
    value = at(tree, *path)
    return value if _is_list(value) else ()


def text(tree: object, *path: str | int) -> str:
    value = at(tree, *path)
    return value if isinstance(value, str) else ""


def number(tree: object, *path: str | int, absent: int = 0) -> int:
    value = at(tree, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else absent


def moment(tree: object, *path: str | int) -> datetime | None:
    """A time; None where there is none, or none that can be read."""
    said = text(tree, *path)
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def condition(tree: Json, kind: str) -> Json:
    """The condition of that type in an object's status; empty where it has none."""
    return next((found for found in items(tree, "status", "conditions") if at(found, "type") == kind), {})


def holds(tree: Json, kind: str) -> bool:
    return text(condition(tree, kind), "status") == "True"


def born(tree: Json) -> datetime | None:
    return moment(tree, "metadata", "creationTimestamp")


def light(metadata: Json) -> dict[str, Any]:
    """*metadata* without the sets of fields that each manager owns: half of an object's size, and of no use to who only
    looks. That we wrote, and when, is kept for `written`."""
    kept = [
        {name: entry[name] for name in ("manager", "operation", "time") if name in entry}
        for entry in items(metadata, "managedFields")
        if at(entry, "manager") in _OURS and not at(entry, "subresource")
    ]
    rest = {name: value for name, value in metadata.items() if name != "managedFields"}
    return {**rest, "managedFields": kept} if kept else rest


def written(tree: Json) -> datetime | None:
    """When we changed it last: what a status says from before is of another version.

    The API keeps the time of each manager's last change, and leaves it alone where an apply changed nothing.
    """
    times = (
        moment(entry, "time")
        for entry in items(tree, "metadata", "managedFields")
        if at(entry, "manager") in _OURS and not at(entry, "subresource")
    )
    return max((time for time in times if time is not None), default=born(tree))
