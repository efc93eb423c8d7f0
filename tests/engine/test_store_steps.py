# SPDX-License-Identifier: Apache-2.0
"""A step is claimed, kept, given back or finished by the one worker whose fence is the newest."""

import pytest

from fleetflow_tasks.engine.model import LEASE, Finished, RunId, WorkerId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.runtimes.base import Outcome
from tests.engine.conftest import BROKEN, Clock, Driver, lines, plan_of, steps_of

CHAIN = plan_of("a:deploy", "b:deploy <- a:deploy", "c:deploy <- b:deploy")
DIAMOND = plan_of("a:deploy", "b:deploy <- a:deploy", "c:deploy <- a:deploy", "d:deploy <- b:deploy, c:deploy")


def test_a_claim_carries_the_right_to_one_step(driver: Driver) -> None:
    run = driver.submit(CHAIN).run

    claim = driver.claim(run.id, "a:deploy")

    assert (claim.project, claim.stage, claim.attempt, claim.losses) == ("shop", "local", 1, 0)
    assert claim.generation == run.generation
    assert claim.lease == LEASE
    assert driver.state(run.id, "a:deploy").worker == "host:1:a"


def test_a_claim_is_refused_in_a_word(driver: Driver) -> None:
    run, queued = driver.submit(CHAIN).run.id, driver.submit(CHAIN).run.id
    driver.do(run, "a:deploy")
    driver.claim(run, "b:deploy")

    assert driver.refused_or_claimed(run, "a:deploy") == "ended"
    assert driver.refused_or_claimed(run, "b:deploy") == "taken"
    assert driver.refused_or_claimed(run, "c:deploy") == "not-ready"
    assert driver.refused_or_claimed(run, "x:deploy") == "not-found"
    assert driver.refused_or_claimed(queued, "a:deploy") == "not-ready"
    assert driver.refused_or_claimed(RunId("nobody"), "a:deploy") == "not-found"


def test_a_worker_older_than_the_plan_leaves_the_step_to_a_newer_one(driver: Driver) -> None:
    run = driver.submit(plan_of("a:deploy", schema=2)).run.id

    assert driver.refused_or_claimed(run, "a:deploy", schema=1) == "newer-schema"
    assert driver.states(run) == "a:deploy ready"
    assert not isinstance(driver.refused_or_claimed(run, "a:deploy", schema=2), str)


