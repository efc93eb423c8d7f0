# SPDX-License-Identifier: Apache-2.0
r"""Tokens -> the items of a document, each with its blocks: what `layout` writes down again.

An item is a node, or comments and template statements that stand by themselves. It is made of atoms: words, comments,
joined lines, blocks. An atom that is glued to the one before it stands there without a space: `a="b"`, `(u8)1`. Around a
template's statement nothing is decided here: `"a"{% if X %} "b"{% endif %}` means another thing with other spaces.

Whatever the layout needs to know of the user's own line breaks is kept as well: whether a block was written on one line,
where lines were joined by `\`, where a line was left empty.
"""

from collections.abc import Sequence

import msgspec

from fleetflow_tasks.config.tokens import Kind, Token

_STANDING = ("block", "template")  # kinds of atoms that make no node
_OPENING = ("(", "=", ")")  # nothing blank stands behind these
_CLOSING = (")", "=")  # and none before these


class Atom(msgspec.Struct):
    """kind: the token's; `{` with a block. text: of a `join` or a `comment` in the middle, the comment itself."""

    kind: Kind
    text: str
    glued: bool = False
    block: "Block | None" = None


class Item(msgspec.Struct):
    """comment: the one at the end of its line. empty_before: a line was left empty. semicolon: a `;` stood behind it."""

    atoms: list[Atom] = []
    comment: str = ""
    empty_before: bool = False
    semicolon: bool = False

    @property
    def is_node(self) -> bool:
        return any(atom.kind not in _STANDING for atom in self.atoms)


class Block(msgspec.Struct):
    """broken: it was written on several lines. comment: behind its `{`."""

    items: list[Item] = []
    broken: bool = False
    comment: str = ""


def gather(tokens: Sequence[Token]) -> list[Item]:
    """The items of a document whose blocks are all closed, nested no deeper than the scanner lets pass."""
    return _Gatherer(tokens).block().items


class _Gatherer:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def block(self) -> Block:
        """All up to the `}`, or to the end."""
        block = Block()
        lines = 0
        while (kind := self._kind()) not in (None, "}"):
            if kind == "line":
                block.broken = True
                lines += 1
                self._take()
            elif kind == ";":
                self._take()
                for item in block.items[-1:]:
                    item.semicolon = not lines and not item.comment  # a comment ends its line
            else:
                self._add(block, lines)
                lines = 0
        return block

    def _add(self, block: Block, lines: int) -> None:
        item = self._item()
        if not lines and block.items and not block.items[-1].comment and self._belongs(item):
            block.items[-1].atoms += item.atoms
            block.items[-1].comment = item.comment
        elif item.atoms or item.comment:
            item.empty_before = lines > 1
            block.items.append(item)

    def _belongs(self, item: Item) -> bool:
        """Comments that end a line are of what stands before them there; others may be of what comes next."""
        return self._kind() in (None, "line") and all(atom.kind == "block" for atom in item.atoms)

    def _item(self) -> Item:
        item = Item()
        before: Kind | None = None  # the kind of the last one that is more than the end of a line
        waits = False  # behind a `/-` the node may begin on another line, and comments may stand between
        while (kind := self._kind()) not in (None, "}", ";"):
            if kind == "line" and not waits:
                break
            token = self._take()
            if kind == "comment" and not waits:
                item.comment = token.text
            elif kind == "join" and not item.atoms:  # before a node it joins nothing
                item.comment = token.text
                break
            elif kind == "join" and item.atoms[-1].kind == "join" and "" in (token.text, item.atoms[-1].text):
                item.atoms[-1].text += token.text
            elif kind != "line":
                glued = _is_glued(before, token, joined=before != _last(item))
                block = self._block() if kind == "{" else None
                item.atoms.append(Atom(token.kind, "" if block else token.text, glued, block))
                waits = kind == "drop" or (waits and kind in ("join", "block", "comment"))
                before = before if kind == "join" else kind
        _end(item)
        return item

    def _block(self) -> Block:
        """Behind a `{`, with the `}` that ends it."""
        comment = self._comments()
        block = self.block()
        block.comment = comment
        self._take()
        return block

    def _comments(self) -> str:
        """Those behind a `{` that end its line."""
        end = self.at
        while self._kind(end) == "block":
            end += 1
        end += self._kind(end) == "comment"
        if self._kind(end) != "line":
            return ""
        found = self.tokens[self.at : end]
        self.at = end
        return " ".join(token.text for token in found)

    def _kind(self, at: int | None = None) -> Kind | None:
        at = self.at if at is None else at
        return self.tokens[at].kind if at < len(self.tokens) else None

    def _take(self) -> Token:
        self.at += 1
        return self.tokens[self.at - 1]


def _is_glued(before: Kind | None, token: Token, *, joined: bool) -> bool:
    """joined: a line ends between the two."""
    if before in _OPENING or token.kind in _CLOSING:
        return True
    asked = before == "drop" or "template" in (before, token.kind)  # as the user wrote it
    return asked and before is not None and not joined and not token.spaced


def _last(item: Item) -> Kind | None:
    return item.atoms[-1].kind if item.atoms else None


def _end(item: Item) -> None:
    """A line that goes on and then does not: only its comment counts."""
    while item.atoms and item.atoms[-1].kind == "join" and not (item.comment and item.atoms[-1].text):
        item.comment = item.comment or item.atoms[-1].text
        item.atoms.pop()
