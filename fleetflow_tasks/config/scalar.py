# SPDX-License-Identifier: Apache-2.0
"""One value -> what the type of its row has it be, where its meaning is plain. Nothing is guessed and nothing is lost.

A number where text is wanted is the text that stands in the file: `version 1.10`, and `version 12e4567`, which is the hash
of a commit and no number at all.
"""

import re
from collections.abc import Callable, Mapping
from math import isfinite

from fleetflow_tasks.config import quantity
from fleetflow_tasks.config.kdl import Value
from fleetflow_tasks.config.schema import Row, Type

Plain = str | int | float | bool

_LARGEST = 2**63 - 1  # what the platforms' own integers hold
_TRUTH = {"true": True, "false": False}
_YES = ("yes", "y", "on", "1", "enabled")  # as YAML and shells have it
_NO = ("no", "n", "off", "0", "disabled")


def converted(value: Value, type_: Type) -> Plain | None:
    """None where the value is something else."""
    return _CONVERSIONS[type_](value)


def wanted(row: Row) -> str:
    """What a value of this row is, in words."""
    limits = ""
    if row.low is not None and row.high is not None:
        limits = f" from {row.low:g} to {row.high:g}"
    elif row.low is not None:
        limits = f" of at least {row.low:g}"
    return _WANTED[row.type] + limits


def hint(value: Value, row: Row) -> str:
    """What Compose users write in one string, FleetFlow has in two; what YAML calls `yes` is `#true`."""
    text = str(value.value)
    if row.type == "bool":
        return f"write `#{'true' if text.lower() in _YES else 'false'}`" if text.lower() in (*_YES, *_NO) else ""
    if row.name in ("host", "container") and re.fullmatch(r"\d+:\d+", text, re.ASCII):
        return f"write `port {text.replace(':', ' ')}`"
    return ""


def within(number: float, row: Row) -> bool:
    low = -_LARGEST if row.low is None else row.low
    high = _LARGEST if row.high is None else row.high
    return low <= number <= high


def _text(value: Value) -> str | None:
    plain = value.value
    if isinstance(plain, str):
        return None if "\0" in plain else plain
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return value.raw.removeprefix("#")  # `#inf` is a word of KDL 2


def _int(value: Value) -> int | None:
    plain = value.value
    if isinstance(plain, str) and re.fullmatch(r"[-+]?\d{1,30}", plain.strip(), re.ASCII):
        return int(plain)
    if isinstance(plain, float) and plain.is_integer():
        return int(plain)
    return plain if isinstance(plain, int) and not isinstance(plain, bool) else None


def _number(value: Value) -> int | float | None:
    plain = value.value
    if plain is None or isinstance(plain, (bool, str)) or not isfinite(plain):
        return None
    return plain


def _bool(value: Value) -> bool | None:
    plain = value.value
    if isinstance(plain, str):
        return _TRUTH.get(plain.strip().lower())
    return plain if isinstance(plain, bool) else None


def _seconds(value: Value) -> float | None:
    return _float(quantity.seconds(value.value) if isinstance(value.value, str) else _number(value))


def _cores(value: Value) -> float | None:
    return _float(quantity.cores(value.value) if isinstance(value.value, str) else _number(value))


def _float(number: float | None) -> float | None:
    """A float, also of what is a whole number; what no float can hold is out of every range."""
    return None if number is None or abs(number) > _LARGEST else float(number)


def _bytes(value: Value) -> int | None:
    number = quantity.size(value.value) if isinstance(value.value, str) else _number(value)
    return None if number is None else round(number)


_CONVERSIONS: Mapping[Type, Callable[[Value], Plain | None]] = {
    "text": _text,
    "int": _int,
    "bool": _bool,
    "seconds": _seconds,
    "bytes": _bytes,
    "cores": _cores,
}

_WANTED: Mapping[Type, str] = {
    "text": "text",
    "int": "a whole number",
    "bool": "true or false",
    "seconds": "seconds (`30`, `5m`)",
    "bytes": "bytes (`256Mi`, `1g`)",
    "cores": "cores (`0.5`, `500m`)",
}
