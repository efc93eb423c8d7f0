# SPDX-License-Identifier: Apache-2.0
"""A plan becomes a run: at once, in line, in another's place, or not at all; and never twice."""

import pytest
import redis

from fleetflow_tasks.engine.model import RunId, new_run_id
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import RefusedError
from tests.engine.conftest import Driver, lines, named, plan_of, steps_of

SHOP = plan_of(
    "stage:prepare",
    "db:prepare",
    "api:prepare",
    "db:deploy <- stage:prepare, db:prepare",
    "api:deploy <- stage:prepare, api:prepare, db:deploy",
    "stage:prune <- api:deploy, db:deploy",
)
ONE = plan_of("api:deploy")


def test_a_run_on_a_free_stage_starts_and_hints_what_needs_nothing(driver: Driver) -> None:
    submitted = driver.submit(SHOP)

    assert submitted.run.status == "running"
    assert submitted.run.generation > 0
    assert driver.states(submitted.run.id) == lines(
        "stage:prepare ready",
        "db:prepare ready",
        "api:prepare ready",
        "db:deploy waiting",
        "api:deploy waiting",
        "stage:prune waiting",
    )
    assert sorted(steps_of(submitted.hints)) == ["api:prepare", "db:prepare", "stage:prepare"]


def test_the_longest_way_to_the_end_is_hinted_first(driver: Driver) -> None:
    submitted = driver.submit(plan_of("a:deploy", "b:prepare", "c:prepare", "c:deploy <- c:prepare", "z:deploy"))

    assert steps_of(submitted.hints) == ["c:prepare", "a:deploy", "z:deploy", "b:prepare"]


def test_a_second_run_waits_in_line_and_says_how_many_are_ahead(driver: Driver) -> None:
    driver.submit(ONE)
    second = driver.submit(ONE)
    third = driver.submit(ONE)

    assert (second.run.status, second.run.ahead, second.hints) == ("queued", 1, ())
    assert (third.run.status, third.run.ahead) == ("queued", 2)
    assert driver.told(third.run.id) == "run queued behind 2"


def test_the_next_in_line_starts_in_the_moment_in_which_the_last_step_ends(driver: Driver) -> None:
    first, second = driver.submit(ONE), driver.submit(ONE)

    finished = driver.do(first.run.id, "api:deploy")

    assert finished.ended == "succeeded"
    assert [(hint.run, hint.step) for hint in finished.hints] == [(second.run.id, "api:deploy")]
    assert driver.status(second.run.id) == "running"


def test_generations_grow_from_run_to_run(driver: Driver, store: Store) -> None:
    first, second = driver.submit(ONE), driver.submit(ONE)
    driver.do(first.run.id, "api:deploy")

    started = store.run(second.run.id)

    assert started is not None
    assert started.generation > first.run.generation


def test_stages_do_not_wait_for_each_other(driver: Driver) -> None:
    driver.submit(plan_of("api:deploy", stage="stg"))

    assert driver.submit(plan_of("api:deploy", stage="prd")).run.status == "running"


def test_a_plan_without_steps_ends_as_it_begins(driver: Driver) -> None:
    submitted = driver.submit(plan_of())

    assert submitted.run.status == "succeeded"
    assert driver.told(submitted.run.id) == lines("run queued behind 0", "run started", "run succeeded")


def test_no_wait_refuses_a_busy_stage_and_names_its_run(driver: Driver, store: Store) -> None:
    first = driver.submit(ONE)

    with pytest.raises(RefusedError) as refused:
        driver.submit(ONE, conflict="fail")

    problem = refused.value.problems[0]
    assert problem.message == "stage `shop/local` is busy with another run"
    assert problem.cause == (f"run {first.run.id} of eve, running",)
    assert [run.id for run in store.runs()] == [first.run.id]


def test_no_wait_on_a_free_stage_starts(driver: Driver) -> None:
    assert driver.submit(ONE, conflict="fail").run.status == "running"


