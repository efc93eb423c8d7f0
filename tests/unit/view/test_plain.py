# SPDX-License-Identifier: Apache-2.0
from collections.abc import Iterable

from fleetflow_tasks.engine.model import AnyEvent, Because, Noted, RunEnded, RunEnding, RunId, RunQueued, RunStarted
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.view.fold import Picture, fold
from fleetflow_tasks.view.plain import Plain
from tests.golden import golden
from tests.unit.view.conftest import Story, folded


def told(picture: Picture, events: Iterable[AnyEvent], *, colour: bool = False, here: bool = False) -> list[str]:
    plain = Plain(colour=colour, here=here)
    lines: list[str] = []
    for event in events:
        picture = fold(picture, event)
        lines += plain.lines(picture, event)
    return lines


def test_it_begins_with_what_runs_and_how_much_of_it(story: Story) -> None:
    assert Plain().begin(story.begin()) == ["run r8f2 of shop/stg: 4 services, 10 steps"]
    assert Plain().begin(story.begin("queued", ahead=1, started=None)) == [
        "run r8f2 of shop/stg: 4 services, 10 steps, queued, 1 run ahead"
    ]
    assert Plain().begin(story.begin("queued", started=None)) == ["run r8f2 of shop/stg: 4 services, 10 steps, queued"]


def test_a_run_that_is_on_its_way_says_how_far_it_is(story: Story) -> None:
    picture = folded(story.begin(), story.well("stage:prepare"))

    assert Plain().begin(picture) == ["run r8f2 of shop/stg: 4 services, 10 steps, 1 done"]


def test_a_good_run_is_told_in_its_meaningful_moves(story: Story) -> None:
    events: list[AnyEvent] = [
        RunStarted(generation=1, **story.stamp(0.0)),
        *story.well("stage:prepare", "network made", after=0.2),
        story.moved("db:prepare", "ready", 0.0, attempt=0),
        *story.well("db:prepare", "nothing to do", changed=False),
        *story.well("migrate:prepare", "pulled 12 MB"),
        story.moved("db:deploy", "ready", 0.0, attempt=0),
        *story.well("db:deploy", after=10.1),
        *story.well("migrate:deploy", "ready"),
        *story.well("api:deploy", "unchanged", changed=False),
        story.moved("web:deploy", "running", worker=None),
        story.moved("web:deploy", "succeeded"),
        *story.well("stage:prune", "nothing to prune", changed=False),
        RunEnded(status="succeeded", **story.stamp()),
    ]

    assert told(story.begin(), events) == [
        " 0.0s  run started",
        " 0.2s  stage: prepared, network made (0.2s)",
        " 2.2s  migrate: prepared, pulled 12 MB (1.0s)",
        " 2.2s  db: deploy started (worker host1)",
        "12.3s  db: ready, started (10.1s)",
        "12.3s  migrate: deploy started (worker host1)",
        "13.3s  migrate: ready (1.0s)",
        "13.3s  api: deploy started (worker host1)",
        "14.3s  api: unchanged (1.0s)",
        "15.3s  web: deploy started",
        "16.3s  web: ready (1.0s)",
    ]


def test_a_failure_and_what_follows_from_it_are_told_in_a_line_each_since_the_end_says_more(story: Story) -> None:
    events: list[AnyEvent] = [
        story.moved("db:deploy", "running"),
        story.badly("db:deploy", "exited with 1", cause=("last words",), fix="mend it"),
        story.moved("api:deploy", "skipped", 0.0),
        story.moved("web:deploy", "cancelled", 0.0),
        story.moved("stage:prune", "skipped", 0.0),
        story.moved("db:prepare", "skipped", 0.0),
        story.moved("db:prepare", "waiting", 0.0),
        RunEnding(reason="failed", **story.stamp()),
        RunEnding(reason="cancelled", **story.stamp()),
    ]

    assert told(story.begin(), events) == [
        " 1.0s  db: deploy started (worker host1)",
        " 2.0s  db:deploy failed on docker, not tried again: exited with 1",
        " 2.0s  api: deploy skipped, because of db:deploy",
        " 2.0s  web: deploy cancelled",
        " 2.0s  db: prepare skipped",
        " 3.0s  run is failing: no new steps, waiting for those that run",
        " 4.0s  run is being cancelled: no new steps, waiting for those that run",
    ]


def test_it_knows_whose_failure_it_told_last_and_whether_anything_was_told_since(story: Story) -> None:
    plain, picture = Plain(), story.begin()
    seen = []
    for event in (story.badly("db:deploy"), story.moved("db:prepare", "waiting"), story.moved("api:deploy", "skipped")):
        picture = fold(picture, event)
        plain.lines(picture, event)
        seen.append(plain.failed)

    assert seen == ["db:deploy", "db:deploy", None]


def test_a_step_that_is_tried_again_says_when_and_why(story: Story) -> None:
    problem = Problem(code="x", message="the registry did not answer")
    events: list[AnyEvent] = [
        story.moved("db:prepare", "running"),
        story.moved("db:prepare", "delayed", due=story.at + 5.0, problem=problem),
        story.moved("db:prepare", "ready"),
        story.moved("db:prepare", "running", attempt=2),
        story.moved("db:prepare", "delayed", attempt=2),
    ]

    assert told(story.begin(), events) == [
        " 2.0s  db: prepare is tried again in 4.0s: the registry did not answer",
        " 4.0s  db: prepare started (worker host1, attempt 2)",
        " 5.0s  db: prepare is tried again",
    ]


