# SPDX-License-Identifier: Apache-2.0
"""KDL text -> tree of nodes that know their place.

ckdl parses, `locate` says where; the two trees are paired node by node. Each file is parsed by itself, as KDL 2 first and
then as KDL 1. A text that neither version takes is blamed on a token: the parser is asked again about ever smaller parts
until the smallest that it refuses is found, in the version that came further.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import ckdl
import msgspec

from fleetflow_tasks.config.locate import Entry, Located, Span, Spot, Text, Trouble
from fleetflow_tasks.errors import ConfigError, Place, Problem

Version = Literal[1, 2]
Scalar = str | int | float | bool | None

VERSIONS: tuple[Version, ...] = (2, 1)
# ValueError: half a surrogate pair, as `\\u{d800}` makes one; and two trees that do not pair, should a text be read differently.
REFUSED = (ckdl.ParseError, ValueError)


class Value(msgspec.Struct, frozen=True, gc=False):
    """A scalar and where it stands. raw: as it was written, so that `version 1.10` does not become 1.1."""

    value: Scalar
    raw: str
    text: Text
    span: Span
    key: Span | None = None

    @property
    def place(self) -> Place:
        return self.text.place(self.span.start, self.span.end)

    @property
    def key_place(self) -> Place:
        """Of a property's name; an argument's own."""
        span = self.key or self.span
        return self.text.place(span.start, span.end)

    @property
    def shown(self) -> str:
        """As messages quote it: the words of the file, never what a template put in their place."""
        written = self.text.written(self.span.start, self.span.end)
        return f"`{written}`" if len(written) <= 60 else f"`{written[:57]}...`"


class Node(msgspec.Struct, frozen=True, gc=False):
    """block: whether it has a `{ }`, an empty one included."""

    name: str
    text: Text
    span: Span
    args: tuple[Value, ...] = ()
    props: Mapping[str, Value] = {}
    children: tuple["Node", ...] = ()
    block: bool = False
    repeated: tuple[Value, ...] = ()

    @property
    def place(self) -> Place:
        return self.text.place(self.span.start, self.span.end)


def parse(text: Text) -> tuple[Node, ...]:
    """The nodes of *text*. Raises ConfigError, pointing at the token that the parser refuses."""
    located = text.located
    if located.refused is not None:
        raise ConfigError(refused(text, located.refused))
    for version in VERSIONS:
        try:
            return _paired(ckdl.parse(text.final, version=version).nodes, located.nodes, text)
        except REFUSED:
            continue
    raise ConfigError(_blamed(text, located))


def literal(source: str) -> Scalar:
    """The value of one KDL value token. Raises ckdl.ParseError when it is none."""
    node = ckdl.parse(f"- {source}", version="any").nodes[0]
    return _plain(node.args[0]) if node.args else None


def name_of(source: str) -> str:
    """The text of a name token, quoted or bare; what cannot be read is taken as it stands."""
    try:
        return ckdl.parse(source, version="any").nodes[0].name
    except (*REFUSED, IndexError):
        return source


def refused(text: Text, trouble: Trouble) -> Problem:
    """Of the text as it was written."""
    place = text.place(trouble.span.start, trouble.span.end)
    return Problem(code="syntax", message=trouble.message, fix=trouble.fix, place=place)


def _plain(value: "ckdl.Scalar | ckdl.Value") -> Scalar:
    return value.value if isinstance(value, ckdl.Value) else value


def _paired(nodes: Sequence["ckdl.Node"], spots: Sequence[Spot], text: Text) -> tuple[Node, ...]:
    return tuple(_pair(node, spot, text) for node, spot in zip(nodes, spots, strict=True))


def _pair(node: "ckdl.Node", spot: Spot, text: Text) -> Node:
    arguments = [entry for entry in spot.entries if entry.key is None]
    keyed = [(_key(entry, text), entry) for entry in spot.entries if entry.key is not None]
    last = dict(keyed)
    return Node(
        name=node.name,
        text=text,
        span=spot.name,
        args=tuple(_value(arg, entry, text) for arg, entry in zip(node.args, arguments, strict=True)),
        props={key: _value(value, last[key], text) for key, value in node.properties.items()},
        children=_paired(node.children, spot.children, text),
        block=spot.block,
        repeated=tuple(_value(node.properties[key], entry, text) for key, entry in keyed if last[key] is not entry),
    )


def _key(entry: Entry, text: Text) -> str:
    assert entry.key is not None  # noqa: S101  (the caller asks for properties only)
    return name_of(text.final[entry.key.start : entry.key.end])


def _value(value: "ckdl.Scalar | ckdl.Value", entry: Entry, text: Text) -> Value:
    return Value(_plain(value), text.final[entry.value.start : entry.value.end], text, entry.value, entry.key)


def _blamed(text: Text, located: Located) -> Problem:
    """The token to show. A version that finds no single token guilty leaves the word to the scanner."""
    blames = [_blame(text.final, located.nodes, version) for version in VERSIONS]
    guilty = max((blame for blame in blames if blame), key=lambda blame: blame.span.start, default=None)
    structural = located.troubles[0] if located.troubles else None
    first = min((found.span.start for found in (guilty, structural) if found), default=len(text.final))
    run_on = _run_on(text.final, located)
    if run_on and run_on.span.start <= first:
        return refused(text, run_on)
    if structural and (guilty is None or None in blames or structural.span.start <= guilty.span.start):
        return refused(text, structural)
    return refused(text, guilty or _crowded(text.final, located) or _unread(text.final, located))


def _blame(text: str, nodes: Sequence[Spot], version: Version) -> Trouble | None:
    """The first token that the parser refuses even when it stands alone."""
    for spot in nodes:
        if not _parses(text[spot.name.start : spot.end], version):
            return _blame_node(text, spot, version)
    return None


def _blame_node(text: str, spot: Spot, version: Version) -> Trouble | None:
    name = text[spot.name.start : spot.name.end]
    if name.startswith("#"):
        return _no_comment(spot.name)
    if not _parses(name, version):
        return Trouble(spot.name, f"`{name}` cannot be a node's name", _quoted(name))
    for entry in spot.entries:
        value = text[entry.value.start : entry.value.end]
        if not _parses(f"- {value}", version):
            return _refused(entry.value, value, version)
        if entry.key is not None and not _parses(f"- {text[entry.key.start : entry.key.end]}=0", version):
            return Trouble(entry.key, f"`{text[entry.key.start : entry.key.end]}` cannot be a property's name")
    return _blame(text, spot.children, version)


def _refused(span: Span, word: str, version: Version) -> Trouble:
    if word == "#":
        return _no_comment(span)
    if span.quoted and "\n" in word and version == 2:
        return Trouble(span, 'a string between two `"` ends on its line', 'write it between `"""` lines, or use `\\n`')
    if span.quoted:
        return Trouble(span, "this string holds a `\\` that begins no known escape", "write `\\\\` for a backslash")
    if word.lstrip("#") in ("true", "false", "null"):
        fix = "write the whole file in KDL 2 (`#true`, `#false`, `#null`)"
        return Trouble(span, f"`{word}` is of another KDL version than the rest of the file", fix)
    if word[:1].isdigit():
        return Trouble(span, f"`{word}` is no number", _quoted(word))
    return Trouble(span, f"`{word}` must stand in quotes here", _quoted(word))


