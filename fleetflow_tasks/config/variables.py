# SPDX-License-Identifier: Apache-2.0
"""Variables: where each comes from, which wins, and what `${NAME}` becomes.

Strength, weakest first: `.env`, `.env.{stage}`, the project's `variables`, the stage's, variables of the process whose
names start with one of `PREFIXES`, `--var`. A variable is worked out only when somebody asks for it, so that a line of
`.env` that nobody uses can hold anything.
"""

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from fleetflow_tasks.config.limits import MAX_CHAIN, MAX_FILLED, VALUE
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.errors import ConfigError, Place, Problem

PREFIXES = ("FLEET_", "FLEETFLOW_", "CI_", "APP_")

_REFERENCE = re.compile(r"\$(?:(\$)|\{)")
_EDGE = re.compile(r"\$\{|\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATOR = re.compile(r":?[-?]")
_MAX_NESTING = 20


class Variable(msgspec.Struct, frozen=True):
    """origin: the source in words (`.env`, `--var`). value: works the value out. place: in a file."""

    origin: str
    value: Callable[["Scope"], str]
    place: Place | None = None


class Scope:
    """All variables of one stage, the strongest of each name."""

    def __init__(self, levels: Iterable[Mapping[str, Variable]]) -> None:
        self.levels = tuple(levels)
        self.variables: dict[str, Variable] = {}
        for level in self.levels:
            self.variables.update(level)
        self._values: dict[str, str] = {}
        self._asked: list[str] = []
        self._left = MAX_FILLED

    def lookup(self, name: str) -> str | None:
        """The value; None where there is no such variable. Raises ConfigError where variables need each other."""
        if name in self._values:
            return self._values[name]
        variable = self.variables.get(name)
        if variable is None:
            return None
        if name in self._asked:
            path = " -> ".join([*self._asked[self._asked.index(name) :], name])
            message = f"variables need each other: {path}"
            raise ConfigError(
                Problem(
                    code="variable-cycle", message=message, fix="give one of them a plain value", place=variable.place
                )
            )
        if len(self._asked) == MAX_CHAIN:
            message = f"more than {MAX_CHAIN} variables need each other, one after the other"
            fix = f"give `{name}` a plain value"
            raise ConfigError(Problem(code="variable-cycle", message=message, fix=fix, place=variable.place))
        self._asked.append(name)
        try:
            value = variable.value(self)
        finally:
            self._asked.pop()
        self.count(len(value), variable.place)
        self._values[name] = value
        return value

    def count(self, characters: int, place: Place | None) -> None:
        """A value that takes *characters* is worked out at *place*. Raises ConfigError where all are too much."""
        self._left -= VALUE + characters
        if self._left < 0:
            message = f"the values of this stage are larger than {MAX_FILLED >> 20} MiB together"
            fix = "look for a variable that holds another one many times; data belongs into a volume"
            raise ConfigError(Problem(code="too-large", message=message, fix=fix, place=place))

    def definitions(self, name: str) -> list[Variable]:
        """Every definition of the variable, the strongest first: that is the one which counts."""
        return [level[name] for level in reversed(self.levels) if name in level]

    def place(self, name: str) -> Place | None:
        """Where the file says it that wins; None for what comes from outside, and for what is not there."""
        variable = self.variables.get(name)
        return None if variable is None else variable.place

    def fill(self, text: str, place: Place | None) -> str:
        """*text* with every `${NAME}` replaced. Raises ConfigError, with *place*, for what is not defined or not closed."""
        return _filled(text, place, self, 0) if "$" in text else text


def plain(origin: str, value: str) -> Variable:
    """A value that is taken as it stands."""
    return Variable(origin, lambda _: value)


def process(environ: Mapping[str, str]) -> dict[str, Variable]:
    """Variables of the process that a file may use; not all, so that a deployment does not depend on somebody's shell."""
    return {name: plain("environment", value) for name, value in environ.items() if name.startswith(PREFIXES)}


def given(variables: Mapping[str, str]) -> dict[str, Variable]:
    return {name: plain("--var", value) for name, value in variables.items()}


def _filled(text: str, place: Place | None, scope: Scope, depth: int) -> str:
    out: list[str] = []
    position = 0
    while reference := _REFERENCE.search(text, position):
        out.append(text[position : reference.start()])
        if reference[1]:
            out.append("$")
            position = reference.end()
            continue
        end = _closing(text, reference.end())
        if end is None or depth == _MAX_NESTING:
            raise ConfigError(_malformed(text[reference.start() :], place))
        out.append(_expanded(text[reference.end() : end], place, scope, depth))
        scope.count(len(out[-1]), place)
        position = end + 1
    return "".join([*out, text[position:]])


def _closing(text: str, start: int) -> int | None:
    """The `}` that ends the reference whose inside begins at *start*; a default may hold references of its own."""
    depth = 1
    for match in _EDGE.finditer(text, start):
        depth += 1 if match[0] == "${" else -1
        if depth == 0:
            return match.start()
        if depth > _MAX_NESTING:
            return None
    return None


def _expanded(inside: str, place: Place | None, scope: Scope, depth: int) -> str:
    name = _NAME.match(inside)
    operator = _OPERATOR.match(inside, name.end()) if name else None
    if name is None or (operator is None and name.end() < len(inside)):
        raise ConfigError(_malformed(f"${{{inside}}}", place))
    value = scope.lookup(name[0])
    if value is not None and (value or operator is None or operator[0][0] != ":"):
        return value
    if operator is not None and operator[0][-1] == "-":
        return _filled(inside[operator.end() :], place, scope, depth + 1)
    raise ConfigError(undefined(name[0], place, scope, inside[operator.end() :] if operator else ""))


def undefined(name: str, place: Place | None, scope: Scope, why: str = "") -> Problem:
    message = f"variable `{name}` is not defined" + (f": {why}" if why else "")
    near = suggestion(name, scope.variables) if scope.variables else ""
    fix = (
        near
        if near.startswith("did you mean")
        else f"define it in `variables`, pass `--var {name}=…`, or write `${{{name}:-default}}`"
    )
    return Problem(code="undefined-variable", message=message, fix=fix, place=place)


def _malformed(reference: str, place: Place | None) -> Problem:
    shown = reference if len(reference) <= 40 else f"{reference[:37]}..."
    fix = "write `${NAME}` or `${NAME:-default}`; a dollar that is meant to stay is `$$`"
    return Problem(code="bad-reference", message=f"`{shown}` is no variable", fix=fix, place=place)
