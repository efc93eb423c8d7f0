# SPDX-License-Identifier: Apache-2.0
"""What is as it should be and does not serve is no success, however often it is deployed."""

from collections.abc import Iterator

import pytest

from fleetflow_tasks.config.model import ProjectName
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.runtimes.base import DeployError
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, POD
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial, eventually

from .conftest import Cluster
from .stage import Stage, service, swept


@pytest.fixture
def stage(plane: Cluster, name: str) -> Iterator[Stage]:
    runtime = KubernetesRuntime(plane.environ)
    yield Stage(runtime, plane, ProjectName(name))
    runtime.close()
    swept(plane, name)


def test_a_first_version_that_failed_is_deployed_again_and_fails_again(stage: Stage) -> None:
    lost, web = service("api", "scripted/pull-not-found"), service("web")
    stage.up(web)
    first = stage.fails(lost, web)

    change = stage.runtime.diff(stage.plan(lost, web))[StepId("api:deploy")]

    assert change.kind == "start"
    assert change.cause == "not ready: image `scripted/pull-not-found` does not exist on Docker Hub"
    assert (change.fields, change.downtime) == ((), "none")
    assert stage.fails(lost, web).problem.message == first.problem.message
    assert stage.changes(web, lost)["api:deploy"].startswith("start: not ready: ")


def test_a_job_of_this_content_that_failed_is_no_work_done(stage: Stage) -> None:
    spoilt = service("seed", "scripted/job:4", job=True)
    stage.fails(spoilt)

    assert stage.changes(spoilt) == {"seed:deploy": "run: it failed the last time"}
    assert "exit code 4" in stage.fails(spoilt).problem.message


def test_a_rollout_that_is_still_under_way_is_waited_for(stage: Stage) -> None:
    api = service("api", "scripted/ready:5s")
    stage.up(service("api"))
    stage.up(api)
    for pod in stage.names(POD):
        stage.removed(POD, pod)
    eventually(lambda: stage.changes(api).get("api:deploy", "").startswith("start: not ready: 0 of 1 pods ready"), 10)

    stage.up(api)

    assert stage.changes(api) == {}


def test_a_namespace_that_does_not_go_says_what_holds_it_in_the_plan_too(stage: Stage, plane: Cluster) -> None:
    api, kept = service("api"), {"apiVersion": "v1", "kind": "ConfigMap"}
    plane.made(stage.namespace)
    metadata = {"name": "kept", "finalizers": ["example.org/kept"]}
    plane.client.create(CONFIG_MAP, stage.namespace, {**kept, "metadata": metadata})
    plane.removed(stage.namespace)
    held = "Some content in the namespace has finalizers remaining: example.org/kept in 1 resource instances"
    said = f"namespace `{stage.namespace}` is being removed, and is not gone yet: {held}"

    eventually(lambda: stage.changes(api).get("stage:prepare") == f"create: {said}", 30)
    with pytest.raises(DeployError) as failure:
        stage.carry("stage:prepare", api, attempt=Trial(1, timeout=17.0))

    assert failure.value.problem.message == said
    stage.patch(CONFIG_MAP, "kept", {"metadata": {"finalizers": None}}, manager="me")
