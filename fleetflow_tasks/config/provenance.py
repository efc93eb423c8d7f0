# SPDX-License-Identifier: Apache-2.0
"""Where each value of a stage came from: the place that counts, and those that it beat.

The loader keeps what it merged (`Told`), which costs nothing; what is read out of it here is asked for by `flow config`
alone. A path leads to a value, through fields, numbers of a list and keys of a map: `("ports", 0)`,
`("environment", "LOG")`, `("healthcheck", "interval")`. It is the path that the language's rows make, not a file's.
"""

from collections.abc import Iterable, Mapping

import msgspec

from fleetflow_tasks.config.decode import Block
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.model import Data
from fleetflow_tasks.config.schema import Row
from fleetflow_tasks.config.sources import StageSources
from fleetflow_tasks.config.variables import Variable
from fleetflow_tasks.errors import Place

Path = tuple[str | int, ...]

DEFAULT = "default"


class Told(msgspec.Struct, frozen=True):
    """What the files say of one stage. services: each with its top-level definition below the stage's own word.

    row: of a whole document, with the blocks of all runtimes that are known.
    """

    document: Block
    stage: Block
    services: Mapping[str, Block]
    sources: StageSources
    texts: tuple[Text, ...]
    row: Row


class Part(Data, frozen=True, kw_only=True):
    """Something that went into a value: a variable, or another node."""

    name: str
    source: str


class Origin(Data, frozen=True, kw_only=True):
    """source: `fleet.kdl:12`, `.env.stg:3`, `--var`, `APP_X of the process`, `default`.

    over: what would count without it, the strongest first. parts: what went into the value there.
    place: the same as *source*, where that is in a file.
    """

    source: str
    over: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    place: Place | None = None


Origins = Mapping[Path, Origin]

BY_DEFAULT = Origin(source=DEFAULT)


def at(place: Place | None, over: Iterable[Place] = ()) -> Origin:
    """The origin of what stands there; of what stands nowhere, that it is the default."""
    return Origin(source=line(place), over=tuple(map(line, over)), place=place) if place else BY_DEFAULT


def line(place: Place) -> str:
    return f"{place.file}:{place.line}"


def of_block(block: Block, path: Path = ()) -> dict[Path, Origin]:
    """Of everything that the block says, by *path* and its own."""
    found = {path: at(block.place)} if block.place else {}
    for name, value in block.values.items():
        origin = at(block.places.get(name), block.beaten.get(name, ()))
        found |= _of_value(block, name, value, origin, (*path, name))
    return found


def _of_value(block: Block, name: str, value: object, origin: Origin, path: Path) -> dict[Path, Origin]:
    if isinstance(value, Block):
        return of_block(value, path)
    if isinstance(value, dict):
        keys = {key: f"{name}.{key}" for key in value}
        return {(*path, key): at(block.places.get(at_), block.beaten.get(at_, ())) for key, at_ in keys.items()}
    if not isinstance(value, list):
        return {path: origin}
    found: dict[Path, Origin] = {path: origin}
    for index, element in enumerate(value):
        found |= of_block(element, (*path, index))
        found[(*path, index)] = msgspec.structs.replace(at(element.place), over=origin.over)
    return found


def of_definitions(name: str, definitions: Iterable[Variable]) -> Origin:
    """Of a variable. *definitions*: at least one, the strongest first."""
    first, *rest = definitions
    return Origin(source=source_of(name, first), over=tuple(source_of(name, each) for each in rest), place=first.place)


def source_of(name: str, variable: Variable) -> str:
    if variable.place is not None:
        return line(variable.place)
    return f"{name} of the process" if variable.origin == "environment" else variable.origin


def strongest(*said: Origin | None) -> Origin:
    """The first that is there, over all that the others say."""
    there = [origin for origin in said if origin is not None]
    if not there:
        return BY_DEFAULT
    weaker = (source for origin in there[1:] for source in (origin.source, *origin.over))
    return msgspec.structs.replace(there[0], over=(*there[0].over, *weaker))
