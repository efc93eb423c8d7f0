# SPDX-License-Identifier: Apache-2.0
"""A kubeconfig that is written anew while a worker runs: where it leads now is where the next step goes."""

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.observe import LISTED, Snapshots
from fleetflow_tasks.runtimes.kubernetes.place import Clusters
from fleetflow_tasks.testing import eventually

from .conftest import Cluster
from .front import Front, front

TIMEOUT = 15.0
WITHIN = 30.0  # seconds; a busy machine


@pytest.fixture
def other(plane: Cluster) -> Iterator[Front]:
    with front(plane.environ) as opened:
        yield opened


@pytest.fixture
def kubeconfig(line: Front, tmp_path: Path) -> Path:
    return line.kubeconfig(tmp_path / "kubeconfig")


@pytest.fixture
def clusters(kubeconfig: Path) -> Iterator[Clusters]:
    made = Clusters({"KUBECONFIG": str(kubeconfig)}, None, TIMEOUT)
    yield made
    made.close()


def test_a_kubeconfig_that_leads_elsewhere_is_followed_at_once_and_who_is_at_work_ends_where_he_was(
    clusters: Clusters, line: Front, other: Front, kubeconfig: Path
) -> None:
    before = clusters.at("")
    assert clusters.at("") is before

    other.kubeconfig(kubeconfig)
    after = clusters.at("")

    assert (before.client.server, after.client.server) == (line.address, other.address)
    assert clusters.at("") is after
    assert before.client.version() == after.client.version()


def test_a_login_that_was_renewed_keeps_the_connections(clusters: Clusters, line: Front, kubeconfig: Path) -> None:
    before = clusters.at("")

    line.kubeconfig(kubeconfig, {"token": "new"})
    os.utime(kubeconfig, (0, 0))

    assert clusters.at("") is before
    assert line.seen == ["GET /version"]


def test_a_kubeconfig_that_is_being_written_is_told_and_read_again(
    clusters: Clusters, line: Front, kubeconfig: Path
) -> None:
    before = clusters.at("")
    kubeconfig.write_text("{", encoding="utf-8")

    for _ in range(2):
        with pytest.raises(UnavailableError):
            clusters.at("")
    line.kubeconfig(kubeconfig)

    assert clusters.at("") is before


def test_a_kubeconfig_that_is_gone_leads_nowhere(clusters: Clusters, kubeconfig: Path) -> None:
    clusters.at("")
    kubeconfig.unlink()

    with pytest.raises(UnavailableError, match="no Kubernetes cluster is known"):
        clusters.at("")


def test_a_credential_plugin_that_takes_its_time_holds_nobody_of_another_cluster(
    line: Front, kubeconfig: Path, tmp_path: Path
) -> None:
    asked, go = tmp_path / "asked", tmp_path / "go"
    waits = f"echo >> {asked}; while [ ! -e {go} ]; do sleep 0.05; done; exit 1"
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", waits]}
    told = json.loads(kubeconfig.read_text(encoding="utf-8"))
    told["contexts"].append({"name": "slow", "context": {"cluster": "front", "user": "slow"}})
    told["users"].append({"name": "slow", "user": {"exec": {**plugin, "interactiveMode": "Never"}}})
    kubeconfig.write_text(json.dumps(told), encoding="utf-8")
    clusters = Clusters({**os.environ, "KUBECONFIG": str(kubeconfig)}, None, TIMEOUT)
    failures: list[UnavailableError] = []
    waiting = threading.Semaphore(0)

    def come() -> None:
        try:
            clusters.at("slow", waiting.release)
        except UnavailableError as error:
            failures.append(error)

    threads = [threading.Thread(target=come) for _ in range(6)]
    for each in threads:
        each.start()
    eventually(asked.exists, WITHIN)
    for _ in threads[1:]:
        assert waiting.acquire(timeout=WITHIN)

    assert clusters.at("front").client.server == line.address

    go.touch()
    for each in threads:
        each.join(WITHIN)
    clusters.close()
    assert asked.read_text(encoding="utf-8") == "\n"  # one asked for all, and all were told
    assert len(failures) == len(threads)


def test_all_steps_of_a_run_look_once_also_where_nobody_answers(
    client: Client, line: Front, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    snapshots = Snapshots(client)
    line.hangs("configmaps", times=1)
    line.answers("^GET ", 500, "not today", times=1000)
    failures: list[str] = []
    waiting = threading.Semaphore(0)

    def look() -> None:
        try:
            snapshots.of(plane_namespace, ProjectName("shop"), StageName("stg"), "r1", pause=waiting.release)
        except KubernetesError as error:
            failures.append(error.answer)

    threads = [threading.Thread(target=look) for _ in range(12)]
    for each in threads:
        each.start()
    for _ in threads[1:]:  # each of them has waited for a while
        assert waiting.acquire(timeout=WITHIN)
    line.cut_off()
    for each in threads:
        each.join(WITHIN)

    assert failures == ["not today"] * 12
    assert len(requests) <= len(LISTED) + 1  # one list of each kind, and the one that was cut again


def test_a_picture_is_believed_for_a_while_and_taken_anew_once_for_all_who_ask_then(
    client: Client, plane_namespace: str, requests: list[tuple[str, str]]
) -> None:
    snapshots = Snapshots(client)
    whose = (plane_namespace, ProjectName("shop"), StageName("stg"), "r1")

    first = snapshots.of(*whose)
    assert snapshots.of(*whose) is first
    assert len(requests) == len(LISTED)

    assert snapshots.of(*whose, fresh=0.0) is first  # with what was written into it
    assert len(requests) == 2 * len(LISTED)
    snapshots.forget(*whose)
    assert snapshots.of(*whose) is not first
