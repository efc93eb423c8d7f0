# SPDX-License-Identifier: Apache-2.0
"""The clusters that the other tests stand on: that the node is a real one, and that the plane plays what it promises."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.runtimes.kubernetes.client import Json, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, DEPLOYMENT, EVENT, POD, SERVICE, Kind
from fleetflow_tasks.testing import eventually
from tests.kubernetes.conftest import Cluster

NODE = Kind(name="Node", plural="nodes", namespaced=False)
BASE = "fleetflow/base:1"
SOON = 60.0  # seconds, on a machine that does much else
SCRIPT = Path(__file__).parents[3] / "scripts" / "cluster"


def make(cluster: Cluster, namespace: str, kind: Kind, name: str, spec: Mapping[str, Any]) -> None:
    manifest = {"apiVersion": kind.api, "kind": kind.name, "metadata": {"name": name}, "spec": dict(spec)}
    cluster.client.create(kind, namespace, manifest)


def running(image: str, *command: str, **pod: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, **({"command": list(command)} if command else {})}
    return {"containers": [container], "terminationGracePeriodSeconds": 1, **pod}


def status(cluster: Cluster, namespace: str, kind: Kind, name: str) -> dict[str, Any]:
    found = cluster.client.get(kind, namespace, name)
    return dict(found["status"]) if found else {}


def container(pod: Json, role: str = "containerStatuses") -> dict[str, Any]:
    """The state of the first: running, waiting or terminated, with what it says."""
    return dict(pod.get(role, [{}])[0])


def log(cluster: Cluster, namespace: str, pod: str, **asked: Any) -> str:
    with cluster.client.pod_log(namespace, pod, **asked) as lines:
        return b"\n".join(lines).decode()


def has_ended_with(cluster: Cluster, namespace: str, pod: str, text: str) -> bool:
    return status(cluster, namespace, POD, pod).get("phase") == "Succeeded" and text in log(cluster, namespace, pod)


# ---- the node


def test_the_node_is_ready_and_runs_the_version_that_it_was_built_from(node: Cluster) -> None:
    (found,) = node.client.list(NODE, "").items

    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert found["status"]["nodeInfo"]["kubeletVersion"] == "v{}.{}.4".format(*node.client.version())


def test_pods_keep_a_claim_answer_through_a_service_by_name_and_write_logs(node: Cluster, node_namespace: str) -> None:
    make(
        node,
        node_namespace,
        CLAIM,
        "data",
        {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    )
    serve = "echo kept >/data/index.html && echo serving && exec httpd -f -p 8080 -h /data"
    pod = running(
        BASE, "/bin/sh", "-c", serve, volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    )
    pod["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    pod["containers"][0]["readinessProbe"] = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
    make(
        node,
        node_namespace,
        DEPLOYMENT,
        "web",
        {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    )
    make(
        node, node_namespace, SERVICE, "web", {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    )
    eventually(lambda: status(node, node_namespace, DEPLOYMENT, "web").get("readyReplicas") == 2, SOON)

    # The rules that carry a Service come a moment after its pods.
    ask = "until timeout 5 wget -q -O - http://web; do sleep 0.2; done"
    make(node, node_namespace, POD, "client", running(BASE, "/bin/sh", "-c", ask, restartPolicy="Never"))

    eventually(lambda: has_ended_with(node, node_namespace, "client", "kept"), SOON)
    assert status(node, node_namespace, CLAIM, "data")["phase"] == "Bound"
    for pod_of_web in node.client.list(POD, node_namespace, {"app": "web"}).items:
        assert log(node, node_namespace, pod_of_web["metadata"]["name"]) == "serving"


def test_an_image_that_no_registry_on_loopback_has_is_told_and_no_other_registry_is_asked(
    node: Cluster, node_namespace: str
) -> None:
    make(node, node_namespace, POD, "lost", running("nobody/has-this:1"))

    def message() -> str:
        return str(
            container(status(node, node_namespace, POD, "lost")).get("state", {}).get("waiting", {}).get("message")
        )

    eventually(lambda: "pull" in message(), SOON)
    assert "127.0.0.1" in message()


def test_a_pod_reaches_the_apiserver_with_the_account_that_it_is_given(node: Cluster, node_namespace: str) -> None:
    ask = "wget -q -O - --no-check-certificate https://kubernetes.default.svc/version"

    make(node, node_namespace, POD, "inside", running(BASE, "/bin/sh", "-c", ask, restartPolicy="Never"))

    eventually(lambda: has_ended_with(node, node_namespace, "inside", '"gitVersion": "v1.'), SOON)


# ---- the plane

# Image, then what is said of its container. The message is that of a real kubelet.
STUCK = {
    "pull-not-found": ("ImagePullBackOff", "docker.io/scripted/pull-not-found:latest: not found"),
    "pull-denied": ("ImagePullBackOff", "pull access denied"),
    "pull-unreachable": ("ImagePullBackOff", "no such host"),
    "invalid-image": ("InvalidImageName", "couldn't parse image name"),
    "config-error": ("CreateContainerConfigError", 'secret "missing" not found'),
    "create-error": ("CreateContainerError", "no command specified"),
    "crash:3": ("CrashLoopBackOff", "back-off 20s restarting failed container=main"),
    "oom": ("CrashLoopBackOff", "back-off 10s restarting failed container=main"),
    "run-error": ("CrashLoopBackOff", "back-off 10s restarting failed container=main"),
    "never-live": ("CrashLoopBackOff", "back-off 10s restarting failed container=main"),
    "no-such-thing": ("CreateContainerError", "there is no scripted behaviour"),
}


@pytest.mark.parametrize("image", STUCK)
def test_a_container_is_stuck_as_its_image_says(plane: Cluster, plane_namespace: str, image: str) -> None:
    reason, message = STUCK[image]

    make(plane, plane_namespace, POD, "a", running(f"scripted/{image}"))

    def told() -> bool:
        waiting = container(status(plane, plane_namespace, POD, "a")).get("state", {}).get("waiting", {})
        return waiting.get("reason") == reason and message in waiting["message"]

    eventually(told, SOON)


# Image, then how its container ended before it was started again.
ENDED = {
    "crash:3": {"exitCode": 3, "reason": "Error"},
    "oom": {"exitCode": 137, "reason": "OOMKilled"},
    "run-error": {"exitCode": 128, "reason": "StartError"},
    "never-live": {"exitCode": 137, "reason": "Error"},
}


@pytest.mark.parametrize("image", ENDED)
def test_a_container_that_ends_is_started_again_and_says_how_it_ended(
    plane: Cluster, plane_namespace: str, image: str
) -> None:
    make(plane, plane_namespace, POD, "a", running(f"scripted/{image}"))

    eventually(lambda: container(status(plane, plane_namespace, POD, "a")).get("restartCount", 0) > 1, SOON)

    ended = container(status(plane, plane_namespace, POD, "a"))["lastState"]["terminated"]
    assert {name: ended[name] for name in ENDED[image]} == ENDED[image]


# Image, then an event of its pod.
EVENTS = {
    "pull-denied": ("Failed", "Error: ImagePullBackOff"),
    "crash:1": ("BackOff", "Back-off restarting failed container main in pod a_"),
    "config-error": ("Failed", 'Error: secret "missing" not found'),
    "never-ready": ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503"),
    "never-live": ("Killing", "Container main failed liveness probe, will be restarted"),
    "mount-fails": ("FailedMount", 'MountVolume.SetUp failed for volume "config"'),
    "sandbox-fails": ("FailedCreatePodSandBox", "Failed to create pod sandbox"),
    "evicted": ("Evicted", "The node was low on resource: memory."),
    "rejected": ("OutOfcpu", "Node didn't have enough resource: cpu"),
}


@pytest.mark.parametrize("image", EVENTS)
def test_what_goes_wrong_is_an_event_of_the_pod(plane: Cluster, plane_namespace: str, image: str) -> None:
    reason, message = EVENTS[image]

    make(plane, plane_namespace, POD, "a", running(f"scripted/{image}"))

    def told() -> bool:
        events = plane.client.list(EVENT, plane_namespace, fields=f"reason={reason}").items
        return any(message in each["message"] for each in events)

    eventually(told, SOON)


# Image, then restart policy, then the pod's phase, and whether it is ready.
PHASES = {
    ("ready:10ms", "Always"): ("Running", "True"),
    ("crash-then-ready:1", "Always"): ("Running", "True"),
    ("pull-then-ready:1", "Always"): ("Running", "True"),
    ("never-ready", "Always"): ("Running", "False"),
    ("mount-fails", "Always"): ("Pending", "False"),
    ("evicted", "Always"): ("Failed", "False"),
    ("rejected", "Always"): ("Failed", "False"),
    ("job:0", "Never"): ("Succeeded", "False"),
    ("job:3", "Never"): ("Failed", "False"),
    ("job:0", "OnFailure"): ("Succeeded", "False"),
}


@pytest.mark.parametrize(("image", "policy"), PHASES)
def test_a_pod_comes_to_what_its_image_says(plane: Cluster, plane_namespace: str, image: str, policy: str) -> None:
    make(plane, plane_namespace, POD, "a", running(f"scripted/{image}", restartPolicy=policy))

    def told() -> tuple[str, str]:
        found = status(plane, plane_namespace, POD, "a")
        ready = [each["status"] for each in found.get("conditions", ()) if each["type"] == "Ready"]
        return found.get("phase", ""), "".join(ready)

    eventually(lambda: told() == PHASES[image, policy], SOON)


def test_any_other_image_is_well_behaved(plane: Cluster, plane_namespace: str) -> None:
    pod = running(BASE)
    pod["initContainers"] = [{"name": "first", "image": BASE}]

    make(plane, plane_namespace, POD, "a", pod)

    eventually(lambda: container(status(plane, plane_namespace, POD, "a")).get("ready"), SOON)
    found = status(plane, plane_namespace, POD, "a")
    assert container(found, "initContainerStatuses")["state"]["terminated"]["reason"] == "Completed"
    assert found["podIP"].startswith("10.64.")


def test_an_init_container_that_waits_holds_up_the_others(plane: Cluster, plane_namespace: str) -> None:
    pod = running(BASE)
    pod["initContainers"] = [{"name": "first", "image": "scripted/init-waits"}]

    make(plane, plane_namespace, POD, "a", pod)

    def holds() -> bool:
        return "running" in container(status(plane, plane_namespace, POD, "a"), "initContainerStatuses").get(
            "state", {}
        )

    eventually(holds, SOON)
    found = status(plane, plane_namespace, POD, "a")
    assert (found["phase"], container(found)["state"]["waiting"]["reason"]) == ("Pending", "PodInitializing")


def test_the_logs_of_a_played_container_are_those_of_its_start_and_of_the_one_before(
    plane: Cluster, plane_namespace: str
) -> None:
    make(plane, plane_namespace, POD, "a", running("scripted/crash:3"))
    eventually(lambda: container(status(plane, plane_namespace, POD, "a")).get("restartCount", 0) > 0, SOON)

    assert "fatal: main cannot go on" in log(plane, plane_namespace, "a", previous=True)


def test_a_played_container_that_never_ran_has_no_log_and_the_kubelet_s_words_say_why(
    plane: Cluster, plane_namespace: str
) -> None:
    make(plane, plane_namespace, POD, "a", running("scripted/config-error"))
    eventually(lambda: "waiting" in container(status(plane, plane_namespace, POD, "a")).get("state", {}), SOON)

    with pytest.raises(KubernetesError) as refused:
        log(plane, plane_namespace, "a")

    assert 'container "main" in pod "a" is waiting to start: ' in str(refused.value)


def test_a_pod_that_is_deleted_goes_and_a_deaf_one_only_after_its_grace(plane: Cluster, plane_namespace: str) -> None:
    for name, image in {"polite": "scripted/ready", "deaf": "scripted/deaf"}.items():
        make(plane, plane_namespace, POD, name, {**running(image), "terminationGracePeriodSeconds": 10})
    pods = ["deaf", "polite"]
    eventually(lambda: all(container(status(plane, plane_namespace, POD, name)).get("ready") for name in pods), SOON)

    for each in plane.client.list(POD, plane_namespace).items:
        plane.client.delete(POD, plane_namespace, each["metadata"]["name"], uid=each["metadata"]["uid"])

    def left() -> Sequence[str]:
        return [each["metadata"]["name"] for each in plane.client.list(POD, plane_namespace).items]

    eventually(lambda: left() == ["deaf"], 9)
    eventually(lambda: left() == [], SOON)


def test_a_component_that_is_killed_comes_back_and_one_that_is_held_does_not(
    plane: Cluster, plane_namespace: str
) -> None:
    def is_placed(name: str) -> bool:
        found = plane.client.get(POD, plane_namespace, name)
        return bool(found and found["spec"].get("nodeName"))

    # The one whose absence no other test notices: it only has to wait.
    subprocess.run([SCRIPT, "kill", "plane", "kube-scheduler"], check=True)
    make(plane, plane_namespace, POD, "a", running("scripted/ready"))
    eventually(lambda: is_placed("a"), SOON)

    subprocess.run([SCRIPT, "hold", "plane", "kube-scheduler"], check=True)
    try:
        make(plane, plane_namespace, POD, "b", running("scripted/ready"))
        assert not is_placed("b")
    finally:
        subprocess.run([SCRIPT, "release", "plane", "kube-scheduler"], check=True)

    eventually(lambda: is_placed("b"), SOON)
