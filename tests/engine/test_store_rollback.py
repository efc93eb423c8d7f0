# SPDX-License-Identifier: Apache-2.0
"""Which run a stage goes back to, and how it waits, once a run that was to be rolled back has failed."""

import pytest
import redis

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine import keys
from fleetflow_tasks.engine.model import LEASE, Because, RunId, Undo
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem, RefusedError
from tests.engine.conftest import Clock, Driver, lines, plan_of

SHOP = ProjectName("shop")
LOCAL = StageName("local")
ALL = plan_of("api:deploy", "stage:prune <- api:deploy")
PART = plan_of("api:deploy")
DOWN = plan_of("api:remove", "stage:prune <- api:remove")
STAGE_KEY = "ff:{shop/local}:stage"
NOTHING_TO_GO_BACK_TO = Problem(code="no-rollback", message="not rolled back: no run of the stage has succeeded")


def deploy(driver: Driver) -> RunId:
    """All of the stage, and well."""
    run = driver.submit(ALL).run.id
    driver.do(run, "api:deploy", "stage:prune")
    return run


def fail(driver: Driver, *, key: str | None = None) -> RunId:
    """A run that is to be rolled back if it fails fails."""
    run = driver.submit(PART, rollback=True, key=key).run.id
    driver.break_(run, "api:deploy")
    return run


def undo(driver: Driver, failed: RunId) -> RunId:
    return driver.submit(ALL, because=Because(kind="rollback", run=failed), undoes=failed).run.id


# -- the good run


def test_the_last_run_that_deployed_the_whole_stage_and_succeeded_is_the_good_one(driver: Driver, store: Store) -> None:
    assert store.good_run(SHOP, LOCAL) is None

    good = deploy(driver)
    driver.do(driver.submit(PART).run.id, "api:deploy")
    driver.break_(driver.submit(ALL).run.id, "api:deploy")

    assert store.good_run(SHOP, LOCAL) == good
    found = store.run(good)
    assert found is not None
    assert found.whole


def test_a_stage_that_was_taken_down_has_no_good_run(driver: Driver, store: Store) -> None:
    deploy(driver)

    driver.do(driver.submit(DOWN).run.id, "api:remove", "stage:prune")

    assert store.good_run(SHOP, LOCAL) is None


def test_taking_one_service_down_leaves_the_good_run(driver: Driver, store: Store) -> None:
    good = deploy(driver)

    driver.do(driver.submit(plan_of("api:remove")).run.id, "api:remove")

    assert store.good_run(SHOP, LOCAL) == good


def test_the_good_run_is_kept_for_a_year_and_more_until_another_takes_its_place(
    driver: Driver, raw: "redis.Redis"
) -> None:
    def days(run: RunId) -> dict[str, int]:
        found = {str(key).rpartition(run)[2]: round(raw.ttl(key) / keys.DAY) for key in raw.keys(f"ff:{{*:{run}*")}
        return {**found, "index": round(raw.ttl(keys.index(run)) / keys.DAY)}

    first = deploy(driver)
    assert days(first) == {
        "": 400, ":steps": 400, ":order": 400, ":sealed": 400, ":events": 400, ":answers": 0, "index": 430,
    }  # fmt: skip

    second = deploy(driver)

    assert days(first) == {"": 30, ":steps": 30, ":order": 30, ":sealed": 30, ":events": 30, ":answers": 0, "index": 60}
    assert days(second)[":sealed"] == 400


def test_the_good_run_is_not_one_of_the_fifty_that_are_kept(driver: Driver, store: Store) -> None:
    good = deploy(driver)

    runs = [driver.submit(plan_of()).run.id for _ in range(55)]

    assert [run.id for run in store.runs(limit=100)] == [*runs[:4:-1], good]
    assert store.sealed_plan(good) == b"sealed"


def test_a_run_whose_place_was_taken_is_one_of_the_newest_of_those_that_are_kept(driver: Driver, store: Store) -> None:
    first = deploy(driver)
    for _ in range(55):
        driver.submit(plan_of())

    deploy(driver)

    assert store.run(first) is not None
    for _ in range(50):
        driver.submit(plan_of())
    assert store.run(first) is None


