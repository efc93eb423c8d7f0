# SPDX-License-Identifier: Apache-2.0
"""Nodes as KDL 2 that reads back as exactly these values, whatever they hold.

Beyond KDL's own escapes two things are guarded: `$` begins a variable in FleetFlow's texts, so it is doubled, and `{{` or
`{%` would make a template of the whole file, in a comment too, so they never stand there as such.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from fleetflow_tasks.config.model import Data

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_KEYWORDS = frozenset({"true", "false", "null", "inf", "nan"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "$": "$$"}
_TEMPLATE = re.compile(r"(?<=\{)[{%#]")
_INDENT = "    "


class Reference(Data, frozen=True, kw_only=True):
    """A variable, by its name."""

    name: str


class Mixed(Data, frozen=True, kw_only=True):
    """A text with variables in it: `postgres://${USER}@db`."""

    pieces: tuple[str | Reference, ...]


Scalar = str | int | float | bool | Mixed


class Node(Data, frozen=True, kw_only=True):
    """children: None for a node without a block. behind: a remark at the end of its line, the first where it has several."""

    name: str
    args: tuple[Scalar, ...] = ()
    props: Mapping[str, Scalar] = {}
    children: "tuple[Node | Remark, ...] | None" = None
    behind: str = ""


class Remark(Data, frozen=True, kw_only=True):
    """A comment of one line."""

    text: str


class Line(Data, frozen=True, kw_only=True):
    """remark: what stands behind it, without the slashes; empty where nothing does."""

    text: str
    remark: str = ""


def node(name: str, *args: Scalar, **props: Scalar) -> Node:
    return Node(name=name, args=args, props=props)


def switch(name: str) -> Node:
    """A node that says yes."""
    return Node(name=name, args=(True,))


def block(name: str, *children: Node | Remark, args: tuple[Scalar, ...] = ()) -> Node:
    return Node(name=name, args=args, children=children)


def kdl(nodes: Iterable[Node | Remark]) -> str:
    """A document, with a line break at its end."""
    return "".join(f"{line.text}  // {line.remark}\n" if line.remark else f"{line.text}\n" for line in lines(nodes))


def lines(nodes: Iterable[Node | Remark]) -> Iterator[Line]:
    """A document line by line, for whoever puts the remarks elsewhere."""
    for each in nodes:
        if isinstance(each, Remark):
            yield Line(text=f"// {_remark(each.text)}")
            continue
        head = " ".join((_name(each.name), *map(_scalar, each.args), *_props(each.props)))
        behind = _remark(each.behind)
        if each.children is None:
            yield Line(text=head, remark=behind)
        else:
            yield Line(text=f"{head} {{", remark=behind)
            yield from (replace(line, text=_INDENT + line.text) for line in lines(each.children))
            yield Line(text="}")


def _props(props: Mapping[str, Scalar]) -> Iterator[str]:
    for name, value in props.items():
        yield f"{_name(name)}={_scalar(value)}"


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) and name not in _KEYWORDS else f'"{_escaped(name, dollar="$")}"'


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "#true" if value else "#false"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.0f}"
    if isinstance(value, Mixed):
        return '"' + "".join(_piece(each) for each in value.pieces) + '"'
    return f'"{_escaped(value)}"' if isinstance(value, str) else repr(value)


def _piece(piece: str | Reference) -> str:
    return f"${{{piece.name}}}" if isinstance(piece, Reference) else _escaped(piece)


def _escaped(value: str, dollar: str = "$$") -> str:
    """dollar: how one is written; in a name it begins no variable."""
    text = "".join(dollar if each == "$" else _ESCAPES.get(each) or _shown(each) for each in value)
    return _TEMPLATE.sub(_point, text)


def _shown(letter: str) -> str:
    """What cannot be seen is written by its number: some of it KDL forbids, the rest misleads."""
    return letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"


def _point(found: re.Match[str]) -> str:
    return f"\\u{{{ord(found[0]):x}}}"


def _remark(text: str) -> str:
    seen = "".join(each if each.isprintable() else " " for each in text)
    return _TEMPLATE.sub(lambda found: f" {found[0]}", seen)
