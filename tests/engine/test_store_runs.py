# SPDX-License-Identifier: Apache-2.0
"""How a run is cancelled and ends, what is kept of it and for how long."""

from typing import Any, cast

import pytest
import redis

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import LEASE, SETTLE, RunId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.plan.model import QueueName
from fleetflow_tasks.runtimes.base import Outcome
from tests.engine.conftest import BROKEN, Clock, Driver, lines, named, plan_of

TWO = plan_of("a:deploy", "b:deploy", "c:deploy <- a:deploy, b:deploy")
ONE = plan_of("a:deploy")


def test_a_cancel_begins_nothing_new_and_tells_what_runs_when_it_renews(driver: Driver, store: Store) -> None:
    run = driver.submit(TWO).run.id
    claim = driver.claim(run, "a:deploy")

    store.cancel(run, request="ctrl-c")

    assert driver.status(run) == "ending"
    assert driver.states(run) == lines("a:deploy running", "b:deploy cancelled", "c:deploy cancelled")
    assert driver.refused_or_claimed(run, "b:deploy") == "ended"
    assert store.renew([claim]) == {(run, "a:deploy"): "cancelled"}
    assert store.finish_cancelled(claim).ended == "cancelled"
    assert driver.told(run).splitlines()[-4:] == [
        "b:deploy cancelled",
        "c:deploy cancelled",
        "a:deploy cancelled",
        "run cancelled",
    ]


def test_a_step_that_ended_well_in_a_cancelled_run_stays_so(driver: Driver, store: Store) -> None:
    run = driver.submit(TWO).run.id
    claim = driver.claim(run, "a:deploy")
    store.cancel(run, request="ctrl-c")

    assert store.finish_well(claim, Outcome(changed=True, text="started")).ended == "cancelled"

    assert driver.states(run) == lines("a:deploy succeeded", "b:deploy cancelled", "c:deploy cancelled")


def test_a_step_that_would_be_tried_again_is_cancelled_with_its_run(driver: Driver, store: Store) -> None:
    run = driver.submit(ONE).run.id
    claim = driver.claim(run, "a:deploy")
    store.cancel(run, request="ctrl-c")

    assert store.finish_badly(claim, BROKEN, retry_in=5.0).ended == "cancelled"
    assert driver.states(run) == "a:deploy cancelled"


def test_a_step_given_back_in_a_cancelled_run_is_cancelled(driver: Driver, store: Store) -> None:
    run, after = driver.submit(ONE).run.id, driver.submit(ONE).run.id
    claim = driver.claim(run, "a:deploy")
    store.cancel(run, request="ctrl-c")

    hints = store.release(claim, reason="the worker ends").hints

    assert driver.status(run) == "cancelled"
    assert named(hints) == [f"{run} run:tidy", f"{after} a:deploy"]


def test_a_delayed_step_is_cancelled_at_once(driver: Driver, store: Store) -> None:
    run = driver.submit(ONE).run.id
    driver.break_(run, "a:deploy", retry_in=5.0)

    store.cancel(run, request="ctrl-c")

    assert driver.status(run) == "cancelled"


def test_the_same_cancel_again_gets_the_same_hints(driver: Driver, store: Store) -> None:
    run, after = driver.submit(ONE).run.id, driver.submit(ONE).run.id

    hints = store.cancel(run, request="ctrl-c")

    assert named(hints) == [f"{run} run:tidy", f"{after} a:deploy"]
    assert store.cancel(run, request="ctrl-c") == hints
    assert store.cancel(run, request="another") == ()


def test_a_cancelled_run_in_line_leaves_it(driver: Driver, store: Store) -> None:
    first, second, third = (driver.submit(ONE).run.id for _ in range(3))

    assert store.cancel(second, request="ctrl-c") == ()

    assert driver.status(second) == "cancelled"
    assert [hint.run for hint in driver.do(first, "a:deploy").hints] == [third]


def test_a_cancel_after_a_fail_fast_reaches_what_still_runs(driver: Driver, store: Store) -> None:
    run = driver.submit(TWO, fail_fast=True).run.id
    claim = driver.claim(run, "b:deploy")
    driver.break_(run, "a:deploy")

    store.cancel(run, request="ctrl-c")

    assert store.renew([claim]) == {(run, "b:deploy"): "cancelled"}
    assert store.finish_cancelled(claim).ended == "cancelled"


def test_a_run_that_ended_cannot_be_cancelled_any_more(driver: Driver, store: Store) -> None:
    run = driver.submit(ONE).run.id
    driver.do(run, "a:deploy")

    assert store.cancel(run, request="ctrl-c") == ()
    assert driver.status(run) == "succeeded"


