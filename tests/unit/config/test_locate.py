# SPDX-License-Identifier: Apache-2.0
"""The scanner and the parser must see the same document: what one counts, the other counts."""

import math

import ckdl
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleetflow_tasks.config import kdl
from fleetflow_tasks.config.kdl import Node
from fleetflow_tasks.config.locate import Piece, Text, scan
from fleetflow_tasks.errors import ConfigError

# Snippets that a scanner may trip over, in any order: most orders are no KDL, and both must agree on those that are.
TOKENS = st.sampled_from(
    [
        *("a", "b-c", "x", "r", "r#", "_", "ä", "名", "-", "+1", "12", "-3.5", "0x1F", "1_000", "1e3", "true", "null"),
        *("#true", "#null", "#inf", "#", "=", "=", "(u8)", "(", ")", "{", "}", "{", "}", ";", ";", "/-", "/-", ","),
        *(
            "/* c */",
            "/* /* n */ */",
            "/*",
            "*/",
            "// c\n",
            "//",
            "\\",
            "\\\n",
            "\\ // c\n",
            "\n",
            "\n",
            " ",
            " ",
            "\t",
        ),
        *('"s"', '"a b"', '"q\\"q"', '"b\\\\"', '"{"', '"//"', '"\\u{41}"', '"', '""', '"a\nb"', '"a \\\n  b"'),
        *('r"raw"', 'r#"ra"w"#', '#"raw"#', '##"r"#w"##', '#"', '"#', '"""\n  m\n  n\n  """', '#"""\n  m "" n\n  """#'),
        *("\u0085", "\u2028", "\u00a0", "\ufeff", "\x0b", "\x0c", "\r", "\r\n", "\u3000", "[", "]", "<", ">", "\x07"),
    ]
)
SOUP = st.lists(TOKENS, max_size=25).map("".join)
SPACED_SOUP = st.lists(TOKENS, max_size=25).map(" ".join)


def parsed(source: str) -> tuple[Node, ...] | None:
    """None for a text that is refused, which is the only other answer."""
    try:
        return kdl.parse(Text("f.kdl", source))
    except ConfigError as error:
        check_shown(error)
        return None


def check_shown(error: ConfigError) -> None:
    assert all(problem.place is not None and problem.message for problem in error.problems)


def is_kdl(source: str) -> bool:
    for version in (2, 1):
        try:
            ckdl.parse(source, version=version)  # type: ignore[call-overload,unused-ignore]  # one of the two
        except kdl.REFUSED:
            continue
        return True
    return False


def check(node: Node) -> None:
    """Every name and value stands where the scanner says: what is cut out there reads as the same."""
    assert kdl.name_of(node.text.final[node.span.start : node.span.end]) == node.name
    for value in (*node.args, *node.props.values()):
        again = kdl.literal(value.raw)
        assert again == value.value or (isinstance(again, float) and math.isnan(again))
    for child in node.children:
        check(child)


@settings(max_examples=1500, deadline=None)
@given(st.one_of(SOUP, SPACED_SOUP))
@example("a \\\n b")
@example("a /-\n1 2")
@example("/- /-a\nb")
@example("a { b; c } // d\ne")
@example("/-\\a")
@example("(u8)(u8)a")
@example("a\x0bb")
@example("a /- { b }\nc")
def test_what_the_parser_takes_the_scanner_locates(source: str) -> None:
    nodes = parsed(source)

    assert (nodes is not None) == (is_kdl(source) and scan(source).refused is None)
    for node in nodes or ():
        check(node)


def test_places_count_lines_and_columns_from_one_and_underline_the_token() -> None:
    text = Text("f.kdl", 'a\n\tb "ä" x="long\\n"\n')
    node = kdl.parse(text)[1]

    assert str(node.place) == "f.kdl:2:2"
    assert (str(node.args[0].place), node.args[0].place.length) == ("f.kdl:2:4", 3)
    assert (str(node.props["x"].place), node.props["x"].place.length) == ("f.kdl:2:10", 8)
    assert (str(node.props["x"].key_place), node.props["x"].key_place.length) == ("f.kdl:2:8", 1)
    assert node.place.text == '\tb "ä" x="long\\n"'


def test_a_token_over_several_lines_is_underlined_on_its_first() -> None:
    (node,) = kdl.parse(Text("f.kdl", 'a """\n  b\n  """ c'))

    assert node.args[0].place.length == 3


def test_a_place_in_rendered_text_is_where_it_came_from() -> None:
    text = Text("f.kdl", "a {{ X }} b", final="a 12345 b", pieces=(Piece(0, 0), Piece(2, 2, 7), Piece(7, 9)))

    assert (text.place(2, 7).column, text.place(2, 7).length) == (3, 7)
    assert (text.place(8, 9).column, text.place(8, 9).length) == (11, 1)
    assert text.place(30, 31).column == 12


def test_every_token_is_kept_and_comments_are_none() -> None:
    located = scan('a /* c */ "s" // d\n')

    assert [(span.start, span.end, span.quoted) for span in located.words] == [(0, 1, False), (10, 13, True)]
