# SPDX-License-Identifier: Apache-2.0
"""Templates in KDL: `{{ NAME }}`, `{% if %}`, `{% for %}`, rendered by a sandboxed Jinja2 before the text is parsed.

Two promises beyond Jinja's own:

* A pasted value cannot change the structure of the document. What an expression yields is first left out: one letter
  stands for it, and the structure is read from that skeleton. Only then the values go in, each as the token around it
  needs it: escaped inside a string, in quotes where it is a bare word. So a value holding `" }` is a text, nothing else.
* Positions are those of the text that the user wrote. Every stretch of output carries a mark that says where it came
  from, through loops and conditions too; `Text` keeps them as pieces.

Jinja2 is slow to import, so only a file that holds `{{` or `{%` comes here with a need for it.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from fleetflow_tasks.config.limits import MAX_OUTPUT, MAX_TOKENS
from fleetflow_tasks.config.locate import Piece, Span, Text, scan
from fleetflow_tasks.errors import ConfigError, Problem

if TYPE_CHECKING:
    from jinja2 import TemplateSyntaxError

_STATEMENTS = ("if", "elif", "else", "endif", "for", "endfor", "set", "raw", "endraw")
_OPENING = ("if", "for")
_WORD = 16  # characters of output that take as long as one of Jinja's words
_MISSED = 8  # undefined variables that are told at once; each costs the template once more
_MARK = re.compile(r"\0(\d+):(\d+)\0")
_NAMED = re.compile(r"'([^']+)' is undefined")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


# Jinja's names for its tokens, and what they are here.
_DATA = "data"
_WHOLE = {_DATA: "data", "raw_begin": "statement", "raw_end": "statement"}
_BEGINS = {"block_begin": "statement", "variable_begin": "value", "comment_begin": "comment"}
_ENDS = ("block_end", "variable_end", "comment_end")


class Part(msgspec.Struct, frozen=True):
    """A stretch of a template. kind: data | value (`{{ }}`) | statement (`{% %}`) | comment. word: a statement's first.

    tokens: how many of Jinja's it holds: what it costs to read.
    """

    kind: str
    start: int
    end: int
    word: str = ""
    tokens: int = 1


class _Segment(msgspec.Struct, frozen=True):
    """A stretch of output. at: its offset in the skeleton. start, end: where it came from. pasted: by an expression."""

    at: int
    text: str
    start: int
    end: int
    pasted: bool


def is_template(source: str) -> bool:
    return "{{" in source or "{%" in source


def parts(text: Text) -> tuple[Part, ...]:
    """The stretches of a template. Raises ConfigError for what Jinja2 cannot read and for statements beyond the language's."""
    from jinja2 import TemplateSyntaxError

    try:
        found = tuple(_parts(text))
    except TemplateSyntaxError as error:
        raise ConfigError(_syntax(text, error)) from error
    for part in found:
        if part.kind == "statement" and part.word not in _STATEMENTS:
            fix = "the language has `if`, `for`, `set` and `raw`"
            raise ConfigError(_problem(text, part.start, part.end, f"`{{% {part.word} %}}` is not supported", fix))
    return found


def skeleton(text: Text, found: Iterable[Part]) -> str:
    """The text with every expression and statement blanked out, each character at its old offset."""
    source = text.source
    return "".join(_blank(part.kind, source[part.start : part.end]) for part in _gapless(found, len(source)))


def guarded(found: Iterable[Part]) -> tuple[Span, ...]:
    """The stretches inside an `if` or a `for`: what stands there may come out not at all, or many times."""
    spans: list[Span] = []
    depth = 0
    for part in found:
        if part.word in _OPENING:
            if depth == 0:
                spans.append(Span(part.start, part.end))
            depth += 1
        elif part.word in ("endif", "endfor"):
            depth -= 1
            if spans:
                spans[-1].end = part.end
    return tuple(spans)


