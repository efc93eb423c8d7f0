# SPDX-License-Identifier: Apache-2.0
"""A run that tries an earlier one again keeps what that one had done, unless another has begun since."""

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import SETTLE, Because, Claim, Hint, RunId, StepState, WorkerId, new_run_id
from fleetflow_tasks.engine.retrying import retry
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.plan.codec import Keys, parse_key, seal
from fleetflow_tasks.plan.model import SCHEMA, StepId
from fleetflow_tasks.runtimes.base import Outcome
from tests.engine.conftest import BROKEN, Clock, Driver, lines, plan_of, steps_of

SHOP = plan_of(
    "stage:prepare",
    "db:deploy <- stage:prepare",
    "api:deploy <- db:deploy",
    "web:deploy <- db:deploy",
    "stage:prune <- api:deploy, web:deploy",
)
AGAIN = Because(kind="retry", run=RunId("run-of-yesterday"), plan=RunId("run-of-yesterday"))


def test_steps_that_are_kept_count_as_done_and_the_run_begins_behind_them(driver: Driver) -> None:
    submitted = driver.submit(SHOP, kept=["stage:prepare", "db:deploy", "api:deploy"], because=AGAIN)

    assert driver.states(submitted.run.id) == lines(
        "stage:prepare succeeded",
        "db:deploy succeeded",
        "api:deploy succeeded",
        "web:deploy ready",
        "stage:prune waiting",
    )
    assert steps_of(submitted.hints) == ["web:deploy"]
    assert driver.do(submitted.run.id, "web:deploy", "stage:prune").ended == "succeeded"


def test_a_run_says_why_it_was_made_and_its_kept_steps_where_they_were_done(driver: Driver) -> None:
    run = driver.submit(SHOP, kept=["db:deploy"], because=AGAIN).run

    assert run.because == AGAIN
    state = driver.state(run.id, "db:deploy")
    assert state.outcome is not None
    assert (state.outcome.text, state.outcome.changed) == ("kept from run run-of-yesterday", False)
    assert (state.attempt, state.started, state.ended) == (0, None, None)


def test_kept_steps_are_not_told_as_moves(driver: Driver) -> None:
    run = driver.submit(SHOP, kept=["stage:prepare", "db:deploy", "api:deploy"], because=AGAIN).run.id

    assert driver.told(run) == lines("run queued behind 0", "run started", "web:deploy ready")


def test_a_kept_step_cannot_be_claimed(driver: Driver) -> None:
    run = driver.submit(SHOP, kept=["stage:prepare"], because=AGAIN).run.id

    assert driver.refused_or_claimed(run, "stage:prepare") == "ended"


def test_a_step_is_kept_though_what_it_needed_is_done_again(driver: Driver) -> None:
    run = driver.submit(SHOP, kept=["db:deploy", "api:deploy"], because=AGAIN).run.id
    assert driver.states(run) == lines(
        "stage:prepare ready",
        "db:deploy succeeded",
        "api:deploy succeeded",
        "web:deploy ready",
        "stage:prune waiting",
    )

    driver.do(run, "stage:prepare", "web:deploy", "stage:prune")

    assert driver.state(run, "db:deploy").attempt == 0
    assert driver.status(run) == "succeeded"


def test_a_failure_skips_what_waits_and_nothing_that_is_kept(driver: Driver) -> None:
    run = driver.submit(SHOP, kept=["api:deploy"], because=AGAIN).run.id

    driver.break_(run, "stage:prepare")

    assert driver.states(run) == lines(
        "stage:prepare failed",
        "db:deploy skipped",
        "api:deploy succeeded",
        "web:deploy skipped",
        "stage:prune skipped",
    )


def test_a_run_all_of_whose_steps_are_kept_ends_as_it_begins(driver: Driver, store: Store) -> None:
    run = driver.submit(SHOP, kept=[step.id for step in SHOP.steps], because=AGAIN).run

    assert run.status == "succeeded"
    assert driver.told(run.id) == lines("run queued behind 0", "run started", "run succeeded")
    assert store.good_run(ProjectName("shop"), StageName("local")) == run.id


def test_a_cancel_in_line_leaves_what_is_kept(driver: Driver, store: Store) -> None:
    driver.submit(SHOP)
    run = driver.submit(SHOP, kept=["stage:prepare"], because=AGAIN).run.id

    store.cancel(run, request="ctrl-c")

    assert driver.states(run).splitlines()[:2] == ["stage:prepare succeeded", "db:deploy cancelled"]
    assert driver.status(run) == "cancelled"


# ---------------------------------------------------------------------------------------------- what has begun since

PAIR = plan_of("db:deploy", "api:deploy")
KEYS = Keys(current=parse_key("a key of the tests, long enough to be one"))


