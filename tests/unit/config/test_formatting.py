# SPDX-License-Identifier: Apache-2.0
"""What formatting promises of any text: it says the same afterwards, every comment included, and it stays as it is then."""

import re
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fleetflow_tasks.config import formatting, kdl
from fleetflow_tasks.config.formatting import formatted
from fleetflow_tasks.config.kdl import Node
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.tokens import tokens
from fleetflow_tasks.errors import Bug, ConfigError
from tests.unit.config.test_locate import SOUP, SPACED_SOUP

ROOT = Path(__file__).resolve().parents[3]

# What the parser takes in KDL 1, though that version has no word without quotes there: behind `/-` and two ends of lines.
NO_KDL_1 = re.compile(r"/-(?:\s|\\|/\*.*?\*/|//[^\n]*)*[\n\f\u0085\u2028\u2029]", re.DOTALL)

NAMES = st.sampled_from(["a", "service", "b-c", '"d e"', "名"])
VALUES = st.sampled_from(['"s"', "1", "-2.5", "#true", 'r"v"', '"a b"', '"""\n  m\n  """', f'"{"l" * 50}"', "(u8)3"])
COMMENTS = st.sampled_from(["", "", "", " // c", "  //d  ", " /* e */", " /* f\n g */"])
ENDS = st.sampled_from(["\n", "\n", "; ", "\n\n\n", " ;\n", "\n // own line\n"])
SPACES = st.sampled_from([" ", " ", "  ", "\t", " \\\n  ", " \\ // joined\n", " /* h */ "])


@st.composite
def nodes(draw: st.DrawFn, depth: int = 0) -> str:
    text = draw(st.sampled_from(["", "", "", "/-", "/- ", "(t)"])) + draw(NAMES)
    for _ in range(draw(st.integers(0, 3))):
        text += draw(SPACES) + draw(st.sampled_from(["", "", "/-", "k=", "x = "])) + draw(VALUES)
    if depth < 3 and draw(st.booleans()):
        inside = draw(st.lists(nodes(depth + 1), max_size=3))
        text += draw(SPACES) + "{" + draw(COMMENTS) + draw(st.sampled_from([" ", "\n", ""]))
        text += "".join(node + draw(ENDS) for node in inside) + "}"
    return text + draw(COMMENTS)


DOCUMENTS = st.lists(st.tuples(nodes(), ENDS).map("".join), max_size=5).map("".join)

STATEMENTS = ("{% if X %}", "{% endif %}", "{%- if X -%}", "{% for x in y %}", "{% endfor %}", "{# c #}")
TEMPLATES = st.lists(
    st.sampled_from([*STATEMENTS, "{{ X }}", "{{ X -}}", '"{{ Y }}"', "a", "b", " ", "\n", "; ", "{ ", " }", "=", "// c\n"]),
    max_size=20,
).map("".join)  # fmt: skip


def said(nodes: tuple[Node, ...]) -> list[object]:
    return [
        (
            node.name,
            [value.raw for value in node.args],
            {key: value.raw for key, value in node.props.items()},
            said(node.children),
            node.block,
        )
        for node in nodes
    ]


def comments(text: str) -> list[str]:
    """Of a text whose strings hold none."""
    return [found.rstrip() for found in re.findall(r"/\*.*?\*/|//[^\n]*", text, re.DOTALL)]


def check(source: str) -> str:
    text = Text("f.kdl", source)
    found = formatted(text).text

    assert said(kdl.parse(Text("f.kdl", found))) == said(kdl.parse(text))
    assert formatted(Text("f.kdl", found)).text == found
    assert found == "" or (found.endswith("\n") and not found.endswith("\n\n"))
    return found


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS)
@example("a /* f\n g */ {\n/* f\n g */}")
def test_a_document_says_the_same_with_every_comment_in_its_place(source: str) -> None:
    try:
        kdl.parse(Text("f.kdl", source))
    except ConfigError:
        assume(False)

    found = check(source)

    assert comments(found) == comments(source)


@settings(max_examples=800, deadline=None)
@given(st.one_of(SOUP, SPACED_SOUP))
@example('x \\\n \\\n = "1"')
@example("a; \\ // c\n;")
@example("a /- /* c */\n1 2")
@example("a /- \\ /* c */\n \\ /* d */\n \n b")
def test_any_text_is_formatted_or_refused_with_a_place(source: str) -> None:
    assume(not NO_KDL_1.search(source))
    read = source.replace("\r\n", "\n").replace("\r", "\n")  # as files are

    try:
        check(read)
    except ConfigError as error:
        problems = error.problems
    else:
        return
    assert all(problem.place is not None for problem in problems)


@settings(max_examples=400, deadline=None)
@given(TEMPLATES)
def test_any_template_is_formatted_left_alone_or_refused(source: str) -> None:
    try:
        found = formatted(Text("f.kdl", source))
    except ConfigError:
        return

    assert found.text == source if found.warnings else formatted(Text("f.kdl", found.text)) == found


def examples() -> list[str]:
    fenced = [
        text
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
        for text in re.findall(r"^```kdl\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    ]
    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "examples").rglob("*.kdl"))] + fenced


def test_everything_that_we_show_says_the_same_afterwards() -> None:
    shown = [text for text in examples() if "{{" not in text]

    assert len(shown) > 8
    for text in shown:
        kept = [token.text for token in tokens(text) if token.kind in ("comment", "block")]
        assert [token.text for token in tokens(check(text)) if token.kind in ("comment", "block")] == kept


def test_an_error_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError, match="`tru` must stand in quotes here") as caught:
        formatted(Text("f.kdl", "a 1\nb true tru"))

    assert str(caught.value.problems[0].place) == "f.kdl:2:8"


@pytest.mark.parametrize("source", ["a (b) {}", "a { (b)}"])
def test_what_the_parser_lets_pass_by_mistake_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="cannot"):
        formatted(Text("f.kdl", source))


def test_a_template_whose_blocks_begin_and_end_in_different_branches_is_left_alone() -> None:
    source = '{% if X %}\nservice "a" {\n{% else %}\nservice "b" {\n{% endif %}\n  image "x"\n}\n'

    found = formatted(Text("f.kdl", source))

    assert found.text == source
    assert [problem.message for problem in found.warnings] == [
        "`f.kdl` is left as it is: without what stands in `{% %}`, this `{` is never closed"
    ]


def test_a_template_without_statements_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"this `\{` is never closed"):
        formatted(Text("f.kdl", "a {\n  b {{ X }}\n"))


def test_a_template_that_jinja_cannot_read_is_an_error() -> None:
    with pytest.raises(ConfigError, match="the template cannot be read"):
        formatted(Text("f.kdl", "a {{ 'X }}\n"))


def test_a_change_of_what_is_said_is_a_bug_and_never_a_text() -> None:
    """The check by itself: no text is known that gets as far."""
    old = formatting._read(Text("f.kdl", "a 1 // c\n"))

    for other, why in (
        ("a 2  // c\n", "say"),
        ("a 1\n", "say"),
        ("a  1  // c\n", "another one"),
        ("a { \n", "say"),
        ("{{ 'a }}", "say"),
    ):
        with pytest.raises(Bug, match=f"`f.kdl` is left as it is: it would .*{why}"):
            formatting._check(Text("f.kdl", "a 1 // c\n"), old, other)


def test_what_the_parser_takes_and_no_version_of_kdl_allows_is_left_alone_rather_than_changed() -> None:
    with pytest.raises(Bug, match="left as it is"):
        formatted(Text("f.kdl", "a true /- \\\n\nb"))
