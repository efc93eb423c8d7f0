# SPDX-License-Identifier: Apache-2.0
"""Nodes as KDL 2 that reads back as exactly these values, whatever they hold.

Beyond KDL's own escapes two things are guarded: `$` begins a variable in FleetFlow's texts, so it is doubled, and `{{` or
`{%` would make a template of the whole file, in a comment too, so they never stand there as such.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from fleetflow_tasks.config.model import Data

Scalar = str | int | float | bool

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_KEYWORDS = frozenset({"true", "false", "null", "inf", "nan"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "$": "$$"}
_TEMPLATE = re.compile(r"(?<=\{)[{%#]")
_INDENT = "    "


class Node(Data, frozen=True, kw_only=True):
    """children: None for a node without a block."""

    name: str
    args: tuple[Scalar, ...] = ()
    props: Mapping[str, Scalar] = {}
    children: "tuple[Node | Remark, ...] | None" = None


class Remark(Data, frozen=True, kw_only=True):
    """A comment of one line."""

    text: str


def node(name: str, *args: Scalar, **props: Scalar) -> Node:
    return Node(name=name, args=args, props=props)


def switch(name: str) -> Node:
    """A node that says yes."""
    return Node(name=name, args=(True,))


def block(name: str, *children: Node | Remark, args: tuple[Scalar, ...] = ()) -> Node:
    return Node(name=name, args=args, children=children)


def kdl(nodes: Iterable[Node | Remark]) -> str:
    """A document, with a line break at its end."""
    return "".join(f"{line}\n" for line in _lines(nodes))


def _lines(nodes: Iterable[Node | Remark]) -> Iterator[str]:
    for each in nodes:
        if isinstance(each, Remark):
            yield f"// {_remark(each.text)}"
            continue
        head = " ".join((_name(each.name), *map(_scalar, each.args), *_props(each.props)))
        if each.children is None:
            yield head
        else:
            yield f"{head} {{"
            yield from (_INDENT + line for line in _lines(each.children))
            yield "}"


def _props(props: Mapping[str, Scalar]) -> Iterator[str]:
    for name, value in props.items():
        yield f"{_name(name)}={_scalar(value)}"


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) and name not in _KEYWORDS else _quoted(name, dollar="$")


def _scalar(value: Scalar) -> str:
    if isinstance(value, bool):
        return "#true" if value else "#false"
    return _quoted(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _quoted(value: str, dollar: str = "$$") -> str:
    """dollar: how one is written; in a name it begins no variable."""
    text = "".join(dollar if each == "$" else _ESCAPES.get(each) or _shown(each) for each in value)
    return f'"{_TEMPLATE.sub(_point, text)}"'


def _shown(letter: str) -> str:
    """What cannot be seen is written by its number: some of it KDL forbids, the rest misleads."""
    return letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}"


def _point(found: re.Match[str]) -> str:
    return f"\\u{{{ord(found[0]):x}}}"


def _remark(text: str) -> str:
    seen = "".join(each if each.isprintable() else " " for each in text)
    return _TEMPLATE.sub(lambda found: f" {found[0]}", seen)
