# SPDX-License-Identifier: Apache-2.0
"""Servers that cannot hold runs, or not now: each is told in words, to a store as to a worker that starts."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from socket import AF_UNIX, SHUT_RDWR, SOCK_STREAM, socket

import pytest
from redis.exceptions import BusyLoadingError

from fleetflow_tasks.engine import trouble
from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import QueueName
from tests.engine.compat.conftest import Listener, free_port, listening

ROOT = Path(__file__).parents[3]
HERE = "redis://127.0.0.1:6379/0"


def said(url: str) -> Problem:
    with closing(Store.connect(url)) as store, pytest.raises(UnavailableError) as raised:
        store.check()
    return raised.value.problems[0]


@pytest.fixture
def cluster(binary: str) -> Iterator[Listener]:
    with listening(binary, "--cluster-enabled", "yes", "--save", "") as server:
        yield server


def test_a_cluster_is_said_to_be_none_of_ours(cluster: Listener) -> None:
    problem = said(cluster.url())

    assert problem.message.endswith("is part of a Redis Cluster, which FleetFlow does not support")


def test_a_redis_before_7_is_said_to_be_too_old(tmp_path: Path) -> None:
    with closing(_Old(tmp_path / "old.sock")) as old:
        problem = said(f"unix://{old.path}")

    assert problem.message == f"Redis at unix://{old.path} is version 6.2.14, and FleetFlow needs 7.0"


class _Old:
    """Says what a Redis 6.2.14 says: it takes one section of INFO at most, and knows neither EVALSHA_RO nor `#!lua`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket(AF_UNIX, SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                with line:
                    while request := line.recv(4096):
                        # redis-py sends its name and its library's in one packet: an answer to each of them
                        line.sendall(b"".join(_answer(each) for each in request.split(b"*")[1:]))


def _answer(command: bytes) -> bytes:
    if b"INFO" not in command:
        return b"+OK\r\n"
    if not command.startswith(b"1\r\n"):
        return b"-ERR syntax error\r\n"
    info = b"# Server\r\nredis_version:6.2.14\r\n"
    return b"$%d\r\n%b\r\n" % (len(info), info)


def test_a_cluster_without_slots_is_said_too_where_nobody_looked_first(cluster: Listener) -> None:
    with closing(Store.connect(cluster.url())) as store, pytest.raises(UnavailableError) as raised:
        store.push(QueueName("docker"), b"hint")

    assert raised.value.problems[0].code == "redis-cluster"


def test_a_database_that_the_server_does_not_have_is_said(binary: str) -> None:
    with listening(binary, "--save", "", "--databases", "1") as server:
        problem = said(f"redis://127.0.0.1:{server.port}/7")

    assert (problem.code, "database number" in problem.fix) == ("redis-unlike", True)


def test_a_worker_says_what_is_wrong_with_its_redis_before_it_begins(cluster: Listener, tmp_path: Path) -> None:
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "FLEETFLOW_REDIS_URL": cluster.url(),
        "FLEETFLOW_STATE_DIR": str(tmp_path),
    }

    ended = subprocess.run(
        [sys.executable, "-m", "fleetflow_tasks", "worker", "docker"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 4
    assert ended.stderr.splitlines()[0].endswith("is part of a Redis Cluster, which FleetFlow does not support")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({"redis_version": "6.2.14"}, "is version 6.2.14, and FleetFlow needs 7.0"),
        ({"redis_version": "7.2.4", "role": "slave"}, "is a replica, and cannot be written to"),
        ({"redis_version": "7.2.4", "cluster_enabled": 1}, "is part of a Redis Cluster, which FleetFlow does not support"),
        (
            {"redis_version": "7.2.4", "maxmemory": 1, "maxmemory_policy": "volatile-ttl"},
            "may throw runs away: its maxmemory-policy is volatile-ttl",
        ),
    ],
)  # fmt: skip
def test_what_info_tells_is_put_into_words(info: dict[str, object], message: str) -> None:
    assert [problem.message for problem in trouble.unfit(info, HERE)] == [f"Redis at {HERE} {message}"]


def test_sentinels_that_know_no_such_server_are_told_from_sentinels_that_are_not_there(
    binary: str, tmp_path: Path
) -> None:
    file = tmp_path / "sentinel.conf"
    file.write_text(f"sentinel monitor shop 127.0.0.1 {free_port()} 2\n")
    with listening(binary, str(file), "--sentinel") as sentinel:
        unknown = said(f"sentinel://127.0.0.1:{sentinel.port}/0?master_name=stop")
    absent = said(f"sentinel://127.0.0.1:{sentinel.port}/0?master_name=shop")

    assert (unknown.code, absent.code) == ("redis-no-master", "redis-no-master")
    assert unknown.cause == ("those that answer name none",)
    assert absent.cause[1].startswith("others do not answer: ")
    assert "master_name" in unknown.fix


def test_a_server_that_still_reads_its_file_is_told_from_one_that_is_gone() -> None:
    error = trouble.in_words(BusyLoadingError("Redis is loading the dataset in memory"), HERE)

    assert error.problems[0].message == f"Redis at {HERE} is still loading its data"


def test_a_run_of_a_store_that_is_away_is_asked_for_in_vain_and_in_words(tmp_path: Path) -> None:
    with (
        closing(Store.connect(f"unix://{tmp_path}/none.sock")) as store,
        pytest.raises(UnavailableError, match="does not answer"),
    ):
        store.run(RunId("r"))
