# SPDX-License-Identifier: Apache-2.0
"""A platform that fails for a while, asks for patience, does not answer, or does what nobody foresaw."""

from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.conftest import plan_of
from tests.engine.faults.bed import MARGIN, PAIR, WEB, Bed
from tests.engine.test_workers import LEASE, _with_timeout


def test_a_failure_that_may_pass_is_tried_again_by_the_first_pass_after_its_time(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=2))
    bed.worker()
    run = bed.submit(PAIR)

    for failed in (1, 2):
        bed.passes.until(lambda failed=failed: bed.moves(run).count("delayed") == failed)  # type: ignore[misc]  # bound now
        due = bed.state(run, "db:deploy").due
        assert due is not None
        assert bed.passes.around(due) == ("", "db:deploy")

    assert bed.ended(run) == "succeeded"
    assert bed.moves(run) == "ready running delayed ready running delayed ready running succeeded"
    assert bed.world.count("made", "db:deploy") == 1


def test_a_platform_that_asks_for_patience_gets_it(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=1, retry_after=30))
    bed.worker()
    run = bed.submit(PAIR)
    bed.passes.until(lambda: bed.moves(run).endswith("delayed"))

    state = bed.state(run, "db:deploy")
    assert state.due is not None
    asked = state.due - state.since

    assert 30 <= asked <= 33
    assert bed.passes.around(state.due) == ("", "db:deploy")
    assert bed.ended(run) == "succeeded"


def test_retries_end_and_what_waits_is_skipped(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=-1, retry_after=0.01))
    bed.worker()

    run = bed.submit(plan_of("db:deploy retries=1", "api:deploy <- db:deploy", "web:deploy"))

    assert bed.ends(run) == "failed"
    assert bed.statuses(run) == {"db:deploy": "failed", "api:deploy": "skipped", "web:deploy": "succeeded"}
    assert bed.world.count("begin", "db:deploy") == 2


def test_a_call_that_hangs_for_longer_than_a_lease_is_not_begun_by_another(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(deaf=LEASE * 1.5))
    bed.worker()
    bed.worker()
    run = bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))
    first = bed.lease_end(run)

    bed.passes.until(lambda: bed.server_now() > first + MARGIN)

    assert bed.ends(run) == "succeeded"
    assert bed.moves(run) == "ready running succeeded"


def test_a_step_that_hangs_past_its_time_costs_its_worker_and_a_lease(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(deaf=300))
    first = bed.worker("overstay=0.5")
    run = bed.submit(_with_timeout(PAIR, 0.5))

    assert first.wait(60) == 75, "start me again"
    bed.world.behave()
    bed.worker()

    assert bed.passes.around(bed.lease_end(run)) == ("", "db:deploy")
    assert bed.ended(run) == "succeeded"
    assert bed.state(run, "db:deploy").losses == 1


def test_what_nobody_foresaw_fails_its_step_and_its_worker_lives_on(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(crash=True))
    worker = bed.worker()

    broken, other = bed.submit(PAIR), bed.submit(WEB)

    assert [bed.ended(broken), bed.ended(other)] == ["failed", "succeeded"]
    assert bed.problem(broken, "db:deploy").startswith("a mistake in FleetFlow: ZeroDivisionError")
    assert worker.poll() is None