def test_what_outlived_its_month_leaves_the_lists_with_the_next_end(
    driver: Driver, raw: "redis.Redis", clock: Clock
) -> None:
    for _ in range(3):
        driver.submit(plan_of())
    clock.advance(31 * keys.DAY)

    run = driver.submit(plan_of()).run.id

    assert raw.zrange("ff:{shop/local}:ended", 0, -1) == [run]
    assert raw.zrange("ff:{shop/local}:runs", 0, -1) == [run]


# -- a stage that is held


def test_a_stage_whose_run_is_to_be_rolled_back_begins_nothing_else(driver: Driver, store: Store) -> None:
    good, failed = deploy(driver), fail(driver)
    after = driver.submit(PART)

    assert store.undo(SHOP, LOCAL) == Undo(failed=failed, good=good)
    assert (after.run.status, after.run.ahead, after.hints) == ("queued", 1, ())
    assert store.due(SHOP, LOCAL).hints == ()
    assert store.active_stages() == [(SHOP, LOCAL)]


def test_a_held_stage_stays_in_care_with_nobody_in_line(driver: Driver, store: Store) -> None:
    fail(driver)

    store.due(SHOP, LOCAL)

    assert store.active_stages() == [(SHOP, LOCAL)]


def test_no_wait_is_refused_by_a_held_stage(driver: Driver) -> None:
    failed = fail(driver)

    with pytest.raises(RefusedError) as refused:
        driver.submit(PART, conflict="fail")

    assert refused.value.problems[0].cause == (f"run {failed} of eve, failed",)


def test_the_rollback_goes_before_all_who_wait_and_lets_them_go_on(driver: Driver, store: Store) -> None:
    deploy(driver)
    failed = fail(driver)
    after = driver.submit(PART).run.id

    undoing = undo(driver, failed)

    assert store.undo(SHOP, LOCAL) is None
    assert driver.status(undoing) == "running"
    assert [hint.run for hint in driver.do(undoing, "api:deploy", "stage:prune").hints] == [after]
    assert store.good_run(SHOP, LOCAL) == undoing


def test_two_who_roll_back_at_once_are_given_the_same_run(driver: Driver, store: Store) -> None:
    deploy(driver)
    failed = fail(driver)
    first = driver.submit(ALL, undoes=failed)

    second = driver.submit(ALL, undoes=failed)
    driver.do(first.run.id, "api:deploy", "stage:prune")
    third = driver.submit(ALL, undoes=failed)

    assert [each.run.id for each in (second, third)] == [first.run.id] * 2
    assert [each.repeated for each in (first, second, third)] == [False, True, True]
    assert len(store.runs()) == 3


def test_nobody_rolls_back_what_is_not_waited_for(driver: Driver) -> None:
    run = driver.submit(PART).run.id

    with pytest.raises(RefusedError, match=f"does not wait for run `{run}` to be rolled back"):
        driver.submit(ALL, undoes=run)


def test_a_newer_run_that_takes_the_place_of_all_takes_that_of_the_rollback_too(driver: Driver, store: Store) -> None:
    deploy(driver)
    failed = fail(driver)

    newer = driver.submit(PART, conflict="supersede").run

    assert newer.status == "running"
    assert store.undo(SHOP, LOCAL) is None
    assert driver.told(failed).splitlines()[-1] == f"noted: not rolled back: a newer run took its place: {newer.id}"
    with pytest.raises(RefusedError, match="does not wait for run"):
        driver.submit(ALL, undoes=failed)


def test_where_nothing_can_be_brought_back_the_failed_run_tells_why_and_the_line_goes_on(
    driver: Driver, store: Store
) -> None:
    failed = fail(driver)
    after = driver.submit(PART).run.id

    hints = store.no_undo(SHOP, LOCAL, failed, NOTHING_TO_GO_BACK_TO)

    assert [hint.run for hint in hints] == [after]
    assert store.no_undo(SHOP, LOCAL, failed, NOTHING_TO_GO_BACK_TO) == hints
    found = store.run(failed)
    assert found is not None
    assert found.problem == NOTHING_TO_GO_BACK_TO
    assert (
        driver.told(failed).splitlines()[-2:]
        == lines("run failed", "noted: not rolled back: no run of the stage has succeeded").splitlines()
    )


