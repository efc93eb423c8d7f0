# SPDX-License-Identifier: Apache-2.0
"""A run as a tree: what each row says, and what is left out where the window is small."""

import re
from typing import Any

import pytest

from fleetflow_tasks.engine.model import LOCAL, Because, RunEnded, RunId, StepStatus
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import QueueName, StepId
from fleetflow_tasks.view.fold import Picture, fold
from fleetflow_tasks.view.ink import width
from fleetflow_tasks.view.tree import tree
from fleetflow_tasks.view.waiting import Reasons
from tests.golden import golden
from tests.unit.view.conftest import Story, folded


def drawn(picture: Picture, *, now: float = 105.0, columns: int = 72, lines: int = 20, **given: Any) -> list[str]:
    return tree(picture, now, columns=columns, lines=lines, **given)


def on_its_way(story: Story) -> Picture:
    return folded(
        story.begin(),
        [
            *story.well("stage:prepare", after=0.0),
            *story.well("db:prepare", after=1.0),
            *story.well("db:deploy", after=1.0),
            story.moved("migrate:prepare", "running", 0.5),
            story.progress("migrate:prepare", "pulling 43 of 120 MB", current=43.0, total=120.0),
            story.moved("api:prepare", "ready", 0.5, attempt=0),
        ],
    )


def in_trouble(story: Story) -> Picture:
    return folded(
        story.begin(),
        [
            story.moved("db:deploy", "running"),
            story.badly("db:deploy", "exited with 1"),
            story.moved("migrate:deploy", "skipped"),
            story.moved("api:deploy", "cancelled"),
            story.moved("web:deploy", "delayed", problem=Problem(code="x", message="no answer"), attempt=2, due=112.0),
        ],
    )


def test_a_run_is_a_tree_with_a_row_per_service(story: Story) -> None:
    assert drawn(on_its_way(story)) == [
        "shop/stg  running  5.0s  on docker  run r8f2",
        "├─ ✓ db       ready, started                                        2.0s",
        "┝━ ⠋ migrate  preparing: pulling 43 of 120 MB, 36 %, on host1       2.5s",
        "┝━ ○ api      waits for a worker                                    1.0s",
        "┕━ · web      waits for api",
        "1 of 4 services done; longest way: migrate > api > web",
    ]


@pytest.mark.parametrize(
    ("name", "columns", "unicode"),
    [
        ("tree-80", 80, True),
        ("tree-200", 200, True),
        ("tree-80-ascii", 80, False),
        ("tree-200-ascii", 200, False),
        ("tree-40", 40, True),
    ],
)
def test_the_tree_fits_the_window(story: Story, name: str, columns: int, unicode: bool) -> None:
    golden(name, "\n".join(drawn(on_its_way(story), columns=columns, unicode=unicode)))


def test_colours_change_nothing_but_colours(story: Story) -> None:
    picture = on_its_way(story)
    coloured = drawn(picture, columns=80, colour=True)

    golden("tree-80-coloured", "\n".join(coloured))
    assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in coloured] == drawn(picture, columns=80)


def test_a_terminal_that_cannot_gets_question_marks_for_letters_it_lacks(story: Story) -> None:
    picture = folded(on_its_way(story), [story.progress("migrate:prepare", "größer " * 20)])

    assert (
        drawn(picture, unicode=False)[2] == "|= | migrate  preparing: gr??er gr??er gr??er gr??er gr??er g...    2.5s"
    )


def test_the_spinner_turns_with_the_time(story: Story) -> None:
    picture = on_its_way(story)

    assert [drawn(picture, now=now)[2][3] for now in (105.0, 105.25, 105.5)] == ["⠋", "⠙", "⠹"]


