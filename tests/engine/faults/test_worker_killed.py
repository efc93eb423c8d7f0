# SPDX-License-Identifier: Apache-2.0
"""`kill -9` of a worker, in each state that a step can be in; and a step that kills whoever takes it.

A lost worker is replaced by the first pass after the end of its lease; a hint that died with it is sent again by the
second pass after it. With a pass each second and a lease of 30 s that is a lease and a second, and two seconds.
"""

from collections.abc import Sequence
from functools import partial

from fleetflow_tasks.engine.model import MAX_LOSSES
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.faults.bed import MARGIN, PAIR, WEB, Bed, Worker, killed


def test_a_worker_killed_with_a_hint_in_its_hands_costs_two_passes(bed: Bed) -> None:
    first = bed.worker(pause="before_claim:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "before_claim")

    killed(first)
    bed.worker()

    assert [bed.passes.make(), bed.passes.make()] == ["", "db:deploy"]
    assert bed.ended(run) == "succeeded"
    assert bed.moves(run) == "ready running succeeded"
    assert bed.counts() == "begin 1, end 1, made 1"


def test_a_hint_that_no_worker_has_fetched_waits_for_the_next(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(deaf=60))
    first = bed.worker("slots=1")
    busy = bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))
    waiting = bed.submit(WEB)

    killed(first)
    bed.world.behave()
    bed.worker()

    assert bed.ended(waiting) == "succeeded"
    assert bed.moves(waiting, "web:deploy") == "ready running succeeded"
    assert bed.passes.around(bed.lease_end(busy)) == ("", "db:deploy")
    assert bed.ended(busy) == "succeeded"


def test_a_worker_killed_with_a_claim_is_replaced_at_the_end_of_its_lease(bed: Bed) -> None:
    first = bed.worker(pause="after_claim:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "after_claim")

    killed(first)
    bed.worker()

    assert bed.passes.around(bed.lease_end(run)) == ("", "db:deploy")
    assert bed.ended(run) == "succeeded"
    assert bed.moves(run) == "ready running ready running succeeded"
    assert bed.state(run, "db:deploy").losses == 1
    assert bed.counts() == "begin 1, end 1, made 1"


def test_a_worker_killed_in_a_call_is_replaced_at_the_end_of_its_lease(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(deaf=60))
    first = bed.worker()
    run = bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))

    killed(first)
    bed.world.behave()
    bed.worker()

    assert bed.passes.around(bed.lease_end(run)) == ("", "db:deploy")
    assert bed.ended(run) == "succeeded"
    assert bed.state(run, "db:deploy").losses == 1
    assert bed.counts() == "begin 2, end 1, made 1"


def test_what_a_killed_worker_had_done_is_found_by_the_next(bed: Bed) -> None:
    first = bed.worker(pause="before_finish:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "before_finish")

    killed(first)
    bed.worker()

    assert bed.passes.around(bed.lease_end(run)) == ("", "db:deploy")
    assert bed.ended(run) == "succeeded"
    assert bed.state(run, "db:deploy").losses == 1
    assert bed.counts() == "begin 2, end 2, made 1, found 1"


def test_the_hints_that_a_killed_worker_owed_are_sent_by_the_second_pass(bed: Bed) -> None:
    first = bed.worker(pause="after_finish:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "after_finish")

    killed(first)
    bed.worker()

    assert [bed.passes.make(), bed.passes.make()] == ["", "api:deploy"]
    assert bed.ended(run) == "succeeded"
    assert bed.moves(run) == "ready running succeeded"
    assert bed.counts() == "begin 1, end 1, made 1"


def test_a_step_that_kills_its_worker_three_times_fails_and_says_so(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(kill=MAX_LOSSES))
    victims = [bed.worker("slots=1") for _ in range(MAX_LOSSES)]
    run = bed.submit(PAIR)

    for died in range(1, MAX_LOSSES + 1):
        bed.passes.until(partial(dead, victims, died))
        bed.passes.make(at=bed.lease_end(run) + MARGIN)

    assert bed.ended(run) == "failed"
    assert bed.problem(run, "db:deploy") == f"its worker died {MAX_LOSSES} times"
    assert bed.statuses(run) == {"db:deploy": "failed", "api:deploy": "skipped"}
    assert bed.counts() == f"begin {MAX_LOSSES}"


def test_a_claim_whose_workers_die_before_they_begin_fails_after_three_as_well(bed: Bed) -> None:
    run = None
    for _ in range(MAX_LOSSES):
        victim = bed.worker(pause="after_claim:db:deploy")
        run = run or bed.submit(PAIR)
        bed.paused(victim, "after_claim")
        killed(victim)
        bed.passes.make(at=bed.lease_end(run) + MARGIN)

    assert run is not None
    assert bed.ended(run) == "failed"
    problem = bed.state(run, "db:deploy").problem
    assert problem is not None
    assert problem.cause[0].startswith("last: worker ")
    assert bed.counts() == ""


def dead(workers: Sequence[Worker], count: int) -> bool:
    return sum(worker.poll() is not None for worker in workers) == count
