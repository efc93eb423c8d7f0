# SPDX-License-Identifier: Apache-2.0
"""A worker that sleeps (SIGSTOP) past the end of its lease and wakes up (SIGCONT), in each state that a step can be in.

It fences itself: before each change it asks whether its lease is over by its own clock, which counts sleep too. One call
that was on its way when it fell asleep may land; then the label of the generation, or what is there already, refuses it.
What it has to say of its step afterwards is not heard.
"""

import uuid

from fleetflow_tasks.engine.execute import Point
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.faults.bed import MARGIN, PAIR, Bed, asleep, awake


def test_a_worker_that_slept_with_a_claim_changes_nothing(bed: Bed) -> None:
    first = bed.worker(pause="after_claim:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "after_claim")

    asleep(first)
    bed.unpause(first, "after_claim")
    second = bed.worker()
    bed.wait_for_lease_end(run)
    assert bed.passes.make() == "db:deploy"
    assert bed.ended(run) == "succeeded"
    awake(first)

    bed.logged(first, "step.lost")
    assert bed.by(first) == "begin db:deploy, stopped db:deploy"
    assert bed.by(second).startswith("begin db:deploy, end db:deploy, made db:deploy")
    assert bed.moves(run) == "ready running ready running succeeded"


def test_a_call_that_lands_after_its_worker_slept_finds_the_work_done(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(landing=6))
    first = bed.worker()
    run = bed.submit(PAIR)
    bed.passes.until(lambda: bed.world.count("sent", "db:deploy"))

    asleep(first)
    bed.world.behave()
    bed.worker()
    bed.wait_for_lease_end(run)
    assert bed.passes.make() == "db:deploy"
    assert bed.ended(run) == "succeeded"
    awake(first)

    bed.logged(first, "step.lost")
    assert bed.by(first) == "begin db:deploy, end db:deploy, sent db:deploy, found db:deploy"
    assert bed.world.count("made", "db:deploy") == 1
    assert bed.moves(run) == "ready running ready running succeeded"


def test_a_call_of_a_cancelled_run_that_lands_late_does_not_change_what_the_next_run_made(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(landing=6))
    first = bed.worker()
    cancelled = bed.submit(PAIR)
    bed.passes.until(lambda: bed.world.count("sent", "db:deploy"))
    asleep(first)
    bed.world.behave()
    bed.store.cancel(cancelled, request=uuid.uuid4().hex)
    bed.worker()

    following = bed.submit(PAIR)
    end = bed.lease_end(cancelled)
    bed.wait_for_lease_end(cancelled)
    bed.passes.make()
    assert bed.ended(cancelled) == "cancelled"
    begins = end + bed.store.settle
    quiet = [bed.passes.make(at=begins - MARGIN), bed.passes.make(at=begins + MARGIN)]
    assert bed.ended(following) == "succeeded"
    awake(first)

    assert quiet == ["", "db:deploy"], "a call of the lost worker has its time to land"
    bed.logged(first, "step.lost")
    assert bed.by(first) == "begin db:deploy, end db:deploy, sent db:deploy, stale db:deploy"
    assert bed.moves(cancelled) == "ready running cancelled"
    assert bed.world.count("made", "db:deploy") == 1


def test_what_a_worker_says_of_its_step_after_it_slept_is_not_heard(bed: Bed) -> None:
    first = bed.worker(pause="before_finish:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "before_finish")

    asleep(first)
    bed.unpause(first, "before_finish")
    second = bed.worker()
    bed.wait_for_lease_end(run)
    assert bed.passes.make() == "db:deploy"
    assert bed.ended(run) == "succeeded"
    before = bed.store.snapshot(run)
    awake(first)

    bed.logged(first, "step.lost")
    assert bed.store.snapshot(run) == before
    assert str(bed.state(run, "db:deploy").worker).split(":")[1] == str(second.pid)
    assert bed.counts() == "begin 2, end 2, made 1, found 1"


def test_a_worker_that_wakes_up_while_another_is_at_its_step_does_not_end_it(bed: Bed) -> None:
    first = bed.worker(pause="before_finish:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "before_finish")

    asleep(first)
    bed.unpause(first, "before_finish")
    second = bed.worker(pause="after_claim:db:deploy")
    bed.wait_for_lease_end(run)
    assert bed.passes.make() == "db:deploy"
    bed.paused(second, "after_claim")
    awake(first)
    bed.logged(first, "step.lost")
    meanwhile = bed.moves(run)
    bed.unpause(second, "after_claim")

    assert meanwhile == "ready running ready running"
    assert bed.ended(run) == "succeeded"
    assert bed.moves(run) == "ready running ready running succeeded"


def test_a_worker_that_slept_and_was_not_missed_goes_on_where_it_was(bed: Bed) -> None:
    first = bed.worker(pause="after_claim:db:deploy before_finish:api:deploy")
    run = bed.submit(PAIR)
    held_at: list[tuple[Point, str]] = [("after_claim", "db:deploy"), ("before_finish", "api:deploy")]
    for point, step in held_at:
        bed.paused(first, point, step)
        asleep(first)
        bed.unpause(first, point, step)
        bed.wait_for_lease_end(run, step)
        awake(first)

    assert bed.ended(run) == "succeeded"
    assert [bed.moves(run, step.id) for step in PAIR.steps] == ["ready running succeeded"] * 2
    assert bed.log_of(first).count("step.lost") == 0


def test_the_hints_that_a_sleeping_worker_owes_are_sent_without_it_and_twice_is_as_good_as_once(bed: Bed) -> None:
    first = bed.worker(pause="after_finish:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "after_finish")

    asleep(first)
    bed.unpause(first, "after_finish")
    bed.worker()
    bed.passes.until(lambda: bed.world.count("made", "api:deploy"))
    awake(first)

    bed.logged(first, "step.ended")
    assert bed.ended(run) == "succeeded"
    assert bed.moves(run, "api:deploy") == "ready running succeeded"
    assert bed.counts("api:deploy") == "begin 1, end 1, made 1"
