# SPDX-License-Identifier: Apache-2.0
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import (
    FOLLOWS,
    STEP_ENDS,
    AnyEvent,
    EventId,
    Noted,
    Run,
    RunEnded,
    RunEnding,
    RunId,
    RunQueued,
    RunStarted,
    Snapshot,
    StepMoved,
    StepState,
    StepStatus,
)
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.view.fold import (
    Picture,
    action_of,
    blamed,
    counts,
    fold,
    rows,
    service_of,
    start,
    tries,
    waits_for_somebody,
)
from tests.unit.view.conftest import Story, folded

RUN = Run(id=RunId("r"), project=ProjectName("shop"), stage=StageName("stg"), status="running", generation=1)


def seen(picture: Picture) -> list[str]:
    """The rows as text: who, in which state, and what is said."""
    return [f"{row.service or '(stage)'}: {row.state}{f', {row.text}' if row.text else ''}" for row in rows(picture)]


def test_before_anything_happens_each_waits_for_its_own(story: Story) -> None:
    assert seen(story.begin()) == [
        "(stage): waiting, waits for api, db, migrate and 1 more",
        "db: waiting",
        "migrate: waiting, waits for db",
        "api: waiting, waits for db, migrate",
        "web: waiting, waits for api",
    ]


def test_rows_keep_the_plans_order_whatever_the_snapshots_is(story: Story) -> None:
    snapshot = story.snapshot()
    needs = {step.id: tuple(need.step for need in step.needs) for step in story.plan.steps}
    shuffled = msgspec.structs.replace(snapshot, steps=tuple(sorted(snapshot.steps, key=lambda each: each.step[::-1])))

    assert seen(start(shuffled, needs)) == seen(story.begin())


def test_a_step_that_the_plan_does_not_know_comes_last(story: Story) -> None:
    picture = folded(story.begin(), [story.moved("late:deploy", "running")])
    snapshot = story.snapshot()
    extra = msgspec.structs.replace(
        snapshot, steps=(StepState(step=StepId("zz:deploy"), status="ready"), *snapshot.steps)
    )

    assert seen(picture)[-1] == "late: starting"
    assert seen(start(extra, {}))[-1] == "zz: queued, waits for a worker"


def test_a_service_is_seen_on_its_way_to_being_ready(story: Story) -> None:
    picture = story.begin()
    steps: list[AnyEvent] = [
        story.moved("db:prepare", "ready", attempt=0),
        story.moved("db:prepare", "running"),
        story.progress("db:prepare", "pulling 43 of 120 MB", current=43.0, total=120.0),
        story.well("db:prepare", "pulled 120 MB")[1],
        story.moved("db:deploy", "ready", attempt=0),
        story.moved("db:deploy", "running"),
        story.progress("db:deploy", "waits until healthy"),
        story.well("db:deploy")[1],
    ]
    told = []
    for event in steps:
        picture = fold(picture, event)
        told.append(seen(picture)[1])

    assert told == [
        "db: queued, waits for a worker",
        "db: preparing",
        "db: preparing, pulling 43 of 120 MB",
        "db: prepared",
        "db: queued, waits for a worker",
        "db: starting",
        "db: starting, waits until healthy",
        "db: ready, started",
    ]
    assert counts(picture) == {"ready": 1, "waiting": 3}


def test_a_prepared_service_says_what_else_it_waits_for(story: Story) -> None:
    picture = folded(story.begin(), story.well("api:prepare"))

    assert seen(picture)[3] == "api: prepared, waits for db, migrate"


def test_the_stages_own_steps_are_waited_for_by_id(story: Story) -> None:
    needs = {StepId("db:remove"): (StepId("stage:prepare"),)}
    snapshot = msgspec.structs.replace(
        story.snapshot(),
        steps=tuple(StepState(step=step, status="waiting") for step in (*needs, StepId("stage:prepare"))),
    )

    assert seen(start(snapshot, needs))[1] == "db: waiting, waits for stage:prepare"


def test_progress_is_shown_with_its_numbers_while_the_step_runs(story: Story) -> None:
    picture = folded(
        story.begin(),
        [story.moved("db:prepare", "running"), story.progress("db:prepare", "pulling", current=1.0, total=4.0)],
    )
    row = rows(picture)[1]
    assert (row.current, row.total) == (1.0, 4.0)

    picture = folded(picture, [story.moved("db:prepare", "ready")])
    assert rows(picture)[1].current is None


