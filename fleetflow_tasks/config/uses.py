# SPDX-License-Identifier: Apache-2.0
"""Which variables a file uses, and where.

Read from the text as it was written, token by token: a value that was filled in does not say any more what it was made
of. What a comment holds is no use, nor is what stands in a node that is commented out.
"""

import re
from collections.abc import Collection, Iterator, Sequence

from fleetflow_tasks.config import kdl, template
from fleetflow_tasks.config.locate import Span, Spot, Text, scan
from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Place

_REFERENCE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)", re.ASCII)
_WORD = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|([A-Za-z_][A-Za-z0-9_]*)", re.ASCII | re.DOTALL)


class Use(Data, frozen=True, kw_only=True):
    """place: of the token. node: of the node around it; None for a statement of a template and in a `.env` file.

    inside: the nodes around it, the outermost first: `("stage stg", "service api", "image")`.
    """

    name: str
    place: Place
    node: Place | None = None
    inside: tuple[str, ...] = ()


def uses(text: Text, known: Collection[str]) -> Iterator[Use]:
    """Of a KDL file. known: names of variables; a template has words beside them."""
    if not template.is_template(text.source):
        yield from _in_nodes(text, scan(text.source).nodes, known, ())
        return
    parts = template.parts(text)
    nodes = scan(template.skeleton(text, parts)).nodes
    yield from _in_nodes(text, nodes, known, ())
    for part in parts:
        if part.kind == "statement":
            around = _around(text, nodes, part.start)
            for name in _words(text.source[part.start : part.end], known):
                yield Use(name=name, place=text.place_in_source(part.start, part.end), inside=around)


def uses_of_lines(text: Text) -> Iterator[Use]:
    """Of a file of `NAME=value` lines, each at its line; the place shows nothing of it, since it may hold a password."""
    for number, line in enumerate(text.source.split("\n"), 1):
        for name in _references(line):
            yield Use(name=name, place=Place(file=text.name, line=number))


def _in_nodes(text: Text, nodes: Sequence[Spot], known: Collection[str], inside: tuple[str, ...]) -> Iterator[Use]:
    for spot in nodes:
        within = (*inside, _titled(text, spot))
        node = text.place_in_source(spot.name.start, spot.name.end)
        for span in (spot.name, *(entry.value for entry in spot.entries)):
            for name in _in_token(text.source[span.start : span.end], known):
                place = text.place_in_source(span.start, span.end)
                yield Use(name=name, place=place, node=node, inside=within)
        yield from _in_nodes(text, spot.children, known, within)


def _titled(text: Text, spot: Spot) -> str:
    """The node's name, with its own name behind it where it has one: `service api`."""
    name = _read(text, spot.name)
    first = next((entry.value for entry in spot.entries if entry.key is None), None)
    return f"{name} {_read(text, first)}" if first is not None and name in ("service", "stage") else name


def _read(text: Text, span: Span) -> str:
    source = text.source[span.start : span.end]
    return kdl.name_of(source) if span.quoted else source


def _around(text: Text, nodes: Sequence[Spot], at: int) -> tuple[str, ...]:
    spot = next((each for each in nodes if each.name.start <= at < each.end), None)
    return () if spot is None else (_titled(text, spot), *_around(text, spot.children, at))


def _in_token(token: str, known: Collection[str]) -> Iterator[str]:
    yield from _references(token)
    for pasted in re.findall(r"\{\{.*?\}\}", token, re.DOTALL):
        yield from _words(pasted, known)


def _references(text: str) -> Iterator[str]:
    yield from (found[1] for found in _REFERENCE.finditer(text) if found[1])


def _words(source: str, known: Collection[str]) -> Iterator[str]:
    yield from (found[1] for found in _WORD.finditer(source) if found[1] in known)