def test_supersede_takes_the_place_of_all_that_wait_and_stops_the_one_that_runs(driver: Driver) -> None:
    running, waiting = driver.submit(SHOP), driver.submit(ONE)
    claim = driver.claim(running.run.id, "db:prepare")

    newest = driver.submit(ONE, conflict="supersede")

    assert driver.status(waiting.run.id) == "cancelled"
    assert driver.status(running.run.id) == "ending"
    assert (newest.run.status, newest.run.ahead) == ("queued", 1)
    assert driver.store.renew([claim])[running.run.id, claim.step] == "cancelled"
    finished = driver.store.finish_cancelled(claim)
    assert finished.ended == "cancelled"
    assert named(finished.hints) == [f"{running.run.id} run:tidy", f"{newest.run.id} api:deploy"]
    assert driver.told(waiting.run.id) == lines(
        "run queued behind 1", "api:deploy cancelled", "run cancelled: a newer run took its place: run-4"
    )


def test_supersede_starts_at_once_where_nothing_is_being_done(driver: Driver) -> None:
    first = driver.submit(SHOP)

    newest = driver.submit(ONE, conflict="supersede")

    assert driver.status(first.run.id) == "cancelled"
    assert newest.run.status == "running"
    assert named(newest.hints) == [f"{first.run.id} run:tidy", f"{newest.run.id} api:deploy"]


def test_the_same_run_again_finds_the_first_and_its_hints(store: Store) -> None:
    run = new_run_id()
    first = store.submit(run, ONE, b"sealed", actor="eve")

    again = store.submit(run, ONE, b"sealed", actor="eve")

    assert again.repeated
    assert not first.repeated
    assert (again.run, again.hints) == (first.run, first.hints)


def test_the_same_run_long_after_its_end_is_still_not_begun_again(driver: Driver, raw: "redis.Redis") -> None:
    run = driver.submit(ONE).run.id
    driver.do(run, "api:deploy")
    raw.delete(f"ff:{{shop/local}}:run:{run}:answers")  # as after an hour

    again = driver.store.submit(run, ONE, b"sealed", actor="eve")

    assert (again.repeated, again.run.status, again.hints) == (True, "succeeded", ())


def test_the_same_idempotency_key_finds_the_first_run(driver: Driver, store: Store) -> None:
    first = driver.submit(ONE, key="ci-4711")

    again = driver.submit(SHOP, key="ci-4711")
    other = driver.submit(ONE, key="ci-4712")

    assert (again.run.id, again.repeated) == (first.run.id, True)
    assert other.run.id != first.run.id
    assert len(store.runs()) == 2


def test_an_idempotency_key_holds_for_one_stage(driver: Driver) -> None:
    driver.submit(ONE, key="ci-4711")

    assert not driver.submit(plan_of("api:deploy", stage="prd"), key="ci-4711").repeated


def test_the_sealed_plan_comes_back_as_it_went_in(store: Store) -> None:
    run, sealed = new_run_id(), bytes(range(256)) * 40

    store.submit(run, ONE, sealed, actor="eve")

    assert store.sealed_plan(run) == sealed


def test_nothing_of_a_plan_but_its_shape_is_written_in_clear(driver: Driver, raw: "redis.Redis") -> None:
    run = driver.submit(SHOP).run.id

    assert "/srv/shop" not in "".join(str(raw.hgetall(key)) for key in raw.keys("*") if raw.type(key) == "hash")
    assert raw.hget(f"ff:{{shop/local}}:run:{run}", "actor") == "eve"


def test_a_thousand_steps_are_all_there_and_in_order(driver: Driver) -> None:
    plan = plan_of("stage:prepare", *(f"s{i}:deploy <- stage:prepare" for i in range(1100)))
    run = driver.submit(plan).run.id

    finished = driver.do(run, "stage:prepare")

    snapshot = driver.store.snapshot(run)
    assert snapshot is not None
    assert [state.step for state in snapshot.steps] == [step.id for step in plan.steps]
    assert [state.status for state in snapshot.steps[1:]] == ["ready"] * 1100
    assert len(finished.hints) == 32


def test_run_ids_sort_by_time_and_never_meet() -> None:
    ids = [new_run_id() for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert {len(run) for run in ids} == {26}
    assert ids[0][:6] <= ids[-1][:6]
    assert set("".join(ids)) <= set("0123456789abcdefghjkmnpqrstvwxyz")


def test_a_run_nobody_knows_is_none(store: Store) -> None:
    assert store.run(RunId("nobody")) is None
    assert store.snapshot(RunId("nobody")) is None
    assert store.sealed_plan(RunId("nobody")) is None
    assert store.events(RunId("nobody")) == ()
