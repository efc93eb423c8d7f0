# SPDX-License-Identifier: Apache-2.0
"""A run that is given a time ends when it is over, whether it was under way or in line."""

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import LEASE, MAX_LOSSES, RunId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.base import Outcome
from tests.engine.conftest import BROKEN, Clock, Driver, lines, named, plan_of

SHOP, LOCAL = ProjectName("shop"), StageName("local")
ONE = plan_of("a:deploy")
TWO = plan_of("a:deploy", "b:deploy", "c:deploy <- a:deploy, b:deploy")


def problem(store: Store, run: RunId) -> Problem:
    found = store.run(run)
    assert found is not None
    assert found.problem is not None
    return found.problem


def test_a_run_says_until_when_it_may_take(driver: Driver) -> None:
    run = driver.submit(ONE, timeout=600).run

    assert run.deadline == run.submitted + 600


def test_a_run_past_its_deadline_begins_nothing_more_and_tells_what_runs_to_stop(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(TWO, timeout=600).run.id
    claim = driver.claim(run, "a:deploy")
    clock.advance(599)
    store.due(SHOP, LOCAL)
    assert driver.status(run) == "running"
    store.renew([claim])

    clock.advance(2)
    store.due(SHOP, LOCAL)

    assert driver.states(run) == lines("a:deploy running", "b:deploy cancelled", "c:deploy cancelled")
    assert driver.refused_or_claimed(run, "b:deploy") == "ended"
    assert store.renew([claim]) == {(run, "a:deploy"): "cancelled"}
    assert store.finish_cancelled(claim).ended == "failed"
    assert driver.told(run).splitlines()[-5:] == [
        "run ending: timeout",
        "b:deploy cancelled",
        "c:deploy cancelled",
        "a:deploy cancelled",
        "run failed: not done after 600 s",
    ]


def test_it_fails_with_what_it_was_at_and_what_helps(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of(*(f"{name}:deploy" for name in "abcde")), timeout=1.5).run.id
    for name in "abcde":
        driver.claim(run, f"{name}:deploy")
    clock.advance(2)

    store.due(SHOP, LOCAL)

    assert problem(store, run) == Problem(
        code="run-timeout",
        message="not done after 1.5 s",
        cause=("it was at `a:deploy`, `b:deploy`, `c:deploy` and 2 more",),
        fix=f"give it longer (--timeout), or see what took so long: flow show {run}",
    )


def test_it_fails_with_the_worker_that_it_waited_for(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy queue=docker.web1"), timeout=60).run.id
    clock.advance(61)

    store.due(SHOP, LOCAL)

    assert driver.status(run) == "failed"
    assert problem(store, run).cause == ("it waited for a worker of queue `docker.web1` for `a:deploy`",)


def test_it_fails_with_the_step_that_it_was_to_try_again(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(ONE, timeout=60).run.id
    driver.break_(run, "a:deploy", retry_in=300)
    clock.advance(61)

    store.due(SHOP, LOCAL)

    assert driver.states(run) == "a:deploy cancelled"
    assert problem(store, run).cause == ("it waited to try again: `a:deploy`",)


def test_a_run_in_line_fails_at_once_and_names_the_run_that_it_waited_for(
    driver: Driver, store: Store, clock: Clock
) -> None:
    first = driver.submit(ONE).run.id
    second, third = driver.submit(ONE, timeout=60).run.id, driver.submit(ONE).run.id
    clock.advance(61)

    assert store.due(SHOP, LOCAL).hints == ()

    assert driver.told(second) == lines("run queued behind 1", "a:deploy cancelled", "run failed: not done after 60 s")
    assert problem(store, second).cause == (f"it waited in line for run {first}",)
    assert [hint.run for hint in driver.do(first, "a:deploy").hints] == [third]


def test_a_run_behind_a_rollback_fails_and_names_it(driver: Driver, store: Store, clock: Clock) -> None:
    failed = driver.submit(ONE, rollback=True).run.id
    driver.break_(failed, "a:deploy")
    run = driver.submit(ONE, timeout=60).run.id
    clock.advance(61)

    store.due(SHOP, LOCAL)

    assert problem(store, run).cause == (f"it waited for the rollback of run {failed}",)


def test_a_run_whose_turn_comes_too_late_is_not_begun(driver: Driver, store: Store, clock: Clock) -> None:
    first = driver.submit(ONE).run.id
    late, after = driver.submit(ONE, timeout=60).run.id, driver.submit(ONE).run.id
    claim = driver.claim(first, "a:deploy")
    clock.advance(61)  # and nobody reconciles

    hints = store.finish_well(claim, Outcome(changed=True, text="started")).hints

    assert driver.status(late) == "failed"
    assert [hint.run for hint in hints] == [after]


def test_the_end_of_a_run_by_its_deadline_lets_the_next_begin(driver: Driver, store: Store, clock: Clock) -> None:
    run, after = driver.submit(ONE, timeout=60).run.id, driver.submit(ONE).run.id
    clock.advance(61)

    assert named(store.due(SHOP, LOCAL).hints) == [f"{run} run:tidy", f"{after} a:deploy"]


def test_a_run_that_is_done_in_time_has_no_deadline_any_more(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(ONE, timeout=60).run.id
    driver.do(run, "a:deploy")
    clock.advance(61)

    store.due(SHOP, LOCAL)

    assert driver.status(run) == "succeeded"


def test_a_step_that_ended_well_after_the_deadline_stays_so_in_a_run_that_failed(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(ONE, timeout=10).run.id
    claim = driver.claim(run, "a:deploy")
    clock.advance(11)
    store.due(SHOP, LOCAL)

    assert store.finish_well(claim, Outcome(changed=True, text="started")).ended == "failed"
    assert driver.states(run) == "a:deploy succeeded"


def test_a_step_that_would_be_tried_again_after_the_deadline_is_cancelled(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(ONE, timeout=10).run.id
    claim = driver.claim(run, "a:deploy")
    clock.advance(11)
    store.due(SHOP, LOCAL)

    store.finish_badly(claim, BROKEN, retry_in=5.0)

    assert driver.states(run) == "a:deploy cancelled"


def test_a_step_that_kills_its_workers_is_not_blamed_once_its_run_is_out_of_time(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(ONE, timeout=MAX_LOSSES * (LEASE + 1) - 5).run.id
    for _ in range(MAX_LOSSES):
        driver.claim(run, "a:deploy")
        clock.advance(LEASE + 1)
        store.due(SHOP, LOCAL)
        store.expire(SHOP, LOCAL)

    assert driver.states(run) == "a:deploy cancelled"
    assert driver.status(run) == "failed"


def test_a_fail_fast_run_that_does_not_come_to_its_end_is_ended_by_its_deadline(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(TWO, fail_fast=True, timeout=10).run.id
    claim = driver.claim(run, "b:deploy")
    driver.break_(run, "a:deploy")
    assert store.renew([claim]) == {(run, "b:deploy"): "held"}
    clock.advance(11)

    store.due(SHOP, LOCAL)

    assert store.renew([claim]) == {(run, "b:deploy"): "cancelled"}


def test_a_run_that_is_being_cancelled_ends_cancelled_though_its_time_is_over(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(ONE, timeout=10).run.id
    claim = driver.claim(run, "a:deploy")
    store.cancel(run, request="ctrl-c")
    clock.advance(11)

    store.due(SHOP, LOCAL)

    assert store.finish_cancelled(claim).ended == "cancelled"


def test_a_run_out_of_time_that_somebody_cancels_is_cancelled(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(ONE, timeout=10).run.id
    claim = driver.claim(run, "a:deploy")
    clock.advance(11)
    store.due(SHOP, LOCAL)

    store.cancel(run, request="ctrl-c")

    assert store.finish_cancelled(claim).ended == "cancelled"
    assert driver.told(run).splitlines()[-1] == "run cancelled"
