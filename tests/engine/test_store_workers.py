# SPDX-License-Identifier: Apache-2.0
"""Who is there to work: the registry that a submitter reads before it promises anything."""

import json

import pytest
import redis

from fleetflow_tasks.engine.model import WorkerId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.model import QueueName
from tests.engine.conftest import Clock, Driver, plan_of


def test_workers_that_beat_are_seen_and_those_that_stop_are_not(driver: Driver, store: Store, clock: Clock) -> None:
    driver.worker("docker", name="host:1:a", slots=16)
    clock.advance(10)
    driver.worker("kubernetes", name="host:2:b")

    assert [(worker.id, worker.queues, worker.slots) for worker in store.workers()] == [
        ("host:1:a", ("docker",), 16),
        ("host:2:b", ("kubernetes",), 1),
    ]
    clock.advance(6)
    assert [worker.id for worker in store.workers()] == ["host:2:b"]
    assert len(store.workers(within=60)) == 2


def test_the_queue_of_one_flow_up_leaves_no_trace_behind_it(driver: Driver, store: Store) -> None:
    queue = QueueName("local.01k")
    driver.worker(queue, name="host:1:a")

    store.leave(WorkerId("host:1:a"))

    assert store.last_served(queue) is None


def test_a_worker_is_seen_at_redis_clock_and_not_at_its_own(driver: Driver, store: Store, clock: Clock) -> None:
    driver.worker("docker")

    (worker,) = store.workers()

    assert 0 < clock() - worker.seen < 1


def test_a_beat_from_the_future_is_no_sign_of_life(
    driver: Driver, store: Store, raw: redis.Redis, clock: Clock
) -> None:
    """A clock that was set back puts it there for seconds; what lies further ahead somebody else has written."""
    driver.worker("docker", name="host:1:a")
    raw.zadd("ff:workers", {"host:1:a": clock() + 10})
    assert len(store.workers()) == 1

    raw.zadd("ff:workers", {"host:1:a": clock() + 1e6})

    assert (store.workers(), store.workers(within=7 * 86400)) == ((), ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("slots", 10**30),
        ("slots", -1),
        ("pid", 10**30),
        ("pid", -1),
        ("schema", 10**30),
        ("queues", []),
        ("queues", ["ff:workers"]),
        ("queues", [""]),
        ("queues", ["docker"] * 1001),
    ],
)
def test_an_entry_that_no_worker_would_write_is_not_read(
    driver: Driver, store: Store, raw: redis.Redis, clock: Clock, field: str, value: object
) -> None:
    sound = driver.worker("docker.web-1:2375", name="host:1:a")
    entry = {"id": "evil", "host": "h", "pid": 1, "queues": ["docker"], "slots": 1}

    raw.zadd("ff:workers", {"evil": clock()})
    raw.hset("ff:workers:info", "evil", json.dumps({**entry, field: value}))

    assert [worker.id for worker in store.workers()] == [sound.id]


def test_a_worker_that_leaves_is_gone_at_once(driver: Driver, store: Store) -> None:
    driver.worker("docker", name="host:1:a")

    store.leave(WorkerId("host:1:a"))

    assert store.workers() == ()


def test_a_queue_knows_when_it_was_last_served(driver: Driver, store: Store, clock: Clock) -> None:
    assert store.last_served(QueueName("docker")) is None
    driver.worker("docker", name="host:1:a")
    store.leave(WorkerId("host:1:a"))

    clock.advance(3 * 3600)

    assert 3 * 3600 < clock() - (store.last_served(QueueName("docker")) or 0) < 3 * 3600 + 1


def test_a_worker_silent_for_a_week_is_forgotten(
    driver: Driver, store: Store, clock: Clock, raw: "redis.Redis"
) -> None:
    driver.worker("docker", name="host:1:a")
    clock.advance(8 * 86400)

    driver.worker("docker", name="host:2:b")

    assert [worker.id for worker in store.workers(within=1e9)] == ["host:2:b"]
    assert raw.hkeys("ff:workers:info") == ["host:2:b"]


def test_a_worker_that_drains_widens_no_window(driver: Driver) -> None:
    driver.worker("docker", slots=16, draining=True, name="host:1:a")
    driver.worker("docker", slots=1, name="host:2:b")

    assert len(driver.submit(plan_of(*(f"s{i}:deploy" for i in range(9)))).hints) == 2


def test_messages_that_wait_are_counted_as_celery_keeps_them(store: Store, raw: "redis.Redis") -> None:
    raw.rpush("docker.web1", "one", "two")

    assert store.queue_length(QueueName("docker.web1")) == 2
    assert store.queue_length(QueueName("docker")) == 0
