# SPDX-License-Identifier: Apache-2.0
"""Pods made anew as they are, and what of it a cluster remembers. The nodes are played; all else is real."""

from collections.abc import Iterator
from typing import Any

import pytest

from fleetflow_tasks.config.model import Port, ProjectName, ServiceName, Volume
from fleetflow_tasks.runtimes.base import DeployError, Outcome
from fleetflow_tasks.runtimes.kubernetes.kinds import DEPLOYMENT, STATEFUL_SET, Kind
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial, eventually
from fleetflow_tasks.testing.contract import done

from .conftest import Cluster
from .stage import Stage, service, step, swept

PORT = (Port(container=8080),)
DATA = (Volume(source="data", target="/data", size=1 << 30),)


@pytest.fixture
def stage(plane: Cluster, name: str) -> Iterator[Stage]:
    runtime = KubernetesRuntime(plane.environ)
    yield Stage(runtime, plane, ProjectName(name))
    runtime.close()
    swept(plane, name)


def restarted(stage: Stage, *services: Any, run: str = "again") -> Outcome:
    """The first of *services*."""
    stage.generation += 1
    plan, name = stage.plan(*services), ServiceName(services[0].name)
    attempt = Trial(stage.generation, run=run, timeout=20)
    return done(stage.runtime, plan, step(f"{name}:restart", "restart", name), attempt)


def uids(stage: Stage, name: str) -> set[str]:
    return {each["metadata"]["uid"] for each in stage.pods(name)}


def annotation(stage: Stage, name: str) -> str:
    template = stage.get(DEPLOYMENT, name)["spec"]["template"]["metadata"]
    return str(template.get("annotations", {}).get("fleetflow.io/restarted", ""))


def test_the_next_deployment_neither_takes_a_restart_away_nor_rolls_out_for_it(stage: Stage) -> None:
    api = service("api", ports=PORT, replicas=2)
    stage.up(api)
    before = uids(stage, "api")

    assert restarted(stage, api).text == "restarted"

    eventually(lambda: uids(stage, "api").isdisjoint(before))
    pods = uids(stage, "api")
    assert stage.changes(api) == {}
    assert not stage.up(api)["api:deploy"].changed
    assert stage.up(service("api", ports=PORT, replicas=3))["api:deploy"].changed
    assert annotation(stage, "api") == "again"
    assert pods < uids(stage, "api")  # one more, and none of them was replaced
    owners = {entry["manager"] for entry in stage.get(DEPLOYMENT, "api")["metadata"]["managedFields"]}
    assert {"fleetflow", "fleetflow-restart"} < owners


def test_a_stateful_set_gets_its_pods_anew_and_keeps_its_claims(stage: Stage) -> None:
    db = service("db", volumes=DATA)
    stage.up(db)
    before, claims = uids(stage, "db"), [each.name for each in stage.runtime.volumes(stage.plan(db))]

    restarted(stage, db)

    eventually(lambda: uids(stage, "db").isdisjoint(before))
    assert [each.name for each in stage.runtime.volumes(stage.plan(db))] == claims == ["data-db-0"]
    assert stage.changes(db) == {}


def test_each_restart_is_one_more(stage: Stage) -> None:
    api = service("api")
    stage.up(api)
    restarted(stage, api, run="first")
    before = uids(stage, "api")

    restarted(stage, api, run="second")

    eventually(lambda: uids(stage, "api").isdisjoint(before))
    assert annotation(stage, "api") == "second"


def test_a_restart_that_fails_is_taken_back_and_the_pods_of_before_go_on_serving(stage: Stage) -> None:
    api = service("api", replicas=2, timeout=4.0)
    stage.up(api)
    before = uids(stage, "api")
    _no_more_than(stage, 2)

    with pytest.raises(DeployError) as failure:
        restarted(stage, api)

    assert failure.value.problem.message.startswith("`api` did not become ready: ")
    assert failure.value.problem.cause[-1] == "the restart was taken back: the pods of before go on serving"
    assert annotation(stage, "api") == ""
    assert uids(stage, "api") == before
    assert stage.changes(api) == {}


def test_a_restart_of_what_is_not_well_may_fail_for_the_same_reason(stage: Stage) -> None:
    api = service("api", "scripted/pull-not-found:9")
    stage.fails(api)

    with pytest.raises(DeployError) as failure:
        restarted(stage, api)

    assert failure.value.problem.code == "image-not-found"
    assert failure.value.problem.cause[-1] == "the restart was taken back: the pods of before start again"


def test_a_stateful_set_that_fails_goes_on_with_the_pods_that_it_had(stage: Stage) -> None:
    db = service("db", "scripted/pull-not-found:9", volumes=DATA)
    stage.fails(db)

    with pytest.raises(DeployError):
        restarted(stage, db)

    template = stage.get(STATEFUL_SET, "db")["spec"]["template"]["metadata"]
    assert "fleetflow.io/restarted" not in template.get("annotations", {})


def test_what_has_no_pods_is_left_alone(stage: Stage) -> None:
    api = service("api", replicas=0)
    stage.up(api)

    assert not restarted(stage, api).changed
    assert annotation(stage, "api") == ""


def test_the_claims_of_a_stage_are_named_with_the_room_that_they_have(stage: Stage) -> None:
    db = service("db", volumes=DATA)
    stage.up(db)

    (claim,) = stage.runtime.volumes(stage.plan())

    assert (claim.name, claim.kind, claim.size) == ("data-db-0", "claim", 1 << 30)
    assert claim.created is not None


def _no_more_than(stage: Stage, pods: int) -> None:
    """A quota of the namespace, counted once its controller has seen it."""
    body = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": {"pods": str(pods)}},
    }
    quota = Kind(name="ResourceQuota", plural="resourcequotas")
    stage.cluster.client.create(quota, stage.namespace, body)
    eventually(lambda: bool(stage.get(quota, "few")["status"].get("used")))
