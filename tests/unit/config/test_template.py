# SPDX-License-Identifier: Apache-2.0
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetflow_tasks.config import kdl, template
from fleetflow_tasks.config.kdl import Node
from fleetflow_tasks.config.locate import Span, Text
from fleetflow_tasks.errors import ConfigError

VARIABLES = {"P": "80", "Q": '" } x "', "LINES": "a\nb\tc\r", "WORDS": "a b", "EMPTY": "", "BELL": "\x07", "T": "true"}


# Half a surrogate pair can stand in no file, and a NUL in no text of ours.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def rendered(source: str) -> str:
    return template.render(Text("f.kdl", source), VARIABLES.get).final


def nodes(source: str) -> tuple[Node, ...]:
    return kdl.parse(template.render(Text("f.kdl", source), VARIABLES.get))


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("a {{ X }}\n{% if Y %}b {{ P }}{% endif %}\nc {{ Z | upper }}", ["1:6 X", "2:7 Y", "3:6 Z"]),
        ("a {{ X }} {{ X.y }} {{ Y }}", ["1:6 X"]),
        (
            "".join(f"{{{{ V{number} }}}}\n" for number in range(20)),
            [f"{1 + number}:4 V{number}" for number in range(8)],
        ),
    ],
)
def test_variables_that_are_not_defined_are_told_at_once(source: str, missing: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        rendered(source)

    found = [(each.place, each.message) for each in caught.value.problems]
    assert [f"{place.line}:{place.column} {said.split('`')[1]}" for place, said in found if place] == missing


def refused(source: str) -> str:
    with pytest.raises(ConfigError) as caught:
        rendered(source)
    (problem,) = caught.value.problems
    fix = f" => {problem.fix}" if problem.fix else ""
    return f"{problem.place}: {problem.message}{fix}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("port {{ P }}", 'port "80"'),
        ("port host={{ P }} container=80", 'port host="80" container=80'),
        ('image "a:{{ P }}"', 'image "a:80"'),
        ("cpu {{ P }}m", 'cpu "80m"'),
        ("a {{ P }}{{ P }}", 'a "8080"'),
        ("{{ P }} 1", '"80" 1'),
        ("{{ P }}", '"80"'),
        ("a {{ EMPTY }}", 'a ""'),
        ('a "{{ EMPTY }}"', 'a ""'),
        ('a "{{ Q }}"', 'a "\\" } x \\""'),
        ("a {{ Q }}", 'a "\\" } x \\""'),
        ('a "{{ LINES }}"', 'a "a\\nb\\tc\\r"'),
        ('a "{{ BELL }}"', 'a "\\u{7}"'),
        ('a #"{{ P }}"#', 'a #"80"#'),
        ("a // {{ LINES }}\nb", "a // _\nb"),
        ("a /* {{ Q }} */ 1", "a /* _ */ 1"),
        ('a {{ NONE | default("x") }} {{ NONE | default(value="y") }} {{ P | d("z") }}', 'a "x" "y" "80"'),
        ('a {{ EMPTY | default("x", true) }}', 'a "x"'),
        ("a {{ WORDS | upper }} {{ WORDS.split() | join('+') }}", 'a "A B" "a+b"'),
        ("a {{ 1 == 1 }} {{ 1 > 2 }} {{ 2 * 3 }}", 'a "true" "false" "6"'),
        ("{% if T == 'true' %}a{% else %}b{% endif %} 1", "a 1"),
        ("{% for i in [1, 2] %}a {{ i }}\n{% endfor %}", 'a "1"\na "2"\n'),
        ("x\n  {%- if true %}\n  y\n  {%- endif -%}\n  z", "x\n  yz"),
        ('{% raw %}a "{{.Name}}"{% endraw %} {{ P }}', 'a "{{.Name}}" "80"'),
        ("{# {{ nothing }} #}a {% set x = P %}{{ x }}", 'a "80"'),
        ("{{ P }} // end", '"80" // end'),
    ],
)
def test_values_go_in_as_the_token_around_them_needs_it(source: str, expected: str) -> None:
    assert rendered(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "a\n  b {{ NAME | upper }}",
            (
                "f.kdl:2:8: variable `NAME` is not defined => define it in `variables`, pass `--var NAME=…`,"
                ' or write `{{ NAME | default("…") }}`'
            ),
        ),
        (
            'a "{{.Name}}"',
            (
                "f.kdl:1:4: the template cannot be read: unexpected '.'"
                " => a text that is no template stands between `{% raw %}` and `{% endraw %}`"
            ),
        ),
        (
            "a\n{% include 'x' %}",
            "f.kdl:2:1: `{% include %}` is not supported => the language has `if`, `for`, `set` and `raw`",
        ),
        (
            "a {{ 'x }}",
            (
                'f.kdl:1:3: the template cannot be read: unexpected char "\'" at 5'
                " => a text that is no template stands between `{% raw %}` and `{% endraw %}`"
            ),
        ),
        ("{% %}", "f.kdl:1:1: `{%  %}` is not supported => the language has `if`, `for`, `set` and `raw`"),
        ("a {{ 1 / 0 }}", "f.kdl:1:3: the template cannot be rendered: division by zero"),
        ("a {{ 2 ** 9 }}", "f.kdl:1:3: the template cannot be rendered: `**` is not supported"),
        ("a {{ 'x' * 9 }}", "f.kdl:1:3: the template cannot be rendered: `*` is for numbers only"),
        ("a {{ '%9d' % 1 }}", "f.kdl:1:3: the template cannot be rendered: `%` is for numbers only"),
        (
            "a {{ P.__class__ }}",
            "f.kdl:1:3: the template cannot be rendered: access to attribute '__class__' of 'str' object is unsafe",
        ),
        (
            "a {{ P.zfill(9) }}",
            "f.kdl:1:3: the template cannot be rendered: access to attribute 'zfill' of 'str' object is unsafe",
        ),
        ("a {{ '\\x00' }}", "f.kdl:1:3: the template cannot be rendered: a value holds a NUL character"),
        (
            'a #"{{ Q }}"#',
            "f.kdl:1:5: this value holds a quote or the end of a line, which a raw string cannot hold => write a plain string",
        ),
        ('a "\\{{ P }}"', "f.kdl:1:5: a value cannot stand behind a `\\` => write `\\\\` for a backslash"),
        (
            "{% if P %}a",
            (
                "f.kdl:1:1: the template cannot be read: Unexpected end of template. Jinja was looking for the following tags:"
                " 'elif' or 'else' or 'endif'. The innermost block that needs to be closed is 'if'"
                " => a text that is no template stands between `{% raw %}` and `{% endraw %}`"
            ),
        ),
        (
            "{% for i in range(90000) %}{% for j in range(90) %}abc{% endfor %}{% endfor %}",
            (
                "f.kdl:1:1: the template puts out more than 4 MiB"
                " => look for a loop that turns too often, or a text that grows with each turn"
            ),
        ),
    ],
)
def test_what_cannot_be_rendered_is_shown_in_the_users_words(source: str, expected: str) -> None:
    assert refused(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% set a = 1 %}", ""),
        ("{% if false %}x{% endif %}", ""),
        ("{% if true -%}\n  a\n{%- set b = 1 -%}  \n b{% endif %}", "ab"),
        ("a {% set x = 1 -%}  b", "a b"),
        ("{% for i in 'ab' %}a {{ loop.index }} {{ loop.last }}\n{% endfor %}", 'a "1" "false"\na "2" "true"\n'),
        ("a {{ 'x' ~ 1 ~ P }}", 'a "x180"'),
        ("a {{ ['a', 'b'] | join('-') }} {{ range(3) | join }}", 'a "a-b" "012"'),
        ("a {{ 'abc' | replace('b', 'x') }} {{ 'abab'.replace('a', '', 1) }}", 'a "axc" "bab"'),
        ("a {{ 2.345 | round(1) }} {{ 2.5 | round(0, 'floor') | int }}", 'a "2.3" "2"'),
        ("a {{ {'k': P}.k }} {{ {'k': 1}.items() | list | length }}", 'a "80" "1"'),
        ("a {{ (1, 2) | last }} {{ [3, 1] | sort | first }} {{ 'ab' | list | reverse | join }}", 'a "2" "1" "ba"'),
        ("a {{ ['b', 'b'] | unique | join }} {{ 'x' | default('y') }} {{ -1 | abs }}", 'a "b" "x" "1"'),
        ("{% for k, v in {'a': 1}.items() if v is defined %}{{ k }} {{ v + 1 }}{% endfor %}", '"a" "2"'),
        ("a {{ 'a long text that is weighed' | upper }}", 'a "A LONG TEXT THAT IS WEIGHED"'),
    ],
)
def test_the_sandbox_leaves_what_people_need(source: str, expected: str) -> None:
    assert rendered(source) == expected


