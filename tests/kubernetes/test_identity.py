# SPDX-License-Identifier: Apache-2.0
"""Which cluster it is: asked once where its authority vouches for it, else each time."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.runtimes.kubernetes.access import connect
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.identity import Identity
from fleetflow_tasks.testing import eventually

from .conftest import Cluster
from .front import Front


def uid(cluster: Cluster) -> str:
    found = cluster.client.get(kinds.NAMESPACE, "", "kube-system")
    assert found is not None
    return str(found["metadata"]["uid"])


@pytest.fixture
def nobody(plane: Cluster, requests: list[tuple[str, str]], tmp_path: Path) -> Iterator[Client]:
    """Straight to the cluster, as somebody without rights."""
    known = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    known["users"][0]["user"] |= {"as": "nobody"}
    (tmp_path / "nobody").write_text(yaml.safe_dump(known), encoding="utf-8")
    made = connect({"KUBECONFIG": str(tmp_path / "nobody")}, trace=lambda *request: requests.append(request))
    requests.clear()
    yield made
    made.close()


def test_a_cluster_that_its_own_authority_vouches_for_is_asked_once(
    plane: Cluster, requests: list[tuple[str, str]]
) -> None:
    client = connect(plane.environ, trace=lambda *request: requests.append(request))
    requests.clear()
    identity = Identity(client)

    assert [identity(), identity(), identity()] == [uid(plane)] * 3

    client.close()
    assert len(requests) == 1


def test_behind_a_line_that_proves_nothing_it_is_asked_each_time(
    client: Client, plane: Cluster, requests: list[tuple[str, str]]
) -> None:
    identity = Identity(client)

    assert [identity(), identity()] == [uid(plane)] * 2

    assert len(requests) == 2


def test_who_asks_while_somebody_asks_waits_for_that_answer(
    client: Client, line: Front, requests: list[tuple[str, str]]
) -> None:
    line.hangs("kube-system", times=1)
    identity, told = Identity(client), []
    threads = [threading.Thread(target=lambda: told.append(identity())) for _ in range(6)]
    for each in threads:
        each.start()
    eventually(lambda: line.seen[-1:] == [f"GET {kinds.path(kinds.NAMESPACE, '', 'kube-system')}"], 30.0)
    time.sleep(0.2)  # the others come

    line.cut_off()
    for each in threads:
        each.join(30.0)

    assert len(set(told)) == 1
    assert len(requests) == 2  # one was cut


def test_two_clusters_are_two(plane: Cluster, node: Cluster) -> None:
    assert Identity(plane.client)() != Identity(node.client)()


def test_who_may_not_ask_gets_the_authoritys_mark(nobody: Client, requests: list[tuple[str, str]]) -> None:
    identity = Identity(nobody)

    first, second = identity(), identity()

    assert first == second
    assert first.startswith("ca:")
    assert len(requests) == 1


def test_who_may_not_ask_and_has_no_proof_gets_nothing(client: Client, line: Front) -> None:
    line.answers("kube-system", 403, "forbidden", reason="Forbidden")

    assert Identity(client)() == ""


def test_a_cluster_that_does_not_answer_is_no_identity(client: Client, line: Front) -> None:
    line.answers("kube-system", 500, "etcdserver: no leader")

    with pytest.raises(KubernetesError, match="etcdserver: no leader"):
        Identity(client)()
