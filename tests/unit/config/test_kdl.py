# SPDX-License-Identifier: Apache-2.0
"""A text that the parser refuses is blamed on the token that a person has to change."""

import pytest

from fleetflow_tasks.config import kdl
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.errors import ConfigError


def blamed(source: str) -> str:
    """`line:column «what the caret underlines» message => fix`."""
    with pytest.raises(ConfigError) as caught:
        kdl.parse(Text("f.kdl", source))
    (problem,) = caught.value.problems
    place = problem.place
    assert place is not None
    word = place.text[place.column - 1 : place.column - 1 + place.length]
    fix = f" => {problem.fix}" if problem.fix else ""
    return f"{place.line}:{place.column} «{word}» {problem.message}{fix}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a\nb {\n  c 500m\n}", '3:5 «500m» `500m` is no number => write `"500m"`'),
        ('a {\n b "c\n}', '2:4 «"» this string is never closed => end it with `"`'),
        ('a """\n b', '1:3 «"""» this string is never closed => end it with `"""`'),
        ('a r#"b"', '1:3 «r#"» this raw string is never closed => end it with `"#`'),
        ('a #"b"', '1:3 «#"» this raw string is never closed => end it with `"#`'),
        ("a /* b", "1:3 «/*» this comment is never closed => end it with `*/`"),
        ("a {\n b {\n }", "1:3 «{» this `{` is never closed => add a `}`"),
        ("a\n}", "2:1 «}» this `}` closes nothing => remove it, or add the `{` that it should close"),
        ("a{\n}", "1:1 «a{» a space is missing before `{` => add it"),
        ('a "b""c"', '1:3 «"b""» a space is missing before `"` => add it'),
        ("image nginx/foo", "1:12 «/» `/` cannot stand here => write the whole word in quotes"),
        ("= 1", "1:1 «=» `=` cannot begin a node => write the whole word in quotes"),
        ("a x=", '1:3 «x=» this property has no value => write it behind the `=`: `name="value"`'),
        ("a (u8 1", "1:3 «(u8 » this `(` is never closed => write `(type)value`"),
        ('a "\\q"', '1:3 «"\\q"» this string holds a `\\` that begins no known escape => write `\\\\` for a backslash'),
        ("true", '1:1 «true» `true` cannot be a node\'s name => write `"true"`'),
        ("a true b", '1:8 «b» `b` must stand in quotes here => write `"b"`'),
        ("a 1x=2", "1:3 «1x» `1x` cannot be a property's name"),
        (
            "a true\nb #true",
            (
                "2:3 «#true» `#true` is of another KDL version than the rest of the file"
                " => write the whole file in KDL 2 (`#true`, `#false`, `#null`)"
            ),
        ),
        (
            'a #true "l\nm"',
            '1:9 «"l» a string between two `"` ends on its line => write it between `"""` lines, or use `\\n`',
        ),
        ("a b c\n# d e", "2:1 «#» `#` begins no comment => write `//`"),
        ("a true # b", "1:8 «#» `#` begins no comment => write `//`"),
        (
            'a "b { c "d/e" }\nf "g"',
            (
                '1:3 «"b { c "» this string ends only before `d`'
                ' => end it with `"` where it should end; if it does, add a space'
            ),
        ),
        (
            'a "b }\nc "d" { e "f"; }',
            (
                '1:3 «"b }» this string ends only before `d`'
                ' => end it with `"` where it should end; if it does, add a space'
            ),
        ),
        ("a /-", "1:4 «-» the text ends too early"),
        ("a\nb (u8)x=4", "2:1 «b» the node `b` cannot be read"),
        ("( u8 )a \ufeff", "1:1 «(» this is no KDL text"),
    ],
)
def test_the_offending_token_is_shown(source: str, expected: str) -> None:
    assert blamed(source) == expected


def test_blocks_nested_too_deep_are_refused_before_the_parser_sees_them() -> None:
    assert blamed("a { " * 70) == "1:259 «{» blocks are nested more than 64 deep"


@pytest.mark.parametrize("source", ["a /-;b", "/-;a", "/- /- ; a", "a /- // c;\n1"])
def test_a_slashdash_must_stand_before_what_it_leaves_out(source: str) -> None:
    assert "`/-` must stand right before what it leaves out => write no `;` and no comment between" in blamed(source)


def test_a_name_that_cannot_be_read_is_taken_as_it_stands() -> None:
    assert kdl.name_of('"open') == '"open'
    assert kdl.name_of("") == ""
    assert kdl.name_of('"\\u{41}"') == "A"


def test_a_value_may_be_missing() -> None:
    assert kdl.literal("") is None
    assert kdl.literal("(u8)4") == 4


def test_a_property_given_twice_keeps_the_last_and_remembers_the_first() -> None:
    (node,) = kdl.parse(Text("f.kdl", "a x=1 y=2 x=3"))

    assert {key: value.raw for key, value in node.props.items()} == {"x": "3", "y": "2"}
    assert [value.raw for value in node.repeated] == ["1"]


def test_a_long_value_is_shown_cut() -> None:
    (node,) = kdl.parse(Text("f.kdl", f'a "{"b" * 80}"'))

    assert node.args[0].shown == f'`"{"b" * 56}...`'
