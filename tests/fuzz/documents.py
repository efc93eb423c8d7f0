# SPDX-License-Identifier: Apache-2.0
"""KDL documents that are right by construction, each with what it must be read as.

A document is drawn as a tree; every value chooses how it is written: bare, in quotes with escapes, raw as KDL 1 or KDL 2
has it, over several lines; with a type, behind a comment, over a joined line; with things left out by `/-` between.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from hypothesis import strategies as st

Version = Literal[1, 2]
Plain = str | int | bool | None


class Written(NamedTuple):
    """A value and how it is written."""

    text: str
    value: Plain


class Wanted(NamedTuple):
    """What a node must be read as."""

    name: str
    args: tuple[Plain, ...]
    props: Mapping[str, Plain]
    children: "tuple[Wanted, ...]"


class Document(NamedTuple):
    text: str
    nodes: tuple[Wanted, ...]


# No backslash, no quote, no end of a line, and nothing that begins a template.
CHARACTERS = st.characters(
    exclude_categories=["Cs", "Cc"], exclude_characters='"\\{}\u2028\u2029\u0085\ufeff\u200e\u200f'
)
_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0xFEFF}  # KDL 2 allows none of these
PLAIN = st.text(CHARACTERS, max_size=8).filter(lambda text: not any(ord(char) in _BIDI for char in text))
NAMES = st.sampled_from(
    ["a", "b-c", "x1", "r", "service", "stage", "image", "env", "variables", "é", "名前", "_", "a.b", "project"]
)
SPACES = st.sampled_from(
    [" ", " ", " ", "  ", "\t", " /* c */ ", '/* { /* " */ } */', " \\\n", " \\ // c }\n  ", "\u00a0"]
)
ENDS = st.sampled_from(["\n", "\n", "\n\n", ";", " ; ", " // c {\n", "\r\n", '\n/* " */\n', "\u2028"])
ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def values(version: Version) -> st.SearchStrategy[Written]:
    return st.tuples(_types(), st.one_of(_quoted(), _raw(version), _numbers(), _keywords(version), _bare(version))).map(
        lambda drawn: Written(drawn[0] + drawn[1].text, drawn[1].value)
    )


def documents(
    version: Version, *, value: Callable[[Version], st.SearchStrategy[Written]] = values
) -> st.SearchStrategy[Document]:
    nodes = st.lists(_nodes(version, value, 2), max_size=4)
    return st.builds(_joined, st.sampled_from(["", "\n", "// c\n", "\ufeff", " "]), nodes).map(
        lambda drawn: Document(drawn[0], tuple(drawn[1]))
    )


def _joined(before: str, drawn: list[tuple[str, Wanted | None]]) -> tuple[str, list[Wanted]]:
    return before + "".join(text for text, _ in drawn), [wanted for _, wanted in drawn if wanted is not None]


@st.composite
def _nodes(
    draw: st.DrawFn, version: Version, value: Callable[[Version], st.SearchStrategy[Written]], depth: int
) -> tuple[str, Wanted | None]:
    """A node with its end; None for one that is left out."""
    dropped = draw(st.sampled_from(["", "", "", "", "/-", "/- "]))
    name = draw(_node_names())
    text = dropped + draw(_types()) + name.text
    args: list[Plain] = []
    props: dict[str, Plain] = {}
    for _ in range(draw(st.integers(0, 3))):
        written = draw(value(version))
        left_out = draw(st.sampled_from(["", "", "", "/-", "/- "]))
        text += draw(SPACES) + left_out
        if draw(st.booleans()):
            key = draw(NAMES)
            text += f"{key}={written.text}"
            if not left_out:
                props[key] = written.value
        else:
            text += written.text
            if not left_out:
                args.append(written.value)
    children: list[Wanted] = []
    if depth and draw(st.integers(0, 2)) == 0:
        inside, children = _joined("", draw(st.lists(_nodes(version, value, depth - 1), max_size=3)))
        left_out = draw(st.sampled_from(["", "", "", "/-"]))
        text += f" {left_out}{{{draw(st.sampled_from(['', ' ', chr(10)]))}{inside}}}"
        children = [] if left_out else children
    wanted = Wanted(str(name.value), tuple(args), props, tuple(children))
    return text + draw(ENDS), None if dropped else wanted


def _node_names() -> st.SearchStrategy[Written]:
    return st.one_of(NAMES.map(lambda name: Written(name, name)), _quoted())


def _types() -> st.SearchStrategy[str]:
    return st.sampled_from(["", "", "", "", "", "(u8)", '("a b")'])


def _quoted() -> st.SearchStrategy[Written]:
    characters = st.one_of(CHARACTERS.filter(lambda char: ord(char) not in _BIDI), st.sampled_from(list(ESCAPES)))
    return st.lists(characters, max_size=8).map(
        lambda drawn: Written(f'"{"".join(ESCAPES.get(char, char) for char in drawn)}"', "".join(drawn))
    )


def _raw(version: Version) -> st.SearchStrategy[Written]:
    """With as many `#` as there must be, and more."""
    inside = st.lists(st.sampled_from(["a", " ", "\\", '"', '"#', "//", "名"]), max_size=6).map("".join)
    return st.tuples(inside, st.integers(2, 3)).map(lambda drawn: _as_raw(version, *drawn))


def _as_raw(version: Version, inside: str, hashes: int) -> Written:
    inside = inside.strip('"#') if version == 2 else inside  # two quotes at an end begin what spans lines
    inside = inside.rstrip("#")
    marks = "#" * hashes
    return Written(f'{"r" if version == 1 else ""}{marks}"{inside}"{marks}', inside)


def _numbers() -> st.SearchStrategy[Written]:
    decimal = st.integers(-(10**6), 10**6).map(lambda number: Written(str(number), number))
    hexadecimal = st.integers(0, 10**6).map(lambda number: Written(hex(number), number))
    return st.one_of(
        decimal, hexadecimal, st.sampled_from([Written("1_000", 1000), Written("0b101", 5), Written("0o17", 15)])
    )


def _keywords(version: Version) -> st.SearchStrategy[Written]:
    mark = "#" if version == 2 else ""
    return st.sampled_from([Written(f"{mark}true", True), Written(f"{mark}false", False), Written(f"{mark}null", None)])


def _bare(version: Version) -> st.SearchStrategy[Written]:
    """KDL 1 has no bare words as values; KDL 2 has strings over several lines, too."""
    if version == 1:
        return _quoted()
    lines = st.lists(PLAIN.map(lambda text: text.strip()), max_size=3)
    several = lines.map(
        lambda drawn: Written("\n".join(['"""', *(f"  {line}" for line in drawn), '  """']), "\n".join(drawn))
    )
    return st.one_of(NAMES.map(lambda name: Written(name, name)), several)
