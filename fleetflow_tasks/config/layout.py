# SPDX-License-Identifier: Apache-2.0
"""Items -> text: the one form in which KDL is written here.

Four spaces a level, one node a line, one empty line at most, one space between words, two before a comment at the end of
a line. A block that the user wrote on one line stays on one where that fits, lines that were joined become one where that
fits, and nothing else is ever moved to another line: line breaks say what belongs together, and only a person knows.
Strings and comments are not touched inside, since their line breaks and blanks mean something.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from fleetflow_tasks.config.gather import Atom, Block, Item

WIDTH = 100  # columns; only blocks on one line and joined lines are held to it
_STEP = "    "


def layout(items: Sequence[Item], *, semicolons: bool = False) -> str:
    """semicolons: keep each at the end of its line, for a template that eats line breaks (`{%- … -%}`)."""
    return "".join(f"{line}\n" for line in _Layout(semicolons=semicolons).lines(items, 0))


class _Layout:
    def __init__(self, *, semicolons: bool) -> None:
        self.semicolons = semicolons

    def lines(self, items: Sequence[Item], depth: int) -> Iterator[str]:
        for number, item in enumerate(items):
            if number and item.empty_before:
                yield ""
            yield _STEP * depth + self._item(item, depth)

    def _item(self, item: Item, depth: int) -> str:
        """On one line where it fits; what has nothing to break in it stays on one that is too long."""
        text = self._flat(item.atoms)
        if text is None or len(_STEP) * depth + len(text) > WIDTH:
            text = self._broken(item.atoms, depth)
        text += ";" if self.semicolons and item.semicolon else ""
        return f"{text}{_gap(text, '  ')}{item.comment}" if item.comment else text

    def _flat(self, atoms: Sequence[Atom]) -> str | None:
        """All on one line; None where that cannot be."""
        text = ""
        for atom in atoms:
            part = self._flat_block(atom.block) if atom.block else atom.text
            if part is None or "\n" in part or (atom.kind in ("join", "comment") and part):
                return None
            if part:
                text += ("" if atom.glued else _gap(text)) + part
        return text

    def _flat_block(self, block: Block) -> str | None:
        if block.comment or (block.broken and block.items):
            return None
        parts = []
        for number, item in enumerate(block.items, 1):
            part = None if item.comment else self._flat(item.atoms)
            if part is None:
                return None
            ends = (item.is_node and number < len(block.items)) or (self.semicolons and item.semicolon)
            parts.append(f"{part};" if ends else part)
        return f"{{ {' '.join(parts)} }}" if parts else "{}"

    def _broken(self, atoms: Sequence[Atom], depth: int) -> str:
        """Over several lines: every block that holds something, and joined lines if their words do not fit on one."""
        keeps = not self._fits(atoms, depth)
        text = ""
        for atom, behind in zip(atoms, [*atoms[1:], None], strict=True):
            if atom.kind == "join":
                stays = bool(atom.text) or (keeps and _gap(text) != "" and not (behind and behind.glued))
                text += f" \\{atom.text and '  '}{atom.text}\n{_STEP * (depth + 1)}" if stays else ""
            elif atom.kind == "comment":
                text += f"  {atom.text}\n{_STEP * depth}"
            else:
                part = self._broken_block(atom.block, depth) if atom.block else atom.text
                text += ("" if atom.glued else _gap(text)) + part
        return text

    def _fits(self, atoms: Sequence[Atom], depth: int) -> bool:
        """Whether all before the first block does, joined."""
        words = list(takewhile(lambda atom: atom.block is None, atoms))
        flat = self._flat(words)
        return flat is not None and len(_STEP) * depth + len(flat) + len(" {") <= WIDTH

    def _broken_block(self, block: Block, depth: int) -> str:
        if not block.items and not block.comment:
            return "{}"
        head = f"{{  {block.comment}" if block.comment else "{"
        return "\n".join([head, *self.lines(block.items, depth + 1), f"{_STEP * depth}}}"])


def _gap(text: str, gap: str = " ") -> str:
    """What stands between *text* and the next word: nothing where a line has just begun."""
    return gap if text and not text.endswith((" ", "\n")) else ""
