# SPDX-License-Identifier: Apache-2.0
"""What an attempt is told about its lease: to go on, to wait, or to stop and why."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from fleetflow_tasks.engine.lease import Held, Leases
from fleetflow_tasks.engine.model import Claim, StepProgressed, WorkerId, new_run_id
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.model import SCHEMA, StepId
from fleetflow_tasks.runtimes.base import Outcome, Stopped
from fleetflow_tasks.testing import eventually
from tests.engine.conftest import BINARIES, Server, plan_of, running

PLAN = plan_of("db:deploy")


class Worker:
    """A claim at work, renewed every 0.2 s, on a lease of 2 s."""

    def __init__(self, url: str, overstay: float = 60) -> None:
        self.url = url
        self.store = Store.connect(url, client_name="ff-test", lease=2.0)
        self.leases = Leases(self.store, renew=0.2, overstay=overstay)
        self.run = new_run_id()
        self.store.submit(self.run, PLAN, b"sealed", actor="tests")
        self.leases.start()

    @contextmanager
    def at_work(self, timeout: float = 60) -> Iterator[Held]:
        with self.leases.hold(self.claim()) as held:
            held.begin(timeout)
            yield held

    def claim(self, worker: str = "one") -> Claim:
        claim = self.store.claim(self.run, StepId("db:deploy"), worker=WorkerId(worker), nonce=worker, schema=SCHEMA)
        assert isinstance(claim, Claim)
        return claim

    def close(self) -> None:
        self.leases.stop()
        self.store.close()


@pytest.fixture
def worker(url: str) -> Iterator[Worker]:
    with closing(Worker(url)) as worker:
        yield worker


@pytest.fixture
def one(redis_server: Server) -> Iterator[Worker]:
    with closing(Worker(redis_server.database())) as worker:
        yield worker


def why(act: Callable[[], None]) -> str:
    with pytest.raises(Stopped) as stopped:
        act()
    return stopped.value.reason


def in_a_moment(act: Callable[[], object]) -> None:
    timer = threading.Timer(0.3, act)
    timer.daemon = True
    timer.start()


def test_a_lease_is_renewed_for_as_long_as_the_step_is_carried_out(worker: Worker) -> None:
    with worker.at_work() as attempt:
        attempt.sleep(2.5)
        attempt.checkpoint()

        assert worker.store.expire(PLAN.project, PLAN.stage) == ()
        assert worker.store.finish_well(attempt.claim, Outcome(changed=True, text="")).accepted


def test_what_is_not_held_any_more_is_not_renewed(one: Worker) -> None:
    with one.at_work():
        assert len(one.leases) == 1

    time.sleep(2.3)

    assert [hint.step for hint in one.store.expire(PLAN.project, PLAN.stage)] == ["db:deploy"]


def test_a_cancel_wakes_who_waits(worker: Worker) -> None:
    with worker.at_work() as attempt:
        in_a_moment(lambda: worker.store.cancel(worker.run, request="test"))

        began = time.monotonic()

        assert why(lambda: attempt.sleep(60)) == "cancelled"
        assert time.monotonic() - began < 10
        assert why(attempt.checkpoint) == "cancelled"


def test_a_soft_cancel_lets_what_runs_go_on(one: Worker) -> None:
    with one.at_work() as attempt:
        one.leases.finish_running()
        one.store.cancel(one.run, request="test")

        attempt.sleep(0.6)
        attempt.checkpoint()

        assert one.store.finish_well(attempt.claim, Outcome(changed=True, text="")).accepted


def test_a_step_that_another_worker_got_stops_its_first_one(one: Worker) -> None:
    with one.at_work() as attempt:
        one.store.release(attempt.claim, reason="as if it had been lost")
        one.claim("another")

        assert why(lambda: attempt.sleep(60)) == "lost"
        assert attempt.is_over()


def test_a_step_that_this_process_gets_again_stops_its_first_attempt(one: Worker) -> None:
    with closing(Store.connect(one.url, client_name="ff-test", lease=2.0)) as store:
        leases = Leases(store, renew=3600)
        with leases.hold(one.claim()) as attempt:
            attempt.begin(3600)
            store.release(attempt.claim, reason="as if it had been lost")
            with leases.hold(one.claim("again")):
                assert attempt.is_over()
                assert why(attempt.checkpoint) == "lost"

                assert [held.claim.worker for held in leases.held()] == ["again"]
            assert len(leases) == 0


def test_time_over_stops_a_step_though_it_waits(one: Worker) -> None:
    with one.at_work(timeout=0.3) as attempt:
        began = time.monotonic()

        assert why(lambda: attempt.sleep(60)) == "timeout"
        assert time.monotonic() - began < 5


def test_a_worker_that_leaves_stops_what_waits_and_what_has_not_begun(one: Worker) -> None:
    with one.at_work() as attempt:
        one.leases.drain("waiting")

        assert why(attempt.checkpoint) == "draining"
        assert why(lambda: attempt.sleep(1)) == "draining"


def test_a_worker_that_leaves_lets_a_step_amid_its_changes_go_on_until_it_must_not(one: Worker) -> None:
    with one.at_work() as attempt:
        attempt.checkpoint()

        one.leases.drain("waiting")
        attempt.checkpoint()
        one.leases.drain("all")

        assert why(attempt.checkpoint) == "draining"


def test_without_redis_nothing_passes_a_checkpoint_once_the_lease_is_over_and_all_goes_on_when_it_is_back() -> None:
    with running(BINARIES["redis"]()) as server, closing(Worker(f"unix://{server.socket}")) as worker:
        passed = threading.Event()
        with worker.at_work() as attempt:

            def go_on() -> None:
                attempt.checkpoint()
                passed.set()

            attempt.checkpoint()
            os.kill(server.pid, signal.SIGSTOP)
            try:
                eventually(attempt.is_over)
                thread = threading.Thread(target=go_on)
                thread.start()
                assert not passed.wait(1.0)
            finally:
                os.kill(server.pid, signal.SIGCONT)
            thread.join(30)

        assert passed.is_set()


def test_a_step_that_hangs_past_its_deadline_is_given_up_and_the_process_told(redis_server: Server) -> None:
    with closing(Worker(redis_server.database(), overstay=0.2)) as one, one.at_work(timeout=0.1) as attempt:
        assert one.leases.stuck.wait(10)

        eventually(lambda: [hint.step for hint in one.store.expire(PLAN.project, PLAN.stage)] == ["db:deploy"])
        assert attempt.is_over()


def test_reports_are_sent_no_oftener_than_eyes_can_read(one: Worker) -> None:
    with one.at_work() as attempt:
        for number in range(100):
            attempt.report(f"{number} of 100", number, 100)

    told = [event for event in one.store.events(one.run) if isinstance(event, StepProgressed)]
    assert [event.text for event in told] == ["0 of 100"]
    assert attempt.said == "99 of 100"