def test_the_same_claim_again_gets_the_same_fence(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id
    first = store.claim(run, StepId("a:deploy"), worker=WorkerId("w"), nonce="n", schema=1)

    again = store.claim(run, StepId("a:deploy"), worker=WorkerId("w"), nonce="n", schema=1)

    assert not isinstance(first, str)
    assert not isinstance(again, str)
    assert again.fence == first.fence
    assert driver.told(run).count("a:deploy running") == 1


def test_fences_grow_from_claim_to_claim(driver: Driver) -> None:
    run = driver.submit(plan_of("a:deploy", "b:deploy", "c:deploy")).run.id

    fences = [driver.claim(run, step).fence for step in ("a:deploy", "b:deploy", "c:deploy")]

    assert fences == sorted(set(fences))


def test_a_finished_step_readies_its_successors_and_hints_them(driver: Driver) -> None:
    run = driver.submit(DIAMOND).run.id

    assert steps_of(driver.do(run, "a:deploy").hints) == ["b:deploy", "c:deploy"]
    assert steps_of(driver.do(run, "b:deploy").hints) == []
    assert steps_of(driver.do(run, "c:deploy").hints) == ["d:deploy"]
    assert driver.do(run, "d:deploy").ended == "succeeded"
    assert driver.status(run) == "succeeded"


def test_the_outcome_of_a_step_is_kept_whole(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id
    outcome = Outcome(changed=True, text='pulled 12 MB "naïve" \\ 日本', facts={"port": "8080"})

    store.finish_well(driver.claim(run, "a:deploy"), outcome)

    assert driver.state(run, "a:deploy").outcome == outcome


def test_the_same_finish_again_gets_the_first_answer(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id
    claim, outcome = driver.claim(run, "a:deploy"), Outcome(changed=False, text="unchanged")
    first = store.finish_well(claim, outcome)
    driver.claim(run, "b:deploy")

    assert store.finish_well(claim, outcome) == first
    assert steps_of(first.hints) == ["b:deploy"]
    assert driver.told(run).count("a:deploy succeeded") == 1


def test_the_finish_that_ends_a_run_can_be_repeated_too(driver: Driver, store: Store) -> None:
    run = driver.submit(plan_of("a:deploy")).run.id
    claim, outcome = driver.claim(run, "a:deploy"), Outcome(changed=False, text="unchanged")

    assert store.finish_well(claim, outcome) == store.finish_well(claim, outcome)
    assert driver.status(run) == "succeeded"


def test_a_worker_that_lost_its_step_changes_nothing_any_more(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(CHAIN).run
    lost = driver.claim(run.id, "a:deploy", worker="host:1:slow")
    clock.advance(LEASE + 1)
    store.expire(run.project, run.stage)
    driver.claim(run.id, "a:deploy", worker="host:2:fast")
    before = driver.told(run.id)

    assert store.renew([lost]) == {(run.id, "a:deploy"): "lost"}
    assert store.release(lost, reason="the worker ends") == Finished(accepted=False)
    assert not store.finish_well(lost, Outcome(changed=True, text="started")).accepted
    assert not store.finish_badly(lost, BROKEN, retry_in=None).accepted
    assert not store.finish_cancelled(lost).accepted
    store.progress(lost, "2 of 3 ready", 2, 3)

    assert driver.told(run.id) == before
    assert driver.state(run.id, "a:deploy").worker == "host:2:fast"


def test_a_lease_that_is_over_is_renewed_while_nobody_else_has_the_step(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(CHAIN).run
    claim = driver.claim(run.id, "a:deploy")
    clock.advance(10 * LEASE)

    assert store.renew([claim]) == {(run.id, "a:deploy"): "held"}
    assert store.expire(run.project, run.stage) == ()
    assert driver.states(run.id).startswith("a:deploy running")


def test_one_renewal_serves_the_claims_of_many_stages(driver: Driver, store: Store) -> None:
    claims = [
        driver.claim(driver.submit(plan_of("a:deploy", "b:deploy", stage=stage)).run.id, step)
        for stage, step in (("stg", "a:deploy"), ("prd", "b:deploy"))
    ]

    assert list(store.renew(claims).values()) == ["held", "held"]
    assert store.renew([]) == {}


def test_a_step_given_back_is_ready_for_another_and_counts_no_loss(driver: Driver, store: Store) -> None:
    run = driver.submit(plan_of("a:deploy retries=0")).run.id
    claim = driver.claim(run, "a:deploy")

    given_back = store.release(claim, reason="the worker ends")

    assert steps_of(given_back.hints) == ["a:deploy"]
    assert store.release(claim, reason="the worker ends") == given_back
    state = driver.state(run, "a:deploy")
    assert (state.status, state.attempt, state.losses, state.releases, state.worker) == ("ready", 1, 0, 1, None)
    again = driver.claim(run, "a:deploy")
    assert (again.attempt, again.losses, again.releases) == (2, 0, 1)


def test_a_release_uses_up_no_retry(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy retries=1")).run
    store.release(driver.claim(run.id, "a:deploy"), reason="the worker ends")

    driver.break_(run.id, "a:deploy", retry_in=5.0)

    assert driver.states(run.id) == "a:deploy delayed"
    clock.advance(6)
    store.due(run.project, run.stage)
    assert driver.break_(run.id, "a:deploy", retry_in=5.0).ended == "failed"


def test_a_failed_step_skips_all_that_wait_for_it_and_nothing_else(driver: Driver) -> None:
    run = driver.submit(
        plan_of(
            "a:deploy",
            "b:deploy <- a:deploy",
            "c:deploy <- b:deploy",
            "x:deploy",
            "y:deploy <- x:deploy",
            "stage:prune <- c:deploy, y:deploy",
        )
    ).run.id

    driver.break_(run, "a:deploy")

    assert driver.states(run) == lines(
        "a:deploy failed",
        "b:deploy skipped",
        "c:deploy skipped",
        "x:deploy ready",
        "y:deploy waiting",
        "stage:prune skipped",
    )
    assert driver.state(run, "a:deploy").problem == BROKEN
    assert driver.do(run, "x:deploy", "y:deploy").ended == "failed"


def test_a_skipped_step_says_what_it_waited_for(driver: Driver) -> None:
    run = driver.submit(CHAIN).run.id

    driver.break_(run, "a:deploy")

    problem = driver.state(run, "c:deploy").problem
    assert problem is not None
    assert problem.message == "not begun: `a:deploy` failed"


def test_fail_fast_begins_nothing_new_and_lets_what_runs_end(driver: Driver, store: Store) -> None:
    run = driver.submit(plan_of("a:deploy", "b:deploy", "c:deploy", "d:deploy <- b:deploy"), fail_fast=True).run.id
    going = driver.claim(run, "b:deploy")

    driver.break_(run, "a:deploy")

    assert driver.status(run) == "ending"
    assert driver.refused_or_claimed(run, "c:deploy") == "ended"
    assert store.renew([going]) == {(run, "b:deploy"): "held"}
    assert store.finish_well(going, Outcome(changed=True, text="started")).ended == "failed"
    assert driver.states(run) == lines("a:deploy failed", "b:deploy succeeded", "c:deploy skipped", "d:deploy skipped")


def test_what_fails_while_a_run_ends_is_not_tried_again(driver: Driver, store: Store) -> None:
    run = driver.submit(plan_of("a:deploy", "b:deploy"), fail_fast=True).run.id
    going = driver.claim(run, "b:deploy")
    driver.break_(run, "a:deploy")

    finished = store.finish_badly(going, BROKEN, retry_in=5.0)

    assert finished.ended == "failed"
    assert driver.states(run) == lines("a:deploy failed", "b:deploy failed")


def test_a_failure_that_may_pass_is_tried_again_when_its_time_comes(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy retries=1")).run
    driver.break_(run.id, "a:deploy", retry_in=8.0)
    state = driver.state(run.id, "a:deploy")
    assert (state.status, state.problem) == ("delayed", BROKEN)
    assert state.due == pytest.approx(state.since + 8.0)

    clock.advance(7)
    assert store.due(run.project, run.stage).hints == ()
    clock.advance(2)
    assert steps_of(store.due(run.project, run.stage).hints) == ["a:deploy"]

    assert driver.claim(run.id, "a:deploy").attempt == 2


def test_retries_are_bounded_by_the_plan(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy retries=2")).run

    for _ in range(2):
        assert driver.break_(run.id, "a:deploy", retry_in=1.0).ended is None
        clock.advance(2)
        store.due(run.project, run.stage)

    assert driver.break_(run.id, "a:deploy", retry_in=1.0).ended == "failed"
    assert driver.state(run.id, "a:deploy").attempt == 3


def test_a_worker_that_says_cancelled_leaves_its_dependants_out(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id

    finished = store.finish_cancelled(driver.claim(run, "a:deploy"))

    assert finished.ended == "cancelled"
    assert driver.states(run) == lines("a:deploy cancelled", "b:deploy skipped", "c:deploy skipped")


def test_hints_of_a_run_stop_at_the_window_and_go_on_as_steps_are_claimed(driver: Driver) -> None:
    driver.worker("docker", slots=8)

    submitted = driver.submit(plan_of(*(f"s{i}:deploy" for i in range(9))))

    assert len(submitted.hints) == 4  # one for two slots
    first = driver.claim(submitted.run.id, "s0:deploy")
    assert steps_of(first.hints) == ["s4:deploy"]
    assert driver.store.finish_well(first, Outcome(changed=True, text="started")).hints == ()


def test_windows_are_counted_per_queue(driver: Driver) -> None:
    driver.worker("docker", slots=1)
    driver.worker("docker.web1", slots=1, name="host:2:b")
    here, there = [f"a{i}:deploy" for i in range(5)], [f"b{i}:deploy queue=docker.web1" for i in range(5)]

    hints = driver.submit(plan_of(*here, *there)).hints

    assert sorted(hint.queue for hint in hints) == ["docker", "docker", "docker.web1", "docker.web1"]


def test_a_claim_knows_what_is_left_of_its_tries(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(plan_of("a:deploy")).run
    driver.claim(run.id, "a:deploy")
    clock.advance(LEASE + 1)
    store.expire(run.project, run.stage)

    claim = driver.claim(run.id, "a:deploy")

    assert claim.attempt - claim.losses - claim.releases == 1