MUCH = "look for a loop that turns too often, or a text that grows with each turn"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% set x = 'x' %}" + "{% set x = x ~ x %}" * 40, "it reads and makes more than 1,000,000 values"),
        ("{% set x = 'x' %}" + "{% set x = x + x %}" * 40, "it reads and makes more than 1,000,000 values"),
        ("{% set x = [1] %}" + "{% set x = [x, x] %}" * 40, "it reads and makes more than 1,000,000 values"),
        ("{% set x = {} %}" + "{% set x = {1: x, 2: x} %}" * 40, "it reads and makes more than 1,000,000 values"),
        ("{% set x = () %}" + "{% set x = (x,) %}" * 60, "its lists are nested more than 50 deep"),
        ("a {{ range(99999) | join('" + "x" * 99 + "') }}", "it makes a text of more than 4 MiB"),
        ("a {{ ('a' * 1) if false else 'a' | replace('', 'b' * 1) }}", ""),
        ("{% set x = 'x' %}" + "{% set x = x.replace('x', 'xxxxxxxxxx') %}" * 9, "it makes a text of more than 4 MiB"),
        (
            "{% for i in range(99999) %}{% for j in range(9) | reverse if false %}{% endfor %}{% endfor %}",
            "it reads and makes more than 1,000,000 values",
        ),
    ],
)
def test_a_template_that_asks_for_too_much_is_stopped(source: str, expected: str) -> None:
    said = refused(source)

    if expected:
        assert said.endswith(f"the template asks for too much: {expected} => {MUCH}")
    else:
        assert said.endswith("`*` is for numbers only")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for i in range(99999) %}{% for j in range(99) %}{% endfor %}{% endfor %}", "puts out more than 4 MiB"),
        (
            "{% for i in range(99999) %}{% set a = 1 %}{% set b = 1 %}{% set c = 1 %}{% set d = 1 %}{% set e = 1 %}{% set f = 1 %}{% set g = 1 %}{% endfor %}",
            "puts out more",
        ),
        ("{% for x in [1] recursive %}{% endfor %}", "a loop cannot be `recursive`"),
        ("a {{ 1e999 }}", "the template cannot be read: a number is too large"),
        ("{% set x = 9 %}" + "{% set x = x * x %}" * 9, "`*` makes a number beyond 9223372036854775807"),
        ("a {{ '{:9}'.format(1) }}", "access to attribute 'format' of 'str' object is unsafe"),
        ("a {{ loop.x }}", "variable `loop` is not defined"),
        (
            "{% for i in 'a' %}{{ loop.cycle('a') }}{% endfor %}",
            "access to attribute 'cycle' of 'LoopContext' object is unsafe",
        ),
        ("a {{ 1.5 | round(400) }}", "`round` takes at most 20 digits"),
        ("a {{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "it is nested too deeply"),
        ("{% for i in 'a' %}" * 30 + "{% endfor %}" * 30, "it is nested too deeply"),
        ("{{ 1 }}" * 40_000, "the template is larger than 100,000 words"),
        ("a {{ nothing ~ 'x' }}", "variable `nothing` is not defined"),
        ("a {{ 'ab'.split('') }}", "empty separator"),
    ],
)
def test_what_a_template_cannot_do_is_said(source: str, expected: str) -> None:
    assert expected in refused(source)