def test_giving_up_a_rollback_that_is_not_waited_for_changes_nothing(driver: Driver, store: Store) -> None:
    run = driver.submit(PART).run.id

    assert store.no_undo(SHOP, LOCAL, run, NOTHING_TO_GO_BACK_TO) == ()

    found = store.run(run)
    assert found is not None
    assert found.problem is None


def test_a_failed_run_that_is_forgotten_meanwhile_holds_nobody_for_ever(
    driver: Driver, store: Store, raw: "redis.Redis"
) -> None:
    failed = fail(driver)
    raw.delete(*raw.keys(f"ff:{{shop/local}}:run:{failed}*"))
    after = driver.submit(PART).run.id

    hints = store.no_undo(SHOP, LOCAL, failed, NOTHING_TO_GO_BACK_TO)

    assert [hint.run for hint in hints] == [after]
    assert raw.keys(f"ff:{{shop/local}}:run:{failed}*") == []


@pytest.mark.parametrize("how", ["cancelled", "superseded", "succeeded"])
def test_only_a_failed_run_is_rolled_back(driver: Driver, store: Store, how: str) -> None:
    run = driver.submit(PART, rollback=True).run.id
    match how:
        case "cancelled":
            store.cancel(run, request="ctrl-c")
        case "superseded":
            driver.submit(plan_of(), conflict="supersede")
        case _:
            driver.do(run, "api:deploy")

    assert store.undo(SHOP, LOCAL) is None


def test_a_run_that_ended_by_its_deadline_is_rolled_back(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(PART, rollback=True, timeout=60).run.id
    clock.advance(61)

    store.due(SHOP, LOCAL)

    assert store.undo(SHOP, LOCAL) == Undo(failed=run)


def test_a_run_that_never_began_is_not_rolled_back(driver: Driver, store: Store, clock: Clock) -> None:
    driver.submit(PART)
    driver.submit(PART, rollback=True, timeout=60)
    clock.advance(61)

    store.due(SHOP, LOCAL)

    assert store.undo(SHOP, LOCAL) is None


def test_a_rollback_waits_for_the_last_call_of_a_lost_worker(driver: Driver, store: Store, clock: Clock) -> None:
    deploy(driver)
    failed = driver.submit(plan_of("api:deploy", "db:deploy"), rollback=True, fail_fast=True).run.id
    driver.claim(failed, "db:deploy", worker="host:1:dead")
    driver.break_(failed, "api:deploy")
    clock.advance(LEASE + 1)
    store.expire(SHOP, LOCAL)

    undoing = undo(driver, failed)

    assert driver.status(undoing) == "queued"
    clock.advance(LEASE)
    assert [hint.run for hint in store.due(SHOP, LOCAL).hints] == [undoing]


def test_a_run_of_an_older_fleetflow_ends_as_it_did_there(driver: Driver, store: Store, raw: "redis.Redis") -> None:
    run = driver.submit(ALL, rollback=True, timeout=60).run.id
    raw.hdel(f"ff:{{shop/local}}:run:{run}", "rollback", "whole", "deadline", "because", "adopt")

    driver.do(run, "api:deploy", "stage:prune")

    assert driver.status(run) == "succeeded"
    assert store.good_run(SHOP, LOCAL) is None
    assert raw.hget(STAGE_KEY, "undo") is None


def test_an_older_fleetflow_may_leave_the_deadline_of_a_run_that_it_ended(
    driver: Driver, store: Store, raw: "redis.Redis", clock: Clock
) -> None:
    run = driver.submit(PART).run.id
    driver.do(run, "api:deploy")
    raw.zadd("ff:{shop/local}:deadlines", {run: clock(), "forgotten": clock()})

    store.due(SHOP, LOCAL)

    assert driver.status(run) == "succeeded"
    assert not raw.exists("ff:{shop/local}:deadlines")
