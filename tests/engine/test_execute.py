# SPDX-License-Identifier: Apache-2.0
"""One step, carried out in this process on a real store: how it can end, and what is written down about it."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.engine.dispatch import ago, submit
from fleetflow_tasks.engine.execute import Plans, execute, once_each
from fleetflow_tasks.engine.lease import Leases
from fleetflow_tasks.engine.model import Hint, RunId, StepState, WorkerId, WorkerInfo, new_run_id
from fleetflow_tasks.engine.retry import backoff, retry_in
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import PlanError, Problem, UnavailableError
from fleetflow_tasks.plan.codec import Keys, parse_key, seal
from fleetflow_tasks.plan.model import Plan, QueueName, StepId
from fleetflow_tasks.runtimes.base import DeployError, Outcome, Runtime, StaleError
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour, RecordingRuntime
from tests.engine.conftest import BINARIES, Server, plan_of, running

KEYS = Keys(current=parse_key("a key of the tests, long enough to be one"))
DOCKER = QueueName("docker")
SHOP = plan_of("db:deploy", "api:deploy <- db:deploy", "web:deploy <- db:deploy")


class Bed:
    def __init__(self, url: str, folder: Path) -> None:
        self.store = Store.connect(url, client_name="ff-test", lease=3.0)
        self.store.beat(WorkerInfo(id=WorkerId("w"), host="here", pid=1, queues=(DOCKER,), slots=8, keys=KEYS.ids))
        self.world = RecordingRuntime(folder)
        self.runtimes: Callable[[RuntimeName], Runtime] = lambda _: self.world
        self.leases = Leases(self.store, renew=0.2)
        self.leases.start()
        self.hints: list[str] = []

    def submit(self, plan: Plan = SHOP) -> RunId:
        run = new_run_id()
        submit(plan, run=run, store=self.store, keys=KEYS, publish=lambda _: None, actor="tests")
        return run

    def publish(self, hint: Hint) -> None:
        self.hints.append(hint.step)

    def execute(self, run: RunId, step: str = "db:deploy") -> StepState | None:
        return execute(
            run,
            StepId(step),
            store=self.store,
            plans=Plans(self.store, KEYS),
            runtimes=self.runtimes,
            publish=self.publish,
            worker=WorkerId("w"),
            leases=self.leases,
        )

    def stored(self, run: RunId, step: str = "db:deploy") -> StepState:
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return next(each for each in snapshot.steps if each.step == step)

    def close(self) -> None:
        self.leases.stop()
        self.store.close()


@pytest.fixture
def bed(redis_server: Server, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(redis_server.database(), tmp_path)) as bed:
        yield bed


def test_a_step_carried_out_hints_at_what_may_start_after_it(bed: Bed) -> None:
    run = bed.submit()

    state = bed.execute(run)

    assert state is not None
    assert (state.status, state.outcome and state.outcome.text) == ("succeeded", "made")
    assert sorted(bed.hints) == ["api:deploy", "web:deploy"]


def test_what_is_told_is_what_is_stored(bed: Bed) -> None:
    for behaviour, status in (
        (Behaviour(), "succeeded"),
        (Behaviour(fail=-1, transient=False), "failed"),
        (Behaviour(fail=-1), "delayed"),
        (Behaviour(crash=True), "failed"),
    ):
        bed.world.behave(db__deploy=behaviour)
        run = bed.submit(plan_of("db:deploy", stage=f"{status}-{behaviour.crash}".lower()))

        told, stored = bed.execute(run), bed.stored(run)

        assert told is not None
        assert told.status == stored.status == status
        assert (told.attempt, told.fence, told.outcome, told.problem) == (
            stored.attempt,
            stored.fence,
            stored.outcome,
            stored.problem,
        )


def test_the_last_try_that_fails_is_told_as_failed(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=-1))
    run = bed.submit(plan_of("db:deploy retries=0"))

    state = bed.execute(run)

    assert state is not None
    assert state.status == bed.stored(run).status == "failed"


def test_a_hint_for_what_is_not_ready_taken_or_unknown_is_followed_nowhere(bed: Bed) -> None:
    run = bed.submit()

    assert bed.execute(run, "api:deploy") is None
    assert bed.execute(run, "nobody:deploy") is None
    assert bed.execute(new_run_id()) is None
    assert bed.execute(run) is not None
    assert bed.execute(run) is None
    assert bed.world.count("begin", "db:deploy") == 1


def test_two_that_follow_the_same_hint_do_the_step_once(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=0.3))
    run = bed.submit()
    threads = [threading.Thread(target=bed.execute, args=(run,)) for _ in range(4)]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bed.world.count("begin", "db:deploy") == 1


def test_a_runtime_that_is_not_there_fails_the_step_in_its_words(bed: Bed) -> None:
    def missing(name: RuntimeName) -> Runtime:
        raise PlanError(Problem(code="unknown-runtime", message=f"no runtime is called `{name}`"))

    bed.runtimes = missing
    run = bed.submit()

    bed.execute(run)

    problem = bed.stored(run).problem
    assert problem is not None
    assert problem.message == "no runtime is called `docker`"


def test_the_step_that_ends_a_run_badly_sees_to_what_the_run_leaves_behind(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False))
    run = bed.submit()

    bed.execute(run)

    assert bed.world.journal()[-1] == f"tidy {run}"


def test_a_run_that_goes_on_or_went_well_is_left_as_it_is(bed: Bed) -> None:
    bed.world.behave(api__deploy=Behaviour(fail=-1, transient=False))
    run, well = bed.submit(), bed.submit(plan_of("db:deploy", stage="dev"))

    for step in ("db:deploy", "api:deploy"):
        bed.execute(run, step)
    bed.execute(well)

    assert [line for line in bed.world.journal() if line.startswith("tidy")] == []


def test_a_runtime_that_cannot_tidy_changes_nothing_of_the_end(bed: Bed, tmp_path: Path) -> None:
    class Untidy(RecordingRuntime):
        def tidy(self, plan: Plan, run: str) -> Outcome:
            raise ZeroDivisionError("nobody foresaw this")

    bed.runtimes = lambda _: Untidy(tmp_path)
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False))
    run = bed.submit()

    state = bed.execute(run)

    assert state is not None
    assert state.status == bed.stored(run).status == "failed"


def test_a_plan_that_cannot_be_read_fails_the_step(bed: Bed) -> None:
    run = new_run_id()
    bed.store.submit(run, SHOP, b'{"schema": "one"}\nnothing', actor="tests")

    bed.execute(run)

    assert bed.stored(run).status == "failed"
    assert bed.stored(run).problem is not None


def test_a_step_that_is_not_in_its_plan_is_a_bug_that_the_step_tells(bed: Bed) -> None:
    run = new_run_id()
    bed.store.submit(run, SHOP, seal(plan_of("web:deploy"), KEYS, run), actor="tests")

    bed.execute(run)

    problem = bed.stored(run).problem
    assert problem is not None
    assert (problem.code, problem.message) == ("bug", "a mistake in FleetFlow: KeyError: 'db:deploy'")
    assert problem.cause == ("the traceback is in the log of the worker",)


def test_a_hint_that_cannot_be_sent_takes_nothing_from_the_step(bed: Bed) -> None:
    def deaf(hint: Hint) -> None:
        raise UnavailableError(Problem(code="redis-away", message="no"))

    bed.publish = deaf  # type: ignore[method-assign]  # a queue that is away
    run = bed.submit()

    state = bed.execute(run)

    assert state is not None
    assert state.status == bed.stored(run).status == "succeeded"


def test_a_worker_that_leaves_gives_the_step_back(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    run = bed.submit(plan_of("db:deploy"))
    thread = threading.Thread(target=bed.execute, args=(run,))
    thread.start()
    eventually(lambda: bed.world.count("begin", "db:deploy") > 0)

    bed.leases.drain("waiting")
    thread.join(20)

    assert (bed.stored(run).status, bed.hints) == ("ready", ["db:deploy"])


def test_the_end_of_a_step_is_told_when_redis_is_back(tmp_path: Path) -> None:
    with running(BINARIES["redis"]()) as server, closing(Bed(f"unix://{server.socket}", tmp_path)) as bed:
        bed.world.behave(db__deploy=Behaviour(deaf=0.7))
        run = bed.submit(plan_of("db:deploy"))
        states: list[StepState | None] = []
        thread = threading.Thread(target=lambda: states.append(bed.execute(run)))
        thread.start()
        eventually(lambda: bed.world.count("begin", "db:deploy") > 0)

        os.kill(server.pid, signal.SIGSTOP)
        threading.Event().wait(1.5)
        os.kill(server.pid, signal.SIGCONT)
        thread.join(30)

        assert [state and state.status for state in states] == ["succeeded"]
        assert bed.stored(run).attempt == 1


def test_an_instance_of_a_runtime_serves_all_threads(tmp_path: Path) -> None:
    made: list[str] = []

    def make(name: RuntimeName) -> Runtime:
        made.append(name)
        return RecordingRuntime(tmp_path)

    runtimes = once_each(make)
    threads = [threading.Thread(target=runtimes, args=(RuntimeName("docker"),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made == ["docker"]


def test_waits_double_up_to_a_minute_and_are_drawn_from_the_whole_span() -> None:
    failure = DeployError(Problem(code="x", message="x"), transient=True)
    waits = [retry_in(failure, attempt=4) for _ in range(300)]

    assert [backoff(attempt) for attempt in (1, 2, 3, 7, 50)] == [1, 2, 4, 60, 60]
    assert all(wait is not None and 0 <= wait <= 8 for wait in waits)
    assert max(wait or 0 for wait in waits) > 6
    assert min(wait or 0 for wait in waits) < 2


def test_what_the_platform_asked_for_is_a_floor() -> None:
    failure = DeployError(Problem(code="x", message="x"), transient=True, retry_after=20)

    assert all(20 <= (retry_in(failure, attempt=1) or 0) <= 22 for _ in range(50))


@pytest.mark.parametrize(
    "failure",
    [
        DeployError(Problem(code="x", message="x")),
        StaleError(Problem(code="x", message="x")),
        PlanError(Problem(code="x", message="x")),
        ZeroDivisionError(),
    ],
)
def test_what_will_not_pass_is_not_tried_again(failure: Exception) -> None:
    assert retry_in(failure, attempt=1) is None


def test_time_is_told_in_one_unit() -> None:
    assert [ago(seconds) for seconds in (7, 200, 3 * 3600, 5 * 86400)] == ["7 s", "3 min", "3 h", "5 days"]
