# SPDX-License-Identifier: Apache-2.0
import pytest

from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.view.problems import render, render_all
from tests.golden import golden

LINE = '        enviroment { LOG "info" }'


def place(text: str = LINE, *, line: int = 12, column: int = 9, length: int = 10) -> Place:
    return Place(file="fleet.kdl", line=line, column=column, length=length, text=text)


def test_a_typo_is_shown_with_its_line_a_caret_and_what_was_meant() -> None:
    problem = Problem(
        code="unknown-node",
        message="unknown node `enviroment` in service `api`",
        fix="did you mean `environment`?",
        place=place(),
    )

    assert render(problem) == (
        "fleet.kdl:12:9: unknown node `enviroment` in service `api`\n"
        '   12 |         enviroment { LOG "info" }\n'
        "      |         ^^^^^^^^^^ did you mean `environment`?"
    )


def test_cause_fix_and_more_stand_below() -> None:
    problem = Problem(
        code="image-not-found",
        message="the image does not exist",
        cause=("pod api-6c9f: ImagePullBackOff", "two\nlines", ""),
        fix="push it",
        more="flow logs api",
    )

    assert render(problem) == (
        "the image does not exist\n"
        "  pod api-6c9f: ImagePullBackOff\n"
        "  two\n"
        "  lines\n"
        "\n"
        "  fix: push it\n"
        "  more: flow logs api"
    )


def test_a_fix_that_is_no_guess_stands_below_the_caret() -> None:
    problem = Problem(code="x", message="m", fix="write a number", place=place())

    assert render(problem).splitlines()[-2:] == ["      |         ^^^^^^^^^^", "  fix: write a number"]


def test_without_the_source_line_a_guess_stands_by_itself() -> None:
    problem = Problem(code="x", message="m", fix="did you mean `y`?", place=place(""))

    assert render(problem) == "fleet.kdl:12:9: m\n  did you mean `y`?"


@pytest.mark.parametrize("severity", ["warning", "note"])
def test_what_is_no_error_says_so(severity: str) -> None:
    one = Problem(code="x", message="m", severity="warning" if severity == "warning" else "note")

    assert render(one) == f"{severity}: m"


def test_the_caret_stands_under_its_word_behind_tabs_and_wide_letters() -> None:
    assert render(Problem(code="x", message="m", place=place("\t日本 word", column=5, length=4))).splitlines()[1:] == [
        "   12 | \t日本 word",
        "      | \t     ^^^^",
    ]


def test_a_caret_always_points_at_something() -> None:
    assert render(Problem(code="x", message="m", place=place("ab", column=9, length=0))).splitlines()[-1] == (
        "      |   ^"
    )


def test_of_a_very_long_line_the_part_around_the_caret_is_shown() -> None:
    text = "a" * 100 + "WORD" + "b" * 500

    shown = render(Problem(code="x", message="m", place=place(text, line=123456, column=101, length=4))).splitlines()

    assert shown[1] == f"123456 | …{'a' * 60}WORD{'b' * 36}…"
    assert shown[2].index("^") == shown[1].index("W") - 1
    assert shown[2].endswith(" ^^^^")


def test_text_from_outside_cannot_take_the_terminal_over() -> None:
    problem = Problem(
        code="x", message="\x1b[2Jm", cause=("\x1b]0;t\x07c",), fix="\x1b[1mf", place=place("\x1b[31mred", column=1)
    )

    assert "\x1b" not in render(problem)


def test_colours_change_nothing_but_colours() -> None:
    problem = Problem(code="x", message="m", cause=("c",), fix="f", more="n", place=place())
    coloured = render(problem, colour=True)

    assert "\x1b[1;31m" in coloured
    for code in ("1;31", "1", "0", "2", "32", "36"):
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == render(problem)


def test_many_problems_are_counted_at_the_end() -> None:
    one = Problem(code="x", message="one")
    two = Problem(code="x", message="two", severity="warning")

    assert render_all([one, two, one]) == "one\nwarning: two\none\n2 errors, 1 warning"
    assert render_all([one]) == "one"
    assert render_all([]) == ""


def test_problems_of_several_lines_stand_apart() -> None:
    one = Problem(code="x", message="one", fix="f")

    assert render_all([one, one]) == "one\n  fix: f\n\none\n  fix: f\n\n2 errors"


LONG = Problem(
    code="image-not-found",
    message="the image `registry.example.org/shop/api:9` of service `api` does not exist, or may not be read with these credentials",
    cause=(
        "the registry says: manifest unknown",
        "its last 1 line:",
        "  ERROR: relation users does not exist, and neither does anything else that this line might be about in the end",
    ),
    fix="push it with `docker push registry.example.org/shop/api:9`, or change `version` where the text says it",
    more="flow logs --stage=production --service=api --tail=100 --previous --timestamps --since=20m | less",
    place=place('    image "registry.example.org/shop/api"; ' + 'environment { A "1" } ' * 9, column=5, length=5),
)


@pytest.mark.parametrize(
    ("name", "columns"), [("problem-80", 80), ("problem-200", 200), ("problem-40", 40), ("problem", None)]
)
def test_on_a_terminal_lines_are_broken_between_words_but_what_is_copied_is_not(name: str, columns: int | None) -> None:
    golden(name, render(LONG, columns=columns))


def test_a_problem_in_colour() -> None:
    golden("problem-80-coloured", render(LONG, columns=80, colour=True))


@pytest.mark.parametrize("column", [1, 30, 60, 99, 150])
def test_the_caret_stands_under_its_word_in_any_window(column: int) -> None:
    text = "-" * (column - 1) + "WORD" + "-" * 100

    for columns in (10, 40, 80, 200):
        shown = render(
            Problem(code="x", message="m", place=place(text, column=column, length=4)), columns=columns
        ).splitlines()
        assert shown[-1].index("^^^^") == shown[-2].index("WORD")
