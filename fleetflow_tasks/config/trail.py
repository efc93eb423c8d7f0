# SPDX-License-Identifier: Apache-2.0
"""What went into a stage's values: the variables that a text uses, where these are said, and what they use in turn."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from msgspec.structs import replace

from fleetflow_tasks.config.decode import Block
from fleetflow_tasks.config.dotenv import dotenv
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.provenance import Origin, Part, Told, of_definitions, source_of
from fleetflow_tasks.config.uses import Use, uses, uses_of_lines
from fleetflow_tasks.config.variables import Variable
from fleetflow_tasks.errors import ConfigError, Place

NOT_SET = "not set"

_Spot = tuple[str, int, int]


class Trail:
    """uses: every one that the stage's files hold, those of other stages left out."""

    def __init__(self, told: Told, stage: str) -> None:
        self._told = told
        self._scope = told.sources.scope
        known = self._scope.variables
        found = [use for text in told.texts for use in uses(text, known)]
        found += [use for text in self._line_texts() for use in uses_of_lines(text)]
        self.uses = tuple(use for use in found if not _elsewhere(use, stage))
        self._used: dict[_Spot, Counter[str]] = {}
        for use in self.uses:
            for place in (use.place, use.node):
                if place is not None:
                    self._used.setdefault(_spot(place), Counter())[use.name] += 1

    def with_parts(self, origin: Origin) -> Origin:
        """With the variables in what is said there."""
        names = self.used_at(origin.place) if origin.place else ()
        return replace(origin, parts=tuple(dict.fromkeys((*origin.parts, *self._parts(names)))))

    def variable(self, name: str) -> Origin | None:
        """None for one that nobody defines."""
        definitions = self._scope.definitions(name)
        return self.with_parts(of_definitions(name, definitions)) if definitions else None

    def secret(self, kind: str, source: str) -> tuple[Part, ...]:
        """Where a secret's value comes from; nothing, where the text says all that is known."""
        if kind != "env":
            return ()
        found = self._told.sources.secret_variable(source)
        return (Part(name=source, source=source_of(source, found) if found else NOT_SET),)

    def value(self, name: str) -> str | None:
        """None for a variable that nobody defines, and for one that cannot be worked out."""
        with suppress(ConfigError):
            return self._scope.lookup(name)
        return None

    def used_at(self, place: Place) -> Mapping[str, int]:
        """The variables in the node or the value that stands there, and how often each."""
        return self._used.get(_spot(place), {})

    def inside(self, names: Iterable[str]) -> frozenset[str]:
        """*names* and all variables that their values are made of."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [each for variable in self._definitions(name) for each in self._in_variable(variable)]
        return frozenset(found)

    def made_of(self, name: str) -> Mapping[str, int]:
        """The variables in the definition of *name* that counts, and how often each."""
        definitions = self._scope.definitions(name)
        place = definitions[0].place if definitions else None
        return self.used_at(place) if place else {}

    def env_lines(self, service: Block) -> dict[str, list[Variable]]:
        """What the service's `env_file`s say, by name, the strongest first."""
        found: dict[str, list[Variable]] = {}
        for text in self._env_texts(service):
            lines, _ = dotenv(text, self._told.sources.environ)
            for name, variable in lines.items():
                found.setdefault(name, []).insert(0, variable)
        return found

    def _definitions(self, name: str) -> list[Variable]:
        secret = self._told.sources.secret_variable(name)
        return [*self._scope.definitions(name), *([secret] if secret else [])]

    def _in_variable(self, variable: Variable) -> Iterable[str]:
        return self.used_at(variable.place) if variable.place else ()

    def _parts(self, names: Iterable[str]) -> Iterator[Part]:
        for name in names:
            definitions = self._scope.definitions(name)
            if definitions:
                yield Part(name=name, source=source_of(name, definitions[0]))

    def _line_texts(self) -> list[Text]:
        named = {text.name: text for service in self._told.services.values() for text in self._env_texts(service)}
        return [*self._told.sources.texts, *named.values()]

    def _env_texts(self, service: Block) -> Iterator[Text]:
        """Those that can be read: of the others the loader has told."""
        for path in service.get("env_file", tuple) or ():
            with suppress(ConfigError):
                yield self._told.sources.env_text(path)


def _elsewhere(use: Use, stage: str) -> bool:
    return bool(use.inside) and use.inside[0].startswith("stage ") and use.inside[0] != f"stage {stage}"


def _spot(place: Place) -> _Spot:
    return place.file, place.line, place.column
