# SPDX-License-Identifier: Apache-2.0
"""What the reconciler brings back: steps of dead workers, lost messages, delayed steps, queues that nobody serves."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import redis

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import LEASE, MAX_LOSSES, PATIENCE, SETTLE, TELL, Run, RunId, WorkerId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.model import QueueName
from fleetflow_tasks.runtimes.base import Outcome
from tests.engine.conftest import BROKEN, Clock, Driver, lines, named, plan_of, steps_of

DOCKER = QueueName("docker")


def lose(driver: Driver, clock: Clock, run: Run, step: str) -> list[str]:
    """A worker takes *step* and dies; what is hinted when its lease is over."""
    driver.claim(run.id, step, worker="host:1:dead")
    clock.advance(LEASE + 1)
    return steps_of(driver.store.expire(run.project, run.stage))


@contextmanager
def as_it_was(url: str) -> Iterator[None]:
    """What is written within is lost: a replica that had not seen it takes over."""
    with closing(redis.Redis.from_url(url, protocol=2)) as raw:
        kept = [(key, raw.dump(key)) for key in raw.keys("ff:{*")]
        yield
        raw.delete(*raw.keys("ff:{*"))
        for key, value in kept:
            assert value is not None
            raw.restore(key, 0, value)


def test_a_step_whose_worker_died_is_ready_again_after_its_lease(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy")).run
    driver.claim(run.id, "a:deploy", worker="host:1:dead")

    clock.advance(LEASE - 1)
    assert store.expire(run.project, run.stage) == ()
    clock.advance(2)
    assert steps_of(store.expire(run.project, run.stage)) == ["a:deploy"]

    state = driver.state(run.id, "a:deploy")
    assert (state.status, state.losses, state.worker) == ("ready", 1, None)
    assert state.problem is not None
    assert state.problem.message == "worker host:1:dead did not renew its lease of 30 s"


def test_a_step_that_kills_its_workers_fails_at_the_third(driver: Driver, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy", "b:deploy <- a:deploy", "c:deploy")).run

    for _ in range(MAX_LOSSES):
        lose(driver, clock, run, "a:deploy")

    assert driver.states(run.id) == lines("a:deploy failed", "b:deploy skipped", "c:deploy ready")
    problem = driver.state(run.id, "a:deploy").problem
    assert problem is not None
    assert problem.message == "its worker died 3 times"
    assert problem.cause == ("last: worker host:1:dead did not renew its lease of 30 s",)


def test_a_lost_worker_uses_up_no_retry(driver: Driver, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy retries=1")).run
    lose(driver, clock, run, "a:deploy")

    driver.break_(run.id, "a:deploy", retry_in=5.0)

    assert driver.states(run.id) == "a:deploy delayed"


def test_a_cancelled_run_ends_when_the_lease_of_a_dead_worker_does(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy")).run
    driver.claim(run.id, "a:deploy")
    store.cancel(run.id, request="ctrl-c")
    clock.advance(LEASE + 1)

    store.expire(run.project, run.stage)

    assert driver.status(run.id) == "cancelled"


def test_a_step_that_kills_its_workers_is_not_blamed_once_its_run_is_cancelled(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(plan_of("a:deploy")).run
    for _ in range(MAX_LOSSES - 1):
        lose(driver, clock, run, "a:deploy")
    driver.claim(run.id, "a:deploy")
    store.cancel(run.id, request="ctrl-c")
    clock.advance(LEASE + 1)

    store.expire(run.project, run.stage)

    assert driver.states(run.id) == "a:deploy cancelled"


def test_a_failover_that_lost_a_claim_never_gives_its_fence_again(driver: Driver, store: Store, url: str) -> None:
    run = driver.submit(plan_of("a:deploy")).run
    with as_it_was(url):
        lost = driver.claim(run.id, "a:deploy", worker="host:1:old")

    claim = driver.claim(run.id, "a:deploy", worker="host:2:new")

    assert claim.fence > lost.fence
    assert not store.finish_well(lost, Outcome(changed=True, text="started")).accepted
    assert store.finish_well(claim, Outcome(changed=False, text="unchanged")).ended == "succeeded"


def test_a_failover_that_lost_the_end_of_a_run_never_gives_a_generation_again(
    driver: Driver, store: Store, url: str
) -> None:
    run, after = driver.submit(plan_of("a:deploy")).run, driver.submit(plan_of("a:deploy")).run
    with as_it_was(url):
        driver.do(run.id, "a:deploy")
        forgotten = store.run(after.id)
        assert forgotten is not None
        assert forgotten.status == "running"

    driver.do(run.id, "a:deploy")

    started = store.run(after.id)
    assert started is not None
    assert started.generation > forgotten.generation > run.generation


def test_the_next_run_waits_until_a_lost_workers_last_call_has_landed(
    driver: Driver, store: Store, clock: Clock
) -> None:
    first = driver.submit(plan_of("a:deploy")).run
    driver.claim(first.id, "a:deploy")
    store.cancel(first.id, request="ctrl-c")
    second = driver.submit(plan_of("a:deploy")).run
    clock.advance(LEASE + 1)

    assert named(store.expire(first.project, first.stage)) == [f"{first.id} run:tidy"]
    assert driver.status(first.id) == "cancelled"
    assert driver.status(second.id) == "queued"
    assert store.due(first.project, first.stage).hints == ()
    clock.advance(SETTLE)
    assert [hint.run for hint in store.due(first.project, first.stage).hints] == [second.id]


def test_a_lease_lost_long_before_its_run_ends_keeps_nobody_waiting(driver: Driver, clock: Clock) -> None:
    run, after = driver.submit(plan_of("a:deploy")).run, driver.submit(plan_of("a:deploy")).run
    lose(driver, clock, run, "a:deploy")
    claim = driver.claim(run.id, "a:deploy")
    clock.advance(SETTLE)

    hints = driver.store.finish_badly(claim, BROKEN, retry_in=None).hints

    assert named(hints) == [f"{run.id} run:tidy", f"{after.id} a:deploy"]


def test_lost_messages_come_again_only_when_they_are_asked_for(driver: Driver, store: Store) -> None:
    run = driver.submit(plan_of("a:deploy", "b:deploy", "c:deploy queue=docker.web1")).run

    assert store.due(run.project, run.stage).hints == ()
    assert steps_of(store.due(run.project, run.stage, republish=[DOCKER]).hints) == ["a:deploy", "b:deploy"]
    driver.claim(run.id, "a:deploy")
    assert steps_of(store.due(run.project, run.stage, republish=[DOCKER]).hints) == ["b:deploy"]


def test_more_workers_mean_more_hints_within_a_pass(driver: Driver, store: Store, clock: Clock) -> None:
    driver.worker("docker", slots=4)
    submitted = driver.submit(plan_of(*(f"s{i}:deploy" for i in range(9))))
    assert len(submitted.hints) == 2

    clock.advance(2)
    driver.worker("docker", slots=8, name="host:2:b")

    assert len(store.due(submitted.run.project, submitted.run.stage).hints) == 4


def test_watchers_are_told_once_that_nobody_serves_a_queue(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy queue=docker.web1")).run

    for _ in range(4):
        store.due(run.project, run.stage)
        clock.advance(TELL)

    assert driver.told(run.id).splitlines()[3:] == ["noted: no worker serves the queue `docker.web1`"]


def test_a_step_that_no_worker_comes_for_fails_and_names_its_queue(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy queue=docker.web1", "b:deploy <- a:deploy", "c:deploy")).run
    for _ in range(11):
        driver.worker("docker")
        store.due(run.project, run.stage)
        clock.advance(PATIENCE / 10)

    assert driver.states(run.id) == lines("a:deploy failed", "b:deploy skipped", "c:deploy ready")
    problem = driver.state(run.id, "a:deploy").problem
    assert problem is not None
    assert problem.message == "no worker serves the queue `docker.web1`"
    assert problem.cause == ("none for 600 s",)


def test_time_in_which_nobody_looked_does_not_count_as_time_without_a_worker(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(plan_of("a:deploy")).run
    store.due(run.project, run.stage)
    clock.advance(PATIENCE + 1)  # all machines were down

    store.due(run.project, run.stage)

    assert driver.states(run.id) == "a:deploy ready"


def test_a_worker_that_comes_in_time_ends_the_wait(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy")).run
    for minute in range(15):
        if minute == 8:
            driver.worker("docker")  # for a moment
        store.due(run.project, run.stage)
        clock.advance(60)

    assert driver.states(run.id) == "a:deploy ready"


def test_a_stage_with_nothing_to_do_leaves_the_list_of_the_active(driver: Driver, store: Store) -> None:
    run = driver.submit(plan_of("a:deploy")).run
    store.due(run.project, run.stage)
    assert store.active_stages() == [("shop", "local")]

    driver.do(run.id, "a:deploy")
    store.due(run.project, run.stage)

    assert store.active_stages() == []
    driver.submit(plan_of("a:deploy"))
    assert store.active_stages() == [("shop", "local")]


def test_one_worker_reconciles_at_a_time(store: Store) -> None:
    assert store.reconciler(WorkerId("one"))
    assert store.reconciler(WorkerId("one"))
    assert not store.reconciler(WorkerId("two"))


def test_another_worker_reconciles_when_the_first_stops(store: Store) -> None:
    store.reconciler(WorkerId("one"), lease=0.001)

    assert any(store.reconciler(WorkerId("two")) for _ in range(1000))


def test_passes_over_a_stage_without_runs_do_nothing(driver: Driver, store: Store) -> None:
    run = driver.submit(plan_of()).run

    assert store.expire(run.project, run.stage) == ()
    assert store.due(run.project, run.stage, republish=[DOCKER]).hints == ()


def test_a_pass_that_comes_while_a_run_is_being_submitted_does_not_lose_sight_of_it(store: Store, url: str) -> None:
    class Slow(Store):
        """Between the stage's entry in the index and the run itself lies time enough for a pass."""

        def _announce(self, name: str, run: RunId) -> None:
            super()._announce(name, run)
            store.due(ProjectName("shop"), StageName("local"))

    with closing(Slow.connect(url, clock=store._clock)) as slow:
        Driver(slow).submit(plan_of("a:deploy"))

    assert store.active_stages() == [("shop", "local")]