def test_a_failure_stands_out_and_the_rest_says_why_it_is_skipped(story: Story) -> None:
    assert drawn(in_trouble(story)) == [
        "shop/stg  running  5.0s  on docker  run r8f2",
        "├─ ✗ db       failed: exited with 1                                 1.0s",
        "├─ ↷ migrate  skipped: because db:deploy failed",
        "├─ ⊘ api      cancelled",
        "└─ ↻ web      retrying in 7.0s: no answer, attempt 2 of 3 failed",
        "0 of 4 services done, 1 failed, 1 skipped, 1 cancelled",
    ]
    assert drawn(in_trouble(story), now=113.0)[4] == "└─ ↻ web      retrying: no answer, attempt 2 of 3 failed"


def test_of_a_run_that_has_ended_the_sum_stands_below_the_tree_and_not_in_it(story: Story) -> None:
    ended = fold(in_trouble(story), RunEnded(status="failed", **story.stamp()))

    assert drawn(ended)[-1] == "└─ ↻ web      retrying in 7.0s: no answer, attempt 2 of 3 failed"


def test_who_carries_a_step_out_and_at_which_attempt_is_said(story: Story) -> None:
    again = folded(story.begin(), [story.moved("db:deploy", "running", attempt=2)])
    unknown = folded(story.begin(facts=False), [story.moved("db:deploy", "running", attempt=2)])
    alone = folded(story.begin(facts=False), [story.moved("db:deploy", "running", worker=None)])

    assert "starting, attempt 2 of 3, on host1" in drawn(again)[1]
    assert "starting, attempt 2, on host1" in drawn(unknown)[1]
    assert drawn(alone)[1].split() == ["┝━", "⠋", "db", "starting", "2.0s"]


def test_nobody_is_told_the_name_of_the_machine_before_which_he_sits(story: Story) -> None:
    picture = story.begin(queue=QueueName(f"{LOCAL}1"))
    busy = folded(picture, [story.moved("db:deploy", "running"), story.moved("api:deploy", "ready", attempt=0)])

    assert drawn(busy)[1].split() == ["┝━", "⠋", "db", "starting", "4.0s"]
    assert "○ api      waits for its turn" in drawn(busy)[3]


def test_what_waits_for_others_than_steps_says_for_whom(story: Story) -> None:
    busy = "all 2 slots of queue `docker` are busy"
    reasons = Reasons(run="waits for run 4mvmmpgx", steps={StepId("api:prepare"): busy})

    assert "○ api      queued: all 2 slots of queue `docker` are busy" in drawn(on_its_way(story), reasons=reasons)[3]
    assert drawn(story.begin("queued", ahead=1, started=None, submitted=104.0), reasons=reasons)[0] == (
        "shop/stg  queued, 1 run ahead  1.0s  waits for run 4mvmmpgx  on docker …"
    )


def test_the_stages_own_steps_have_a_row_while_they_do_something(story: Story) -> None:
    busy = folded(story.begin(), [story.moved("stage:prepare", "running")])
    failed = folded(busy, [story.badly("stage:prepare", "no network")])
    queued = folded(story.begin(), [story.moved("stage:prepare", "ready", attempt=0)])

    assert drawn(story.begin())[1] == "┝━ · db       waiting"
    assert drawn(busy)[1].startswith("├─ ⠋ (stage)  preparing")
    assert drawn(queued)[1].startswith("├─ ○ (stage)  waits for a worker")
    assert drawn(failed)[1].startswith("├─ ✗ (stage)  failed: no network")


def test_a_queued_run_says_how_many_are_ahead(story: Story) -> None:
    assert drawn(story.begin("queued", ahead=2, started=None, submitted=104.0), now=105.0)[0] == (
        "shop/stg  queued, 2 runs ahead  1.0s  on docker  run r8f2"
    )
    assert drawn(story.begin(facts=False))[0] == "shop/stg  running  5.0s  run r8f2"


def test_a_run_that_came_of_another_says_so_in_its_head(story: Story) -> None:
    because = Because(kind="rollback", run=RunId("r-failed"), plan=RunId("r-good"))

    assert drawn(story.begin(because=because), columns=100)[0] == (
        "shop/stg  running  5.0s  on docker  run r8f2  rollback to r-good after r-failed"
    )


