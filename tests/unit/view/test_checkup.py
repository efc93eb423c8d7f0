# SPDX-License-Identifier: Apache-2.0
import json

from fleetflow_tasks.engine.checkup import Check, Checkup
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.view import checkup

FORGETS = Problem(code="redis-forgets", message="Redis keeps nothing", fix="set `appendonly yes`", severity="warning")
ALONE = Problem(code="no-worker", message="no worker serves the queue `docker`", cause=("none was seen",))
SKEW = Problem(code="clock-skew", message="the clock is late", severity="note")


def test_all_that_is_well_is_a_line_each() -> None:
    found = Checkup(checks=(Check(name="redis", text="Redis 7.0.15 here"), Check(name="persistence", text="a file")))

    assert checkup.text(found).splitlines() == [
        "✓ redis        Redis 7.0.15 here",
        "✓ persistence  a file",
        "",
        "all is well",
    ]
    assert checkup.is_well(found)


def test_what_is_wrong_stands_below_its_line_with_cause_and_fix() -> None:
    found = Checkup(
        checks=(
            Check(name="persistence", text="none", problems=(FORGETS,)),
            Check(name="docker", text="no worker", problems=(SKEW, ALONE)),
        )
    )

    assert checkup.text(found).splitlines() == [
        "! persistence  none",
        "    warning: Redis keeps nothing",
        "      fix: set `appendonly yes`",
        "✗ docker       no worker",
        "    note: the clock is late",
        "    no worker serves the queue `docker`",
        "      none was seen",
        "",
        "1 error, 1 warning, 1 note",
    ]
    assert not checkup.is_well(found)


def test_a_terminal_without_unicode_gets_marks_that_it_can_show() -> None:
    found = Checkup(checks=(Check(name="a", text="1"), Check(name="b", text="2", problems=(ALONE,))))

    assert [line[:1] for line in checkup.text(found, unicode=False).splitlines()[:2]] == ["+", "x"]


def test_colours_are_for_the_marks_and_the_heads() -> None:
    found = Checkup(checks=(Check(name="clock", text="late\x1b[2J", problems=(SKEW,)),))

    assert checkup.text(found, colour=True).splitlines()[:2] == [
        "\x1b[36mi\x1b[0m clock  late",
        "    \x1b[36mnote: \x1b[0mthe clock is late",
    ]


def test_warnings_keep_nothing_from_going_through() -> None:
    assert checkup.is_well(Checkup(checks=(Check(name="persistence", text="none", problems=(FORGETS,)),)))


def test_machines_get_one_object() -> None:
    found = Checkup(checks=(Check(name="a", text="1"), Check(name="b", text="2", problems=(ALONE,))))

    assert json.loads(checkup.as_json(found)) == {
        "v": 1,
        "type": "doctor",
        "ok": False,
        "checks": [
            {"name": "a", "text": "1", "verdict": "ok", "problems": []},
            {
                "name": "b",
                "text": "2",
                "verdict": "error",
                "problems": [
                    {
                        "code": "no-worker",
                        "message": "no worker serves the queue `docker`",
                        "cause": ["none was seen"],
                        "fix": "",
                        "more": "",
                        "place": None,
                        "severity": "error",
                    }
                ],
            },
        ],
    }


def test_nothing_looked_at_is_nothing_wrong() -> None:
    assert checkup.text(Checkup()).strip() == "all is well"