class Between(Store):
    """Something happens while a retry opens the plan: it has looked at the stage, and has not submitted yet."""

    between: Callable[[], object] = staticmethod(lambda: None)

    def sealed_plan(self, run: RunId) -> bytes | None:
        self.between()
        return super().sealed_plan(run)


class Hand:
    """Runs of one stage whose `db` goes well, and whose `api` as one wishes."""

    def __init__(self, store: Between) -> None:
        self.store = store

    def submit(self) -> RunId:
        run = new_run_id()
        return self.store.submit(run, PAIR, seal(PAIR, KEYS, run), actor="eve").run.id

    def carry_out(self, run: RunId, *, well: bool = False) -> RunId:
        self.store.finish_well(self.claim(run, "db:deploy"), Outcome(changed=True, text="started"))
        api = self.claim(run, "api:deploy")
        if well:
            self.store.finish_well(api, Outcome(changed=True, text="started"))
        else:
            self.store.finish_badly(api, BROKEN, retry_in=None)
        return run

    def claim(self, run: RunId, step: str) -> Claim:
        claim = self.store.claim(run, StepId(step), worker=WorkerId("w"), nonce=step, schema=SCHEMA)
        assert isinstance(claim, Claim)
        return claim

    def deployed(self, *, well: bool = False) -> RunId:
        return self.carry_out(self.submit(), well=well)

    def retry(self, run: RunId) -> str:
        """How the steps of the retry stand, or why there is none."""
        hints: list[Hint] = []
        try:
            again = retry(run, store=self.store, keys=KEYS, publish=hints.append, actor="bob", wait_workers=True)
        except RefusedError as refused:
            return refused.problems[0].message
        return " ".join(state.status for state in self.steps(again.run.id))

    def steps(self, run: RunId) -> tuple[StepState, ...]:
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return snapshot.steps


@pytest.fixture
def hand(url: str, clock: Clock) -> Iterator[Hand]:
    with closing(Between.connect(url, client_name="ff-test", clock=clock)) as store:
        yield Hand(store)


def test_a_retry_is_refused_where_a_newer_run_has_begun(hand: Hand) -> None:
    failed = hand.deployed()
    hand.deployed(well=True)

    assert hand.retry(failed) == f"run {failed} is not the newest of stage `shop/local` any more"


def test_a_retry_is_refused_where_a_newer_run_comes_and_goes_between_the_look_and_the_submit(hand: Hand) -> None:
    failed = hand.deployed()
    hand.store.between = lambda: hand.deployed(well=True)

    assert hand.retry(failed) == "another run of stage `shop/local` has begun in this moment"
    assert len(hand.store.runs()) == 2


def test_a_newer_run_that_was_cancelled_in_line_does_not_stand_in_the_way_of_a_retry(hand: Hand) -> None:
    failed = hand.submit()
    hand.store.cancel(hand.submit(), request="ctrl-c")
    hand.carry_out(failed)

    assert hand.retry(failed) == "succeeded ready"


def test_a_run_that_was_cancelled_in_line_is_retried_as_a_whole(hand: Hand) -> None:
    before, cancelled = hand.submit(), hand.submit()
    hand.store.cancel(cancelled, request="ctrl-c")
    hand.carry_out(before, well=True)

    assert hand.retry(cancelled) == "ready ready"


def test_a_run_that_was_cancelled_in_line_is_not_retried_over_a_newer_one(hand: Hand) -> None:
    before, cancelled = hand.submit(), hand.submit()
    hand.store.cancel(cancelled, request="ctrl-c")
    hand.carry_out(before, well=True)
    hand.deployed(well=True)

    assert hand.retry(cancelled) == f"run {cancelled} is not the newest of stage `shop/local` any more"


def test_what_a_retry_that_never_began_was_to_keep_is_done_again(hand: Hand, clock: Clock) -> None:
    """Nobody says what became of it: that retry waited in line, and others may have begun before it."""
    failed = hand.deployed()
    lost = hand.submit()
    hand.claim(lost, "db:deploy")
    hand.store.cancel(lost, request="ctrl-c", now=True)
    assert hand.retry(failed) == f"run {failed} is not the newest of stage `shop/local` any more"
    assert hand.retry(lost) == "waiting waiting", "the stage is quiet"
    waiting = hand.store.runs()[0].id
    hand.store.cancel(waiting, request="ctrl-c")
    clock.advance(30 + SETTLE)

    assert hand.retry(waiting) == "ready ready"


def test_the_generation_of_a_stage_is_that_of_the_last_run_that_began(driver: Driver, store: Store) -> None:
    before = store.generation(ProjectName("shop"), StageName("local"))
    driver.do(driver.submit(PAIR).run.id, "db:deploy", "api:deploy")
    last = driver.submit(PAIR).run
    driver.submit(PAIR)

    assert (before, store.generation(ProjectName("shop"), StageName("local"))) == (0, last.generation)