def large(story: Story) -> Picture:
    """200 services: 150 ready, one failed, two moving, one queued, the others waiting."""
    picture = story.begin()
    for number in range(150):
        picture = fold(picture, story.moved(f"s{number:03}:deploy", "succeeded", 0.0))
    for number in range(150, 196):
        picture = fold(picture, story.moved(f"s{number:03}:deploy", "waiting", 0.0))
    moves: list[tuple[str, StepStatus]] = [
        ("s160", "running"),
        ("s170", "running"),
        ("s005", "failed"),
        ("s190", "ready"),
    ]
    for name, status in moves:
        event = story.moved(f"{name}:deploy", "running", 0.0)
        picture = fold(fold(picture, event), story.moved(f"{name}:deploy", status, 0.0))
    return picture


def test_of_two_hundred_services_those_are_shown_that_move_or_failed(story: Story) -> None:
    lines = drawn(large(story), columns=100, lines=10)

    assert len(lines) == 9
    assert [line.split()[2] for line in lines[1:-1]] == ["db", "migrate", "api", "s005", "s160", "s170", "s190"]
    assert lines[-1].startswith(
        "149 of 200 services done, 1 failed; not shown: 44 waiting, 149 ready; longest way: db >"
    )


@pytest.mark.parametrize(
    ("columns", "lines"), [(1, 1), (5, 2), (10, 3), (20, 4), (20, 5), (33, 5), (80, 6), (200, 300)]
)
@pytest.mark.parametrize("unicode", [True, False])
def test_no_window_is_too_small_and_no_line_too_wide(story: Story, columns: int, lines: int, unicode: bool) -> None:
    picture = fold(large(story), story.progress("s160:deploy", "数据库 is 起動中", current=1.0, total=3.0))
    shown = drawn(picture, columns=columns, lines=lines, unicode=unicode)

    assert len(shown) <= max(3, lines)
    assert all(width(line) <= columns for line in shown)


def test_twenty_columns_and_five_lines_hold_what_matters(story: Story) -> None:
    assert drawn(on_its_way(story), columns=20, lines=5) == [
        "shop/stg  running  …",
        "┝━ ⠋ migrate  prepa…",
        "┕━ ○ api      waits…",
        "1 of 4 services done",
    ]


def test_a_bar_is_drawn_where_it_finds_room(story: Story) -> None:
    half = folded(
        story.begin(),
        [story.moved("db:deploy", "running"), story.progress("db:deploy", "2 of 4", current=2.0, total=4.0)],
    )
    over = folded(half, [story.progress("db:deploy", "5 of 4", current=5.0, total=4.0)])

    assert "starting: 2 of 4  █████░░░░░ 50 %, on host1" in drawn(half, columns=80)[1]
    assert "starting: 2 of 4  #####----- 50 %, on host1" in drawn(half, columns=80, unicode=False)[1]
    assert "starting: 2 of 4, 50 %, on host1" in drawn(half, columns=60)[1]
    assert "██████████ 125 %" in drawn(over, columns=80)[1]


def test_a_long_name_leaves_room_for_what_is_said(story: Story) -> None:
    picture = folded(story.begin(), [story.moved(f"{'n' * 60}:deploy", "running")])

    assert f"{'n' * 27}…  starting" in drawn(picture)[5]


def test_wide_letters_take_the_columns_they_take(story: Story) -> None:
    picture = folded(story.begin(), [story.moved("db:deploy", "running"), story.progress("db:deploy", "起動中 " * 20)])

    assert width(drawn(picture)[1]) == 72


def test_what_a_platform_says_cannot_take_the_terminal_over(story: Story) -> None:
    picture = folded(story.begin(), [story.moved("db:deploy", "running"), story.progress("db:deploy", "\x1b[2Jx")])

    assert not any("\x1b" in line for line in drawn(picture))
