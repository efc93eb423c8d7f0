# SPDX-License-Identifier: Apache-2.0
import json
from typing import Any

from msgspec.structs import replace

from fleetflow_tasks.engine.model import RunStatus, Snapshot, WorkerId
from fleetflow_tasks.view.cancelling import as_json, is_over, text
from tests.unit.view.conftest import Story


def at(story: Story, status: RunStatus, *running: str, worker: str | None = "host1:42:x") -> Snapshot:
    taken = story.snapshot(status)
    told: dict[str, Any] = {"status": "running", "worker": WorkerId(worker) if worker else None}
    return replace(taken, steps=tuple(replace(step, **told) if step.step in running else step for step in taken.steps))


def test_a_cancelled_run_says_what_is_told_to_stop_and_how_soon(story: Story) -> None:
    before, after = at(story, "running", "db:deploy"), at(story, "ending", "db:deploy")

    assert text(before, after, now=False) == (
        "run r8f2 of shop/stg is being cancelled: db:deploy on host1 is told to stop within 5 s\n"
        "not to wait for that: flow cancel r8f2 --now"
    )
    two = at(story, "ending", "db:deploy", "migrate:deploy")
    assert "db:deploy on host1, migrate:deploy on host1 are told to stop within 5 s" in text(before, two, now=False)
    assert not is_over(after)


def test_a_run_that_nothing_holds_up_is_cancelled_at_once(story: Story) -> None:
    before, after = at(story, "queued"), at(story, "cancelled")

    assert text(before, after, now=False) == "run r8f2 of shop/stg is cancelled"
    assert text(before, after, now=True) == "run r8f2 of shop/stg is cancelled"
    assert is_over(after)


def test_what_was_taken_from_workers_is_named_with_what_may_come_of_it(story: Story) -> None:
    before, after = at(story, "running", "db:deploy", worker=None), at(story, "cancelled")

    assert text(before, after, now=True) == (
        "run r8f2 of shop/stg is cancelled; taken from their workers: db:deploy\n"
        "what they were in the middle of may still land, so the stage's next run begins 55 s later at most"
    )


def test_a_run_that_ends_only_in_a_moment_waits_for_its_workers_answer(story: Story) -> None:
    assert text(at(story, "running"), at(story, "ending"), now=True) == (
        "run r8f2 of shop/stg is being cancelled: it waits for the answer of its workers"
    )


def test_a_run_that_was_cancelled_before_is_said_to_be(story: Story) -> None:
    over = at(story, "cancelled")

    assert text(over, over, now=True) == "run r8f2 of shop/stg is cancelled already"


def test_a_cancel_is_json_too(story: Story) -> None:
    told = json.loads(as_json(at(story, "ending", "db:deploy")))

    assert (told["type"], told["status"], told["running"]) == ("cancel", "ending", ["db:deploy"])
