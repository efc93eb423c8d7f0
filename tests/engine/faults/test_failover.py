# SPDX-License-Identifier: Apache-2.0
"""A replica is promoted that has not got the last writes: claims, ends and submits that were answered never happened.

What was done is done, so doing it again finds it; a fence is never given twice, since it goes on from the clock where the
count was lost; and whoever held a step under a fence that nobody knows any more is told so when it renews.
"""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.faults.bed import WEB, Bed, Everywhere, held
from tests.engine.faults.proxy import Proxy
from tests.engine.faults.servers import Own, own

ONCE = dict.fromkeys(("after", "call", "claim", "done", "told", "wait"), "once")
AGAIN = "ready running ready running succeeded"
LONG = "lease=20"


class Both:
    """A primary that clients reach through a proxy, and its replica."""

    def __init__(self, primary: Own, replica: Own, proxy: Proxy) -> None:
        self.primary = primary
        self.replica = replica
        self.proxy = proxy
        replica.follow(primary)

    def cut(self) -> None:
        """From now on the replica gets nothing."""
        self.replica.fall_behind(self.primary)

    def fail_over(self, bed: Bed) -> None:
        self.proxy.refuse()
        self.primary.kill()
        self.replica.promote()
        self.proxy.target = self.replica.socket
        bed.sees(self.replica.url)
        self.proxy.accept()


@pytest.fixture(params=["redis", "valkey"])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    with own(request.param) as primary, own(request.param) as replica, Proxy(primary.socket) as proxy:
        yield Both(primary, replica, proxy)


@pytest.fixture
def bed(both: Both, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(both.proxy.before(both.primary.url), tmp_path, direct=both.primary.url)) as bed:
        yield bed
        held(bed, lost_writes=True)


def test_claims_that_a_failover_lost_are_made_again_and_their_holders_hear_of_it(both: Both, bed: Bed) -> None:
    at = Everywhere.on(bed, LONG, call=Behaviour(seconds=60), hold=both.cut)
    lost = {step: bed.fences(at.run, step) for step in Everywhere.STEPS[:4]}

    both.fail_over(bed)
    eventually(lambda: bed.world.count("stopped", "call:deploy") == 1, within=60)
    bed.unpause_all()
    bed.logged(at.worker, "step.lost", times=3)
    made = bed.world.world()

    assert made == ["done", "told"]
    assert [bed.ends(at.run), bed.ends(at.queued)] == ["succeeded", "succeeded"]
    assert [bed.all_moves(at.run), bed.all_moves(at.queued)] == [ONCE, ONCE]
    assert all(max(fences) < min(bed.fences(at.run, step)) for step, fences in lost.items())
    assert [bed.world.count("made", step) for step in Everywhere.STEPS] == [1] * 6


def test_ends_that_a_failover_lost_come_again_and_find_the_work_done(both: Both, bed: Bed) -> None:
    at = Everywhere.on(bed, call=Behaviour(seconds=4))
    both.cut()
    bed.unpause_all()
    eventually(lambda: {"claim", "done"} <= succeeded(bed, at.run), within=60)
    forgotten = bed.submit(WEB)
    bed.ended(forgotten)

    both.fail_over(bed)

    assert bed.ends(at.run) == "succeeded"
    bed.passes.make(at=bed.server_now() + bed.store.settle)
    assert bed.ends(at.queued) == "succeeded"
    again = {step for step, moves in bed.all_moves(at.run).items() if moves == AGAIN}
    assert again == {"claim", "done"}
    assert bed.all_moves(at.queued) == ONCE
    assert bed.store.run(forgotten) is None
    assert [bed.world.count("made", step) for step in Everywhere.STEPS] == [1] * 6
    assert bed.ended(bed.submit(WEB)) == "succeeded"
    assert bed.counts("web:deploy") == "begin 2, end 2, made 1, found 1"


def test_a_submit_that_a_replica_has_not_got_is_told(both: Both, bed: Bed) -> None:
    bed.submitted(WEB, wait_workers=True)
    eventually(bed.store.durable, within=60)

    both.replica.sleep()
    bed.submitted(WEB, wait_workers=True)

    assert not bed.store.durable()


def succeeded(bed: Bed, run: RunId) -> set[str]:
    return {step.partition(":")[0] for step, status in bed.statuses(run).items() if status == "succeeded"}
