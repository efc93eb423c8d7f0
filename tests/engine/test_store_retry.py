# SPDX-License-Identifier: Apache-2.0
"""A run that tries an earlier one again keeps what that one had done."""

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import Because, RunId
from fleetflow_tasks.engine.store import Store
from tests.engine.conftest import Driver, lines, plan_of, steps_of

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
