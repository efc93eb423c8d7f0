# SPDX-License-Identifier: Apache-2.0
"""A KDL text as the tokens it is made of, comments included and blanks left out, for whoever writes it anew.

The words (strings, numbers, names) are those of the scanner, `locate`; what stands between them is told apart here. In a
template each `{% … %}` and `{# … #}` that stands outside of strings and comments is a token of its own, and a `{{ … }}`
belongs to the word that it is a part of. The text is masked for that: what Jinja2 reads stands there as blanks or as a
word of the same length, so every offset is one of the source too.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from fleetflow_tasks.config.locate import CONTINUATION, NEWLINE, SPACE, Located, comment_end, scan
from fleetflow_tasks.config.template import Part

Kind = Literal["word", "template", "line", "comment", "block", "drop", "join", "{", "}", ";", "=", "(", ")"]

_BLANK = re.compile(rf"[{SPACE}]")
_LINE_COMMENT = re.compile(rf"//[^{NEWLINE}]*")
_MARKS: tuple[Kind, ...] = ("{", "}", ";", "=", "(", ")")


class Token(msgspec.Struct, frozen=True):
    """kind: word | template | line (the end of one) | comment (`//`) | block (`/* */`) | drop (`/-`) | join | a mark.

    join: a `\\` that joins two lines; its text is the `//` comment between the two, mostly none.
    spaced: whether anything blank stands before it.
    """

    kind: Kind
    text: str
    spaced: bool = False


class Masked(msgspec.Struct, frozen=True):
    """A template's source as KDL: expressions are words, statements and comments of Jinja2 are blanks.

    statements: start -> end of each of the latter.
    """

    text: str
    statements: Mapping[int, int] = {}


def masked(source: str, parts: tuple[Part, ...]) -> Masked:
    """*parts*: of the template, as `template.parts` finds them; none for a text that is no template."""
    pieces: list[str] = []
    position = 0
    statements: dict[int, int] = {}
    for part in parts:
        if part.kind != "data":
            end = part.start + len(source[part.start : part.end].rstrip())  # `-%}` counts what it eats as its own
            filler = "_" if part.kind == "value" else " "
            pieces += (source[position : part.start], filler * (end - part.start))
            position = end
            if part.kind != "value":
                statements[part.start] = end
    return Masked("".join([*pieces, source[position:]]), statements)


def tokens(source: str, mask: Masked | None = None, located: Located | None = None) -> list[Token]:
    """Every token of *source*. located: what the scanner has seen in the mask, where somebody has asked it already.

    Only for a text without troubles: what may stand nowhere is passed over.
    """
    mask = mask or Masked(source)
    located = located or scan(mask.text)
    return list(_Lexer(source, mask, {word.start: word.end for word in located.words}).run(0, len(source)))


class _Lexer:
    def __init__(self, source: str, mask: Masked, words: Mapping[int, int]) -> None:
        self.source = source
        self.mask = mask
        self.words = words

    def run(self, start: int, stop: int) -> Iterator[Token]:
        position, spaced = start, False
        while position < stop:
            if position not in self.mask.statements and _BLANK.match(self.mask.text, position):
                position, spaced = position + 1, True
                continue
            found, position = self._at(position)
            for token in found:
                yield msgspec.structs.replace(token, spaced=spaced)
            spaced = self.mask.text[position - 1] in NEWLINE

    def _at(self, start: int) -> tuple[list[Token], int]:
        """The token that begins at *start*, and where it ends. A `\\` in front of a node joins nothing and is none."""
        text = self.mask.text
        if start in self.words:
            return self._token("word", start, self.words[start])
        if start in self.mask.statements:
            return self._token("template", start, self.mask.statements[start])
        if comment := _LINE_COMMENT.match(text, start):
            return [Token("comment", self.source[start : comment.end()].rstrip())], comment.end()
        if text.startswith("/*", start):
            return self._token("block", start, comment_end(text, start) or len(text))
        if text.startswith("/-", start):
            return self._token("drop", start, start + 2)
        if joined := CONTINUATION.match(text, start):
            return self._joined(start, joined.end()), joined.end()
        if text[start] in NEWLINE:
            return [Token("line", "\n")], start + 1
        return [Token(mark, mark) for mark in _MARKS if mark == text[start]], start + 1

    def _joined(self, start: int, end: int) -> list[Token]:
        """What stands between the `\\` and the next line is told first, as far as it can stand before the `\\`."""
        inside = list(self.run(start + 1, end))
        comment = "".join(token.text for token in inside if token.kind == "comment")
        return [*(token for token in inside if token.kind not in ("comment", "line")), Token("join", comment)]

    def _token(self, kind: Kind, start: int, end: int) -> tuple[list[Token], int]:
        return [Token(kind, self.source[start:end])], end
