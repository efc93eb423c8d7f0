# SPDX-License-Identifier: Apache-2.0
import pytest

from fleetflow_tasks.config.dotenv import dotenv
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.variables import Scope, Variable, plain
from fleetflow_tasks.errors import ConfigError, Place, Problem

PLACE = Place(file="f.kdl", line=1)


def scope(**values: str) -> Scope:
    return Scope([{name: plain("test", value) for name, value in values.items()}])


def refused(text: str, **values: str) -> Problem:
    with pytest.raises(ConfigError) as caught:
        scope(**values).fill(text, PLACE)
    (problem,) = caught.value.problems
    assert problem.place == PLACE
    return problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("${A}-${A}", "1-1"),
        ("${A:-x}", "1"),
        ("${NONE:-x y}", "x y"),
        ("${NONE-x}", "x"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY-x}", ""),
        ("${EMPTY?why}", ""),
        ("${NONE:-${A}}", "1"),
        ("${NONE:-${ALSO:-$$}}", "$"),
        ("$$A $$${A} $$$$", "$A $1 $$"),
        ("$HOME $ $1 100$", "$HOME $ $1 100$"),
        ("${NONE:-}", ""),
    ],
)
def test_references_are_filled_in_as_compose_users_write_them(text: str, expected: str) -> None:
    assert scope(A="1", EMPTY="").fill(text, PLACE) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NONE}", "variable `NONE` is not defined"),
        ("${NONE:?say it}", "variable `NONE` is not defined: say it"),
        ("${EMPTY:?say it}", "variable `EMPTY` is not defined: say it"),
        ("${A", "`${A` is no variable"),
        ("${1}", "`${1}` is no variable"),
        ("${A:+x}", "`${A:+x}` is no variable"),
        ("${A%%.*}" + "y" * 50, "`${A%%.*}` is no variable"),
        ("${" + "y" * 60 + "!}", "`${" + "y" * 35 + "...` is no variable"),
        ("${N:-" * 30 + "}" * 30, "`${N:-${N:-${N:-${N:-${N:-${N:-${N:-${...` is no variable"),
    ],
)
def test_what_is_no_variable_is_an_error_with_its_place(text: str, message: str) -> None:
    assert refused(text, A="1", EMPTY="").message == message


def test_an_undefined_variable_suggests_the_nearest_known_one() -> None:
    assert refused("${DOMIAN}", DOMAIN="x").fix == "did you mean `DOMAIN`?"
    assert refused("${X}", DOMAIN="x").fix == "define it in `variables`, pass `--var X=…`, or write `${X:-default}`"
    assert refused("${X}").fix == "define it in `variables`, pass `--var X=…`, or write `${X:-default}`"


def test_the_strongest_definition_wins_and_says_where_it_came_from() -> None:
    levels = [{"A": plain("weak", "1"), "B": plain("weak", "2")}, {"A": Variable("strong", lambda _: "3", PLACE)}]

    known = Scope(levels)

    assert (known.lookup("A"), known.lookup("B"), known.lookup("C")) == ("3", "2", None)
    assert known.variables["A"].origin == "strong"
    assert (known.place("A"), known.place("B"), known.place("C")) == (PLACE, None, None)


def test_variables_that_need_each_other_are_shown_as_a_path() -> None:
    circle = {
        "A": Variable("f", lambda scope: scope.fill("${B}", PLACE), PLACE),
        "B": Variable("f", lambda scope: scope.fill("${A}", PLACE), PLACE),
    }

    with pytest.raises(ConfigError) as caught:
        Scope([circle]).lookup("A")

    assert caught.value.problems[0].message == "variables need each other: A -> B -> A"


def lines(source: str, **environ: str) -> dict[str, str]:
    found, problems = dotenv(Text(".env", source), environ)
    assert problems == []
    known = Scope([found])
    return {name: variable.value(known) for name, variable in found.items()}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", {}),
        ("\n# c\n  \nA=1\n", {"A": "1"}),
        ("A=1", {"A": "1"}),
        ("  export A = 1  ", {"A": "1"}),
        ("A=b c # comment", {"A": "b c"}),
        ("A=b#c", {"A": "b#c"}),
        ("A=# comment", {"A": ""}),
        ("A=", {"A": ""}),
        ("A='x ${B} # \\n'  # c", {"A": "x ${B} # \\n"}),
        ('A="x\\n\\"y\\" # z"', {"A": 'x\n"y" # z'}),
        ('A="l1\nl2"\nB=1', {"A": "l1\nl2", "B": "1"}),
        ('A=1\nB=${A}2\nC="${B}3"', {"A": "1", "B": "12", "C": "123"}),
        ("A=1\nA=2", {"A": "2"}),
        ("a.b-c=1", {"a.b-c": "1"}),
        ("GIVEN\nMISSING", {"GIVEN": "yes"}),
        ("URL=postgres://u:p@h/d?x=1", {"URL": "postgres://u:p@h/d?x=1"}),
    ],
)
def test_env_files_are_read_as_compose_reads_them(source: str, expected: dict[str, str]) -> None:
    assert lines(source, GIVEN="yes") == expected


def test_every_line_that_says_nothing_is_a_problem() -> None:
    found, problems = dotenv(Text(".env", "A=1\n=2\nnot a line\nB='open\n"), {})

    assert list(found) == ["A"]
    assert [str(problem.place) for problem in problems] == [".env:2:1", ".env:3:1", ".env:4:1"]
    assert problems[0].message == "this line is not `NAME=value`"


def test_a_bad_line_is_not_shown_since_it_may_hold_a_password() -> None:
    _, problems = dotenv(Text(".env", "password hunter2"), {})

    assert "hunter2" not in repr(problems)


def test_a_line_that_nobody_asks_for_may_hold_anything() -> None:
    found, problems = dotenv(Text(".env", "PS1=${debian_chroot}\nA=1"), {})

    assert problems == []
    assert Scope([found]).lookup("A") == "1"
