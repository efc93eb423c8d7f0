# SPDX-License-Identifier: Apache-2.0
"""How much of its Redis FleetFlow says that it takes."""

import redis

from fleetflow_tasks.engine import keys
from fleetflow_tasks.engine.footprint import Footprint
from fleetflow_tasks.engine.store import Store
from tests.engine.conftest import Clock, Driver, plan_of

ONE = plan_of("a:deploy")


def weighed(raw: "redis.Redis") -> int:
    """By asking for every key."""
    return sum(int(raw.memory_usage(key) or 0) for key in raw.keys("ff:*"))


def commands(raw: "redis.Redis") -> int:
    return int(raw.info("stats")["total_commands_processed"])


def test_an_empty_redis_has_no_runs(store: Store) -> None:
    found = store.footprint()

    assert (found.stages, found.runs, found.bytes, found.limit) == (0, 0, 0, 0)
    assert found.used > 0


def test_a_few_runs_are_counted_and_weighed_one_by_one(driver: Driver, store: Store, raw: "redis.Redis") -> None:
    for number in range(3):
        run = driver.submit(plan_of("a:deploy", *(f"s{i}:deploy <- a:deploy" for i in range(50)))).run.id
        driver.do(run, "a:deploy")
        store.cancel(run, request="ctrl-c")
        driver.submit(plan_of("a:deploy", stage=f"pr-{number}"))

    found = store.footprint()

    assert (found.stages, found.runs) == (4, 6)
    assert 0.9 * weighed(raw) < found.bytes < 1.1 * weighed(raw)


def test_many_runs_are_estimated_by_some_of_them(driver: Driver, store: Store, raw: "redis.Redis") -> None:
    for number in range(300):
        driver.submit(plan_of("a:deploy", "b:deploy", stage=f"pr-{number % 30}"))
    before = commands(raw)

    found = store.footprint()

    assert commands(raw) - before < 1100
    assert (found.stages, found.runs) == (30, 300)
    assert 0.8 * weighed(raw) < found.bytes < 1.2 * weighed(raw)


def test_runs_that_outlived_their_time_take_nothing(
    driver: Driver, store: Store, raw: "redis.Redis", clock: Clock
) -> None:
    for _ in range(4):
        driver.do(driver.submit(ONE).run.id, "a:deploy")
    for run in map(str, raw.zrange("ff:{shop/local}:runs", 0, 1)):
        raw.delete(*raw.keys(f"ff:{{shop/local}}:run:{run}*"))  # as after a month

    assert store.footprint().runs == 2


def test_it_tells_what_redis_may_use(store: Store, raw: "redis.Redis") -> None:
    raw.config_set("maxmemory", 2**30)

    found = store.footprint()
    raw.config_set("maxmemory", 0)

    assert found == Footprint(used=found.used, limit=2**30)
    assert keys.STAGES not in raw.keys("*")
