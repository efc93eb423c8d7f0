# SPDX-License-Identifier: Apache-2.0
import io
import time

import pytest
from rich.console import Console

from fleetflow_tasks.engine.model import Because, RunEnded, RunId
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.view.fold import Picture, fold
from fleetflow_tasks.view.live import LiveView, Screen
from tests.unit.view.conftest import Story, folded


class Ascii(io.StringIO):
    encoding = "ascii"


def drawn(
    picture: Picture,
    *,
    now: float = 105.0,
    width: int = 72,
    height: int = 20,
    unicode: bool = True,
    colour: bool = False,
) -> list[str]:
    file = io.StringIO() if unicode else Ascii()
    console = Console(
        file=file,
        width=width,
        height=height,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
        _environ={},
    )
    console.print(Screen(picture, now))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def on_its_way(story: Story) -> Picture:
    return folded(
        story.begin(),
        [
            *story.well("stage:prepare", after=0.0),
            *story.well("db:prepare", after=1.0),
            *story.well("db:deploy", after=1.0),
            story.moved("migrate:prepare", "running", 0.5),
            story.progress("migrate:prepare", "pulling 43 of 120 MB", current=43.0, total=120.0),
            story.moved("api:prepare", "ready", attempt=0),
        ],
    )


def test_a_run_is_a_tree_with_a_row_per_service(story: Story) -> None:
    assert drawn(on_its_way(story)) == [
        "shop/stg  running  5.0s  on docker  run r8f2",
        "├─ ✓ db       ready, started                                        2.0s",
        "├─ ⠋ migrate  preparing: pulling 43 of 120 MB, 36 %                 2.5s",
        "├─ ○ api      waits for a worker",
        "└─ · web      waits for api",
        "1 of 4 done",
    ]


def test_a_terminal_that_cannot_gets_plain_signs(story: Story) -> None:
    picture = folded(on_its_way(story), [story.progress("migrate:prepare", "größer " * 20)])

    assert drawn(picture, unicode=False) == [
        "shop/stg  running  5.0s  on docker  run r8f2",
        "|- + db       ready, started                                        2.0s",
        "|- - migrate  preparing: gr??er gr??er gr??er gr??er gr??er g...    2.5s",
        "|- o api      waits for a worker",
        "`- . web      waits for api",
        "1 of 4 done",
    ]


def test_nothing_is_coloured_without_colour_and_nothing_is_lost_by_it(story: Story) -> None:
    picture = on_its_way(story)

    assert not any("\x1b" in line for line in drawn(picture))
    assert "\x1b[32m✓" in drawn(picture, colour=True)[1]


def test_the_spinner_turns_with_the_time(story: Story) -> None:
    picture = on_its_way(story)

    assert [drawn(picture, now=now)[2][3] for now in (105.0, 105.15, 105.25)] == ["⠋", "⠙", "⠹"]


def test_a_failure_stands_out_and_the_rest_says_why_it_is_skipped(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            story.moved("db:deploy", "running"),
            story.badly("db:deploy", "exited with 1"),
            story.moved("migrate:deploy", "skipped"),
            story.moved("api:deploy", "cancelled"),
            story.moved("web:deploy", "delayed", problem=Problem(code="x", message="no answer"), attempt=2),
            RunEnded(status="failed", **story.stamp()),
        ],
    )

    assert drawn(picture) == [
        "shop/stg  failed  6.0s  on docker  run r8f2",
        "├─ ✗ db       failed: exited with 1                                 1.0s",
        "├─ ↷ migrate  skipped: because db:deploy failed",
        "├─ ⊘ api      cancelled",
        "└─ ↻ web      retrying: no answer, attempt 2                        5.0s",
        "3 of 4 done, 1 failed",
    ]


def test_the_stages_own_steps_have_a_row_while_they_do_something(story: Story) -> None:
    busy = folded(story.begin(), [story.moved("stage:prepare", "running")])
    failed = folded(busy, [story.badly("stage:prepare", "no network")])

    assert drawn(story.begin())[1] == "├─ · db       waiting"
    assert drawn(busy)[1].startswith("├─ ⠋ (stage)  preparing")
    assert drawn(failed)[1].startswith("├─ ✗ (stage)  failed: no network")


def test_a_queued_run_says_how_many_are_ahead(story: Story) -> None:
    assert drawn(story.begin("queued", ahead=2, started=None, submitted=104.0), now=105.0)[0] == (
        "shop/stg  queued, 2 runs ahead  1.0s  on docker  run r8f2"
    )
    assert drawn(story.begin(facts=False))[0] == "shop/stg  running  5.0s  run r8f2"


def large(story: Story) -> Picture:
    """200 services: 150 ready, one failed, two moving, one queued, the others waiting."""
    picture = story.begin()
    for number in range(150):
        picture = fold(picture, story.moved(f"s{number:03}:deploy", "succeeded", 0.0))
    for number in range(150, 196):
        picture = fold(picture, story.moved(f"s{number:03}:deploy", "waiting", 0.0))
    for name, status in (("s160", "running"), ("s170", "running"), ("s005", "failed"), ("s190", "ready")):
        event = story.moved(f"{name}:deploy", "running", 0.0)
        picture = fold(fold(picture, event), story.moved(f"{name}:deploy", status, 0.0))  # type: ignore[arg-type]  # words of the list above
    return picture


def test_of_two_hundred_services_those_are_shown_that_move_or_failed(story: Story) -> None:
    lines = drawn(large(story), height=10)

    assert len(lines) == 9
    assert [line.split()[2] for line in lines[1:-1]] == ["db", "migrate", "api", "s005", "s160", "s170", "s190"]
    assert lines[-1] == "150 of 200 done, 1 failed  (193 more than fit here)"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (5, 2), (10, 3), (20, 4), (33, 5), (80, 6), (200, 300)])
def test_no_window_is_too_small_and_no_line_too_wide(story: Story, width: int, height: int) -> None:
    lines = drawn(large(story), width=width, height=height)

    assert len(lines) <= max(3, height)
    assert all(len(line) <= width for line in lines)


def test_a_long_name_leaves_room_for_what_is_said(story: Story) -> None:
    picture = folded(story.begin(), [story.moved(f"{'n' * 60}:deploy", "running")])

    assert f"{'n' * 31}…  starting" in drawn(picture)[5]


def test_the_view_draws_until_it_is_left_and_keeps_the_last_frame(story: Story) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=60, height=12, _environ={})

    with LiveView(lambda: 105.0, console=console) as view:
        time.sleep(0.2)  # frames before there is anything to show
        view.show(on_its_way(story))
        view.say("\x1b[31mdb: a word\x1b[0m that stays")
        view.show(folded(on_its_way(story), [RunEnded(status="succeeded", at=108.0)]))

    text = file.getvalue()
    assert "that stays" in text
    assert text.rindex("succeeded") > text.index("that stays")


def test_without_a_console_the_view_takes_the_terminal() -> None:
    assert isinstance(LiveView(lambda: 0.0).console, Console)


def test_a_run_that_came_of_another_says_so_in_its_head(story: Story) -> None:
    because = Because(kind="rollback", run=RunId("r-failed"), plan=RunId("r-good"))
    picture = story.begin(because=because)

    assert drawn(picture, width=100)[0] == (
        "shop/stg  running  5.0s  on docker  run r8f2  rollback to r-good after r-failed"
    )