def test_a_cancel_of_a_run_nobody_knows_says_so(store: Store) -> None:
    with pytest.raises(RefusedError, match="there is no run `nobody`"):
        store.cancel(RunId("nobody"), request="ctrl-c")


def test_a_cancel_at_once_takes_running_steps_from_their_workers(driver: Driver, store: Store) -> None:
    run = driver.submit(TWO).run.id
    claim = driver.claim(run, "a:deploy")

    store.cancel(run, request="ctrl-c", now=True)

    assert driver.states(run) == lines("a:deploy cancelled", "b:deploy cancelled", "c:deploy cancelled")
    assert driver.status(run) == "cancelled"
    assert store.renew([claim]) == {(run, "a:deploy"): "lost"}
    assert not store.finish_well(claim, Outcome(changed=True, text="started")).accepted


def test_after_a_cancel_at_once_the_next_run_waits_until_the_last_call_has_landed(
    driver: Driver, store: Store, clock: Clock
) -> None:
    run = driver.submit(TWO).run
    after = driver.submit(ONE).run.id
    driver.claim(run.id, "b:deploy")
    clock.advance(20)
    driver.claim(run.id, "a:deploy")

    store.cancel(run.id, request="ctrl-c", now=True)

    assert driver.status(after) == "queued"
    clock.advance(LEASE + SETTLE - 1)
    assert store.due(run.project, run.stage).hints == ()
    clock.advance(2)
    assert named(store.due(run.project, run.stage).hints) == [f"{after} a:deploy"]


def test_a_cancel_at_once_may_follow_one_that_waits(driver: Driver, store: Store) -> None:
    run = driver.submit(TWO).run.id
    driver.claim(run, "a:deploy")
    store.cancel(run, request="ctrl-c")
    assert driver.status(run) == "ending"

    store.cancel(run, request="once more", now=True)

    assert driver.status(run) == "cancelled"
    assert driver.told(run).splitlines().count("run ending: cancelled") == 1


def test_a_cancel_at_once_of_what_nobody_carries_out_keeps_nobody_waiting(driver: Driver, store: Store) -> None:
    run, after = driver.submit(ONE).run.id, driver.submit(ONE).run.id

    hints = store.cancel(run, request="ctrl-c", now=True)

    assert named(hints) == [f"{run} run:tidy", f"{after} a:deploy"]


def test_keys_live_for_ever_while_a_run_does_and_for_a_month_after(driver: Driver, raw: "redis.Redis") -> None:
    run = driver.submit(TWO, key="ci-1").run.id
    claim = driver.claim(run, "b:deploy")
    driver.do(run, "a:deploy")
    assert {raw.ttl(key) for key in raw.keys("ff:{*")} == {-1}

    driver.store.finish_badly(claim, BROKEN, retry_in=None)

    lives = {str(key).rpartition(run)[2]: round(raw.ttl(key) / 3600) for key in raw.keys(f"ff:{{*:run:{run}*")}
    assert lives == {"": 720, ":steps": 720, ":order": 720, ":sealed": 720, ":events": 720, ":answers": 1}
    assert round(raw.ttl("ff:{shop/local}:key:ci-1") / 3600) == 720


def test_the_last_fifty_ended_runs_of_a_stage_are_kept(driver: Driver, store: Store, raw: "redis.Redis") -> None:
    runs = [driver.submit(plan_of(), key=f"ci-{number}").run.id for number in range(53)]

    assert [run.id for run in store.runs(limit=100)] == runs[:2:-1]
    assert store.run(runs[0]) is None
    assert raw.keys(f"ff:{{*:run:{runs[0]}:*") == []
    assert not raw.exists("ff:{shop/local}:key:ci-0")
    assert raw.exists("ff:{shop/local}:key:ci-52")


def test_runs_are_listed_newest_first_over_all_stages_or_some(driver: Driver, store: Store) -> None:
    for project, stage in (("shop", "stg"), ("shop", "prd"), ("blog", "prd")):
        driver.submit(plan_of("a:deploy", project=project, stage=stage))

    assert [f"{run.project}/{run.stage}" for run in store.runs()] == ["blog/prd", "shop/prd", "shop/stg"]
    assert [run.stage for run in store.runs(ProjectName("shop"))] == ["prd", "stg"]
    assert [run.project for run in store.runs(stage=StageName("prd"))] == ["blog", "shop"]
    assert len(store.runs(limit=1)) == 1


def test_runs_are_listed_by_status_by_whose_they_are_and_since_when(driver: Driver, store: Store, clock: Clock) -> None:
    old = driver.submit(plan_of(), actor="adam").run.id
    clock.advance(3600)
    since = clock()
    failed = driver.submit(ONE).run.id
    driver.break_(failed, "a:deploy")
    running, queued = driver.submit(ONE).run.id, driver.submit(ONE, actor="adam").run.id

    def listed(**wanted: Any) -> list[RunId]:
        return [run.id for run in store.runs(**wanted)]

    assert listed() == [queued, running, failed, old]
    assert listed(statuses=("queued", "failed")) == [queued, failed]
    assert listed(actor="adam") == [queued, old]
    assert listed(since=since) == [queued, running, failed]
    assert listed(actor="adam", since=since, statuses=("succeeded",)) == []
    assert listed(statuses=("succeeded",), limit=1) == [old]


