# SPDX-License-Identifier: Apache-2.0
"""Where things stand in a KDL text: a scanner that pairs every node, argument and property with its offsets.

The parser (ckdl) says what a text means but not where it says so. This scanner says where, and knows nothing of
meaning: it reads KDL 1 and KDL 2 alike, never fails, and walks on after what it cannot grasp, so that it can also point
into a text that the parser refuses. What it counts as nodes is what the parser counts; property tests hold the two
together.

All offsets are characters of the text that was parsed. `Text` carries them back to the text that the user wrote, which
is another one where templates were rendered.
"""

import re
from bisect import bisect_right

import msgspec

from fleetflow_tasks.config.limits import MAX_DEPTH, MAX_LINE, MAX_NAME, MAX_WORD, MAX_WORDS
from fleetflow_tasks.errors import Place

SPACE = " \t\u000b\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\ufeff"
NEWLINE = "\n\r\u000c\u0085\u2028\u2029"
_TRIVIA = re.compile(rf"[{SPACE}]+")
_LINE_END = re.compile(rf"[{NEWLINE}]|\Z")
_COMMENT_EDGE = re.compile(r"/\*|\*/")
# A backslash before the end of a line joins the lines; a comment may stand between the two.
CONTINUATION = re.compile(rf"\\(?:[{SPACE}]|/\*(?:[^*]|\*(?!/))*\*/)*(?://[^{NEWLINE}]*)?(?:\r\n|[{NEWLINE}]|\Z)")
_RAW_OPENING = re.compile(r"r(#*)\"|(#+)(\"\"\"|\")")
# Unrolled rather than possessive: the possessive quantifiers of Python before 3.11.5 miss matches.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TRIPLE = re.compile(r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*"""', re.DOTALL)
_NUMBER = re.compile(r"[-+]?\.?\d")
_WORD = re.compile(rf"[^{SPACE}{NEWLINE}\\/(){{}};\[\]=\"]+")


# gc=False, here and in `kdl`: nothing that is read holds itself, so Python need not look for such circles. It would go
# through all nodes of a file again and again while they are made: half the time of a project of five thousand services.
class Span(msgspec.Struct, gc=False):
    """Characters *start* up to, not including, *end*. quoted: a string in quotes, raw or not."""

    start: int
    end: int
    quoted: bool = False


class Entry(msgspec.Struct, gc=False):
    """An argument (key is None) or a property."""

    value: Span
    key: Span | None = None


class Spot(msgspec.Struct, gc=False):
    """A node: its name, what stands behind it, its children. end: behind its last token.

    block: whether it has a `{ }` of its own, an empty one included.
    """

    name: Span
    entries: list[Entry] = []
    children: list["Spot"] = []
    block: bool = False
    end: int = 0


class Trouble(msgspec.Struct):
    """Something that no KDL text may hold, as far as a scanner can tell."""

    span: Span
    message: str
    fix: str = ""


class Located(msgspec.Struct):
    """What the scanner saw. words: every token, in order. troubles: in order too.

    refused: what the parser may take and FleetFlow does not: nesting without end, a `/-` before a `;`, what is too large.
    """

    nodes: list[Spot] = []
    words: list[Span] = []
    troubles: list[Trouble] = []
    refused: Trouble | None = None


def scan(text: str) -> Located:
    """Find every node of *text*, in document order; what is commented out (`/-` too) is left out."""
    return _Scanner(text).run()


