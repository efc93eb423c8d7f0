# SPDX-License-Identifier: Apache-2.0
"""Workers whose wall clocks are an hour off: nothing is decided by them. Their monotonic time stays true.

`time.time` of the process is shifted, which all of our code and Celery's asks. libfaketime would reach below Python as well, and
now and then stopped the whole process in locks of its own.
"""

import json

import pytest

from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.faults.bed import PAIR, Bed, Everywhere, Worker, killed
from tests.engine.test_workers import LEASE

ONCE = dict.fromkeys(("after", "call", "claim", "done", "told", "wait"), "once")
HOUR = 3600.0
NEAR = 300.0


def off(by: str) -> dict[str, str]:
    return {"FLEETFLOW_TEST_CLOCK": str(HOUR if by == "+1h" else -HOUR)}


@pytest.mark.parametrize(("by", "hours"), [("+1h", 1), ("-1h", -1)])
def test_a_wall_clock_an_hour_off_has_no_effect_in_any_state(bed: Bed, by: str, hours: int) -> None:
    at = Everywhere.on(bed, call=Behaviour(seconds=1), environ=off(by))
    first = bed.lease_end(at.run, "claim:deploy")

    eventually(lambda: bed.lease_end(at.run, "claim:deploy") > first, within=60)
    bed.unpause_all()

    assert abs(wall_clock(bed, at.worker) - bed.server_now() - hours * HOUR) < NEAR, "it is off indeed"
    assert abs(first - bed.server_now()) < NEAR, "its leases are not"
    assert [bed.ends(at.run), bed.ends(at.queued)] == ["succeeded", "succeeded"]
    assert [bed.all_moves(at.run), bed.all_moves(at.queued)] == [ONCE, ONCE]


def test_a_worker_an_hour_ahead_is_replaced_in_time_by_one_an_hour_behind(bed: Bed) -> None:
    first = bed.worker(pause="before_finish:db:deploy", **off("+1h"))
    run = bed.submit(PAIR)
    bed.paused(first, "before_finish")

    killed(first)
    bed.worker(**off("-1h"))

    assert bed.lease_end(run) - bed.server_now() <= LEASE
    assert bed.passes.around(bed.lease_end(run)) == ("", "db:deploy")
    assert bed.ended(run) == "succeeded"
    assert bed.counts() == "begin 2, end 2, made 1, found 1"


def wall_clock(bed: Bed, worker: Worker) -> float:
    """What *worker* wrote beside its newest line."""
    return float(json.loads(bed.log_of(worker).splitlines()[-1])["at"])