def test_a_list_of_runs_is_full_even_where_newer_ones_are_not_wanted(driver: Driver, store: Store) -> None:
    wanted = [driver.submit(plan_of(), actor="adam").run.id for _ in range(3)]
    for _ in range(10):
        driver.submit(plan_of())

    assert [run.id for run in store.runs(actor="adam", limit=2)] == wanted[:0:-1]


def test_the_newest_of_many_stages_are_found_without_asking_them_all(
    driver: Driver, store: Store, raw: "redis.Redis", clock: Clock
) -> None:
    for number in range(120):
        driver.submit(plan_of(project="shop", stage=f"pr-{number}"))
        clock.advance(10)
    before = calls(raw)

    newest = store.runs(limit=5)

    assert [run.stage for run in newest] == ["pr-119", "pr-118", "pr-117", "pr-116", "pr-115"]
    assert calls(raw) - before == 50
    assert len(store.runs(limit=1000)) == 120


def calls(raw: "redis.Redis") -> int:
    """How often scripts that only read were asked for."""
    found = cast("dict[str, dict[str, int]]", raw.info("commandstats"))
    return sum(found.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha_ro", "eval_ro"))


def test_the_list_of_runs_outlives_a_server_that_forgets_its_scripts(
    driver: Driver, store: Store, raw: "redis.Redis"
) -> None:
    driver.submit(ONE)
    driver.submit(plan_of("a:deploy", stage="prd"))
    raw.script_flush()

    assert len(store.runs()) == 2


def test_the_active_run_is_known_by_its_stage(driver: Driver, store: Store) -> None:
    run = driver.submit(ONE).run
    assert store.active_run(run.project, run.stage) == run

    driver.do(run.id, "a:deploy")

    assert store.active_run(run.project, run.stage) is None


def test_a_run_says_who_and_when(driver: Driver, store: Store, clock: Clock) -> None:
    run = driver.submit(ONE).run.id
    clock.advance(60)
    driver.do(run, "a:deploy")

    found = store.run(run)

    assert found is not None
    assert (found.actor, found.note) == ("eve", "main@1a2b")
    assert found.started == found.submitted
    assert 60 < (found.ended or 0) - found.submitted < 61


def test_a_stage_keeps_the_engine_it_was_first_deployed_to(store: Store) -> None:
    def pin(identity: str, queue: str = "docker") -> str:
        return store.pin_engine(ProjectName("shop"), StageName("local"), QueueName(queue), identity)

    assert pin("ABCD") == "ABCD"
    assert pin("EFGH") == "ABCD"
    assert pin("EFGH", queue="docker.web1") == "EFGH"


def test_a_run_that_adopts_makes_its_stage_forget_its_engines_when_it_begins(driver: Driver, store: Store) -> None:
    def pin(identity: str) -> str:
        return store.pin_engine(ProjectName("shop"), StageName("local"), QueueName("docker"), identity)

    first, second = driver.submit(ONE).run.id, driver.submit(ONE, adopt=True).run.id
    pin("ABCD")
    assert pin("EFGH") == "ABCD"

    driver.do(first, "a:deploy")

    assert pin("EFGH") == "EFGH"
    assert driver.status(second) == "running"


def test_a_run_may_be_followed_by_one_that_waited_behind_several_empty_ones(driver: Driver) -> None:
    first = driver.submit(ONE).run.id
    empty = [driver.submit(plan_of()).run.id for _ in range(3)]
    last = driver.submit(ONE).run.id

    hints = driver.do(first, "a:deploy").hints

    assert [driver.status(run) for run in empty] == ["succeeded"] * 3
    assert [(hint.run, hint.step) for hint in hints] == [(last, "a:deploy")]


def test_a_run_that_began_and_ends_badly_hints_at_what_it_leaves_behind_once_for_each_queue(
    driver: Driver, store: Store
) -> None:
    both = plan_of("a:deploy queue=docker.web1", "b:deploy queue=docker.web2")
    run, waiting = driver.submit(both).run.id, driver.submit(both).run.id

    hints = [*store.cancel(waiting, request="ctrl-c"), *store.cancel(run, request="ctrl-c")]

    assert [(hint.run, hint.step, hint.queue) for hint in hints] == [
        (run, "run:tidy", "docker.web1"),
        (run, "run:tidy", "docker.web2"),
    ]