def _no_comment(span: Span) -> Trouble:
    return Trouble(Span(span.start, span.start + 1), "`#` begins no comment", "write `//`")


def _quoted(word: str) -> str:
    return f'write `"{word}"`' if '"' not in word else ""


def _run_on(text: str, located: Located) -> Trouble | None:
    """A string that lacks its end takes the next one's beginning for it, and what that one holds is blamed otherwise."""
    for word in located.words:
        behind = text[word.end : word.end + 1]
        if word.quoted and behind.isalnum():
            return Trouble(
                word,
                f"this string ends only before `{behind}`",
                'end it with `"` where it should end; if it does, add a space',
            )
    return None


def _crowded(text: str, located: Located) -> Trouble | None:
    """Two tokens with no space between them: each is right, so the parser refuses only the two together."""
    for word in located.words:
        behind = text[word.end : word.end + 1]
        if behind and (behind in '{"(' or (word.quoted and behind not in " \t\n;=})\\/")):
            return Trouble(Span(word.start, word.end + 1), f"a space is missing before `{behind}`", "add it")
    return None


def _unread(text: str, located: Located) -> Trouble:
    """Nothing better is known than the node."""
    for spot in located.nodes:
        if not any(_parses(text[spot.name.start : spot.end], version) for version in VERSIONS):
            return Trouble(spot.name, f"the node `{text[spot.name.start : spot.name.end]}` cannot be read")
    return Trouble(Span(0, 1), "this is no KDL text")


def _parses(source: str, version: Version) -> bool:
    try:
        ckdl.parse(source, version=version)
    except REFUSED:
        return False
    return True