def test_a_step_whose_worker_is_gone_goes_to_another(story: Story) -> None:
    events: list[AnyEvent] = [story.moved("db:deploy", "running"), story.moved("db:deploy", "ready", losses=1)]

    assert told(story.begin(), events)[1:] == [" 2.0s  db: deploy lost its worker, another takes it"]


def test_a_step_that_a_worker_gives_back_goes_to_another_too(story: Story) -> None:
    events: list[AnyEvent] = [story.moved("db:deploy", "running"), story.moved("db:deploy", "ready")]

    assert told(story.begin(), events)[1:] == [" 2.0s  db: deploy was given back by its worker, another takes it"]


def test_a_run_in_this_very_process_names_no_worker(story: Story) -> None:
    events: list[AnyEvent] = [story.moved("db:deploy", "running"), story.moved("db:deploy", "running", attempt=2)]

    assert told(story.begin(), events, here=True) == [
        " 1.0s  db: deploy started",
        " 2.0s  db: deploy started (attempt 2)",
    ]


def test_progress_is_told_now_and_then_so_that_a_long_pull_does_not_look_dead(story: Story) -> None:
    events: list[AnyEvent] = [
        story.moved("db:prepare", "running"),
        story.progress("db:prepare", "pulling 1 MB", after=5.0),
        story.progress("db:prepare", "pulling 2 MB", after=10.0),
        story.progress("db:prepare", "pulling 3 MB", after=14.0),
        story.progress("db:prepare", "pulling 4 MB", after=1.0),
        story.progress("stage:prune", "removing"),
    ]

    assert told(story.begin(), events) == [
        "16.0s  db: pulling 2 MB",
        "31.0s  db: pulling 4 MB",
        "32.0s  stage: removing",
    ]


def test_a_queued_run_and_notes_are_told(story: Story) -> None:
    note = Problem(code="x", message="no worker serves docker", severity="warning", fix="start one")
    events: list[AnyEvent] = [
        RunQueued(ahead=2, **story.stamp()),
        Noted(problem=note, **story.stamp()),
        Noted(problem=note, step=StepId("db:deploy"), **story.stamp()),
    ]

    assert told(story.begin("queued", started=None), events) == [
        " 2.0s  queued, 2 runs ahead",
        " 3.0s  warning: no worker serves docker",
        "         fix: start one",
        " 4.0s  db:deploy: warning: no worker serves docker",
        "         fix: start one",
    ]


def test_colours_change_nothing_but_colours(story: Story) -> None:
    lines = told(story.begin(), story.well("db:deploy"), colour=True)

    assert lines[1] == "\x1b[2m 1.0s\x1b[0m  db: \x1b[32mready\x1b[0m, started (1.0s)"


def test_the_log_of_a_run_in_ci(story: Story) -> None:
    busy = Problem(code="x", message="the registry said 500")
    begun = story.begin("queued", ahead=1, started=None)
    events: list[AnyEvent] = [
        RunStarted(generation=1, **story.stamp(0.0)),
        *story.well("stage:prepare", "made network shop-stg", after=0.2),
        story.moved("db:prepare", "running", 0.0),
        *(
            story.progress("db:prepare", f"pulling {n} of 120 MB", after=10.0, current=n, total=120.0)
            for n in (40, 80, 120)
        ),
        story.moved("db:prepare", "delayed", 1.0, due=story.at + 3.0, problem=busy),
        story.moved("db:prepare", "running", 2.0, attempt=2),
        *story.well("db:deploy", after=75.0),
        story.moved("migrate:deploy", "running", 0.0),
        story.badly("migrate:deploy", "job `migrate` failed: it ended with exit code 3"),
        story.moved("api:deploy", "skipped", 0.0),
        story.moved("web:deploy", "skipped", 0.0),
        RunEnded(status="failed", **story.stamp()),
    ]

    golden("ci-log", "\n".join([*Plain().begin(begun), *told(begun, events)]))


def test_views_load_neither_redis_nor_what_draws_for_others() -> None:
    import subprocess
    import sys

    program = (
        "import sys, fleetflow_tasks.view.plain, fleetflow_tasks.view.summary, fleetflow_tasks.view.tables,"
        " fleetflow_tasks.view.jsonl, fleetflow_tasks.view.graph, fleetflow_tasks.view.logs, fleetflow_tasks.view.problems,"
        " fleetflow_tasks.view.live, fleetflow_tasks.view.changes;"
        "print([name for name in ('redis', 'celery', 'cryptography', 'jinja2') if name in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_run_whose_time_is_over_says_so(story: Story) -> None:
    ending = RunEnding(reason="timeout", **story.stamp())
    picture = fold(story.begin(), ending)

    assert Plain().lines(picture, ending) == [" 1.0s  run has had its time: no new steps, waiting for those that run"]


def test_a_run_that_came_of_another_says_so_at_its_beginning(story: Story) -> None:
    picture = story.begin(because=Because(kind="retry", run=RunId("r-before")))

    assert Plain().begin(picture) == ["run r8f2 of shop/stg: 4 services, 10 steps (retry of r-before)"]
