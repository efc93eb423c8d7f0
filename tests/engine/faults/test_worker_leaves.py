# SPDX-License-Identifier: Apache-2.0
"""SIGTERM to a worker, in each state that a step can be in: what has begun no change is given back, the rest is ended.

Nothing here waits for a lease, and no loss is counted; what is given back, or left in the queue, goes to the next worker.
"""

from fleetflow_tasks.engine.execute import Point
from fleetflow_tasks.plan.model import QueueName
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.faults.bed import PAIR, WEB, Bed, Worker

DOCKER = QueueName("docker")


def test_a_worker_that_leaves_takes_no_more_hints(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(deaf=2))
    first = bed.worker("slots=1")
    bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))
    waiting = bed.submit(WEB)

    leaves(bed, first)

    assert first.wait(30) == 0
    assert bed.store.queue_length(DOCKER) == 2, "of the step that waited, and of the one that this worker made ready"
    assert bed.moves(waiting, "web:deploy") == "ready"
    bed.worker()
    assert bed.ended(waiting) == "succeeded"


def test_a_worker_that_leaves_with_a_hint_in_its_hands_begins_nothing(bed: Bed) -> None:
    first = bed.worker(pause="before_claim:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "before_claim")

    leaves(bed, first, "before_claim")

    assert first.wait(30) == 0
    assert "made" not in bed.counts()
    bed.worker()
    assert bed.ends(run) == "succeeded"
    assert bed.state(run, "db:deploy").losses == 0


def test_a_worker_that_leaves_gives_a_claim_back_at_once(bed: Bed) -> None:
    first = bed.worker(pause="after_claim:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "after_claim")

    leaves(bed, first, "after_claim")

    assert first.wait(30) == 0
    assert bed.moves(run) == "ready running ready"
    assert bed.store.queue_length(DOCKER) == 1, "the next worker is told; no pass is needed"
    bed.worker()
    assert bed.ended(run) == "succeeded"
    state = bed.state(run, "db:deploy")
    assert (state.attempt, state.losses, state.releases) == (2, 0, 1)


def test_a_worker_that_leaves_gives_back_a_step_that_only_waits(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    first = bed.worker()
    run = bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))

    leaves(bed, first)

    assert first.wait(30) == 0
    bed.world.behave()
    bed.worker()
    assert bed.ended(run) == "succeeded"
    state = bed.state(run, "db:deploy")
    assert (state.attempt, state.losses, state.releases) == (2, 0, 1)


def test_a_worker_that_leaves_ends_a_step_that_is_amid_its_changes(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(landing=2))
    first = bed.worker()
    run = bed.submit(PAIR)
    bed.passes.until(lambda: bed.world.count("sent", "db:deploy"))

    leaves(bed, first)

    assert first.wait(30) == 0
    assert bed.moves(run) == "ready running succeeded"
    bed.worker()
    assert bed.ended(run) == "succeeded"


def test_a_worker_that_leaves_writes_down_what_it_has_done(bed: Bed) -> None:
    first = bed.worker(pause="before_finish:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "before_finish")

    leaves(bed, first, "before_finish")

    assert first.wait(30) == 0
    assert bed.moves(run) == "ready running succeeded"
    assert bed.counts() == "begin 1, end 1, made 1"
    bed.worker()
    assert bed.ended(run) == "succeeded"


def test_a_worker_that_leaves_sends_the_hints_it_owes(bed: Bed) -> None:
    first = bed.worker(pause="after_finish:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "after_finish")

    leaves(bed, first, "after_finish")

    assert first.wait(30) == 0
    assert bed.store.queue_length(DOCKER) == 1
    bed.worker()
    assert bed.ended(run) == "succeeded"


def test_a_worker_whose_grace_ends_gives_back_even_what_it_cannot_stop(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(deaf=60))
    first = bed.worker("grace=1.5")
    run = bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))

    leaves(bed, first)

    assert first.wait(30) == 0
    bed.world.behave()
    bed.worker()
    assert bed.ended(run) == "succeeded"
    assert bed.counts() == "begin 2, end 1, made 1"
    assert bed.state(run, "db:deploy").releases == 1


def leaves(bed: Bed, worker: Worker, held_at: Point | None = None) -> None:
    """SIGTERM; *worker* goes on from where it was held once it has heard that."""
    worker.terminate()
    bed.logged(worker, "worker.draining")
    if held_at is not None:
        bed.unpause(worker, held_at)
