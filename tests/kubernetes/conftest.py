# SPDX-License-Identifier: Apache-2.0
"""Real clusters, which `make test` starts: `node` is a whole one, `plane` a control plane whose nodes are only played.

Each test has a namespace of its own there, which is removed whatever happened. What a test asks for itself, it asks as
the cluster's administrator and past our runtime; `environ` of a cluster is what a runtime under test is given.
"""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.runtimes.kubernetes.access import connect
from fleetflow_tasks.runtimes.kubernetes.client import Client

from .front import Front, front


class Cluster:
    """kubeconfig: of its administrator. client: as the same."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.environ: Mapping[str, str] = {**os.environ, "KUBECONFIG": str(kubeconfig)}
        self.client: Client = connect(self.environ)

    def made(self, namespace: str, labels: Mapping[str, str] | None = None) -> str:
        """A new namespace."""
        metadata = {"name": namespace, "labels": dict(labels or {})}
        self.client.create(kinds.NAMESPACE, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        return namespace

    def removed(self, namespace: str) -> None:
        """Nobody waits for its end: the next test has another."""
        found = self.client.get(kinds.NAMESPACE, "", namespace)
        if found is not None:
            self.client.delete(kinds.NAMESPACE, "", namespace, uid=found["metadata"]["uid"], propagation="Background")


def _cluster(variable: str, kind: str) -> Iterator[Cluster]:
    kubeconfig = os.environ.get(variable, "")
    if not kubeconfig or not Path(kubeconfig).is_file():
        pytest.fail(
            f"no cluster for tests: {variable} names no kubeconfig: run `make test`, or `scripts/cluster keep {kind}` "
            f"and {variable}=…"
        )
    cluster = Cluster(Path(kubeconfig))
    yield cluster
    cluster.client.close()


@pytest.fixture(scope="session")
def node() -> Iterator[Cluster]:
    yield from _cluster("FLEETFLOW_TEST_NODE", "node")


@pytest.fixture(scope="session")
def plane() -> Iterator[Cluster]:
    yield from _cluster("FLEETFLOW_TEST_PLANE", "plane")


@pytest.fixture
def alone() -> None:
    """For a test that kills a part of the node: no other test is there meanwhile."""


@pytest.fixture(autouse=True)
def _in_turn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests share the node, also across processes; who asks to be alone waits for the others, and they for him."""
    if "node" not in request.fixturenames:
        yield
        return
    with in_turn(alone="alone" in request.fixturenames):
        yield


@contextmanager
def in_turn(*, alone: bool = False) -> Iterator[None]:
    """On the node; through a door that one at a time may stand in, so that nobody overtakes who waits to be alone.

    For fixtures that several tests share: they are made before the tests' own turns begin.
    """
    folder = Path(tempfile.gettempdir())
    with (
        (folder / f"fleetflow-node-{os.getuid()}.door").open("w") as door,
        (folder / f"fleetflow-node-{os.getuid()}.use").open("w") as use,
    ):
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(use, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


@pytest.fixture
def name() -> str:
    """Of a project, a namespace, or whatever else must be a test's own."""
    return f"t{secrets.token_hex(4)}"


@pytest.fixture
def node_namespace(node: Cluster, name: str) -> Iterator[str]:
    yield node.made(name)
    node.removed(name)


@pytest.fixture
def plane_namespace(plane: Cluster, name: str) -> Iterator[str]:
    yield plane.made(name)
    plane.removed(name)


@pytest.fixture
def requests() -> list[tuple[str, str]]:
    """Every request that the client of this test sends: (method, path)."""
    return []


@pytest.fixture
def line(plane: Cluster) -> Iterator[Front]:
    """To the plane, and bad where a test says so."""
    with front(plane.environ) as opened:
        yield opened


@pytest.fixture
def client(line: Front, requests: list[tuple[str, str]], tmp_path: Path) -> Iterator[Client]:
    """The one under test, through the line."""
    environ = {"KUBECONFIG": str(line.kubeconfig(tmp_path / "kubeconfig"))}
    made = connect(environ, trace=lambda method, path: requests.append((method, path)))
    requests.clear()
    yield made
    made.close()