def render(text: Text, lookup: Callable[[str], str | None], *, without: Sequence[Span] = ()) -> Text:
    """*text* rendered. lookup: a variable's value, None where there is none.

    without: stretches left out unread (other stages', whose variables are not at hand).
    Raises ConfigError.
    """
    read = Text(text.name, _without(text, without)) if without else text
    found = parts(read)
    marked = "".join(_marked(read.source, found))
    output = _rendered(text, marked, lookup)
    return _filled(text, _segments(output), cost=sum(part.tokens for part in found) + len(output) // _WORD)


# --- reading the template


def _parts(text: Text) -> Iterator[Part]:
    """Jinja's own tokens, gathered. Whitespace that `{%-` eats belongs to no part."""
    from fleetflow_tasks.config.sandbox import environment

    source = text.source
    position = start = first = 0
    kind = word = ""
    for count, (_, name, value) in enumerate(environment().lex(source)):
        if count > MAX_TOKENS:
            message = f"the template is larger than {MAX_TOKENS:,} words"
            raise ConfigError(_problem(text, 0, 1, message, "split the file, or say with a loop what repeats itself"))
        begin = source.index(value, position)
        position = begin + len(value)
        if name in _WHOLE:
            yield Part(_WHOLE[name], begin, position, "" if name == _DATA else "raw")
        elif name in _BEGINS:
            start, first, kind, word = begin, count, _BEGINS[name], ""
        elif name in _ENDS:
            yield Part(kind, start, position, word, count - first + 1)
        elif kind == "statement" and not word:
            word = value.strip()


def _gapless(found: Iterable[Part], length: int) -> Iterator[Part]:
    position = 0
    for part in found:
        yield Part("data", position, part.start)
        yield part
        position = part.end
    yield Part("data", position, length)


def _blank(kind: str, source: str) -> str:
    """An expression becomes a word, even over the end of a line; the rest becomes space."""
    if kind == "data":
        return source
    return "_" * len(source) if kind == "value" else _spaces(source)


def _spaces(source: str) -> str:
    return re.sub(r"[^\n]", " ", source)


def _without(text: Text, spans: Sequence[Span]) -> str:
    """The source with *spans* blanked; a span that an `if` or `for` enters or leaves halfway stays, to be read as a whole."""
    found = parts(text)
    starts = [part.start for part in found]
    source = text.source
    kept: list[str] = []
    position = 0
    for span in spans:
        inside = found[bisect_left(starts, span.start) : bisect_left(starts, span.end)]
        words = [part.word for part in inside if part.end <= span.end]
        if sum(word in _OPENING for word in words) == sum(word in ("endif", "endfor") for word in words):
            kept += [source[position : span.start], _spaces(source[span.start : span.end])]
            position = span.end
    return "".join([*kept, source[position:]])


# --- rendering


def _marked(source: str, found: Sequence[Part]) -> Iterator[str]:
    """The template with a mark before each stretch that puts something out, and behind each statement.

    The marks of statements say nothing, but they count: a loop without output is limited like any other.
    """
    position = 0
    for part in found:
        yield source[position : part.start]
        if part.kind in ("data", "value"):
            yield _mark(part.start, part.end if part.kind == "value" else 0)
        yield source[part.start : part.end]
        if part.kind == "statement" and part.word != "raw":
            yield _mark(part.end, 0)
        position = part.end
    yield source[position:]


def _mark(start: int, end: int) -> str:
    return f"\0{start}:{end}\0"


def _rendered(text: Text, marked: str, lookup: Callable[[str], str | None]) -> str:
    from fleetflow_tasks.config import sandbox

    try:
        tree = sandbox.environment().parse(marked)
    except _failures() as error:
        raise ConfigError(_told(text, error)) from error
    known = {name: value for name in sandbox.names(tree) if (value := lookup(name)) is not None}
    missed: list[Problem] = []
    # One undefined name ends Jinja. It gets some value then, so that all that are missing can be told at once.
    while len(missed) < _MISSED:
        try:
            output = _limited(text, sandbox.chunks(tree, known))
        except _failures() as error:
            name = _undefined(error)
            if missed and (not name or name in known):  # what the value that it got has led to
                break
            missed.append(_told(text, error))
            if not name:
                break
            known[name] = name
        else:
            if not missed:
                return output
            break
    raise ConfigError(*missed)


def _limited(text: Text, chunks: Iterable[str]) -> str:
    output: list[str] = []
    length = 0
    for chunk in chunks:
        length += len(chunk)
        if length > MAX_OUTPUT:
            raise ConfigError(_too_much(text, f"the template puts out more than {MAX_OUTPUT >> 20} MiB"))
        output.append(chunk)
    return "".join(output)


def _segments(output: str) -> list[_Segment]:
    found: list[_Segment] = []
    at = 0
    marks = [*_MARK.finditer(output)]
    for mark, behind in zip(marks, [*(each.start() for each in marks), len(output)][1:], strict=True):
        start, end, content = int(mark[1]), int(mark[2]), output[mark.end() : behind]
        found.append(_Segment(at, content, start, end, pasted=end > 0))
        at += 1 if end > 0 else len(content)
    return found


# --- putting the values in


def _filled(text: Text, segments: Sequence[_Segment], *, cost: int) -> Text:
    """The final text: the skeleton with each value as the token around it needs it, and the way back to the source."""
    bones = "".join("_" if segment.pasted else segment.text for segment in segments)
    located = scan(bones)
    words = sorted(located.words, key=lambda span: span.start)
    starts = [span.start for span in words]
    holding: dict[int, Span | None] = {}
    for segment in segments:
        if segment.pasted:
            word = words[bisect_right(starts, segment.at) - 1] if starts and starts[0] <= segment.at else None
            holding[segment.at] = word if word is not None and segment.at < word.end else None
    quotes = [at for span in _bare(holding.values()) for at in (span.start, span.end)]
    return _joined(text, segments, bones, holding, quotes, cost)


def _bare(holding: Iterable[Span | None]) -> list[Span]:
    """The words without quotes that hold a value: they get quotes, so that the value stays one word."""
    seen = {span.start: span for span in holding if span is not None and not span.quoted}
    return [seen[start] for start in sorted(seen)]


def _joined(
    text: Text,
    segments: Sequence[_Segment],
    bones: str,
    holding: Mapping[int, Span | None],
    quotes: list[int],
    cost: int,
) -> Text:
    final = _Final()
    quoted = 0  # of the quotes, how many are in
    for segment in segments:
        position, stop = segment.at, segment.at + (1 if segment.pasted else len(segment.text))
        while position < stop:
            if quoted < len(quotes) and quotes[quoted] <= position:
                final.quote(segment.start + (0 if segment.pasted else position - segment.at), closing=quoted % 2 == 1)
                quoted += 1
            elif segment.pasted:
                final.add(
                    _fitting(text, segment, bones, holding[segment.at]), segment.start, segment.end - segment.start
                )
                position = stop
            else:
                until = min([stop, *quotes[quoted : quoted + 1]])
                final.add(bones[position:until], segment.start + position - segment.at)
                position = until
    if quoted < len(quotes):
        final.quote(0, closing=True)
    return Text(text.name, text.source, final="".join(final.out), pieces=tuple(final.pieces), cost=cost)


class _Final:
    """The final text as it grows, and where each stretch of it came from."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.pieces: list[Piece] = []
        self.length = 0

    def add(self, content: str, origin: int, width: int | None = None) -> None:
        if content:
            self.pieces.append(Piece(self.length, origin, width))
            self.out.append(content)
            self.length += len(content)

    def quote(self, origin: int, *, closing: bool) -> None:
        """A quote that is not in the source: it counts as its neighbour inside."""
        if closing:
            last = self.pieces[-1]
            origin = last.origin + (last.width or len(self.out[-1])) - 1
        self.add('"', origin, 1)


def _fitting(text: Text, segment: _Segment, bones: str, word: Span | None) -> str:
    """The value as the token around it can hold it."""
    if word is None:  # in a comment
        return "_"
    if word.quoted and bones[word.start] != '"':
        if '"' in segment.text or "\n" in segment.text:
            message = "this value holds a quote or the end of a line, which a raw string cannot hold"
            raise ConfigError(_problem(text, segment.start, segment.end, message, "write a plain string"))
        return segment.text
    if word.quoted and _backslashes(bones, segment.at) % 2:
        message = "a value cannot stand behind a `\\`"
        raise ConfigError(_problem(text, segment.start, segment.end, message, "write `\\\\` for a backslash"))
    return _escaped(segment.text)


def _backslashes(text: str, end: int) -> int:
    """How many stand right before *end*."""
    start = end
    while text[start - 1] == "\\":
        start -= 1
    return end - start


def _escaped(value: str) -> str:
    return "".join(
        char if char.isprintable() or char == " " else f"\\u{{{ord(char):x}}}" for char in value.translate(_ESCAPES)
    )


# --- what is wrong


_TOO_DEEP = (
    RecursionError,
    MemoryError,
    SyntaxError,
)  # all three are what Python says of code that is nested too deeply


def _failures() -> tuple[type[Exception], ...]:
    """All that a template may raise while it is compiled or rendered: the mistakes are the template's, not ours."""
    from jinja2 import TemplateError

    from fleetflow_tasks.config.sandbox import TooMuchError

    python = (ArithmeticError, LookupError, MemoryError, RuntimeError, SyntaxError, TypeError, ValueError)
    return (TemplateError, TooMuchError, *python)


def _told(text: Text, error: Exception) -> Problem:
    from jinja2 import TemplateSyntaxError

    from fleetflow_tasks.config import sandbox

    if isinstance(error, TemplateSyntaxError):
        return _syntax(text, error)
    if isinstance(error, sandbox.TooMuchError):
        return _too_much(text, f"the template asks for too much: {error}", _line(error))
    return _failure(text, error)


def _syntax(text: Text, error: "TemplateSyntaxError") -> Problem:
    fix = "a text that is no template stands between `{% raw %}` and `{% endraw %}`"
    message = f"the template cannot be read: {_sentence(error.message or '')}"
    return _line_problem(text, error.lineno, message, fix, "{{")


def _failure(text: Text, error: Exception) -> Problem:
    message = "it is nested too deeply" if isinstance(error, _TOO_DEEP) else str(error)
    line = _line(error)
    name = _undefined(error)
    if name:
        fix = f'define it in `variables`, pass `--var {name}=…`, or write `{{{{ {name} | default("…") }}}}`'
        return _line_problem(text, line, f"variable `{name}` is not defined", fix, name, code="undefined-variable")
    return _line_problem(
        text, line, f"the template cannot be rendered: {_sentence(message or type(error).__name__)}", "", "{{"
    )


def _undefined(error: Exception) -> str:
    """The variable that Jinja found undefined, "" where it is another failure."""
    found = _NAMED.search(str(error))
    return found[1] if found else ""


def _too_much(text: Text, message: str, line: int = 0) -> Problem:
    fix = "look for a loop that turns too often, or a text that grows with each turn"
    return _line_problem(text, line, message, fix, "{{") if line else _problem(text, 0, 1, message, fix)


def _sentence(message: str) -> str:
    """One line, without Jinja's full stop and NULs of our marks."""
    return _MARK.sub("", message).replace("\0", "").splitlines()[0].rstrip(".") if message else "unknown"


def _line(error: BaseException) -> int:
    """Jinja rewrites the traceback so that it names the template's lines."""
    line = 1
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _line_problem(text: Text, line: int, message: str, fix: str, word: str, *, code: str = "template") -> Problem:
    """The first *word* of that line; the line itself where it has none."""
    lines = text.source.split("\n")
    number = min(max(line, 1), len(lines))
    start = sum(len(each) + 1 for each in lines[: number - 1])
    found = re.search(rf"(?<!\w){re.escape(word)}(?!\w)" if word.isidentifier() else re.escape(word), lines[number - 1])
    begin, end = (found.start(), found.end()) if found else (0, len(lines[number - 1]))
    return _problem(text, start + begin, start + end, message, fix, code=code)


def _problem(text: Text, start: int, end: int, message: str, fix: str = "", *, code: str = "template") -> Problem:
    return Problem(code=code, message=message, fix=fix, place=text.place_in_source(start, end))
