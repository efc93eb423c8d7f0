# SPDX-License-Identifier: Apache-2.0
"""What is known of a stage, and what its status says. No cluster."""

import time
from datetime import UTC, datetime
from typing import Any

from fleetflow_tasks.config.model import Port, ProjectName, Secret, ServiceName, StageName, Volume
from fleetflow_tasks.runtimes.kubernetes.desired import stamped
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.observe import Snapshot, controlled, digest, key, labels, mark, own
from fleetflow_tasks.runtimes.kubernetes.status import digest as image_digest
from fleetflow_tasks.runtimes.kubernetes.status import ports, told
from fleetflow_tasks.runtimes.labels import Mark

from .made import one, service, wanted

MARK = Mark(project=ProjectName("shop"), stage=StageName("stg"), run="r7", generation=7)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
API = ServiceName("api")
DATA = Volume(source="data", target="/d")


def live(found: Json, **parts: Any) -> dict[str, Any]:
    made = dict(stamped(found, MARK))
    return {**made, "metadata": {**made["metadata"], "uid": key(found)[1], "generation": 1}, **parts}


# --- a picture of a stage


def test_whose_an_object_is_stands_in_its_labels() -> None:
    deployment = live(wanted().workload)

    assert (mark(deployment).service, mark(deployment).run, mark(deployment).generation) == ("api", "r7", 7)
    assert mark({"metadata": {}}).project == ""
    assert labels(ProjectName("shop"), StageName("stg"), API) == {
        "fleetflow.io/project": "shop",
        "fleetflow.io/stage": "stg",
        "fleetflow.io/service": "api",
    }


def test_a_picture_keeps_no_secret_and_nothing_that_is_only_read_before_a_write() -> None:
    secret = live(one(wanted(secrets={"S": Secret("hush")}), "Secret"))
    secret["metadata"]["managedFields"] = [{"manager": "x"}]

    [kept] = Snapshot([secret]).all().values()

    assert "data" not in kept
    assert "managedFields" not in kept["metadata"]


def test_what_a_controller_has_made_is_not_in_the_picture() -> None:
    child = live(wanted().workload)
    child["metadata"]["ownerReferences"] = [{"controller": True}]

    assert controlled(child)
    assert Snapshot([child]).all() == {}


def test_a_service_sees_what_it_shares_and_nothing_of_the_others() -> None:
    shared = one(wanted(service("web", volumes=(DATA,)), volumes=(DATA,)), "PersistentVolumeClaim")
    known = Snapshot([live(wanted().workload), live(shared)])

    assert list(known.of(API)) == [("PersistentVolumeClaim", "data"), ("Deployment", "api")]
    assert list(own(known, API)) == [("Deployment", "api")]
    assert list(known.of(ServiceName("web"))) == [("PersistentVolumeClaim", "data")]
    assert len(known) == 2


def test_what_is_written_and_removed_is_in_the_picture() -> None:
    deployment, known = live(wanted().workload), Snapshot([])

    known.put(deployment)
    known.put(deployment)
    assert len(known) == 1
    known.drop(deployment)
    known.drop(deployment)

    assert known.all() == {}


def test_a_picture_that_is_taken_anew_keeps_what_was_written_while_it_was_taken() -> None:
    def at(name: str, version: int) -> dict[str, Any]:
        found = live({**wanted().workload, "metadata": {**wanted().workload["metadata"], "name": name}})
        found["metadata"]["resourceVersion"] = str(version)
        return found

    def versions(known: Snapshot) -> dict[str, str]:
        return {each["metadata"]["name"]: each["metadata"]["resourceVersion"] for each in known.all().values()}

    known = Snapshot([at("a", 1), at("b", 1), at("gone", 1)])
    known.put(at("early", 2))
    began = time.monotonic()
    known.put(at("a", 5))
    known.put(at("new", 6))
    known.drop(at("gone", 1))

    known.renew(Snapshot([at("a", 3), at("b", 9), at("gone", 1)]), began)
    assert versions(known) == {"a": "5", "b": "9", "new": "6"}

    known.put(at("b", 8))
    known.renew(Snapshot([at("a", 7)]), time.monotonic())
    assert versions(known) == {"a": "7"}


def test_what_is_removed_is_not_what_has_taken_its_place() -> None:
    old, new = live(wanted().workload), live(wanted().workload)
    new["metadata"]["uid"] = "another"
    known = Snapshot([new])

    known.drop(old)

    assert len(known) == 1


def test_of_what_is_named_by_its_content_a_picture_keeps_a_digest() -> None:
    secret = live(one(wanted(secrets={"S": Secret("hush")}), "Secret"))
    other = live(one(wanted(secrets={"S": Secret("hush")}), "Secret"), data={"S": "b3RoZXI="})

    [kept] = Snapshot([secret]).all().values()

    assert digest(kept) == digest(secret) != digest(other)
    assert "hush" not in str(kept)


# --- status


def deployment(**status: Any) -> dict[str, Any]:
    return live(wanted(replicas=2).workload, status={"observedGeneration": 1, **status})


def pod(name: str, template: str, **status: Any) -> dict[str, Any]:
    known = {"fleetflow.io/project": "shop", "fleetflow.io/stage": "stg", "fleetflow.io/service": "api"}
    metadata = {"name": name, "labels": {**known, "fleetflow.io/template": template}, "creationTimestamp": name}
    spec = {"containers": [{"name": "api", "image": "api:1"}]}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def ps(*objects: Json, pods: Any = (), services: Any = (), drifted: Any = ()) -> list[str]:
    found = {key(each): each for each in objects}
    lines = told(services, found, pods, (), drifted, NOW)
    return [
        " ".join(filter(None, (each.service, each.state, each.text, "drift" if each.drift else ""))) for each in lines
    ]


