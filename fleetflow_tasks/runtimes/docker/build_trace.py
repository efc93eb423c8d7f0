# SPDX-License-Identifier: Apache-2.0
"""How a build goes on, as BuildKit tells it inside the Engine's answer: a few of the fields of its `StatusResponse`.

The Engine hands it on in protocol buffers. Of that format no more is needed than that a message is a row of fields,
each with a number and a kind, so it is read here in a few lines instead of with a library and code made for it:

    StatusResponse  1 vertexes*  2 statuses*  3 logs*
    Vertex          1 digest  3 name  5 started  6 completed  7 error
    VertexLog       1 vertex  4 text
    VertexStatus    1 id  2 vertex  4 current  5 total
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from fleetflow_tasks.config.model import Data

_KIND, _CONTINUES = 0x7, 0x80  # bits


class Vertex(Data, frozen=True, kw_only=True):
    """One step of a build. name: as people read it, `[prod 2/3] RUN npm ci`."""

    id: str
    name: str
    state: Literal["waiting", "running", "done", "failed"] = "waiting"


class Log(Data, frozen=True, kw_only=True):
    """vertex: the id of the step that wrote it. text: a piece of its output, not always whole lines."""

    vertex: str
    text: str


class Amount(Data, frozen=True, kw_only=True):
    """Of a step's part, such as a layer that is fetched. current, total: bytes, of some parts 0."""

    id: str
    vertex: str
    current: int
    total: int


def read(message: bytes) -> Iterator[Vertex | Log | Amount]:
    """In the order of time, as far as it tells. What is cut short ends there."""
    for field, value in _fields(message):
        if isinstance(value, bytes) and field in _READERS:
            yield _READERS[field](value)


def _vertex(message: bytes) -> Vertex:
    fields = dict(_fields(message))
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    if 7 in fields:
        state = "failed"
    elif 6 in fields:
        state = "done"
    elif 5 in fields:
        state = "running"
    return Vertex(id=_text(fields.get(1)), name=_text(fields.get(3)), state=state)


def _log(message: bytes) -> Log:
    fields = dict(_fields(message))
    return Log(vertex=_text(fields.get(1)), text=_text(fields.get(4)))


def _amount(message: bytes) -> Amount:
    fields = dict(_fields(message))
    return Amount(
        id=_text(fields.get(1)),
        vertex=_text(fields.get(2)),
        current=_int(fields.get(4)),
        total=_int(fields.get(5)),
    )


_READERS: Mapping[int, Callable[[bytes], Vertex | Log | Amount]] = {1: _vertex, 2: _amount, 3: _log}


def _text(value: int | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else ""


def _int(value: int | bytes | None) -> int:
    return value if isinstance(value, int) else 0


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        match tag & _KIND:
            case 0:
                value, place = _varint(message, place)
                yield tag >> 3, value
            case 1:
                place += 8
            case 2:
                length, place = _varint(message, place)
                yield tag >> 3, message[place : place + length]
                place += length
            case 5:
                place += 4
            case _:  # a group, which nobody writes any more
                return


def _varint(message: bytes, place: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first."""
    number = shift = 0
    while place < len(message):
        byte = message[place]
        place += 1
        number |= (byte & ~_CONTINUES) << shift
        if not byte & _CONTINUES:
            break
        shift += 7
    return number, place
