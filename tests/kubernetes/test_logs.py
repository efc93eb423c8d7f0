# SPDX-License-Identifier: Apache-2.0
"""What pods print, read from a real kubelet: all of it, once, in order, and on through whatever happens to them."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import LogLine, LogOptions
from fleetflow_tasks.runtimes.kubernetes.access import connect
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.kinds import POD
from fleetflow_tasks.runtimes.kubernetes.logs import lines
from fleetflow_tasks.runtimes.kubernetes.watches import Watches
from fleetflow_tasks.testing import eventually

from .bare import Bare, plan
from .conftest import Cluster
from .front import front

STAY = "exec sleep 1000"


@pytest.fixture
def bare(node: Cluster, node_namespace: str) -> Bare:
    return Bare(node, node_namespace)


def read(client: Client, namespace: str, *services: str, named: bool = True, **options: Any) -> Iterator[LogLine]:
    """named: only these; else they are the stage's, and all are asked for."""
    wanted = [ServiceName(name) for name in services] if named else []
    with closing(Watches(client)) as watches:
        yield from lines(client, watches, plan(namespace, *services), wanted, LogOptions(**options))


class Reader:
    """Somebody who follows."""

    def __init__(self, lines: Iterator[LogLine]) -> None:
        self.seen: list[LogLine] = []
        self._lines = lines
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with closing(self._lines):  # type: ignore[type-var]  # a generator, which can be closed
            for line in self._lines:
                self.seen.append(line)
                if self._ended.is_set():
                    return

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.seen]

    def has(self, *texts: str) -> None:
        eventually(lambda: self.texts == list(texts), 60)

    def end(self) -> None:
        self._ended.set()


@pytest.fixture
def follow(node: Cluster, node_namespace: str) -> Iterator[Any]:
    readers: list[Reader] = []

    def begun(*services: str, client: Client = node.client, **options: Any) -> Reader:
        readers.append(Reader(read(client, node_namespace, *services, follow=True, **options)))
        return readers[-1]

    yield begun
    for reader in readers:
        reader.end()


def test_lines_of_all_pods_come_in_the_order_of_their_times(bare: Bare) -> None:
    bare.start("api", "x2kqp", "echo a1; sleep 1; echo a2 >&2; sleep 1; echo a3")
    bare.ended("api-x2kqp")
    bare.start("db", "0", f"echo d1; {STAY}")
    bare.runs("db-0")

    found = list(read(bare.cluster.client, bare.namespace, "api", "db", named=False))

    assert [(line.service, line.text, line.stream, line.source) for line in found] == [
        ("api", "a1", "stdout", ""),
        ("api", "a2", "stdout", ""),
        ("api", "a3", "stdout", ""),
        ("db", "d1", "stdout", ""),
    ]
    assert [line.at for line in found] == sorted(line.at or 0 for line in found)


def test_of_several_pods_each_line_says_whose_it_is(bare: Bare) -> None:
    for suffix in ("aaaaa", "bbbbb"):
        bare.start("api", suffix, f"echo I am $HOSTNAME; {STAY}")
        bare.runs(f"api-{suffix}")

    found = sorted((line.source, line.text) for line in read(bare.cluster.client, bare.namespace, "api"))

    assert found == [("aaaaa", "I am api-aaaaa"), ("bbbbb", "I am api-bbbbb")]


def test_a_tail_and_a_moment_cut_what_is_shown(bare: Bare) -> None:
    bare.start("api", "x", "echo 1; sleep 2; echo 2; sleep 2; echo 3")
    bare.ended("api-x")
    client, namespace = bare.cluster.client, bare.namespace

    assert [line.text for line in read(client, namespace, "api", tail=2)] == ["2", "3"]
    third = list(read(client, namespace, "api"))[2].at
    assert [line.text for line in read(client, namespace, "api", since=third)] == ["3"]
    assert [line.text for line in read(client, namespace, "nobody")] == []


def test_the_life_before_the_last_restart_is_shown_alone(bare: Bare) -> None:
    bare.start("api", "x", f"[ -e /kept/1 ] && echo second && {STAY}; touch /kept/1; echo first", again=True)
    bare.start("db", "0", f"echo only; {STAY}")
    bare.runs("api-x", restarts=1)
    bare.runs("db-0")

    found = list(read(bare.cluster.client, bare.namespace, "api", "db", previous=True))

    assert [line.text for line in found] == ["first"]


def test_following_goes_on_through_restarts_and_shows_each_line_once(bare: Bare, follow: Any) -> None:
    lives = 'n=$(cat /kept/n 2>/dev/null || echo 0); n=$((n+1)); echo $n > /kept/n; echo "life $n begins"'
    bare.start("api", "x", f'{lives}; [ $n = 3 ] && {STAY}; sleep 1; echo "life $n ends"', again=True)

    reader = follow("api")

    reader.has("life 1 begins", "life 1 ends", "life 2 begins", "life 2 ends", "life 3 begins")


def test_following_shows_a_new_pod_from_its_first_line_on_and_then_says_whose_lines_are_whose(
    bare: Bare, follow: Any
) -> None:
    bare.start("api", "old", f"echo one; echo two; while [ ! -e /kept/go ]; do sleep 0.2; done; echo three; {STAY}")
    bare.runs("api-old")
    reader = follow("api", tail=1)
    reader.has("two")

    bare.start("api", "new", f"echo here; echo again; {STAY}")
    reader.has("two", "here", "again")
    bare.remove("api-old")
    bare.start("api", "newer", f"echo at last; {STAY}")
    reader.has("two", "here", "again", "at last")

    assert [line.source for line in reader.seen] == ["", "new", "new", "newer"]


def test_a_line_that_is_cut_is_gone_on_with_where_it_was(bare: Bare, follow: Any, tmp_path: Path) -> None:
    counts = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.7; done"
    bare.start("api", "x", f"{counts}; {STAY}")
    bare.runs("api-x")
    with front(bare.cluster.environ) as line:
        client = connect({"KUBECONFIG": str(line.kubeconfig(tmp_path / "kubeconfig"))})
        reader = follow("api", client=client)
        eventually(lambda: len(reader.seen) >= 2, 60)
        line.cut_off()
        eventually(lambda: len(reader.seen) >= 5, 60)
        line.cut_off()

        reader.has(*"12345678")
        reader.end()
        client.close()


def test_many_lines_of_one_moment_are_none_of_them_lost(bare: Bare, follow: Any) -> None:
    bare.start("api", "x", f"[ -e /kept/1 ] && {STAY}; touch /kept/1; seq 1 20000; sleep 2", again=True)

    reader = follow("api")
    eventually(lambda: len(reader.seen) >= 20000, 60)
    bare.runs("api-x", restarts=1)

    assert reader.texts == [str(number) for number in range(1, 20001)]


def test_a_pod_that_cannot_start_says_nothing_and_stops_nobody(bare: Bare, follow: Any) -> None:
    bare.start("api", "x", f"echo fine; {STAY}")
    bare.runs("api-x")
    bare.cluster.client.create(
        POD,
        bare.namespace,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "api-broken", "labels": dict(bare.look("api-x")["metadata"]["labels"])},
            "spec": {"containers": [{"name": "api", "image": "fleetflow/nothing:1", "imagePullPolicy": "Never"}]},
        },
    )
    eventually(lambda: "waiting" in bare.state("api-broken").get("state", {}), 60)

    reader = follow("api")

    reader.has("fine")
    assert [line.text for line in read(bare.cluster.client, bare.namespace, "api")] == ["fine"]
