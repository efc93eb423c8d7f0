# SPDX-License-Identifier: Apache-2.0
"""A run as it is told afterwards, from its record alone."""

import json
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from fleetflow_tasks.engine.model import (
    AnyEvent,
    Because,
    RunId,
    RunStatus,
    StepMoved,
    StepProgressed,
    StepState,
    WorkerId,
)
from fleetflow_tasks.engine.record import Record, Version
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.codec import Readable
from fleetflow_tasks.plan.compare import compare
from fleetflow_tasks.plan.model import Plan, Step, StepId
from fleetflow_tasks.view import version
from fleetflow_tasks.view.fold import fold
from fleetflow_tasks.view.show import Spent, as_json, screen, spent
from tests.golden import golden
from tests.unit.view.conftest import Story
from tests.unit.view.test_because import run


def record(story: Story, events: Iterable[AnyEvent] = (), status: RunStatus = "running", **fields: Any) -> Record:
    """The record of a run to which *events* happened. run: fields of the run; the others are the record's own."""
    of_run = {"whole": True, "actor": "ann@laptop", "submitted": 99.0, **fields.pop("run", {})}
    happened = tuple(events)
    picture = story.begin(status, **of_run)
    for event in happened:
        picture = fold(picture, event)
    snapshot = replace(story.snapshot(status, **of_run), steps=tuple(picture.steps.values()), run=picture.run)
    readable = Readable(services=tuple(each.name for each in story.plan.services), steps=story.plan.steps)
    given = {"readable": readable, "now": 200.0, "plan": story.plan, "events": happened, **fields}
    return Record(snapshot=snapshot, **given)


def ended(story: Story) -> list[AnyEvent]:
    """`db` well at the second try, `migrate` badly, the rest left."""
    return [
        story.moved("stage:prepare", "ready", 0.0, attempt=0),
        *story.well("stage:prepare", "made network"),
        *story.well("db:prepare", "created", after=0.5),
        story.moved("db:deploy", "ready", 0.0, attempt=0),
        story.moved("db:deploy", "running", 1.0),
        story.moved("db:deploy", "delayed", 2.0, due=110.0, problem=Problem(code="x", message="it was busy")),
        story.moved("db:deploy", "ready", 3.0),
        story.moved("db:deploy", "running", 0.5, attempt=3, losses=1, worker=WorkerId("host2:7:y")),
        story.moved("db:deploy", "succeeded", 1.0, attempt=3, losses=1, releases=0, worker=WorkerId("host2:7:y")),
        story.moved("migrate:deploy", "running", 0.0),
        story.badly("migrate:deploy", "it ended with exit code 3", after=1.5),
        *(story.moved(f"{name}:deploy", "skipped", 0.0, attempt=0) for name in ("api", "web")),
    ]


def changed(plan: Plan) -> Plan:
    return replace(
        plan,
        services=tuple(
            replace(each, image="x:2") if each.name == "api" else each for each in plan.services if each.name != "web"
        ),
    )


def test_a_run_is_told_from_who_began_it_to_what_it_changed(story: Story) -> None:
    told = record(
        story,
        ended(story),
        "failed",
        run={"ended": 110.0, "note": "commit 1a2b on main", "because": Because(kind="retry", run=RunId("r-before"))},
        undone=run("r-undo"),
        before=run("r-good", submitted=80.0, ended=82.0),
        differences=compare(changed(story.plan), story.plan),
    )

    assert screen(told).splitlines() == [
        "run r8f2 of shop/stg: failed in 10.0s, 1m ago",
        "1 service deployed, 1 failed, 2 skipped",
        "",
        "by         ann@laptop",
        "from       commit 1a2b on main",
        "because    retry of r-before",
        "submitted  1970-01-01 00:01:39 UTC, began 1.0s later",
        "undone by  run r-undo, succeeded",
        "plan       4 services on docker, 10 steps",
        "",
        "SERVICE  IMAGE",
        "api      x:1",
        "db       x:1",
        "migrate  x:1",
        "web      x:1",
        "",
        "STEP             STATUS     WAITED  RAN   WORKER  AFTER",
        "stage:prepare    succeeded  0.0s    1.0s  -       -",
        "db:prepare       succeeded  -       0.5s  -       -",
        "migrate:prepare  waiting    -       -     -       -",
        "api:prepare      waiting    -       -     -       -",
        "web:prepare      waiting    -       -     -       -",
        "db:deploy        succeeded  1.5s    3.0s  host2   -            2 tries, 1 lost worker",
        "migrate:deploy   failed     -       1.5s  -       db",
        "api:deploy       skipped    -       -     -       db, migrate",
        "web:deploy       skipped    -       -     -       api",
        "stage:prune      waiting    -       -     -       all others",
        "",
        "migrate:deploy failed on docker, not tried again: it ended with exit code 3",
        "",
        "differs from the plan of run r-good, which succeeded 1m ago:",
        "~ api",
        "    image: x:2 -> x:1",
        "+ web",
        "= 2 unchanged",
    ]


