# SPDX-License-Identifier: Apache-2.0
"""Cloud Logging's query language, the part of it that asks for Cloud Run's entries.

https://cloud.google.com/logging/docs/view/logging-query-language: comparisons (`=`, `!=`, `<`, `<=`, `>`, `>=`, `:`, `=~`, `!~`)
of a path and a value, joined by AND (also by a mere blank or line end), OR, NOT and brackets; OR binds stronger than AND.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from .refused import Refused

Fits = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(
    r'\s*(?:([()])|(!=|>=|<=|=~|!~|[=<>:])|("(?:[^"\\]|\\.)*")|([^\s()=<>:!".]+(?:\.(?:"[^"]*"|[^\s()=<>:!".]+))*))'
)
_LEVELS = ("DEFAULT", "DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")


def compiled(text: str) -> Fits:
    """Raises Refused."""
    reader = _Reader(text)
    if not reader.tokens:
        return lambda _: True
    fits = reader.conjunction()
    if reader.tokens:
        raise reader.unclear()
    return fits


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self.tokens: list[str] = []
        at, end = 0, len(text.rstrip())
        while at < end:
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.unclear()
            self.tokens.append(found[0].strip())
            at = found.end()

    def unclear(self) -> Refused:
        return Refused("INVALID_ARGUMENT", f"Unparseable filter: {self._text}")

    def conjunction(self) -> Fits:
        parts = [self._disjunction()]
        while self.tokens and self.tokens[0] != ")":
            if self.tokens[0] == "AND":
                self.tokens.pop(0)
            parts.append(self._disjunction())
        return lambda entry: all(part(entry) for part in parts)

    def _disjunction(self) -> Fits:
        parts = [self._single()]
        while self.tokens and self.tokens[0] == "OR":
            self.tokens.pop(0)
            parts.append(self._single())
        return lambda entry: any(part(entry) for part in parts)

    def _single(self) -> Fits:
        first = self._next()
        if first == "NOT":
            inner = self._single()
            return lambda entry: not inner(entry)
        if first == "(":
            within = self.conjunction()
            if self._next() != ")":
                raise self.unclear()
            return within
        return self._comparison(first)

    def _comparison(self, path: str) -> Fits:
        relation, value = self._next(), _unquoted(self._next())
        if relation not in _RELATIONS:
            raise self.unclear()
        relate = _RELATIONS[relation]

        def fits(entry: Mapping[str, Any]) -> bool:
            held = _held(entry, path)
            return held is not None and relate(*_ordered(path, held, value))

        return fits

    def _next(self) -> str:
        if not self.tokens:
            raise self.unclear()
        return self.tokens.pop(0)


_RELATIONS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda held, value: held == value,
    "!=": lambda held, value: held != value,
    "<": lambda held, value: held < value,
    "<=": lambda held, value: held <= value,
    ">": lambda held, value: held > value,
    ">=": lambda held, value: held >= value,
    ":": lambda held, value: value.lower() in held.lower(),
    "=~": lambda held, value: re.search(value, held) is not None,
    "!~": lambda held, value: re.search(value, held) is None,
}


def _held(entry: Mapping[str, Any], path: str) -> str | None:
    found: Any = entry
    for step in re.findall(r'"[^"]*"|[^."]+', path):
        if not isinstance(found, Mapping):
            return None
        name = _unquoted(step)
        camel = re.sub(r"_([a-z])", lambda match: match[1].upper(), name)
        found = found.get(name, found.get(camel))
    return None if found is None else str(found)


def _ordered(path: str, held: str, value: str) -> tuple[str, str]:
    """As texts that sort as what they mean: severities by their weight, times to the microsecond."""
    if path == "severity" and value in _LEVELS:
        return str(_LEVELS.index(held)), str(_LEVELS.index(value))
    if path.endswith("imestamp"):
        return _time(held), _time(value)
    return held, value


def _time(said: str) -> str:
    whole, _, rest = said.replace("+00:00", "Z").removesuffix("Z").partition(".")
    return f"{whole}.{rest:0<9}"


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token
