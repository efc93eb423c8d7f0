# SPDX-License-Identifier: Apache-2.0
"""Secrets of other projects. The v2 form names them by their path, Knative's by an alias and an annotation that explains it.

Between the two stands a template that has short names alone, and beside its other fields `secretAliases`: alias -> path.
The same template always gets the same aliases: a secret's own name, counted on where two projects have one of that name.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleetflow_tasks.runtimes.cloudrun.form import Json, said
from fleetflow_tasks.runtimes.cloudrun.spelling import Spelling, UnfitError, parted, text, texts_by_name

ALIASES = "secretAliases"

_PATH = re.compile(r"projects/(?P<project>[^/,:]+)/secrets/(?P<secret>[^/,:]+)")
_HOLDERS = ("containers", "volumes")  # where a template speaks of secrets


def aliased(template: Json, project: str) -> dict[str, Any]:
    """project: whose secrets need no alias."""
    short: dict[str, str] = {}
    paths = sorted({each for holder in _HOLDERS for each in _secrets(template.get(holder))})
    for path in (each for each in paths if not _is_elsewhere(each, project)):
        short[path] = path.rpartition("/")[2]
    for path in (each for each in paths if _is_elsewhere(each, project)):
        short[path] = _free(path.rpartition("/")[2], set(short.values()))
    foreign = {alias: path for path, alias in short.items() if _is_elsewhere(path, project)}
    return {**_renamed(template, short), **said(**{ALIASES: foreign})}


def unaliased(template: Json) -> dict[str, Any]:
    """The reverse: foreign secrets by their paths."""
    rest = {name: value for name, value in template.items() if name != ALIASES}
    return _renamed(rest, template.get(ALIASES, {}))


def _parted(value: object) -> dict[str, str]:
    """`a:projects/1/secrets/a,b:projects/2/secrets/b`."""
    pairs = [each.partition(":") for each in parted(value)]
    if not all(alias and _PATH.fullmatch(path) for alias, _, path in pairs):
        raise UnfitError(value)
    return {alias: path for alias, _, path in pairs}


def _joined(value: object) -> str:
    return ",".join(f"{alias}:{path}" for alias, path in texts_by_name(value).items())


SPELLING = Spelling(there=_joined, back=_parted)


def _is_elsewhere(secret: str, project: str) -> bool:
    found = _PATH.fullmatch(secret)
    return found is not None and found["project"] != project


def _free(name: str, taken: set[str]) -> str:
    counted = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(each for each in counted if each not in taken)


def _secrets(value: object) -> Iterator[str]:
    """In v2 all that is called `secret` and is a text is a secret's name."""
    if isinstance(value, Mapping):
        if isinstance(value.get("secret"), str):
            yield value["secret"]
        for inner in value.values():
            yield from _secrets(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _secrets(inner)


def _renamed(template: Json, names: Mapping[str, str]) -> dict[str, Any]:
    return {name: _with_names(value, names) if name in _HOLDERS else value for name, value in template.items()}


def _with_names(value: object, names: Mapping[str, str]) -> object:
    if isinstance(value, Mapping):
        return {
            name: names.get(text(inner), inner)
            if name == "secret" and isinstance(inner, str)
            else _with_names(inner, names)
            for name, inner in value.items()
        }
    return [_with_names(each, names) for each in value] if isinstance(value, (list, tuple)) else value
