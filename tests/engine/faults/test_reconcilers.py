# SPDX-License-Identifier: Apache-2.0
"""One reconciler acts, others wait; it may fall asleep, wake up late, and act at the same time as the next."""

import threading
from contextlib import closing

from fleetflow_tasks.engine.reconcile import HOLD
from fleetflow_tasks.testing import eventually
from tests.engine.faults.bed import MARGIN, PAIR, WEB, Bed, Passes, Worker, asleep, awake, killed


def test_when_the_one_that_reconciles_falls_asleep_another_takes_over_and_both_together_do_no_harm(bed: Bed) -> None:
    workers = [bed.worker(), bed.worker()]
    bed.workers_reconcile()
    eventually(lambda: holder(bed, workers), within=60)
    first = holder(bed, workers)
    assert first is not None

    assert bed.raw.pttl("ff:reconciler") <= HOLD * 1000, "so long at most, and then whoever comes next has it"
    asleep(first)
    eventually(lambda: holder(bed, workers) not in (None, first), within=60)
    lost = bed.submitted(PAIR, publish=lambda _: None).run.id
    assert bed.ended(lost) == "succeeded"
    awake(first)
    also_lost = bed.submitted(WEB, publish=lambda _: None).run.id

    assert bed.ended(also_lost) == "succeeded"
    assert bed.moves(lost) == "ready running succeeded"


def test_two_reconcilers_that_act_at_once_give_a_step_back_once(bed: Bed) -> None:
    first = bed.worker(pause="after_claim:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "after_claim")
    killed(first)
    bed.worker()
    end = bed.lease_end(run) + MARGIN

    with closing(Passes(bed)) as other:
        both = [threading.Thread(target=passes.make, kwargs={"at": end}) for passes in (bed.passes, other)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()

    assert bed.ended(run) == "succeeded"
    assert bed.moves(run) == "ready running ready running succeeded"
    assert bed.state(run, "db:deploy").losses == 1
    assert bed.counts() == "begin 1, end 1, made 1"


def holder(bed: Bed, workers: list[Worker]) -> Worker | None:
    """The worker that has the right to reconcile."""
    name = bed.raw.get("ff:reconciler") or "::"
    return next((worker for worker in workers if str(worker.pid) == str(name).split(":")[1]), None)
