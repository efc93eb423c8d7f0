# SPDX-License-Identifier: Apache-2.0
"""What `flow ps` and `flow diff` see of a cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetflow_tasks.config.model import Port, ProjectName, Resources, RuntimeName, Secret, StageName, Volume
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import ServiceStatus
from fleetflow_tasks.runtimes.kubernetes.kinds import DEPLOYMENT
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import eventually

from .conftest import Cluster
from .roles import rights, rules, shipped, worker
from .stage import Stage, service, swept

PORT = (Port(container=8080),)


@pytest.fixture
def stage(plane: Cluster, name: str) -> Iterator[Stage]:
    runtime = KubernetesRuntime(plane.environ)
    yield Stage(runtime, plane, ProjectName(name))
    runtime.close()
    swept(plane, name)


def seen(stage: Stage, *services: object) -> dict[str, ServiceStatus]:
    found = stage.runtime.status(stage.plan(*services))  # type: ignore[arg-type]  # (services, as `service` makes them)
    return {each.service: each for each in found}


def test_what_runs_is_told_with_all_that_people_ask_for(stage: Stage) -> None:
    api = service("api", ports=PORT, replicas=2)
    stage.up(api)

    [status] = seen(stage, api).values()

    assert (status.state, status.runtime, status.text) == ("running", RuntimeName("kubernetes"), "2 of 2 pods ready")
    assert status.ports == ("api:8080/tcp",)
    assert (status.image, status.run, status.drift) == ("scripted/ready:0ms", "run-1", False)
    assert status.digest.startswith("scripted/ready:0ms@sha256:")
    assert status.since is not None


def test_each_state_has_its_word(stage: Stage) -> None:
    services = (
        service("crashing", "scripted/crash:3"),
        service("done", "scripted/job:0", job=True),
        service("lost", "scripted/pull-not-found:1"),
        service("sick", "scripted/never-ready", timeout=3.0),
        service("spoilt", "scripted/job:4", job=True),
        service("well"),
    )
    stage.up(service("well"))
    for each in services:
        if each.name not in {"well", "done"}:
            stage.fails(each, service("well"))
    stage.carry("done:deploy", services[1])

    states = {name: status.state for name, status in seen(stage, *services, service("missing")).items()}

    assert states == {
        "crashing": "restarting",
        "done": "completed",
        "lost": "failed",
        "missing": "missing",
        "sick": "unhealthy",
        "spoilt": "failed",
        "well": "running",
    }


def test_what_is_not_what_the_plan_says_is_told(stage: Stage) -> None:
    stage.up(service("api", replicas=2), service("web"))
    stage.patch(DEPLOYMENT, "api", {"spec": {"replicas": 0}}, manager="kubectl", part="scale")

    def states() -> dict[str, tuple[str, bool]]:
        return {name: (each.state, each.drift) for name, each in seen(stage, service("api", replicas=2)).items()}

    eventually(lambda: states() == {"api": ("stopped", True), "web": ("running", True)})


def test_a_change_names_its_fields_and_its_downtime(stage: Stage) -> None:
    data = (Volume(source="data", target="/data"),)
    stage.up(service("api", environment={"A": "1"}, ports=PORT), service("db", volumes=data))
    stage.up(service("api", environment={"A": "1"}, ports=PORT, replicas=2), service("db", volumes=data))

    plan = stage.plan(
        service("api", "scripted/ready:1ms", environment={"A": "2"}, ports=PORT, replicas=2),
        service("db", volumes=data, command=("x",)),
    )
    found = stage.runtime.diff(plan)

    api, db = found[StepId("api:deploy")], found[StepId("db:deploy")]
    assert (api.kind, api.cause, api.downtime) == (
        "replace",
        "image changed: scripted/ready:0ms -> scripted/ready:1ms",
        "none",
    )
    assert [field.field for field in api.fields] == ["environment.A", "image"]
    assert (db.kind, db.cause) == ("replace", "command changed")
    assert db.downtime == "until the old pod has stopped, at most 30 s, and the new one is ready"


def test_what_changes_without_touching_pods_is_an_update(stage: Stage) -> None:
    stage.up(service("api", ports=PORT))

    assert stage.changes(service("api", ports=PORT, replicas=3)) == {"api:deploy": "update: PodDisruptionBudget is new"}
    assert stage.changes(service("api", ports=PORT, options={"service_type": "NodePort"})) == {
        "api:deploy": "update: Service changed"
    }


def test_a_change_that_the_cluster_refuses_is_told_before_it_is_tried(stage: Stage) -> None:
    stage.up(service("api"))
    stage.up(service("api", replicas=2))
    wrong = service("api", replicas=2, resources=Resources(cpu=2.0, cpu_limit=1.0))

    told = stage.changes(wrong)["api:deploy"]

    assert told.startswith("replace: ")
    assert "must be less than or equal to cpu limit" in told
    generation = stage.get(DEPLOYMENT, "api")["metadata"]["generation"]
    assert stage.fails(wrong).problem.message.startswith("cannot prepare `api`: ")
    assert stage.get(DEPLOYMENT, "api")["metadata"]["generation"] == generation


def test_what_runs_and_what_would_change_is_told_to_who_may_not_read_secrets(
    stage: Stage, plane: Cluster, tmp_path: Path
) -> None:
    api = service("api", secrets={"PASSWORD": Secret("one")}, environment={"A": "1"})
    stage.up(api)
    allowed = rules(rights(shipped("role.yaml")["rules"]) - {("", "secrets", verb) for verb in ("get", "list")})
    blind = KubernetesRuntime(worker(plane, stage.namespace, tmp_path / "kubeconfig", allowed=allowed))
    changed = service("api", secrets={"PASSWORD": Secret("two")}, environment={"A": "1"})

    [status] = blind.status(stage.plan(api))
    [same] = [each for name, each in blind.diff(stage.plan(api)).items() if name == "api:deploy"]
    [other] = [each for name, each in blind.diff(stage.plan(changed)).items() if name == "api:deploy"]
    blind.close()

    assert (status.state, status.drift) == ("running", False)
    assert same.kind == "none"
    assert other.kind == "replace"
    assert other.cause.endswith("; whether its Secrets are there is not known: we may not list them")


def test_a_cluster_that_does_not_answer_is_told_in_one_line() -> None:
    runtime = KubernetesRuntime({"KUBECONFIG": "/nowhere/kubeconfig", "HOME": "/nowhere"})
    plan = Plan(project=ProjectName("p"), stage=StageName("s"), root="/", services=(), steps=())

    with pytest.raises(UnavailableError) as failure:
        runtime.status(plan)

    assert failure.value.problems[0].fix
    runtime.close()