def test_what_was_there_already_is_unchanged(story: Story) -> None:
    picture = folded(story.begin(), story.up("db", "unchanged", changed=False))

    assert seen(picture)[1] == "db: unchanged, unchanged"


def test_a_success_without_words_is_a_success(story: Story) -> None:
    picture = folded(story.begin(), [*story.well("db:prepare"), story.moved("db:deploy", "succeeded")])

    assert seen(picture)[1] == "db: ready"


def test_a_failure_is_seen_and_what_is_skipped_says_for_whose_sake(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            story.moved("migrate:prepare", "running"),
            story.badly("migrate:prepare"),
            *(story.moved(f"{name}:deploy", "skipped", attempt=0) for name in ("migrate", "api", "web")),
            story.moved("stage:prune", "skipped", attempt=0),
        ],
    )

    assert seen(picture) == [
        "(stage): skipped, because migrate:prepare failed",
        "db: waiting",
        "migrate: failed, the image does not exist",
        "api: skipped, because migrate:prepare failed",
        "web: skipped, because migrate:prepare failed",
    ]
    assert blamed(picture, StepId("web:deploy")) == ("migrate:prepare",)


def test_a_failure_without_words_is_still_one(story: Story) -> None:
    picture = folded(story.begin(), [story.moved("db:prepare", "failed"), story.moved("api:deploy", "delayed")])

    assert seen(picture)[1::2] == ["db: failed", "api: retrying"]


def test_a_skipped_step_may_have_nobody_to_blame(story: Story) -> None:
    picture = folded(story.begin(), [story.moved("db:prepare", "skipped"), story.moved("db:deploy", "skipped")])

    assert seen(picture)[1] == "db: skipped"


def test_each_way_to_a_failure_is_walked_once(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            story.badly("db:deploy"),
            *(story.moved(f"{name}:deploy", "skipped") for name in ("migrate", "api", "web")),
            story.moved("web:prepare", "cancelled"),
        ],
    )

    assert blamed(picture, StepId("web:deploy")) == ("db:deploy", "web:prepare")
    assert blamed(picture, StepId("api:deploy")) == ("db:deploy",)


def test_a_delayed_step_says_why_it_is_tried_again(story: Story) -> None:
    problem = Problem(code="x", message="the registry did not answer")
    picture = folded(story.begin(), [story.moved("db:prepare", "delayed", problem=problem, due=200.0)])

    assert seen(picture)[1] == "db: retrying, the registry did not answer"


def test_cancelled_and_removed_are_seen(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            story.moved("db:deploy", "cancelled"),
            *story.well("old:remove", "removed"),
            story.moved("older:remove", "running"),
            story.moved("stage:prune", "running"),
        ],
    )

    assert seen(picture)[0] == "(stage): removing"
    assert seen(picture)[1] == "db: cancelled"
    assert seen(picture)[-2:] == ["old: removed, removed", "older: removing"]


def test_a_row_tells_how_long_somebody_was_at_work_on_it_and_not_how_long_it_waited(story: Story) -> None:
    picture = folded(
        story.begin(),
        [
            *story.well("db:prepare", after=2.0),
            story.progress("db:prepare", "-", after=30.0),
            *story.well("db:deploy", after=3.0),
        ],
    )

    assert rows(picture)[1].took == 5.0


def test_a_row_tells_since_when_it_does_what_it_does(story: Story) -> None:
    prepared = folded(story.begin(), story.well("db:prepare", after=2.0))
    ready = folded(prepared, [story.moved("db:deploy", "ready", after=1.0, attempt=0)])
    running = folded(ready, [story.moved("db:deploy", "running", after=4.0)])

    assert (rows(ready)[1].since, rows(running)[1].since) == (103.0, 107.0)
    assert rows(story.begin())[1].since is None


@pytest.mark.parametrize(("queue", "waits"), [("docker", True), ("local.1", False)])
def test_ready_steps_wait_for_somebody_else_unless_this_process_carries_them_out(
    story: Story, queue: str, waits: bool
) -> None:
    begun = story.begin(queue=queue)
    ready = folded(begun, [story.moved("db:deploy", "ready", attempt=0)])

    assert not waits_for_somebody(begun)
    assert waits_for_somebody(ready) == waits
    assert waits_for_somebody(story.begin("queued", ahead=1))


