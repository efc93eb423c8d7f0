# SPDX-License-Identifier: Apache-2.0
"""A storage class that the cluster does not have is told by the plan, and before a run touches anything."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.config.model import ProjectName, Volume
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.kubernetes.kinds import NAMESPACE, PERSISTENT_VOLUME, STORAGE_CLASS, Kind
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime

from .conftest import Cluster
from .front import Front
from .stage import Stage, service, swept

DATA = (Volume(source="data", target="/data", size=1 << 20),)


@pytest.fixture
def stage(plane: Cluster, line: Front, name: str, tmp_path: Path) -> Iterator[Stage]:
    runtime = KubernetesRuntime({"KUBECONFIG": str(line.kubeconfig(tmp_path / "kubeconfig"))})
    yield Stage(runtime, plane, ProjectName(name))
    runtime.close()
    swept(plane, name)


@pytest.fixture
def there(plane: Cluster, name: str) -> Iterator[Mapping[str, Any]]:
    """A class of this test's own."""
    yield made(plane, STORAGE_CLASS, name, provisioner="kubernetes.io/host-path")
    removed(plane, STORAGE_CLASS, name)


def made(cluster: Cluster, kind: Kind, name: str, **rest: Any) -> Mapping[str, Any]:
    manifest = {"apiVersion": kind.api, "kind": kind.name, "metadata": {"name": name}, **rest}
    return cluster.client.create(kind, "", manifest)


def removed(cluster: Cluster, kind: Kind, name: str) -> None:
    found = cluster.client.get(kind, "", name)
    if found is not None:
        cluster.client.delete(kind, "", name, uid=found["metadata"]["uid"], propagation="Background")


def stored(name: str, storage_class: str, **fields: Any) -> ResolvedService:
    return service(name, volumes=DATA, options={"storage_class": storage_class}, **fields)


def test_a_class_that_is_not_there_is_told_by_the_plan_and_nothing_is_made(stage: Stage, name: str) -> None:
    db = stored("db", name)

    problem = stage.fails(service("api"), db).problem

    assert (problem.code, problem.message) == ("storage-class", f"storage class `{name}` of `db` does not exist")
    assert (
        problem.fix == "correct `storage_class`, or have it made: `kubectl get storageclass` shows those that are there"
    )
    assert stage.get(NAMESPACE, stage.namespace) is None
    told = stage.changes(service("api"), db)
    assert {step: problem.message in cause for step, cause in told.items()} == {"api:deploy": False, "db:deploy": True}


def test_a_class_that_goes_does_not_trouble_what_has_its_volume_already(
    stage: Stage, plane: Cluster, there: Mapping[str, Any], name: str
) -> None:
    stage.up(stored("db", name))
    removed(plane, STORAGE_CLASS, name)

    assert stage.up(stored("db", name))["db:deploy"].text == "unchanged"
    assert stage.changes(stored("db", name)) == {}


def test_a_name_that_only_volumes_bear_is_none_that_is_missing(stage: Stage, plane: Cluster, name: str) -> None:
    by_hand = {"storageClassName": name, "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"]}
    made(plane, PERSISTENT_VOLUME, name, spec={**by_hand, "hostPath": {"path": "/nowhere"}})

    told = stage.changes(stored("db", name))

    removed(plane, PERSISTENT_VOLUME, name)
    assert told == {"db:deploy": "create: not there"}


@pytest.mark.parametrize("hidden", ["storageclasses", "persistentvolumes"])
def test_who_may_not_look_at_classes_or_volumes_is_told_nothing(
    stage: Stage, line: Front, name: str, hidden: str
) -> None:
    line.answers(f"GET .*/{hidden}", 403, "no", reason="Forbidden")

    assert stage.changes(stored("db", name)) == {"db:deploy": "create: not there"}


def test_a_stage_that_names_no_class_asks_nothing(stage: Stage, line: Front) -> None:
    stage.changes(service("db", volumes=DATA), service("api", options={"storage_class": "unused"}))

    assert [each for each in line.seen if "storageclasses" in each or "persistentvolumes" in each] == []
