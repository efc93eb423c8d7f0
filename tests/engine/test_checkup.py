# SPDX-License-Identifier: Apache-2.0
"""What `flow doctor` makes of what it is told."""

from typing import Any

import pytest

from fleetflow_tasks.engine import checkup
from fleetflow_tasks.engine.checkup import Check
from fleetflow_tasks.engine.footprint import Footprint
from fleetflow_tasks.engine.model import WorkerId, WorkerInfo
from fleetflow_tasks.plan.model import SCHEMA, QueueName

HERE = "redis://redis.internal:6379/0"
DOCKER = QueueName("docker")
MIB = 2**20
NOW = 1000.0


def told(check: Check) -> list[str]:
    """The line, and the first line of each problem."""
    return [f"{check.name}: {check.text}", *(f"{each.severity}: {each.message}" for each in check.problems)]


def worker(host: str = "web1", **fields: Any) -> WorkerInfo:
    given = {
        "queues": (DOCKER,),
        "slots": 16,
        "schema": SCHEMA,
        "keys": ("aa",),
        "version": "1.0",
        "seen": NOW,
        **fields,
    }
    return WorkerInfo(id=WorkerId(f"{host}:1:a"), host=host, pid=1, **given)


def test_a_server_is_named_with_its_version() -> None:
    assert told(checkup.server({"redis_version": "7.2.4"}, HERE)) == [f"redis: Redis 7.2.4 at {HERE}"]
    valkey = {"redis_version": "7.2.4", "server_name": "valkey", "valkey_version": "9.1.2"}
    assert told(checkup.server(valkey, HERE)) == [f"redis: Valkey 9.1.2 at {HERE}"]


def test_a_server_that_cannot_hold_runs_says_why() -> None:
    assert told(checkup.server({"redis_version": "6.2.14"}, HERE))[1:] == [
        f"error: Redis at {HERE} is version 6.2.14, and FleetFlow needs 7.0"
    ]


def test_a_policy_that_would_throw_runs_away_is_a_warning_while_there_is_no_limit() -> None:
    info = {"redis_version": "7.2.4", "maxmemory_policy": "allkeys-lru", "maxmemory": 0}

    assert told(checkup.server(info, HERE))[1:] == [
        f"warning: Redis at {HERE} would throw runs away if it had a limit: its maxmemory-policy is allkeys-lru"
    ]
    assert [each[:6] for each in told(checkup.server({**info, "maxmemory": MIB}, HERE))[1:]] == ["error:"]


@pytest.mark.parametrize(
    ("info", "line"),
    [
        (
            {"aof_enabled": 1, "redis_version": "7.2.4"},
            "an append-only file: a power cut loses the last second at most",
        ),
        ({"connected_slaves": 1}, "1 replica: a power cut loses the last second at most"),
        (
            {"aof_enabled": 1, "connected_slaves": 2, "redis_version": "7.0.15"},
            (
                "an append-only file and 2 replicas: a power cut loses the last second at most,"
                " and it cannot confirm that a write is on disk (7.2 can)"
            ),
        ),
    ],
)
def test_what_keeps_runs_over_a_power_cut_is_said(info: dict[str, object], line: str) -> None:
    assert told(checkup.persistence(info, HERE)) == [f"persistence: {line}"]


def test_a_server_that_keeps_nothing_is_a_warning() -> None:
    assert told(checkup.persistence({"aof_enabled": 0, "connected_slaves": 0}, HERE)) == [
        "persistence: none",
        f"warning: Redis at {HERE} keeps runs in memory alone",
    ]


def test_memory_is_said_with_what_of_it_is_ours() -> None:
    free = Footprint(runs=12, bytes=3 * MIB, used=10 * MIB)
    assert told(checkup.memory(free, HERE)) == [
        "memory: 10.0 MB used, no limit; FleetFlow's 12 runs take some 3.0 MB of it"
    ]
    young = Footprint(runs=1, bytes=9 * 2**10, used=2 * MIB)
    assert told(checkup.memory(young, HERE)) == [
        "memory: 2.0 MB used, no limit; FleetFlow's 1 runs take some 9 kB of it"
    ]
    assert told(checkup.memory(Footprint(used=MIB), HERE)) == ["memory: 1.0 MB used, no limit; FleetFlow: nothing yet"]
    full = Footprint(runs=12, bytes=3 * MIB, used=900 * MIB, limit=1024 * MIB)
    assert told(checkup.memory(full, HERE)) == [
        "memory: 900.0 MB of 1.0 GB used; FleetFlow's 12 runs take some 3.0 MB of it",
        f"error: Redis at {HERE} is 88% full, and takes no new run above 80%",
    ]


@pytest.mark.parametrize(("here", "words"), [(1090.0, "90 s ahead of"), (910.0, "90 s behind")])
def test_clocks_that_differ_are_a_note(here: float, words: str) -> None:
    assert told(checkup.clock(here, 1000.0))[1:] == [f"note: the clock here is {words} that of Redis"]
    assert told(checkup.clock(1001.0, 1000.0)) == ["clock: agrees with that of Redis"]


def lines(*workers: WorkerInfo, waiting: int = 0, keys: tuple[str, ...] = ("aa",)) -> list[list[str]]:
    return [told(check) for check in checkup.workers(workers, {DOCKER: waiting}, keys, "1.0", NOW)]


def test_workers_are_counted_by_queue() -> None:
    assert lines(worker("web1", busy=3), worker("web2"), waiting=4) == [
        ["workers docker: 2 workers, 3 of 32 slots busy, 4 waiting"]
    ]


def test_no_workers_at_all_are_a_warning_while_nothing_waits() -> None:
    assert lines() == [["workers: none: `flow up` needs none, `flow submit` does", "warning: no worker is there"]]


def test_the_queue_of_a_flow_up_is_nobody_s_business() -> None:
    assert lines(worker(queues=(QueueName("local.1"),)))[0][0].startswith("workers: none")


@pytest.mark.parametrize(("waiting", "words"), [(1, "1 message waits"), (3, "3 messages wait")])
def test_a_queue_where_something_waits_for_nobody_is_an_error(waiting: int, words: str) -> None:
    assert lines(waiting=waiting) == [
        [f"workers docker: none, {waiting} waiting", f"error: no worker serves the queue `docker`, in which {words}"]
    ]


def test_a_worker_with_another_key_is_named() -> None:
    assert lines(worker("web1"), worker("web2", keys=("bb",)))[0][1:] == [
        "error: 1 of 2 workers of queue `docker` cannot open plans made here, which are sealed with another key: web2:1 (1.0)"
    ]
    assert lines(worker("web2", keys=("bb", "aa"))) == [["workers docker: 1 worker, 0 of 16 slots busy"]]


def test_an_older_and_another_worker_are_named() -> None:
    assert lines(worker("old", schema=SCHEMA - 1, version="0.9"), worker("new", version="1.1"))[0][1:] == [
        "error: workers of queue `docker` are too old for plans made here: old:1 (0.9)",
        "note: workers of queue `docker` are of another version than 1.0, which is here: new:1 (1.1)",
    ]


def test_a_worker_that_missed_a_beat_is_a_warning() -> None:
    assert lines(worker("web1", seen=NOW - 9), worker("web2", seen=NOW - 5)) == [
        ["workers docker: 2 workers, 0 of 32 slots busy", "warning: last sign of life of web1:1: 9 s ago"]
    ]