def test_the_run_moves_as_its_events_say(story: Story) -> None:
    picture = story.begin("queued", started=None)
    told = []
    for event in (
        RunQueued(ahead=2, actor="ann", **story.stamp()),
        RunQueued(ahead=1, **story.stamp()),
        RunStarted(generation=7, **story.stamp()),
        RunEnding(reason="cancelled", **story.stamp()),
        RunEnded(status="cancelled", problem=Problem(code="x", message="ann said so"), **story.stamp()),
    ):
        picture = fold(picture, event)
        told.append((picture.run.status, picture.run.ahead, picture.run.actor, picture.elapsed(), picture.ended))

    assert told == [
        ("queued", 2, "ann", 2.0, False),
        ("queued", 1, "ann", 3.0, False),
        ("running", 0, "ann", 0.0, False),
        ("ending", 0, "ann", 1.0, False),
        ("cancelled", 0, "ann", 2.0, True),
    ]
    assert picture.run.generation == 7
    assert picture.run.problem == Problem(code="x", message="ann said so")
    assert picture.elapsed(now=999.0) == 2.0
    assert fold(picture, RunEnded(status="failed")).run.problem == picture.run.problem


def test_elapsed_follows_the_time_that_is_given(story: Story) -> None:
    assert story.begin().elapsed(now=104.5) == 4.5


def test_notes_are_kept_the_newest_last_and_not_for_ever(story: Story) -> None:
    picture = story.begin()
    for number in range(60):
        picture = fold(picture, Noted(problem=Problem(code="x", message=str(number), severity="note"), **story.stamp()))

    assert [note.problem.message for note in picture.notes] == [str(number) for number in range(10, 60)]


def test_an_event_that_is_counted_in_changes_nothing(story: Story) -> None:
    event = story.moved("db:deploy", "running")
    picture = fold(story.begin(), event)

    assert fold(picture, event) is picture
    assert fold(picture, msgspec.structs.replace(event, id="1-0")) is picture


def test_ids_are_compared_as_numbers(story: Story) -> None:
    picture = fold(story.begin(), msgspec.structs.replace(story.moved("db:deploy", "running"), id="100000-9"))

    assert fold(picture, msgspec.structs.replace(story.moved("db:deploy", "failed"), id="100000-10")) is not picture
    assert fold(picture, msgspec.structs.replace(story.moved("db:deploy", "failed"), id="99999")) is picture


def test_an_event_without_id_always_counts(story: Story) -> None:
    picture = fold(story.begin(), msgspec.structs.replace(story.moved("db:deploy", "running"), id=""))

    assert picture.steps[StepId("db:deploy")].status == "running"
    assert picture.last == "1-0"


def test_lost_and_given_back_attempts_are_no_tries(story: Story) -> None:
    picture = folded(story.begin(), [story.moved("db:deploy", "running", attempt=5, losses=2, releases=1)])

    assert tries(picture.steps[StepId("db:deploy")]) == 2
    assert rows(picture)[1].tries == 2


@pytest.mark.parametrize(
    ("step", "service", "action"),
    [
        ("api:deploy", "api", "deploy"),
        ("stage:prepare", None, "prepare"),
        ("stage:prune.docker", None, "prune"),
        ("a.b_c:remove", "a.b_c", "remove"),
    ],
)
def test_an_id_says_which_service_and_what_is_done(step: str, service: str | None, action: str) -> None:
    assert (service_of(StepId(step)), action_of(StepId(step))) == (service, action)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[StepStatus, dict[str, Any]]]:
    """Any way that a step may take by the table of moves."""
    status: StepStatus = "waiting"
    way = []
    for _ in range(draw(st.integers(0, 12))):
        if status in STEP_ENDS:
            break
        status = draw(st.sampled_from(sorted(FOLLOWS[status])))
        way.append((status, {"attempt": draw(st.integers(0, 9)), "fence": draw(st.integers(0, 9))}))
    return way


@given(histories())
def test_any_way_a_step_may_take_ends_where_its_last_event_says(
    history: list[tuple[StepStatus, dict[str, Any]]],
) -> None:
    picture = start(Snapshot(run=RUN, steps=(), last=EventId("0-0")), {})
    for number, (status, fields) in enumerate(history):
        picture = fold(picture, StepMoved(step=StepId("db:deploy"), status=status, at=float(number), **fields))

    for status, fields in history[-1:]:
        state = picture.steps[StepId("db:deploy")]
        assert (state.status, state.since) == (status, len(history) - 1)
        assert {"attempt": state.attempt, "fence": state.fence} == fields
        assert len(rows(picture)) == 1
