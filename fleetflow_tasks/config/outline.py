# SPDX-License-Identifier: Apache-2.0
"""What must be known of a file before its templates are rendered: includes, variables, names of stages.

Templates need the variables that the same files define, so these are read from the text as it stands, with expressions
and statements blanked out. That is also why none of them may stand inside an `{% if %}`.
"""

from bisect import bisect_left

import msgspec

from fleetflow_tasks.config import kdl, template
from fleetflow_tasks.config.discover import Include
from fleetflow_tasks.config.limits import TEMPLATE
from fleetflow_tasks.config.locate import Located, Span, Spot, Text, scan
from fleetflow_tasks.config.variables import Scope, Variable
from fleetflow_tasks.errors import ConfigError, Place, Problem

_INCLUDE = "what only one stage has stands in `fleet.{stage}.kdl`, which is read by itself"


class Outline(msgspec.Struct):
    """variables: the project's. stages: name -> the stage's variables, for every stage whose name is plain text.

    spans: name -> where these stages stand in the source.
    """

    includes: list[Include] = []
    variables: dict[str, Variable] = {}
    stages: dict[str, dict[str, Variable]] = {}
    spans: list[tuple[str, Span]] = []


def outline(text: Text) -> Outline:
    """Raises ConfigError for a template that cannot be read, or one that hides what must be plain."""
    if not template.is_template(text.source):
        return _outlined(text, text.located, ())
    parts = template.parts(text)
    return _outlined(text, scan(template.skeleton(text, parts)), template.guarded(parts))


def _outlined(text: Text, located: Located, guarded: tuple[Span, ...]) -> Outline:
    if located.refused is not None:
        span = located.refused.span
        place = text.place_in_source(span.start, span.end)
        raise ConfigError(Problem(code="syntax", message=located.refused.message, fix=located.refused.fix, place=place))
    return _Outliner(text, located, guarded).run()


class _Outliner:
    def __init__(self, text: Text, located: Located, guarded: tuple[Span, ...]) -> None:
        self.text = text
        self.located = located
        self.guarded = guarded
        self.guards = [span.start for span in guarded]
        self.found = Outline()

    def run(self) -> Outline:
        for spot in self.located.nodes:
            name = self._name(spot)
            if name == "include":
                self._plain(spot, "an `include`", _INCLUDE)
                self._include(spot)
            elif name == "variables":
                self._plain(spot, "`variables`")
                self.found.variables.update(self._variables(spot))
            elif name == "stage":
                self._stage(spot)
        return self.found

    def _include(self, spot: Spot) -> None:
        patterns = [(self._slice(entry.value), entry.value) for entry in spot.entries if entry.key is None]
        for pattern, span in patterns:
            place = self._place(span)
            if template.is_template(pattern) or "${" in pattern:
                message = "an `include` is read before variables are known: its path must be plain"
                raise ConfigError(Problem(code="unfit-include", message=message, fix=_INCLUDE, place=place))
            path = _text(pattern)
            if path is not None and "\0" in path:
                raise ConfigError(
                    Problem(code="unfit-include", message="a path cannot hold a NUL character", place=place)
                )
            self.found.includes += [Include(path, place)] if path is not None else []

    def _stage(self, spot: Spot) -> None:
        names = [self._slice(entry.value) for entry in spot.entries if entry.key is None][:1]
        plain = [text for name in names if not template.is_template(name) and (text := _text(name)) is not None]
        variables: dict[str, Variable] = {}
        for child in spot.children:
            if self._name(child) == "variables":
                self._plain(child, "`variables`")
                variables.update(self._variables(child))
        for name in plain:
            self.found.stages.setdefault(name, {}).update(variables)
            if not self._hidden(spot):
                self.found.spans.append((name, Span(spot.name.start, spot.end)))

    def _variables(self, spot: Spot) -> dict[str, Variable]:
        said = [
            (child.name, child.entries[0].value)
            for child in spot.children
            if child.entries and child.entries[0].key is None
        ]
        said += [(entry.key, entry.value) for entry in spot.entries if entry.key is not None]
        return {_name(self._slice(name)): self._variable(value) for name, value in said}

    def _variable(self, span: Span) -> Variable:
        place = self._place(span)
        source = self._slice(span)
        return Variable(
            f"{place.file}:{place.line}", lambda scope: _worked_out(self.text.name, source, place, scope), place
        )

    def _plain(self, spot: Spot, what: str, fix: str = "take it out, and put the condition into the value") -> None:
        if self._hidden(spot):
            message = f"{what} cannot stand inside `{{% %}}`: it is read before templates are rendered"
            raise ConfigError(Problem(code="template", message=message, fix=fix, place=self._place(spot.name)))

    def _hidden(self, spot: Spot) -> bool:
        before = bisect_left(self.guards, spot.name.start) - 1
        return before >= 0 and spot.name.start < self.guarded[before].end

    def _name(self, spot: Spot) -> str:
        return _name(self._slice(spot.name))

    def _slice(self, span: Span) -> str:
        return self.text.source[span.start : span.end]

    def _place(self, span: Span) -> Place:
        return self.text.place_in_source(span.start, span.end)


def _name(source: str) -> str:
    return kdl.name_of(source) if source[:1] in ('"', "#", "r") else source


def _text(source: str) -> str | None:
    """The text of a value token; None for what is no value: the parser will say what is wrong with it."""
    try:
        value = kdl.literal(source)
    except kdl.REFUSED:
        return None
    return value if isinstance(value, str) else source


def _worked_out(file: str, source: str, place: Place, scope: Scope) -> str:
    """A variable's value: its template rendered, its text read, its `${}` filled in."""
    final = source
    if template.is_template(source):
        scope.count(TEMPLATE, place)
        try:
            final = template.render(Text(file, source), scope.lookup).final
        except ConfigError as error:
            raise ConfigError(*(_moved(problem, place) for problem in error.problems)) from error
    try:
        value = kdl.literal(final)
    except kdl.REFUSED:
        value = final
    if isinstance(value, bool):
        return "true" if value else "false"
    return scope.fill(value, place) if isinstance(value, str) else final


def _moved(problem: Problem, place: Place) -> Problem:
    """A problem inside the value alone, told at the value's place in the file."""
    return Problem(code=problem.code, message=problem.message, fix=problem.fix, place=place)
