# SPDX-License-Identifier: Apache-2.0
"""Reading the API's JSON objects: what is absent, null or of another kind reads as nothing.

The API leaves out what has its default, writes int64 as a text and times as RFC 3339 on its own clock.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fleetflow_tasks.runtimes.cloudrun.form import Json


def at(tree: object, *path: str | int) -> Any:
    """What stands at *path*, None where nothing does."""
    value: Any = tree
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, Mapping) else None
        else:
            value = value[step] if _is_list(value) and step < len(value) else None
    return value


def mapping(tree: object, *path: str | int) -> Json:
    value = at(tree, *path)
    return value if isinstance(value, Mapping) else {}


def items(tree: object, *path: str | int) -> Sequence[Any]:
    value = at(tree, *path)
    return value if _is_list(value) else ()


def text(tree: object, *path: str | int) -> str:
    value = at(tree, *path)
    return value if isinstance(value, str) else ""


def number(tree: object, *path: str | int, absent: int = 0) -> int:
    """Whether it is written as a number or, as an int64 is, as a text."""
    value = at(tree, *path)
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() else absent
    return value if isinstance(value, int) and not isinstance(value, bool) else absent


def moment(tree: object, *path: str | int) -> float | None:
    """Unix seconds; None where there is no time, or none that can be read."""
    try:
        found = datetime.fromisoformat(text(tree, *path))
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def last(name: str) -> str:
    """`api-00001-abc` of `projects/…/revisions/api-00001-abc`."""
    return name.rpartition("/")[2]


def one_line(said: str) -> str:
    return " ".join(said.split())


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)
