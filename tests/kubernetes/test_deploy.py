# SPDX-License-Identifier: Apache-2.0
"""What a deployment does to a cluster, and what it costs there. The nodes are played; all else is real."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from fleetflow_tasks.config.model import Ingress, Port, ProjectName, Scaling, Secret, Volume
from fleetflow_tasks.runtimes.base import DeployError, Stopped
from fleetflow_tasks.runtimes.kubernetes.kinds import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    JOB,
    NAMESPACE,
    PDB,
    POD,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    STORAGE_CLASS,
)
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial, eventually

from .conftest import Cluster
from .stage import Stage, service, swept

PORT = (Port(container=8080),)
DATA = (Volume(source="data", target="/data", size=1 << 30),)


@pytest.fixture
def stage(plane: Cluster, name: str, requests: list[tuple[str, str]]) -> Iterator[Stage]:
    runtime = KubernetesRuntime(plane.environ, trace=lambda method, path: requests.append((method, path)))
    yield Stage(runtime, plane, ProjectName(name))
    runtime.close()
    swept(plane, name)


def pictures(requests: list[tuple[str, str]]) -> list[str]:
    """Lists of all that a stage has of one kind."""
    return [path for _, path in requests if "fleetflow.io%2Fstage%3D" in path and "limit=" in path]


@pytest.fixture
def counted(requests: list[tuple[str, str]]) -> Callable[[Callable[[], Any]], int]:
    """How many requests something takes, but for pictures of the stage: a new one each ten seconds, however many wait."""

    def count(do: Callable[[], Any]) -> int:
        before = len(requests)
        do()
        return len(requests[before:]) - len(pictures(requests[before:]))

    return count


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)


def _decoded(body: bytes) -> Any:
    return msgspec.json.decode(body)


def whole(name: str, **fields: Any) -> Any:
    """A service with all that most have."""
    secrets = {"PASSWORD": Secret("very secret")}
    return service(name, ports=PORT, environment={"A": name}, secrets=secrets, **fields)


# --- what it costs


def test_a_new_service_costs_a_request_for_each_of_its_objects_and_an_unchanged_one_none(
    stage: Stage, counted: Callable[[Callable[[], Any]], int], requests: list[tuple[str, str]]
) -> None:
    few, many = [whole(f"a{number}") for number in range(2)], [whole(f"a{number}") for number in range(12)]
    stage.up(*few)

    grown = counted(lambda: stage.up(*many))
    before = len(requests)
    same = counted(lambda: stage.up(*many))

    assert grown - same == 10 * len(("ConfigMap", "Secret", "Deployment", "Service"))
    assert same < 10
    seen = pictures(requests[before:])
    assert max(map(seen.count, seen)) < len(many)  # one list for each kind, whatever the number of services


def test_waiting_costs_no_request(stage: Stage, counted: Callable[[Callable[[], Any]], int]) -> None:
    stage.up(service("other", "scripted/ready:0ms"))
    quick = counted(lambda: stage.up(service("api", "scripted/ready:0ms")))

    slow = counted(lambda: stage.up(service("api", "scripted/ready:0ms"), service("web", "scripted/ready:3s")))

    assert slow <= quick + 1  # `other` is pruned, once


def test_a_changed_service_is_looked_at_before_each_write(stage: Stage, requests: list[tuple[str, str]]) -> None:
    stage.up(whole("api"))
    stage.up(whole("api", replicas=2))
    before = len(requests)

    stage.up(whole("api", replicas=3))

    writes = [number for number, (method, _) in enumerate(requests) if number >= before and method != "GET"]
    kept = [requests[number][1].partition("?")[0] for number in writes if "dryRun" not in requests[number][1]]
    assert [path.rpartition("/")[2] for path in kept] == ["api"]
    assert all(requests[number - 1] == ("GET", requests[number][1].partition("?")[0]) for number in writes)


# --- what it does


def test_a_variable_that_is_dropped_is_gone_after_the_next_deployment(stage: Stage) -> None:
    stage.up(service("api", environment={"A": "1", "B": "2"}))
    assert stage.variables("api") == {"A": "1", "B": "2"}

    stage.up(service("api", environment={"A": "1"}))

    assert stage.variables("api") == {"A": "1"}
    managers = {
        each["manager"]: each["operation"] for each in stage.get(DEPLOYMENT, "api")["metadata"]["managedFields"]
    }
    assert managers["fleetflow"] == "Apply"


def test_configuration_is_never_changed_under_pods_that_were_made_from_it(stage: Stage) -> None:
    first, second = service("api", environment={"A": "1"}), service("api", environment={"A": "2"})
    stage.up(first)
    old = stage.names(CONFIG_MAP)

    stage.up(second)

    assert stage.variables("api") == {"A": "2"}
    assert set(old) < set(stage.names(CONFIG_MAP))  # the version before can be gone back to
    assert stage.get(CONFIG_MAP, old[0])["data"] == {"A": "1"}
    stage.up(first)
    assert stage.variables("api") == {"A": "1"}


def test_an_image_that_does_not_exist_is_told_in_the_registrys_words_and_the_version_before_serves(
    stage: Stage,
) -> None:
    stage.up(service("api", replicas=2))
    pods = {each["metadata"]["name"] for each in stage.pods("api")}

    error = stage.fails(service("api", "scripted/pull-not-found:9", replicas=2))

    assert error.problem.code == "image-not-found"
    assert error.problem.message.startswith("`api` did not become ready: ")
    assert error.problem.cause[-1] == "the version before goes on serving"
    assert not error.transient
    eventually(lambda: {each["metadata"]["name"] for each in stage.pods("api")} == pods)
    assert stage.changes(service("api", replicas=2)) == {}


def test_a_first_version_that_fails_stays_to_be_looked_at_and_the_next_run_mends_it(stage: Stage) -> None:
    error = stage.fails(service("api", "scripted/pull-not-found:9", ports=PORT))

    assert "there is no version before" in error.problem.cause[-1]
    assert stage.names(DEPLOYMENT) == ["api"]
    again = stage.fails(service("api", "scripted/pull-not-found:8", ports=PORT))
    assert again.problem.cause[-1] == "the version before was put back; it did not serve either"
    same = stage.fails(service("api", "scripted/pull-not-found:9", ports=PORT))
    assert "the version before" not in "".join(same.problem.cause)
    assert "api:deploy" in {key for key, outcome in stage.up(service("api", ports=PORT)).items() if outcome.changed}


def test_what_does_not_become_ready_in_time_is_told_with_what_it_waits_for(stage: Stage) -> None:
    error = stage.fails(service("api", "scripted/never-ready", timeout=3.0))

    # What the kubelet says of the check may have come by then, or be about to.
    waited, checked = "after 3 s still 0 of 1 pods ready", "its health check fails: it answered 503"
    told = error.problem.message.removeprefix("`api` did not become ready: ")
    assert told in {waited, checked, f"{waited}; {checked}"}


def test_a_pod_that_crashes_again_and_again_is_told_with_its_exit_code(stage: Stage) -> None:
    error = stage.fails(service("api", "scripted/crash:3"))

    assert "exit code 3" in error.problem.message


def test_a_quota_that_is_used_up_is_told_although_no_pod_exists(stage: Stage, plane: Cluster) -> None:
    stage.up(service("api"))
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}}
    path = f"/api/v1/namespaces/{stage.namespace}/resourcequotas"
    plane.client.line.ask("set a quota", "POST", path, body=_json(quota))
    eventually(
        lambda: "pods" in _decoded(plane.client.line.ask("look", "GET", path))["items"][0]["status"].get("hard", "")
    )

    error = stage.fails(service("api"), service("web"))

    assert error.problem.code == "quota"
    assert "quota `few` is used up" in error.problem.message


def test_what_is_not_ours_is_named_with_its_owner_and_left_alone(stage: Stage, plane: Cluster) -> None:
    plane.made(stage.namespace)
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "api", "labels": labels},
        "spec": {"ports": [{"port": 1}]},
    }
    made = plane.client.create(SERVICE, stage.namespace, foreign)

    problem = stage.fails(service("api", ports=PORT)).problem

    assert problem.message == f"a Service called `api` is in namespace `{stage.namespace}` already, and it is not ours"
    assert problem.cause == ("it is managed by `Helm`",)
    assert stage.get(SERVICE, "api") == made


def test_what_is_in_the_way_is_seen_in_the_plan_and_before_anything_is_made(stage: Stage, plane: Cluster) -> None:
    plane.made(stage.namespace)
    spec = {"ports": [{"port": 1}]}
    foreign = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api"}, "spec": spec}
    plane.client.create(SERVICE, stage.namespace, foreign)

    changes = stage.changes(whole("api"), whole("web"))
    stage.carry("stage:prepare", whole("api"))
    with pytest.raises(DeployError) as failure:
        stage.carry("api:prepare", whole("api"))

    assert changes == {
        "api:deploy": "create: not there; in the way: Service `api`, not ours",
        "web:deploy": "create: not there",
    }
    assert "is in namespace" in failure.value.problem.message
    assert stage.names(SECRET) == []


def test_what_is_in_the_way_is_looked_for_once_for_all_services_of_a_run(
    stage: Stage, requests: list[tuple[str, str]]
) -> None:
    services = [service(name, ports=PORT) for name in ("api", "web", "db", "cache")]
    stage.carry("stage:prepare", *services)
    before = len(requests)

    for each in services:
        stage.carry(f"{each.name}:prepare", *services)

    whole = f"/namespaces/{stage.namespace}/"
    asked = [
        path.partition(whole)[2]
        for method, path in requests[before:]
        if method == "GET" and "labelSelector" not in path
    ]
    assert sorted(each.partition("?")[0] for each in asked) == ["deployments", "services"]


def test_another_stage_in_the_same_namespace_keeps_its_services(stage: Stage, plane: Cluster) -> None:
    stage.up(service("api", ports=PORT))
    other = Stage(stage.runtime, plane, ProjectName(f"{stage.project}-2"))

    problem = other.fails(service("api", ports=PORT), namespace=stage.namespace).problem

    assert problem.cause == (f"it belongs to stage `local` of project `{stage.project}`",)
    assert problem.fix.startswith("give each stage a namespace of its own")
    assert "delete" not in problem.fix


# --- fields of others


def test_a_field_that_somebody_else_has_taken_is_named_and_only_taken_back_when_asked(stage: Stage) -> None:
    stage.up(service("api", ports=PORT, replicas=2))
    stage.patch(DEPLOYMENT, "api", {"spec": {"replicas": 1}}, manager="kubectl", part="scale")

    error = stage.fails(service("api", ports=PORT, replicas=2))

    assert error.problem.code == "field-conflict"
    assert "`spec.replicas` belongs to `kubectl`" in error.problem.message
    assert stage.get(DEPLOYMENT, "api")["spec"]["replicas"] == 1
    stage.up(service("api", ports=PORT, replicas=2), force_conflicts="yes")
    assert stage.get(DEPLOYMENT, "api")["spec"]["replicas"] == 2


def test_what_somebody_has_added_that_we_do_not_speak_of_stays(stage: Stage) -> None:
    stage.up(service("api", environment={"A": "1"}))
    stage.patch(DEPLOYMENT, "api", {"metadata": {"annotations": {"note": "theirs"}}}, manager="somebody")
    assert not any(outcome.changed for outcome in stage.up(service("api", environment={"A": "1"})).values())

    stage.up(service("api", environment={"A": "2"}))

    assert stage.get(DEPLOYMENT, "api")["metadata"]["annotations"]["note"] == "theirs"


def _replicas(stage: Stage) -> int:
    return int(stage.get(DEPLOYMENT, "api")["spec"]["replicas"])


def test_what_an_autoscaler_has_scaled_stays_as_it_is(stage: Stage) -> None:
    scaled: dict[str, Any] = {"scaling": Scaling(min=1, max=9)}
    stage.up(service("api", **scaled))
    _scale(stage, 7)

    stage.up(service("api", environment={"A": "2"}, **scaled))
    assert not any(outcome.changed for outcome in stage.up(service("api", environment={"A": "2"}, **scaled)).values())

    assert _replicas(stage) == 7
    assert stage.names(PDB) == ["api"]


def test_the_number_of_pods_changes_hands_without_a_dip(stage: Stage) -> None:
    stage.up(service("api", replicas=3))
    uids = {each["metadata"]["uid"] for each in stage.pods("api")}

    stage.up(service("api", scaling=Scaling(min=2, max=9)))

    assert _replicas(stage) == 3
    assert {each["metadata"]["uid"] for each in stage.pods("api")} == uids
    assert stage.names(HPA) == ["api"]
    _scale(stage, 5)
    stage.up(service("api", replicas=4))
    assert _replicas(stage) == 4
    assert stage.names(HPA) == []


def test_an_autoscaler_of_somebody_else_is_not_fought(stage: Stage, plane: Cluster) -> None:
    stage.up(service("api", replicas=2))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}
    spec = {"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 9}
    theirs = {"apiVersion": HPA.api, "kind": HPA.name, "metadata": {"name": "theirs"}, "spec": spec}
    plane.client.create(HPA, stage.namespace, theirs)
    _scale(stage, 5)

    error = stage.fails(service("api", replicas=3))

    assert "`spec.replicas` belongs to `kube-controller-manager`" in error.problem.message
    assert _replicas(stage) == 5


def _scale(stage: Stage, pods: int) -> None:
    """As an autoscaler does it: there is nothing here that would measure."""
    stage.patch(DEPLOYMENT, "api", {"spec": {"replicas": pods}}, manager="kube-controller-manager", part="scale")


# --- what cannot be changed in place


def test_a_claim_that_grows_is_grown_under_its_running_pod(stage: Stage, plane: Cluster, name: str) -> None:
    growing: dict[str, Any] = {"kind": "StorageClass", "apiVersion": STORAGE_CLASS.api, "metadata": {"name": name}}
    growing |= {"provisioner": "kubernetes.io/host-path", "allowVolumeExpansion": True}
    made = plane.client.create(STORAGE_CLASS, "", growing)
    options = {"storage_class": name}
    stage.up(service("db", volumes=DATA, options=options))
    pod = stage.pods("db")[0]["metadata"]["uid"]
    larger = service("db", volumes=(Volume(source="data", target="/data", size=2 << 30),), options=options)

    stage.up(larger)

    assert stage.get(CLAIM, "data-db-0")["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert [each["metadata"]["uid"] for each in stage.pods("db")] == [pod]
    assert stage.changes(larger) == {}
    plane.client.delete(STORAGE_CLASS, "", name, uid=made["metadata"]["uid"], propagation="Background")


def test_a_version_that_fails_with_a_grown_claim_gives_its_place_back(stage: Stage, plane: Cluster, name: str) -> None:
    growing: dict[str, Any] = {"kind": "StorageClass", "apiVersion": STORAGE_CLASS.api, "metadata": {"name": name}}
    growing |= {"provisioner": "kubernetes.io/host-path", "allowVolumeExpansion": True}
    made = plane.client.create(STORAGE_CLASS, "", growing)
    options = {"storage_class": name}
    stage.up(service("db", volumes=DATA, options=options))
    larger = (Volume(source="data", target="/data", size=2 << 30),)

    error = stage.fails(service("db", "scripted/pull-not-found:1", volumes=larger, options=options))

    assert error.problem.cause[-1] == "the version before was put back, and starts again"
    templates = stage.get(STATEFUL_SET, "db")["spec"]["volumeClaimTemplates"]
    assert templates[0]["spec"]["resources"]["requests"]["storage"] == "1Gi"
    eventually(lambda: stage.changes(service("db", volumes=DATA, options=options)) == {}, within=60)
    plane.client.delete(STORAGE_CLASS, "", name, uid=made["metadata"]["uid"], propagation="Background")


def test_what_is_fixed_is_told_and_made_anew_only_when_asked_and_its_claim_stays(stage: Stage) -> None:
    stage.up(service("db", volumes=DATA))
    before, claim = stage.get(STATEFUL_SET, "db"), stage.get(CLAIM, "data-db-0")
    more = service("db", volumes=(*DATA, Volume(source="log", target="/log")))

    problem = stage.fails(more).problem

    assert problem.message == "`db` cannot be changed in place: `StatefulSet.spec.volumeClaimTemplates[log]`"
    assert problem.fix == "deploy with `--replace db`, or take the change back"
    assert stage.get(STATEFUL_SET, "db")["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert "it takes `--replace db`" in stage.changes(more)["db:deploy"]
    stage.up(more, replace="db")
    assert stage.get(CLAIM, "data-db-0")["metadata"]["uid"] == claim["metadata"]["uid"]
    assert stage.names(CLAIM) == ["data-db-0", "log-db-0"]


def test_a_claim_that_shrinks_is_refused_whatever_is_asked(stage: Stage) -> None:
    shared = (Volume(source="data", target="/data", size=2 << 30),)
    stage.up(service("a", volumes=shared), service("b", volumes=shared))

    error = stage.fails(service("a", volumes=DATA), service("b", volumes=DATA), replace="a b")

    assert error.problem.code == "claim-immutable"
    assert error.problem.message == "a claim of `a` cannot be changed: `data: size`"


def test_a_service_that_gets_a_volume_becomes_stateful_and_the_old_workload_goes(stage: Stage) -> None:
    stage.up(service("db", ports=PORT))

    stage.up(service("db", ports=PORT, volumes=DATA))

    assert (stage.names(DEPLOYMENT), stage.names(STATEFUL_SET)) == ([], ["db"])
    assert stage.changes(service("db", ports=PORT, volumes=DATA)) == {}


def test_an_ingress_that_nobody_serves_is_a_note_and_nothing_to_wait_for(stage: Stage) -> None:
    web = service("web", ports=PORT, ingress=(Ingress(host="shop.example.org", port=8080),))

    assert stage.up(web)["web:deploy"].text == "started; its Ingress has no address yet"
    assert stage.up(web)["web:deploy"].text == "unchanged"


def test_a_stateful_version_that_fails_gives_its_place_back(stage: Stage) -> None:
    stage.up(service("db", volumes=DATA, replicas=2))

    error = stage.fails(service("db", "scripted/pull-not-found:9", volumes=DATA, replicas=2))

    assert error.problem.cause[-1] == "the version before was put back, and starts again"
    assert not any(outcome.changed for outcome in stage.up(service("db", volumes=DATA, replicas=2)).values())


# --- jobs


def test_a_job_that_failed_is_told_again_in_its_run_and_run_again_in_the_next(stage: Stage) -> None:
    broken = service("seed", "scripted/job:3", job=True)
    error = stage.fails(broken)
    assert "exit code 3" in error.problem.message
    pod = stage.pods("seed")[0]["metadata"]["uid"]

    with pytest.raises(type(error)) as again:
        stage.carry("seed:deploy", broken)

    assert again.value.problem.message == error.problem.message
    assert [each["metadata"]["uid"] for each in stage.pods("seed")] == [pod]
    stage.fails(broken)
    assert [each["metadata"]["uid"] for each in stage.pods("seed")] != [pod]


def test_a_job_that_is_stopped_half_way_is_waited_for_by_the_next_attempt_and_runs_once(stage: Stage) -> None:
    job = service("seed", "scripted/job:0", job=True)
    stage.carry("stage:prepare", job)
    with pytest.raises(Stopped):
        stage.carry("seed:deploy", job, attempt=Trial(1, stop_at=2))

    stage.carry("seed:deploy", job, attempt=Trial(1))

    assert len(stage.pods("seed")) == 1


def test_a_job_that_runs_in_every_deployment_leaves_its_newest_run(stage: Stage) -> None:
    job = service("seed", "scripted/job:0", job=True, rerun="always")
    stage.up(job)
    first = stage.names(JOB)

    stage.up(job)

    assert len(first) == 1
    assert len(stage.names(JOB)) == 1
    assert stage.names(JOB) != first


# --- the namespace


def test_a_namespace_on_its_way_out_is_waited_for(stage: Stage, plane: Cluster) -> None:
    stage.up(service("api"))
    old = stage.get(NAMESPACE, stage.namespace)["metadata"]["uid"]
    plane.removed(stage.namespace)

    stage.up(service("api"))

    assert stage.get(NAMESPACE, stage.namespace)["metadata"]["uid"] != old
    assert stage.names(DEPLOYMENT) == ["api"]


def test_what_was_removed_by_hand_is_made_again(stage: Stage) -> None:
    stage.up(whole("api"))
    stage.removed(SERVICE, "api")
    stage.removed(SECRET, stage.names(SECRET)[0])

    stage.up(whole("api"))

    assert (stage.names(SERVICE), len(stage.names(SECRET))) == (["api"], 1)
    assert stage.changes(whole("api")) == {}


def test_no_value_of_a_secret_is_written_anywhere_but_into_its_secret(stage: Stage) -> None:
    stage.up(whole("api"))

    shown = [stage.cluster.client.list(kind, stage.namespace).items for kind in (DEPLOYMENT, SERVICE, CONFIG_MAP, POD)]

    assert "very secret" not in str(shown)