def test_times_are_sums_over_all_attempts(story: Story) -> None:
    times = spent(record(story, [*ended(story), story.progress("db:deploy", "late words")]))

    assert times[StepId("db:deploy")] == Spent(waited=1.5, ran=3.0)
    assert times[StepId("api:deploy")] == Spent()


def test_a_step_that_still_runs_has_run_until_now(story: Story) -> None:
    times = spent(record(story, [story.moved("db:deploy", "running")]))

    assert times[StepId("db:deploy")] == Spent(ran=99.0)


def test_where_the_events_are_gone_the_last_attempts_times_must_do(story: Story) -> None:
    told = replace(record(story, [story.moved("db:deploy", "running", 5.0), *story.well("db:prepare")]), events=())

    times = spent(told)

    assert times[StepId("db:deploy")] == Spent(ran=95.0)
    assert times[StepId("db:prepare")] == Spent(ran=1.0)
    assert times[StepId("web:deploy")] == Spent()


def test_a_run_in_line_says_how_many_are_before_it_and_when_its_time_is_over(story: Story) -> None:
    told = record(
        story,
        status="queued",
        run={"ahead": 2, "started": None, "deadline": 300.0, "rollback": True, "actor": ""},
    )

    assert screen(told).splitlines()[:7] == [
        "run r8f2 of shop/stg: queued, 2 runs ahead",
        "",
        "submitted  1970-01-01 00:01:39 UTC",
        "ends by    1970-01-01 00:05:00 UTC",
        "undone by  the stage's last good run, by itself, should it fail",
        "plan       4 services on docker, 10 steps",
        "",
    ]


def test_a_rollback_that_is_still_to_come_is_told_and_one_that_cannot_be_says_why(story: Story) -> None:
    to_come = screen(record(story, status="failed", run={"rollback": True, "ended": 110.0}))
    none = Problem(code="no-rollback", message="not rolled back: nothing to go back to", severity="warning")
    never = screen(record(story, status="failed", run={"rollback": True, "ended": 110.0, "problem": none}))
    fine = screen(record(story, status="succeeded", run={"rollback": True, "ended": 110.0}))

    assert "undone by  no run yet: the stage waits for it" in to_come
    assert "undone by" not in never + fine
    assert "warning: not rolled back: nothing to go back to" in never


def test_a_run_that_goes_on_says_for_how_long_it_has(story: Story) -> None:
    assert screen(record(story)).splitlines()[:2] == [
        "run r8f2 of shop/stg: running for 1m 40s",
        "4 services not done yet",
    ]


def test_a_plan_that_cannot_be_opened_leaves_out_images_and_changes_and_says_why(story: Story) -> None:
    closed = Problem(code="plan-other-key", message="the plan was sealed with another key", fix="take that one")

    text = screen(record(story, plan=None, closed=closed))

    assert "IMAGE" not in text
    assert text.endswith("\n\nthe plan was sealed with another key\n  fix: take that one")


def test_a_plan_for_a_part_says_so_and_one_that_takes_down_too(story: Story) -> None:
    part = record(story, run={"whole": False})
    down = record(
        story,
        run={"whole": False},
        plan=replace(story.plan, services=()),
        readable=Readable(services=(), steps=story.plan.steps),
    )

    assert "plan       4 services on docker, 10 steps, a part of its stage" in screen(part)
    assert "plan       takes 4 services down on docker, 10 steps" in screen(down)


def test_a_step_that_is_tried_again_says_what_went_wrong(story: Story) -> None:
    again = story.moved("db:deploy", "delayed", problem=Problem(code="x", message="it was busy", fix="wait"))

    assert "db:deploy is tried again: it was busy\n  fix: wait" in screen(record(story, [again]))


def test_a_delayed_step_that_says_nothing_is_not_spoken_of(story: Story) -> None:
    assert "is tried again" not in screen(record(story, [story.moved("db:deploy", "delayed")]))


def test_what_is_wrong_with_the_run_itself_is_told(story: Story) -> None:
    timeout = Problem(code="run-timeout", message="not done after 5 s", fix="give it longer")

    assert "not done after 5 s\n  fix: give it longer" in screen(record(story, run={"problem": timeout}))


def test_the_screen_of_a_run_does_not_say_to_look_at_itself(story: Story) -> None:
    late = Problem(
        code="run-timeout",
        message="not done after 5 s",
        fix="give it longer (--timeout), or see what took so long: flow show r8f2",
    )
    undone = Problem(code="no-rollback", message="not rolled back", more="flow show r8f2")
    other = Problem(code="no-rollback", message="not rolled back", more="flow show r-other")

    assert screen(record(story, run={"problem": late})).endswith(
        "\n\nnot done after 5 s\n  fix: give it longer (--timeout)"
    )
    assert "flow show" not in screen(record(story, run={"problem": undone}))
    assert "more: flow show r-other" in screen(record(story, run={"problem": other}))