def comment_end(text: str, start: int) -> int | None:
    """Where the `/*` at *start* is closed again, others inside it counted; None where it never is."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    return None


class _Scanner:
    """One pass, no recursion: the nodes whose block is open stand on a stack."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.found = Located()
        self.open: list[tuple[Spot, list[Spot], int]] = []
        self.siblings = self.found.nodes
        self.left = MAX_WORDS

    def run(self) -> Located:
        while True:
            self._skip(lines=True, names=True)
            if self.pos >= len(self.text):
                break
            if self.text[self.pos] == "}":
                self._close()
            else:
                self._node(dropped=self._slashdash(names=True))
        if self.open and not self.found.troubles:  # a string without end swallows every `}`: it is to blame then
            _, _, brace = self.open[-1]
            self._trouble(brace, brace + 1, "this `{` is never closed", "add a `}`")
        return self.found

    def _node(self, *, dropped: bool) -> None:
        self._annotation()
        name = self._token()
        if name is None:
            self._stray("cannot begin a node")
            return
        self._check_name(name)
        node = Spot(name, end=name.end)
        if not dropped:
            self.siblings.append(node)
        self._entries(node)

    def _entries(self, node: Spot) -> None:
        while True:
            self._skip(lines=False)
            if self.pos >= len(self.text):
                return
            if self.text[self.pos] in NEWLINE or self.text[self.pos] in ";}":
                return
            dropped = self._slashdash(names=False)
            if self.text.startswith("{", self.pos):
                self._open_block(node, dropped=dropped)
                return
            self._entry(node, dropped=dropped)

    def _entry(self, node: Spot, *, dropped: bool) -> None:
        self._annotation()
        value = self._token()
        if value is None:
            self._stray("cannot stand here")
            return
        entry = Entry(value)
        after_value = self.pos
        self._skip(lines=False)
        if self.text.startswith("=", self.pos):
            self._check_name(value)
            self.pos += 1
            self._skip(lines=False)
            self._annotation()
            behind = self._token()
            if behind is None:
                self._trouble(
                    value.start, self.pos, "this property has no value", 'write it behind the `=`: `name="value"`'
                )
                behind = Span(self.pos, self.pos)
            entry = Entry(behind, key=value)
        else:
            self.pos = after_value
        if not dropped:
            node.entries.append(entry)
            node.end = entry.value.end

    def _open_block(self, node: Spot, *, dropped: bool) -> None:
        self.open.append((node, self.siblings, self.pos))
        if len(self.open) == MAX_DEPTH + 1:
            self._refuse(self.pos, f"blocks are nested more than {MAX_DEPTH} deep", "")
        if not dropped:
            node.block = True
        self.siblings = [] if dropped else node.children
        self.pos += 1

    def _close(self) -> None:
        self.pos += 1
        if not self.open:
            self._trouble(
                self.pos - 1, self.pos, "this `}` closes nothing", "remove it, or add the `{` that it should close"
            )
            return
        node, self.siblings, _ = self.open.pop()
        node.end = self.pos
        self._entries(node)

    def _slashdash(self, *, names: bool) -> bool:
        """Step over `/-` and what may stand between it and its victim."""
        start = self.pos
        while self.text.startswith("/-", self.pos):
            dash = self.pos
            self._count()
            self.pos += 2
            self._skip(lines=True, names=names)
            if self.text.find(";", dash, self.pos) >= 0:  # a comment may hold one too: it is not worth a closer look
                self._refuse(
                    start, "`/-` must stand right before what it leaves out", "write no `;` and no comment between"
                )
        return self.pos > start

    def _annotation(self) -> None:
        """Step over `(type)`; the parser takes several."""
        while self.text.startswith("(", self.pos):
            opening = self.pos
            self.pos += 1
            self._skip(lines=False)
            self._token()
            self._skip(lines=False)
            if not self.text.startswith(")", self.pos):
                self._trouble(opening, self.pos, "this `(` is never closed", "write `(type)value`")
                return
            self.pos += 1
            self._skip(lines=False)

    def _token(self) -> Span | None:
        """A string, a raw string or a bare word; None where none begins here."""
        start = self.pos
        raw = _RAW_OPENING.match(self.text, start)
        if raw is not None:
            return self._raw_string(raw)
        if self.text.startswith('"', start):
            return self._string()
        word = _WORD.match(self.text, start)
        if word is None:
            return None
        self.pos = word.end()
        if self.pos - start > MAX_WORD and _NUMBER.match(self.text, start):
            self._refuse(start, f"a number of more than {MAX_WORD} characters", "write it in quotes if it is a text")
        return self._kept(Span(start, self.pos))

    def _raw_string(self, opening: re.Match[str]) -> Span:
        hashes = opening[1] if opening[2] is None else opening[2]
        closing = (opening[3] or '"') + hashes
        end = self.text.find(closing, opening.end())
        if end < 0:
            self._trouble(opening.start(), opening.end(), "this raw string is never closed", f"end it with `{closing}`")
            self.pos = len(self.text)
        else:
            self.pos = end + len(closing)
        return self._kept(Span(opening.start(), self.pos, quoted=True))

    def _string(self) -> Span:
        start = self.pos
        triple = self.text.startswith('"""', start)
        match = (_TRIPLE if triple else _STRING).match(self.text, start)
        if match is None:
            quotes = '"""' if triple else '"'
            self._trouble(start, start + len(quotes), "this string is never closed", f"end it with `{quotes}`")
            self.pos = len(self.text)
        else:
            self.pos = match.end()
        return self._kept(Span(start, self.pos, quoted=True))

    def _kept(self, span: Span) -> Span:
        self._count()
        self.found.words.append(span)
        return span

    def _count(self) -> None:
        """A text without end is read no further than there is a use for."""
        self.left -= 1
        if self.left < 0:
            message = f"the file holds more than {MAX_WORDS:,} words"
            self._refuse(min(self.pos, len(self.text)) - 1, message, "split the project")
            self.pos = len(self.text)

    def _check_name(self, name: Span) -> None:
        if name.end - name.start > MAX_NAME:
            self._refuse(name.start, f"a name of more than {MAX_NAME} characters", "write a shorter one")

    def _skip(self, *, lines: bool, names: bool = False) -> None:
        """Step over what means nothing; with *lines*, over the ends of lines and nodes too. names: a node's name is next."""
        text = self.text
        while self.pos < len(text):
            char = text[self.pos]
            if space := _TRIVIA.match(text, self.pos):
                self.pos = space.end()
            elif lines and (char in NEWLINE or char == ";"):
                self.pos += 1
            elif char == "/" and text.startswith("//", self.pos):
                self.pos = _LINE_END.search(text, self.pos).start()  # type: ignore[union-attr]  # the end of the text is one
            elif char == "/" and text.startswith("/*", self.pos):
                self.pos = self._block_comment_end()
            elif char == "\\" and (joined := CONTINUATION.match(text, self.pos)):
                self.pos = joined.end()
            elif char == "\\" and names:  # the parser lets a lone one pass
                self.pos += 1
            else:
                return

    def _block_comment_end(self) -> int:
        end = comment_end(self.text, self.pos)
        if end is None:
            self._trouble(self.pos, self.pos + 2, "this comment is never closed", "end it with `*/`")
        return len(self.text) if end is None else end

    def _stray(self, verb: str) -> None:
        """Step over one character that can begin nothing."""
        char = self.text[self.pos : self.pos + 1]
        if char:
            fix = "write the whole word in quotes" if char in "/\\[]()=" else ""
            self._trouble(self.pos, self.pos + 1, f"`{char}` {verb}", fix)
        else:
            self._trouble(self.pos - 1, self.pos, "the text ends too early", "")
        self.pos += 1

    def _refuse(self, start: int, message: str, fix: str) -> None:
        self.found.refused = self.found.refused or Trouble(Span(start, start + 1), message, fix)

    def _trouble(self, start: int, end: int, message: str, fix: str) -> None:
        self.found.troubles.append(Trouble(Span(start, end), message, fix))
        self._count()


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Characters of the parsed text from *start* on came from *origin* on.

    width: None where they came one to one; else all of them came from that many characters there (a template's `{{ }}`).
    """

    start: int
    origin: int
    width: int | None = None


class Text:
    """A file's text as it was written (`source`) and as it is parsed (`final`), and the way back from one to the other.

    cost: what it took to make `final`, in words.
    """

    __slots__ = ("_lines", "_located", "_shown", "_starts", "cost", "final", "name", "pieces", "source")

    def __init__(
        self, name: str, source: str, *, final: str | None = None, pieces: tuple[Piece, ...] = (), cost: int = 0
    ) -> None:
        self.name = name
        self.source = source
        self.final = source if final is None else final
        self.pieces = pieces or (Piece(0, 0),)
        self.cost = cost
        self._starts = [piece.start for piece in self.pieces]
        self._lines: list[int] = []
        self._shown: dict[int, str] = {}
        self._located: Located | None = None

    @property
    def size(self) -> int:
        """What it takes to read: its words, and those of the template that it came from."""
        return len(self.located.words) + self.cost

    @property
    def located(self) -> Located:
        """What the scanner sees in `final`; asked for twice, it looks once."""
        if self._located is None:
            self._located = scan(self.final)
        return self._located

    def place(self, start: int, end: int) -> Place:
        """The place of characters of `final`, as a person finds it in the file."""
        first, width = self._origin(start)
        last, more = self._origin(max(start, end - 1))
        return self.place_in_source(first, max(first + (width or 1), last + (more or 1)))

    def place_in_source(self, start: int, end: int) -> Place:
        if not self._lines:
            self._lines = [0, *(match.end() for match in re.finditer("\n", self.source))]
        line = bisect_right(self._lines, start) - 1
        begin = self._lines[line]
        end_of_line = self._lines[line + 1] - 1 if line + 1 < len(self._lines) else len(self.source)
        length = max(1, min(end - start, end_of_line - start))
        text = self._line(line, begin, end_of_line)
        return Place(file=self.name, line=line + 1, column=start - begin + 1, length=length, text=text)

    def written(self, start: int, end: int) -> str:
        """The words of the file behind characters of `final`; of several lines the first."""
        place = self.place(start, end)
        begin = self._lines[place.line - 1] + place.column - 1
        return self.source[begin : begin + place.length]

    def _line(self, line: int, begin: int, end: int) -> str:
        """All places on a line share its text; one that nobody would look at as a whole is left out."""
        if end - begin > MAX_LINE:
            return ""
        if line not in self._shown:
            self._shown[line] = self.source[begin:end]
        return self._shown[line]

    def _origin(self, offset: int) -> tuple[int, int | None]:
        piece = self.pieces[bisect_right(self._starts, offset) - 1]
        if piece.width is None:
            return min(piece.origin + offset - piece.start, len(self.source)), None
        return piece.origin, piece.width