def test_a_service_is_told_by_its_pods() -> None:
    api = service()
    ready = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}

    assert ps(deployment(**ready), services=[api]) == ["api running 2 of 2 pods ready"]
    assert ps(deployment(**{**ready, "availableReplicas": 1, "readyReplicas": 1}), services=[api]) == [
        "api starting 1 of 2 pods ready"
    ]
    assert ps(live(wanted(replicas=0).workload), services=[api], drifted={"api"}) == ["api stopped drift"]
    assert ps(services=[api]) == ["api missing"]
    assert ps(deployment(**ready)) == ["api running 2 of 2 pods ready drift"]


def test_while_old_pods_serve_a_rollout_is_no_illness() -> None:
    rolling = deployment(replicas=3, updatedReplicas=1, availableReplicas=2, readyReplicas=2)
    serves = {"conditions": [{"type": "Ready", "status": "True"}]}
    old = [pod(name, "before", **serves) for name in ("1", "2")]
    waits = {"waiting": {"reason": "CrashLoopBackOff"}}
    crashed = {"terminated": {"exitCode": 3, "reason": "Error"}}
    status = {"name": "api", "restartCount": 1, "state": waits, "lastState": crashed}
    new = pod("3", wanted(replicas=2).template, containerStatuses=[status])

    assert ps(rolling, pods=[*old, pod("3", wanted(replicas=2).template)], services=[service()]) == [
        "api running updating: 0 of 2 new pods ready"
    ]
    assert ps(rolling, pods=[*old, new], services=[service()]) == [
        "api running updating: 0 of 2 new pods ready; crashed (it ended with exit code 3), being started again"
    ]
    assert ps(rolling, pods=[pod("1", "before"), new], services=[service()])[0].startswith("api restarting ")


def test_a_job_is_told_by_how_it_ended() -> None:
    def job(*conditions: str) -> dict[str, Any]:
        status = {"conditions": [{"type": each, "status": "True"} for each in conditions]}
        return live(wanted(job=True).workload, status=status)

    runs = pod("1", wanted(job=True).template, containerStatuses=[{"name": "api", "state": {"running": {}}}])

    assert ps(job("Complete"), services=[service()]) == ["api completed"]
    assert ps(job("Failed"), services=[service()])[0].startswith("api failed")
    assert ps(job(), services=[service()]) == ["api starting"]
    assert ps(job(), pods=[runs], services=[service()]) == ["api running"]


def test_the_newest_job_is_the_one_that_counts_and_a_workload_that_serves_before_it() -> None:
    old, new = (live(wanted(job=True, image=f"api:{number}").workload) for number in (1, 2))
    old["metadata"]["creationTimestamp"], new["metadata"]["creationTimestamp"] = "1", "2"

    def image(*objects: Json) -> str:
        return told((), {key(each): each for each in objects}, (), (), (), NOW)[0].image

    assert image(new, old) == "api:2"
    assert image(new, live(wanted(image="api:3").workload), old) == "api:3"


def test_the_image_that_runs_is_told_exactly() -> None:
    def runs(image: str, template: str = "t", name: str = "1") -> dict[str, Any]:
        return pod(name, template, containerStatuses=[{"name": "api", "imageID": image}])

    sha = "sha256:" + "a" * 64
    assert image_digest("shop/api:1", [runs(f"docker.io/shop/api@{sha}")], "t") == f"shop/api:1@{sha}"
    assert image_digest("shop/api:1", [runs(f"docker-pullable://docker.io/shop/api@{sha}")], "t") == f"shop/api:1@{sha}"
    assert image_digest("shop/api:1", [runs(f"127.0.0.1:37799/thing@{sha}")], "t") == f"shop/api:1@{sha}"
    assert image_digest("shop/api:1", [runs("shop/api:1")], "t") == "shop/api:1"
    assert image_digest("shop/api:1", [runs(sha)], "t") == sha
    assert image_digest("shop/api:1", [runs(sha, "old")], "t") == ""
    assert image_digest("shop/api:1", [runs("", name="2"), runs(sha, name="1")], "t") == sha
    assert image_digest("*", [runs(sha)], "t") == sha


def test_where_it_is_reached_is_told_as_people_write_it() -> None:
    found = wanted(ports=(Port(container=80), Port(container=53, protocol="udp")))
    inside = one(found, "Service")
    port = {"port": 80, "targetPort": 80, "nodePort": 30080, "protocol": "TCP"}
    node = {**inside, "spec": {"type": "NodePort", "ports": [port]}}
    balanced = {**node, "spec": {"type": "LoadBalancer", "ports": [port]}}
    balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "lb.test"}]}}
    paths = {"paths": [{"path": "/"}]}
    rules = [{"host": "a.test", "http": paths}, {"host": "b.test", "http": paths}]
    ingress = {
        "kind": "Ingress",
        "metadata": {"name": "api"},
        "spec": {"rules": rules, "tls": [{"hosts": ["a.test"]}]},
    }

    def shown(*objects: Json) -> list[str]:
        return list(ports(API, {key(each): each for each in objects}))

    assert shown(inside) == ["api:80/tcp", "api:53/udp"]
    assert shown(node) == ["api:80/tcp", "*:30080->80/tcp"]
    assert shown(balanced) == ["api:80/tcp", "1.2.3.4:80->80/tcp", "lb.test:80->80/tcp"]
    assert shown(ingress) == ["https://a.test/", "http://b.test/"]
