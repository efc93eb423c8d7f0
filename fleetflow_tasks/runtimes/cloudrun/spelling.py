# SPDX-License-Identifier: Apache-2.0
"""How one value is spelt in the v2 form and in Knative's: `300s` and 300, true and "true", a list and its JSON.

Every function raises UnfitError, a ValueError, for what is no such value, and nothing else: what a person or another tool wrote may be
anything.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from fleetflow_tasks.config.model import Data

_SECONDS = re.compile(r"(\d{1,9})(?:\.0+)?s", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)

Spelt = Callable[[object], Any]


class UnfitError(ValueError):
    """This is no value of the kind that was expected."""


class Spelling(Data, frozen=True, kw_only=True):
    """there: from v2's to Knative's. back: the other way."""

    there: Spelt
    back: Spelt


def words(table: Mapping[str, str], also: Mapping[str, str] | None = None) -> Spelling:
    """An enum: v2's name -> Knative's word. also: older words for some of them, which are understood and not written."""
    reverse = {word: name for name, word in table.items()} | dict(also or {})
    return Spelling(there=lambda value: _known(table, value), back=lambda value: _known(reverse, value))


def text(value: object) -> str:
    if not isinstance(value, str):
        raise UnfitError(value)
    return value


def texts(value: object) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise UnfitError(value)
    return [text(each) for each in value]


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise UnfitError(value)
    return value


def number(value: object) -> int:
    """JSON writes a 64-bit number as text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UnfitError(value)
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise UnfitError(value)
    return int(value)


def texts_by_name(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise UnfitError(value)
    return {text(name): text(each) for name, each in value.items()}


def whole_seconds(value: object) -> int:
    """`300s` -> 300. Knative has no fractions."""
    found = _SECONDS.fullmatch(text(value))
    if found is None:
        raise UnfitError(value)
    return int(found[1])


def decoded(value: object) -> Any:
    """The JSON that stands in a text."""
    try:
        return json.loads(text(value))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UnfitError(value) from error


def encoded(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def joined(value: object) -> str:
    """A list in one text, as Knative's annotations have it; no element may hold a comma."""
    found = texts(value)
    if any("," in each for each in found):
        raise UnfitError(value)
    return ",".join(found)


def parted(value: object) -> list[str]:
    return [each for each in text(value).split(",") if each]


def _known(table: Mapping[str, str], value: object) -> str:
    if not isinstance(value, str) or value not in table:
        raise UnfitError(value)
    return table[value]


def _flag_of(value: object) -> bool:
    """gcloud itself writes `True` into some of its annotations."""
    return _known({"true": "y", "false": "n"}, text(value).lower()) == "y"


TEXT = Spelling(there=text, back=text)
TEXTS = Spelling(there=texts, back=texts)
FLAG = Spelling(there=flag, back=flag)
NUMBER = Spelling(there=number, back=number)
BY_NAME = Spelling(there=texts_by_name, back=texts_by_name)
SECONDS = Spelling(there=whole_seconds, back=lambda value: f"{number(value)}s")
# In annotations everything is text.
WORD = Spelling(there=lambda value: "true" if flag(value) else "false", back=_flag_of)
COUNT = Spelling(there=lambda value: str(number(value)), back=number)
HOURS = Spelling(there=lambda value: str(_hours(whole_seconds(value))), back=lambda value: f"{number(value) * 3600}s")
JOINED = Spelling(there=joined, back=parted)
JSON_TEXTS = Spelling(there=lambda value: encoded(texts(value)), back=lambda value: texts(decoded(value)))


def _hours(seconds: int) -> int:
    if seconds % 3600:
        raise UnfitError(seconds)
    return seconds // 3600
