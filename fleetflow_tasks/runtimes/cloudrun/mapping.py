# SPDX-License-Identifier: Apache-2.0
"""Two forms of one object, and a table of rules that says which field of one is which of the other.

A rule is read in both directions, so the two cannot drift apart. Whoever reads remembers what was read: what no rule
asked for, or could not take as it is, is left over and can be told. So nothing is lost in silence, in either direction,
and a value of an unexpected shape is never a mistake of ours: it is left over too.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.spelling import TEXT, Spelling, Spelt

Path = tuple[str, ...]
Written = dict[str, Any]


class Left(Data, frozen=True, kw_only=True):
    """What nobody read. path: as people write it, `spec.template.spec.containers[0].securityContext`."""

    path: str
    value: object


class Reading:
    """A JSON object that remembers what was read of it."""

    def __init__(self, value: Json, at: str = "") -> None:
        self._value = value
        self._at = at
        self._taken: set[Path] = set()
        self._parts: dict[Path, list[Reading]] = {}

    def peek(self, path: Path) -> object:
        """What stands there; None where nothing does. It stays unread."""
        found: object = self._value
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def took(self, path: Path) -> None:
        self._taken.add(path)

    def is_read(self, path: Path) -> bool:
        return path in self._taken

    def value(self, path: Path, spelt: Spelt) -> Any:
        """What stands there, as *spelt* reads it; None, and unread, where it cannot be."""
        found = self.peek(path)
        try:
            value = None if found is None else spelt(found)
        except ValueError:
            return None
        self.took(path)
        return value

    def each(self, path: Path) -> "list[Reading]":
        """The objects of the list there, each to be read by itself; none where it is no list of objects."""
        if path not in self._parts:
            found = self.peek(path)
            fits = isinstance(found, (list, tuple)) and all(isinstance(each, Mapping) for each in found)
            elements: Iterable[Json] = found if fits else ()  # type: ignore[assignment]  # `fits` says so
            shown = self._shown(path)
            self._parts[path] = [Reading(each, f"{shown}[{index}]") for index, each in enumerate(elements)]
        return self._parts[path]

    def left(self) -> Iterator[Left]:
        """What was not read, in its order. An object of which nothing was is told as a whole."""
        if self._taken or self._parts or not self._at:
            yield from self._left((), self._value)
        else:
            yield Left(path=self._at, value=self._value)

    def _left(self, path: Path, value: object) -> Iterator[Left]:
        if path in self._taken or value is None or value in ({}, []):
            return
        if self._parts.get(path):
            for part in self._parts[path]:
                yield from part.left()
        elif isinstance(value, Mapping) and self._begun(path):
            for name, inner in value.items():
                yield from self._left((*path, name), inner)
        else:
            yield Left(path=self._shown(path), value=value)

    def _begun(self, path: Path) -> bool:
        """Whether somebody read a part of what stands at *path*."""
        return not path or any(each[: len(path)] == path for each in (*self._taken, *self._parts))

    def _shown(self, path: Path) -> str:
        return ".".join(filter(None, (self._at, *path)))


class Rule(Protocol):
    """there: from the v2 form to the other one. back: from the other one to v2."""

    def there(self, source: Reading, target: Written) -> None: ...
    def back(self, source: Reading, target: Written) -> None: ...


class Field(Data, frozen=True, kw_only=True):
    """One value at one place of either form."""

    v2: Path
    v1: Path
    spelling: Spelling = TEXT

    def there(self, source: Reading, target: Written) -> None:
        carried(source, self.v2, target, self.v1, self.spelling.there)

    def back(self, source: Reading, target: Written) -> None:
        carried(source, self.v1, target, self.v2, self.spelling.back)


class Each(Data, frozen=True, kw_only=True):
    """A list of objects, each by the same rules. but: which of v2's have no counterpart in the other's list."""

    v2: Path
    v1: Path
    rules: tuple[Rule, ...]
    but: Callable[[Reading], bool] = lambda _: False

    def there(self, source: Reading, target: Written) -> None:
        found = [there(self.rules, each) for each in source.each(self.v2) if not self.but(each)]
        put_if(target, self.v1, found)

    def back(self, source: Reading, target: Written) -> None:
        put_if(target, self.v2, [back(self.rules, each) for each in source.each(self.v1)])


class Present(Data, frozen=True, kw_only=True):
    """An object that says something by being there, though it may be empty (`emptyDir: {}`); stands before the rules for
    what is in it. always: what stands in it in the other form."""

    v2: Path
    v1: Path
    always: Mapping[str, str] = {}

    def there(self, source: Reading, target: Written) -> None:
        if isinstance(source.peek(self.v2), Mapping):
            put(target, self.v1, dict(self.always))

    def back(self, source: Reading, target: Written) -> None:
        found = source.peek(self.v1)
        if isinstance(found, Mapping) and all(found.get(name) == value for name, value in self.always.items()):
            for name in self.always:
                source.took((*self.v1, name))
            put(target, self.v2, {})


def carried(source: Reading, here: Path, target: Written, there: Path, spelt: Spelt) -> None:
    """One value, spelt anew; left where it is, and unread, where it cannot be."""
    value = source.value(here, spelt)
    if value is not None:
        put(target, there, value)


def put_if(target: Written, path: Path, value: object) -> None:
    """The same, where it says something."""
    if value not in (None, "", {}, []):
        put(target, path, value)


def put(target: Written, path: Path, value: object) -> None:
    """Into *target*, with the objects around it."""
    *outer, name = path
    for each in outer:
        target = target.setdefault(each, {})
    target[name] = value


def there(rules: Iterable[Rule], source: Reading) -> Written:
    """The v2 form in the other one."""
    target: Written = {}
    for rule in rules:
        rule.there(source, target)
    return target


def back(rules: Iterable[Rule], source: Reading) -> Written:
    """The other form in v2's."""
    target: Written = {}
    for rule in rules:
        rule.back(source, target)
    return target