def test_a_value_in_a_long_string_is_fitted_in_place() -> None:
    source = f'a "{"x" * 50}{{{{ P }}}}{"y{{ P }}" * 30}\\\\{{{{ P }}}}"'

    assert rendered(source) == f'a "{"x" * 50}80{"y80" * 30}\\\\80"'


def test_of_stages_that_are_left_out_each_is_blanked_where_it_stands() -> None:
    source = "a {{ P }}\nstage b { {{ NOPE }} }\nb\nstage c { {{ NOPE }} }\nd {{ P }}"
    spans = [Span(match.start(), match.end()) for match in re.finditer(r"stage .*", source)]

    assert template.render(Text("f.kdl", source), VARIABLES.get, without=spans).final.split() == [
        "a",
        '"80"',
        "b",
        "d",
        '"80"',
    ]


def test_positions_are_those_of_the_text_as_written() -> None:
    first, second, last = nodes('{% for i in [1, 2] %}\n  port {{ i }} "x{{ P }}y"\n{% endfor %}\nlast k={{ P }}')

    assert [str(node.place) for node in (first, second, last)] == ["f.kdl:2:3", "f.kdl:2:3", "f.kdl:4:1"]
    assert [(arg.place.column, arg.place.length) for arg in second.args] == [(8, 7), (16, 11)]
    assert (last.props["k"].place.column, last.props["k"].place.length) == (8, 7)
    assert last.props["k"].shown == "`{{ P }}`"


