# SPDX-License-Identifier: Apache-2.0
"""What goes, what stays, and who else's is never touched."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import Port, ProjectName, Secret, ServiceName, Volume
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import StaleError
from fleetflow_tasks.runtimes.kubernetes.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    REPLICA_SET,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    Kind,
)
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial, eventually
from fleetflow_tasks.testing.contract import done

from .conftest import Cluster
from .front import Front
from .stage import Stage, service, step, swept

ENDPOINT_SLICE = Kind(name="EndpointSlice", api="discovery.k8s.io/v1", plural="endpointslices")
CRON_JOB = Kind(name="CronJob", api="batch/v1", plural="cronjobs")
PORT = (Port(container=8080),)
DATA = (Volume(source="data", target="/data"),)


@pytest.fixture
def runtime(plane: Cluster) -> Iterator[KubernetesRuntime]:
    made = KubernetesRuntime(plane.environ)
    yield made
    made.close()


@pytest.fixture
def stage(runtime: KubernetesRuntime, plane: Cluster, name: str) -> Iterator[Stage]:
    yield Stage(runtime, plane, ProjectName(name))
    swept(plane, name)


@pytest.fixture
def neighbour(runtime: KubernetesRuntime, plane: Cluster, stage: Stage) -> Iterator[Stage]:
    """Another project, in the same namespace."""
    other = Stage(runtime, plane, ProjectName(f"{stage.project}x"))
    other.namespace = stage.namespace
    yield other
    swept(plane, other.project)


def test_what_the_stage_does_not_hold_goes_but_not_its_claims(stage: Stage) -> None:
    stage.up(service("api", ports=PORT), service("db", ports=PORT, volumes=DATA, environment={"A": "1"}))

    outcomes = stage.up(service("api", ports=PORT))

    assert outcomes["stage:prune"].text == "removed what the stage does not hold: db; kept claim data-db-0"
    assert (stage.names(STATEFUL_SET), stage.names(CLAIM)) == ([], ["data-db-0"])
    assert stage.names(SERVICE) == ["api"]
    assert stage.names(CONFIG_MAP) == ["kube-root-ca.crt"]
    assert not stage.pods("db")


def test_what_the_cluster_itself_has_made_from_our_objects_is_not_ours_to_remove(stage: Stage) -> None:
    api = service("api", ports=PORT, environment={"A": "1"})
    stage.up(api)
    stage.up(service("api", ports=PORT, environment={"A": "2"}))
    slices = stage.names(ENDPOINT_SLICE)

    outcomes = stage.up(service("api", ports=PORT, environment={"A": "2"}))

    assert not outcomes["stage:prune"].changed
    assert stage.names(ENDPOINT_SLICE) == slices
    assert len(stage.names(REPLICA_SET)) == 2


def test_configuration_goes_when_no_version_that_the_cluster_keeps_is_made_from_it(stage: Stage) -> None:
    secret = {"S": Secret("1")}
    for number in range(7):
        stage.up(service("api", environment={"A": str(number)}, secrets=secret))

    kept = [name for name in stage.names(CONFIG_MAP) if name.startswith("api-env-")]
    held = [stage.get(CONFIG_MAP, name)["data"]["A"] for name in kept]

    assert sorted(held)[-4:] == ["3", "4", "5", "6"]  # the one that runs, and the three before it
    assert len(held) <= 5  # the cluster takes an old version away a moment after the run
    assert len(stage.names(SECRET)) == 1


def test_two_projects_in_one_namespace_leave_each_other_alone(stage: Stage, neighbour: Stage) -> None:
    stage.up(service("api", ports=PORT), namespace=stage.namespace)
    neighbour.up(service("web", ports=PORT), namespace=stage.namespace)

    stage.up(service("other"), namespace=stage.namespace)
    taken = neighbour.fails(service("other"), namespace=stage.namespace)

    assert stage.names(DEPLOYMENT) == ["other", "web"]
    assert "it is not ours" in taken.problem.message
    assert taken.problem.cause[0] == f"it belongs to stage `local` of project `{stage.project}`"


def emptied(stage: Stage, **options: str) -> str:
    """What an emptied plan says that it did."""
    plan = stage.plan(**options)
    stage.generation += 1
    return done(stage.runtime, plan, plan.steps[-1], Trial(stage.generation)).text


def test_an_emptied_stage_takes_the_namespace_that_it_made_along(stage: Stage) -> None:
    stage.up(service("api", ports=PORT))

    said = emptied(stage)

    assert said == f"removed api, removed namespace {stage.namespace}"
    eventually(lambda: stage.get(NAMESPACE, stage.namespace) is None, within=60)
    assert emptied(stage) == "nothing to remove"


def test_a_namespace_that_was_there_before_stays(stage: Stage, plane: Cluster) -> None:
    plane.made(stage.namespace)
    stage.up(service("api"))

    assert emptied(stage) == "removed api"

    assert "deletionTimestamp" not in stage.get(NAMESPACE, stage.namespace)["metadata"]


def test_a_namespace_that_holds_something_of_somebody_else_stays_and_it_is_said_why(
    stage: Stage, plane: Cluster
) -> None:
    stage.up(service("api"))
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}}
    plane.client.create(CONFIG_MAP, stage.namespace, theirs)

    said = emptied(stage)

    assert said == f"removed api, kept namespace {stage.namespace}: ConfigMap theirs is in it"


def test_a_namespace_that_holds_something_of_a_kind_that_we_do_not_make_stays(stage: Stage, plane: Cluster) -> None:
    stage.up(service("api"))
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "scripted/job:0"}]}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    theirs = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "theirs"}, "spec": spec}
    plane.client.create(CRON_JOB, stage.namespace, theirs)

    assert stage.changes() == {"api:remove": "remove: the stage does not hold it any more"}
    assert emptied(stage) == f"removed api, kept namespace {stage.namespace}: CronJob theirs is in it"

    assert "deletionTimestamp" not in stage.get(NAMESPACE, stage.namespace)["metadata"]


def test_a_namespace_that_may_hold_what_we_cannot_list_stays(
    plane: Cluster, name: str, line: Front, tmp_path: Path
) -> None:
    runtime = KubernetesRuntime({"KUBECONFIG": str(line.kubeconfig(tmp_path / "kubeconfig"))})
    stage = Stage(runtime, plane, ProjectName(name))
    stage.up(service("api"))
    line.answers(r"^GET /apis/batch/v1/namespaces/.*/cronjobs", 403, "cronjobs is forbidden", reason="Forbidden")
    line.answers(r"^GET /apis/policy/v1$", 503, "nobody is there")

    said = emptied(stage)

    assert said == (
        f"removed api, kept namespace {stage.namespace}: it may hold cronjobs, which we cannot list: cronjobs is forbidden"
        ", and 1 more"
    )
    assert emptied(stage) == f"removed namespace {stage.namespace}"
    runtime.close()
    swept(plane, name)


def test_a_namespace_that_somebody_changes_while_it_is_looked_through_is_looked_through_again(
    plane: Cluster, name: str
) -> None:
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}}

    def meanwhile(method: str, path: str) -> None:
        if method == "DELETE" and path == f"/api/v1/namespaces/{stage.namespace}" and CONFIG_MAP not in done_:
            done_.append(CONFIG_MAP)
            plane.client.create(CONFIG_MAP, stage.namespace, theirs)
            stage.patch(NAMESPACE, stage.namespace, {"metadata": {"labels": {"theirs": "yes"}}}, manager="somebody")

    done_: list[Kind] = []
    runtime = KubernetesRuntime(plane.environ, trace=meanwhile)
    stage = Stage(runtime, plane, ProjectName(name))
    stage.up(service("api"))

    assert emptied(stage) == f"removed api, kept namespace {stage.namespace}: ConfigMap theirs is in it"

    runtime.close()
    swept(plane, name)


def test_claims_stay_until_they_too_are_asked_to_go(stage: Stage) -> None:
    stage.up(service("db", volumes=DATA))
    uid = stage.get(CLAIM, "data-db-0")["metadata"]["uid"]

    kept = emptied(stage)
    stage.up(service("db", volumes=DATA))
    again = stage.get(CLAIM, "data-db-0")["metadata"]["uid"]
    gone = emptied(stage, volumes="remove")

    assert kept == (
        f"removed db, kept claim data-db-0, kept namespace {stage.namespace}: PersistentVolumeClaim data-db-0 is in it"
    )
    assert again == uid
    assert gone == f"removed db, removed claim data-db-0, removed namespace {stage.namespace}"


def test_removing_a_service_waits_until_its_pods_are_gone(stage: Stage) -> None:
    stage.up(service("api", "scripted/ready:0ms", ports=PORT), service("web", ports=PORT))
    plan = stage.plan(service("web", ports=PORT))

    outcome = done(stage.runtime, plan, step("api:remove", "remove", ServiceName("api")), Trial(5))

    assert outcome.changed
    assert not stage.pods("api")
    assert stage.names(SERVICE) == ["web"]


def test_what_a_newer_run_has_taken_over_is_not_tidied_away(stage: Stage) -> None:
    """The run that failed is tidied while the next one, which wants the same, prepares."""
    api = service("api", environment={"A": "1"})
    stage.carry("stage:prepare", api)
    stage.carry("api:prepare", api, attempt=Trial(1, run="first"))
    stage.carry("api:prepare", api, attempt=Trial(2, run="second"))

    outcome = stage.runtime.tidy(stage.plan(api), "first")
    stage.carry("api:deploy", api, attempt=Trial(2, run="second"))

    assert not outcome.changed
    assert stage.variables("api") == {"A": "1"}


def test_what_was_tidied_away_under_a_run_is_made_again(stage: Stage) -> None:
    api = service("api", environment={"A": "1"})
    stage.carry("stage:prepare", api)
    stage.carry("api:prepare", api, attempt=Trial(1, run="first"))
    plan, second = stage.plan(api), Trial(2, run="second")
    stage.runtime.diff(plan)
    done(stage.runtime, plan, plan.step(_id("stage:prepare")), second)

    assert stage.runtime.tidy(plan, "first").changed
    done(stage.runtime, plan, plan.step(_id("api:prepare")), second)
    done(stage.runtime, plan, plan.step(_id("api:deploy")), second)

    assert stage.variables("api") == {"A": "1"}


def test_what_would_go_is_told_before_it_goes(stage: Stage) -> None:
    stage.up(service("db", volumes=DATA), service("web"))
    removing = stage.plan(service("db", volumes=DATA))
    removing = replace(removing, steps=(step("web:remove", "remove", ServiceName("web")), *removing.steps))

    assert stage.changes(service("db", volumes=DATA)) == {"web:remove": "remove: the stage does not hold it any more"}
    assert stage.runtime.diff(removing)[_id("web:remove")].cause == "asked for"
    gone = {f"{name}:remove": "remove: the stage does not hold it any more" for name in ("db", "web")}
    stays = {"db:remove": f"{gone['db:remove']}; claim `data-db-0` stays, unused"}
    assert stage.changes() == gone | stays  # the namespace has to stay for the claim
    assert stage.changes(volumes="remove") == {
        **gone,
        "stage:prune": f"remove: the stage is empty: namespace {stage.namespace}, claim data-db-0",
    }


def test_an_older_run_prunes_nothing_of_a_newer_one(stage: Stage) -> None:
    stage.generation = 8
    stage.up(service("api"), service("web"))
    plan: Plan = stage.plan(service("api"))

    with pytest.raises(StaleError, match="was made by a newer run"):
        done(stage.runtime, plan, plan.steps[-1], Trial(3))

    assert stage.names(DEPLOYMENT) == ["api", "web"]


def _id(name: str) -> Any:
    return name