def test_a_run_that_changed_nothing_says_whose_plan_it_repeats(story: Story) -> None:
    same = compare(story.plan, story.plan)

    assert screen(record(story, before=run("r-good", ended=190.0), differences=same)).splitlines()[-2:] == [
        "the same as the plan of run r-good, which succeeded 10s ago:",
        "= 4 unchanged",
    ]


def test_several_workers_of_one_machine_are_told_apart(story: Story) -> None:
    events = [
        story.moved("db:prepare", "running", worker=WorkerId("host1:42:x")),
        story.moved("db:deploy", "running", worker=WorkerId("host1:43:y"), releases=1, attempt=2),
    ]

    lines = screen(record(story, events)).splitlines()

    assert next(line for line in lines if line.startswith("db:prepare")).split()[-2:] == ["host1:42", "-"]
    assert "host1:43  -            given back 1 time" in next(line for line in lines if line.startswith("db:deploy"))


@pytest.mark.parametrize(("name", "columns"), [("show-80", 80), ("show-200", 200), ("show-40", 40), ("show", None)])
def test_the_story_of_a_run_fits_the_window(story: Story, name: str, columns: int | None) -> None:
    golden(name, screen(record(story, ended(story)), columns=columns))


def test_the_story_of_a_run_in_colour(story: Story) -> None:
    golden("show-80-coloured", screen(record(story, ended(story)), columns=80, colour=True))


def test_a_run_whose_steps_are_forgotten_is_told_all_the_same(story: Story) -> None:
    bare = record(story, readable=Readable(services=(), steps=()), plan=None)
    told = replace(bare, snapshot=replace(bare.snapshot, steps=()))

    assert "STEP" not in screen(told)


def test_a_step_that_the_plan_does_not_hold_stands_there_without_its_needs(story: Story) -> None:
    bare = record(story, readable=Readable(services=(), steps=()), plan=None)
    told = replace(bare, snapshot=replace(bare.snapshot, steps=(StepState(step=StepId("x:deploy"), status="waiting"),)))

    assert "x:deploy  waiting  -       -    -       -" in screen(told)


def test_a_stage_without_services_has_nothing_after_all_others(story: Story) -> None:
    prune = Step(
        id=StepId("stage:prune"), action="prune", runtime=story.plan.steps[0].runtime, queue=story.plan.steps[0].queue
    )
    told = record(story, readable=Readable(services=(), steps=(prune,)))

    assert any(line.split() == ["stage:prune", "waiting", "-", "-", "-", "-"] for line in screen(told).splitlines())


def test_all_of_it_is_json_too_and_images_only_where_they_are_known(story: Story) -> None:
    told = json.loads(as_json(record(story, ended(story), undone=run("r-undo"), before=run("r-good"), differences=())))
    closed = json.loads(as_json(record(story, plan=None, closed=Problem(code="plan-other-key", message="no"))))

    assert (told["type"], told["undone_by"], told["before"]) == ("show", "r-undo", "r-good")
    assert told["services"][0] == {"service": "api", "image": "x:1"}
    step = next(each for each in told["steps"] if each["step"] == "db:deploy")
    assert (step["waited"], step["ran"], step["needs"], step["losses"]) == (1.5, 3.0, ["db:prepare"], 1)
    assert closed["services"][0] == {"service": "api", "image": None}
    assert (closed["closed"]["code"], closed["undone_by"], closed["before"]) == ("plan-other-key", None, None)


def test_a_rollback_says_which_run_comes_again_and_what_is_different_then(story: Story) -> None:
    found = Version(
        run=run("r-good", submitted=100.0, actor="ann@host", note="commit 1a2b"),
        last=run("r-last"),
        differences=compare(story.plan, changed(story.plan)),
        now=400.0,
    )

    assert version.text(found).splitlines() == [
        "shop/stg goes back to run r-good of ann@host, 5m ago, commit 1a2b",
        "~ api",
        "    image: x:1 -> x:2",
        "- web",
        "= 2 unchanged",
    ]
    told = json.loads(version.as_json(found))
    assert (told["type"], told["to"]["run"], told["from"]["run"]) == ("rollback-plan", "r-good", "r-last")


def test_a_rollback_from_a_plan_that_cannot_be_opened_says_that_changes_are_not_known(story: Story) -> None:
    found = Version(run=run("r-good", submitted=100.0), last=run("r-last"), differences=None, now=400.0)

    assert version.text(found).splitlines() == [
        "shop/stg goes back to run r-good, 5m ago",
        "what changes is not known: the plan of run r-last cannot be opened here",
    ]


def test_only_moves_take_time(story: Story) -> None:
    said = StepProgressed(step=StepId("db:deploy"), text="x", at=150.0)
    move = StepMoved(step=StepId("db:deploy"), status="running", at=150.0)

    assert spent(record(story, [move, said]))[StepId("db:deploy")] == Spent(ran=50.0)