def test_a_word_that_begins_plain_is_underlined_as_a_whole() -> None:
    (node,) = nodes("cpu 1{{ P }}m x")

    assert (node.args[0].value, node.args[0].place.column, node.args[0].place.length) == ("180m", 5, 9)


def test_other_stages_are_left_out_unread() -> None:
    source = "a {{ P }}\nstage b {\n {% if NOPE %}x {{ NOPE }}{% endif %}\n}\nc"
    span = Span(source.index("stage"), source.index("}\nc") + 1)

    text = template.render(Text("f.kdl", source), VARIABLES.get, without=[span])

    assert text.final == 'a "80"\n' + " " * 9 + "\n" + " " * 37 + "\n \nc"
    assert str(kdl.parse(text)[1].place) == "f.kdl:5:1"


def test_a_stretch_that_a_condition_enters_halfway_is_read_as_a_whole() -> None:
    source = "stage b { {% if T %} } {% endif %} a"

    text = template.render(Text("f.kdl", source), VARIABLES.get, without=[Span(0, source.index("}\u0020{%") + 1)])

    assert text.final == "stage b {  }  a"


def test_the_skeleton_keeps_every_character_at_its_place() -> None:
    text = Text("f.kdl", "a {{ P\n}} {# c\n #}{% if P %}b{% endif %}\n  {%- if P %}{% endif %}")

    skeleton = template.skeleton(text, template.parts(text))

    assert skeleton.split("\n") == ["a " + "_" * 7 + " " * 5, " " * 13 + "b" + " " * 11, " " * 24]
    assert len(skeleton) == len(text.source)
    assert [(span.start, span.end) for span in template.guarded(template.parts(text))] == [(18, 40), (43, 65)]


def test_a_condition_inside_another_guards_no_more_than_the_outer() -> None:
    text = Text("f.kdl", "{% if A %}{% for x in B %}{% endfor %}{% endif %}")

    assert [(span.start, span.end) for span in template.guarded(template.parts(text))] == [(0, len(text.source))]


def test_an_end_without_a_beginning_guards_nothing() -> None:
    text = Text("f.kdl", "{% endif %}a")

    assert template.guarded(template.parts(text)) == ()


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from("ABC"), TEXTS))
def test_no_value_can_change_the_structure(values: dict[str, str]) -> None:
    source = 'n {{ A | d("") }} "{{ B | d("") }}" k={{ C | d("") }} p="x{{ A | d("") }}y" {\n  c {{ B | d("") }}z // {{ C | d("") }}\n}\nm'
    first, second = kdl.parse(template.render(Text("f.kdl", source), values.get))

    a, b, c = (values.get(name, "") for name in "ABC")
    assert [value.value for value in first.args] == [a, b]
    assert {key: value.value for key, value in first.props.items()} == {"k": c, "p": f"x{a}y"}
    assert [(child.name, [value.value for value in child.args]) for child in first.children] == [("c", [f"{b}z"])]
    assert second.name == "m"
