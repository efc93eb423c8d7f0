# SPDX-License-Identifier: Apache-2.0
"""The one line that matters, when it becomes fatal, and what is not to be told."""

from datetime import timedelta
from typing import Any

import pytest

from fleetflow_tasks.runtimes.kubernetes.crashes import crashed
from fleetflow_tasks.runtimes.kubernetes.diagnose import Diagnosis, stuck
from fleetflow_tasks.runtimes.kubernetes.diagnosis import graced, seconds
from fleetflow_tasks.runtimes.kubernetes.podstate import read

from .seen import IMAGE, NOW, OLD, Json, ago, container, diagnosis, ended, event, pod, told, with_state, workload

PULL = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '


def pulling(words: str, reason: str = "ErrImagePull") -> str:
    return told(diagnosis(with_state(waiting=reason, message=words)))


# --- images


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (f"{PULL}{IMAGE}: not found", "image-not-found: image `ghcr.io/shop/api:9` does not exist on ghcr.io; fatal"),
        (
            f"{PULL}unexpected status: manifest unknown",
            "image-not-found: image `ghcr.io/shop/api:9` does not exist on ghcr.io; fatal",
        ),
        (
            f"{PULL}name unknown: no such repository",
            "image-not-found: image `ghcr.io/shop/api:9` does not exist on ghcr.io; fatal",
        ),
        (
            (
                f"{PULL}pull access denied, repository does not exist or may require authorization: server message: "
                "insufficient_scope: authorization failed"
            ),
            "image-denied: image `ghcr.io/shop/api:9` does not exist on ghcr.io, or wants a login; fatal",
        ),
        (
            (
                f"{PULL}failed to authorize: failed to fetch anonymous token: unexpected status from GET request to "
                "https://ghcr.io/token: 401 Unauthorized"
            ),
            "image-denied: image `ghcr.io/shop/api:9` cannot be pulled: ghcr.io wants a login; fatal",
        ),
        (
            'failed to pull and unpack image "ghcr.io/shop/api:9": no match for platform in manifest: not found',
            "image-platform: image `ghcr.io/shop/api:9` is not made for the node's machine; fatal",
        ),
        (
            "unexpected status code https://ghcr.io/v2/: 429 Too Many Requests - Server message: toomanyrequests: slow",
            "image-rate-limit: image `ghcr.io/shop/api:9` cannot be pulled now: ghcr.io limits how often; in 10 s",
        ),
        (
            "failed to do request: Head: dial tcp: lookup ghcr.io on 10.96.0.10:53: no such host",
            "registry-unreachable: image `ghcr.io/shop/api:9` cannot be pulled: ghcr.io does not answer as it should; in 10 s",
        ),
        (
            "failed to do request: tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "registry-untrusted: image `ghcr.io/shop/api:9` cannot be pulled: the node does not trust ghcr.io; in 10 s",
        ),
        (
            "failed to extract layer: write /x: no space left on device",
            "disk-full: image `ghcr.io/shop/api:9` cannot be pulled: the node's disk is full; in 10 s",
        ),
        (
            f"{PULL}pulling from host ghcr.io failed with status code [manifests 9]: 403 Forbidden",
            "image-denied: image `ghcr.io/shop/api:9` cannot be pulled: ghcr.io wants a login; fatal",
        ),
        (
            'failed to do request: Head "https://ghcr.io/v2/shop/denied/manifests/9": dial tcp: connection refused',
            "registry-unreachable: image `ghcr.io/shop/api:9` cannot be pulled: ghcr.io does not answer as it should; in 10 s",
        ),
        ("", "image-not-pulled: image `ghcr.io/shop/api:9` cannot be pulled from ghcr.io; in 10 s"),
    ],
)
def test_a_registrys_words_are_put_into_ours(words: str, expected: str) -> None:
    assert pulling(words) == expected


def test_a_pull_that_is_held_back_still_has_the_registrys_words() -> None:
    words = f'Back-off pulling image "{IMAGE}": ErrImagePull: {PULL}{IMAGE}: not found'
    found = diagnosis(with_state(waiting="ImagePullBackOff", message=words))

    assert told(found) == "image-not-found: image `ghcr.io/shop/api:9` does not exist on ghcr.io; fatal"
    assert found is not None
    assert found.cause == (f"the answer: {PULL}{IMAGE}: not found",)
    assert (found.fix, found.field) == ("push it, or correct `image` and `version`", "image")
    assert (found.pod, found.container) == ("api-1", "api")


def test_before_1_32_the_registrys_words_stand_in_the_event_alone() -> None:
    silent = with_state(waiting="ImagePullBackOff", message=f'Back-off pulling image "{IMAGE}"')
    events = [
        event("Failed", "Error: ErrImagePull", inside="api"),
        event("Failed", f'Failed to pull image "{IMAGE}": {PULL}{IMAGE}: not found', inside="api"),
    ]

    assert told(diagnosis(silent, events=events)) == (
        "image-not-found: image `ghcr.io/shop/api:9` does not exist on ghcr.io; fatal"
    )


@pytest.mark.parametrize(
    ("first", "count", "when"),
    [(12, 2, "in 18 s"), (12, 3, "fatal"), (30, 1, "fatal")],
    ids=["", "three tries", "30 s"],
)
def test_a_registry_that_does_not_answer_is_given_three_tries_or_half_a_minute(
    first: float, count: int, when: str
) -> None:
    down = with_state(waiting="ErrImagePull", message="dial tcp 10.0.0.1:443: i/o timeout")
    failed = event("Failed", f'Failed to pull image "{IMAGE}": dial tcp', inside="api", first=first, count=count)

    assert told(diagnosis(down, events=[failed])).rpartition("; ")[2] == when


def test_a_registry_without_a_name_is_docker_hub_and_a_broken_name_has_none() -> None:
    gone: dict[str, Any] = {"waiting": "ErrImagePull", "message": "x: not found"}
    hub = pod(
        spec={"containers": [{"name": "api", "image": "nope:1"}]}, status={"containerStatuses": [container(**gone)]}
    )
    odd = pod(spec={"containers": [{"name": "api", "image": "::"}]}, status={"containerStatuses": [container(**gone)]})

    assert told(diagnosis(hub)) == "image-not-found: image `nope:1` does not exist on Docker Hub; fatal"
    assert told(diagnosis(odd)) == "image-not-found: image `::` does not exist on the registry; fatal"


def test_other_ways_in_which_an_image_is_not_had() -> None:
    assert pulling("bad", "InvalidImageName") == (
        "image-name: image `ghcr.io/shop/api:9` has no name that an image can have; fatal"
    )
    assert pulling("invalid reference format: repository name must be lowercase") == (
        "image-name: image `ghcr.io/shop/api:9` has no name that an image can have; fatal"
    )
    assert pulling("absent", "ErrImageNeverPull") == (
        'image-not-found: image `ghcr.io/shop/api:9` is not on the node, and `pull "never"` forbids to fetch it; fatal'
    )
    assert pulling("because …", "SignatureValidationFailed") == (
        "image-signature: image `ghcr.io/shop/api:9` is refused: its signature is not valid; fatal"
    )


def test_the_image_that_waits_for_a_dependency_is_a_setting_of_its_own() -> None:
    waits = pod(
        spec={"initContainers": [{"name": "wait-for-db", "image": "busybox:0"}]},
        status={"initContainerStatuses": [container("wait-for-db", waiting="ErrImagePull", message="x: not found")]},
    )
    found = diagnosis(waits)

    assert (
        told(found) == "image-not-found: container `wait-for-db`: image `busybox:0` does not exist on Docker Hub; fatal"
    )
    assert found is not None
    assert (found.fix, found.field) == ("say another image as `wait_image`", "")


# --- what a container is given


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            'secret "api-env-5f2c" not found',
            "secret-missing: secret `api-env-5f2c` does not exist in the namespace; fatal",
        ),
        (
            'configmap "api-env" not found',
            "configmap-missing: config map `api-env` does not exist in the namespace; fatal",
        ),
        ("couldn't find key TOKEN in Secret shop/some", "key-missing: secret `some` has no key `TOKEN`; fatal"),
        ("couldn't find key TOKEN in ConfigMap shop/some", "key-missing: config map `some` has no key `TOKEN`; fatal"),
        (
            "container has runAsNonRoot and image will run as root",
            "runs-as-root: its image would run as root, which `run_as_non_root` forbids; fatal",
        ),
        ("failed to sync secret cache", "config-missing: it cannot be set up: failed to sync secret cache; fatal"),
    ],
)
def test_what_is_missing_at_a_start_is_named(words: str, expected: str) -> None:
    assert told(diagnosis(with_state(waiting="CreateContainerConfigError", message=words))) == expected


def test_a_secret_may_arrive_a_moment_after_its_pod() -> None:
    missing = with_state(waiting="CreateContainerConfigError", message='secret "s" not found')
    errors = [
        event("Failed", 'Error: secret "s" not found', inside="api", first=4),
        event("BackOff", "…", inside="api"),
    ]

    assert (
        told(diagnosis(missing, events=errors)) == "secret-missing: secret `s` does not exist in the namespace; in 6 s"
    )


RUNC = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            f'{RUNC}exec: "nope": executable file not found in $PATH',
            "command-not-found: its command `nope` does not exist in the image",
        ),
        (
            f'{RUNC}exec: "/app": stat /app: no such file or directory',
            "command-not-found: its command `/app` does not exist in the image",
        ),
        (f'{RUNC}exec: "/app": permission denied', "command-not-executable: its command `/app` is not executable"),
        (f'{RUNC}exec: "/app": is a directory', "command-not-executable: its command `/app` is not executable"),
        (
            "failed to generate spec: no command specified",
            "command-missing: its image names no command, and the service neither",
        ),
        (
            f"{RUNC}error mounting x: not a directory: Are you trying to mount a directory onto a file",
            "mount-kind: a file is mounted on a folder, or a folder on a file",
        ),
        (
            f"{RUNC}error during container init: mkdir /x: read-only file system",
            "read-only: what it is to write is read-only",
        ),
        (f"{RUNC}error during container init: odd", "not-started: it could not be started: odd"),
        ("odd", "not-started: it could not be started: odd"),
    ],
)
def test_what_cannot_be_started_is_told_at_once(words: str, expected: str) -> None:
    assert told(diagnosis(with_state(waiting="RunContainerError", message=words))) == f"{expected}; fatal"
    assert told(
        diagnosis(with_state(waiting="CrashLoopBackOff", restartCount=1, lastState=ended(128, "StartError", words)))
    ) == (f"{expected}; fatal")


def test_a_busy_node_is_given_time_to_make_a_container() -> None:
    busy = with_state(waiting="CreateContainerError", message="context deadline exceeded")

    assert told(diagnosis(busy)) == "not-started: it could not be started: context deadline exceeded; in 10 s"


# --- crashes


def crashing(code: int, restarts: int, reason: str = "Error", **fields: object) -> Json:
    return with_state(
        **{"waiting": "CrashLoopBackOff", "restartCount": restarts, "lastState": ended(code, reason), **fields}
    )


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (crashing(3, 0), "crashed: crashed (it ended with exit code 3), being started again; told later"),
        (crashing(3, 2), "crashed: crashed (it ended with exit code 3), being started again; told later"),
        (crashing(3, 3), "crashed: it crashes again and again (3 restarts): it ended with exit code 3; fatal"),
        (
            crashing(127, 3),
            "crashed: it crashes again and again (3 restarts): it ended with exit code 127: the command was not found in the image; fatal",
        ),
        (crashing(0, 1), "service-ended: it ends by itself, with exit code 0; told later"),
        (crashing(0, 3), "service-ended: it ends by itself, with exit code 0; fatal"),
        (crashing(137, 0, "OOMKilled"), "out-of-memory: out of memory (exit code 137); told later"),
        (crashing(137, 1, "OOMKilled"), "out-of-memory: out of memory (exit code 137); fatal"),
        (
            crashing(3, 3, state={"running": {}}),
            "crashed: it crashes again and again (3 restarts): it ended with exit code 3; told later",
        ),
    ],
)
def test_a_crash_is_looked_at_in_peace_until_it_is_one_of_many(seen: Json, expected: str) -> None:
    assert told(diagnosis(seen)) == expected


def test_out_of_memory_names_the_limit() -> None:
    limited = {"containers": [{"name": "api", "image": IMAGE, "resources": {"limits": {"memory": "64Mi"}}}]}
    killed = pod(spec=limited, status={"containerStatuses": [container(state=ended(137, "OOMKilled"), restartCount=1)]})
    found = diagnosis(killed)

    assert told(found) == "out-of-memory: out of memory: its limit is 64 MiB (exit code 137); fatal"
    assert found is not None
    assert (found.reason, found.field, found.wants_logs, found.previous) == ("OOMKilled", "resources", True, False)


def test_what_a_container_wrote_is_looked_up_in_the_run_that_ended() -> None:
    back_off, running = diagnosis(crashing(3, 3)), diagnosis(crashing(3, 3, state={"running": {}}))

    assert back_off is not None
    assert running is not None
    assert (back_off.wants_logs, back_off.previous) == (running.wants_logs, running.previous) == (True, True)


def test_a_container_that_is_ended_for_its_check_is_told_so() -> None:
    check = event("Unhealthy", "Liveness probe failed: broken\n", inside="api")

    assert told(diagnosis(crashing(137, 3), events=[check])) == (
        "not-alive: its health check fails, so it is ended and started again: broken; fatal"
    )
    silent = event("Unhealthy", "Startup probe failed: ", inside="api")
    assert told(diagnosis(crashing(143, 1), events=[silent])) == (
        "not-alive: its health check fails, so it is ended and started again; told later"
    )
    ready = event("Unhealthy", "Readiness probe failed: broken", inside="api")
    assert told(diagnosis(crashing(1, 0), events=[ready])) == (
        "crashed: crashed (it ended with exit code 1), being started again; told later"
    )
    assert (
        told(diagnosis(crashing(0, 0), events=[check]))
        == "service-ended: it ends by itself, with exit code 0; told later"
    )


def test_a_check_that_could_not_be_made_since_the_container_had_ended_is_not_why_it_ended() -> None:
    words = "rpc error: code = NotFound desc = failed to exec in container: failed to load task: no running task found"
    late = event("Unhealthy", f"Liveness probe errored and resulted in unknown state: {words}", inside="api")

    assert told(diagnosis(crashing(3, 3), events=[late])) == (
        "crashed: it crashes again and again (3 restarts): it ended with exit code 3; fatal"
    )


def test_a_pod_that_serves_is_not_asked_about_its_past() -> None:
    once = pod(ready=True, status={"containerStatuses": [container(ready=True, restartCount=7, lastState=ended(1))]})

    assert told(diagnosis(once)) == "nothing"


def test_what_has_ended_well_has_not_crashed() -> None:
    init = pod(
        spec={"initContainers": [{"name": "init"}]},
        status={"initContainerStatuses": [container("init", state=ended(0))]},
    )
    job = pod(spec={"restartPolicy": "Never"}, status={"containerStatuses": [container(state=ended(0))]})

    assert told(diagnosis(init, job)) == "nothing"


def test_an_init_container_that_crashes_is_named() -> None:
    init = pod(
        spec={"initContainers": [{"name": "init"}]},
        status={
            "initContainerStatuses": [container("init", waiting="CrashLoopBackOff", restartCount=1, lastState=ended(2))]
        },
    )

    assert told(diagnosis(init)) == (
        "crashed: container `init`: crashed (it ended with exit code 2), being started again; told later"
    )


def test_a_single_restart_is_counted_as_one() -> None:
    first = read(crashing(3, 1)).containers[0]
    assert first.crash is not None

    assert first.exits == 2
    assert crashed(first, first.crash, restarted=False).message == "it ended with exit code 3"


# --- checks


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Readiness probe failed: HTTP probe failed with statuscode: 503", "its health check fails: it answered 503"),
        (
            'Readiness probe failed: Get "http://10.0.0.5:8080/health": dial tcp 10.0.0.5:8080: connect: connection refused',
            "its health check fails: GET :8080/health was refused",
        ),
        (
            'Startup probe failed: Get "http://[fd00::5]:8080": context deadline exceeded (Client.Timeout exceeded)',
            "its health check fails: GET :8080/ did not answer in time",
        ),
        (
            "Readiness probe failed: dial tcp 10.0.0.5:5432: connect: connection refused",
            "its health check fails: port 5432 was refused",
        ),
        (
            "Readiness probe errored and resulted in unknown state: command timed out: after 1s",
            "its health check fails: it did not answer in time",
        ),
        ("Readiness probe failed: no\nconnection", "its health check fails: no · connection"),
        ("Readiness probe failed: ", "its health check fails"),
        ("something else", "its health check fails: something else"),
    ],
)
def test_a_failing_check_is_told_and_no_error_before_the_time_is_over(words: str, expected: str) -> None:
    running = with_state(state={"running": {}})

    assert (
        told(diagnosis(running, events=[event("Unhealthy", words, inside="api")]))
        == f"not-healthy: {expected}; told later"
    )


@pytest.mark.parametrize(
    ("words", "field", "fix"),
    [
        (
            "Readiness probe failed: dial tcp 10.0.0.5:5432: connect: connection refused",
            "readiness",
            "nothing listens there: check the port of `readiness`, and that it does not listen on 127.0.0.1 alone",
        ),
        (
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            "readiness",
            "check the path and port of `readiness`, or give it more time",
        ),
        (
            "Readiness probe failed: no",
            "healthcheck",
            "run the check by hand in the container, or give it more `start_period`",
        ),
    ],
)
def test_a_failing_check_leads_to_what_says_it(words: str, field: str, fix: str) -> None:
    found = diagnosis(with_state(state={"running": {}}), events=[event("Unhealthy", words, inside="api")])

    assert found is not None
    assert (found.field, found.fix) == (field, fix)


def test_a_pod_that_has_just_started_has_nothing_wrong() -> None:
    assert told(diagnosis(with_state(state={"running": {}}))) == "nothing"


# --- nodes


def unscheduled(words: str, since: float = 5, **spec: object) -> Json:
    asks = {"name": "api", "image": IMAGE, "resources": {"requests": {"cpu": "4", "memory": "64Gi"}}}
    scheduling = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": words,
        "lastTransitionTime": ago(since),
    }
    return pod(placed=None, spec={"containers": [asks], **spec}, status={"conditions": [scheduling]})


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "0/3 nodes are available: 2 Insufficient cpu, 3 Insufficient memory. preemption: 0/3 nodes are available: 3 No preemption victims found.",
            "no-room: no node can take its pod (3 looked at): 2 Insufficient cpu, 3 Insufficient memory; it asks for cpu 4, memory 64Gi",
        ),
        (
            "0/1 nodes are available: 1 Too many pods.",
            "no-room: no node can take its pod (1 looked at): 1 Too many pods",
        ),
        (
            "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
            "no-room: no node can take its pod (1 looked at): 1 Insufficient nvidia.com/gpu",
        ),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint {a: b}. no new claims to deallocate, preemption: …",
            "nodes-tainted: no node can take its pod (1 looked at): 1 node(s) had untolerated taint {a: b}",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
            "no-such-node: no node can take its pod (1 looked at): 1 node(s) didn't match Pod's node affinity/selector",
        ),
        (
            "0/1 nodes are available: 1 node(s) had volume node affinity conflict.",
            "volume-elsewhere: no node can take its pod (1 looked at): 1 node(s) had volume node affinity conflict",
        ),
        (
            "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
            "volume-not-bound: no node can take its pod (1 looked at): pod has unbound immediate PersistentVolumeClaims",
        ),
        (
            '0/1 nodes are available: persistentvolumeclaim "data" not found. not found',
            "volume-not-bound: no node can take its pod (1 looked at): volume `data` does not exist",
        ),
        (
            "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
            "node-port-taken: no node can take its pod (1 looked at): 1 node(s) didn't have free ports for the requested pod ports",
        ),
        (
            "no nodes available to schedule pods",
            "unschedulable: no node can take its pod: no nodes available to schedule pods",
        ),
    ],
)
def test_a_pod_without_a_node_says_why(words: str, expected: str) -> None:
    assert told(diagnosis(unscheduled(words))) == f"{expected}; in 25 s"
    assert told(diagnosis(unscheduled(words, since=30))) == f"{expected}; fatal"


def test_an_autoscaler_at_work_is_given_all_the_time_there_is() -> None:
    growing = event("TriggeredScaleUp", "pod triggered scale-up: [{pool 3->4 (max: 10)}]")
    not_growing = event("NotTriggerScaleUp", "pod didn't trigger scale-up")
    full = unscheduled("0/1 nodes are available: 1 Insufficient cpu.", since=99)

    assert told(diagnosis(full, events=[growing])).endswith("told later")
    assert told(diagnosis(full, events=[not_growing])).endswith("fatal")


def test_a_pod_that_nobody_looked_at_yet_has_nothing_wrong() -> None:
    assert told(diagnosis(pod(placed=None))) == "nothing"


# --- volumes


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            'MountVolume.SetUp failed for volume "d" : hostPath type check failed: /x is not a directory',
            "volume-not-mounted: volume `d` cannot be mounted: hostPath type check failed: /x is not a directory; in 50 s",
        ),
        (
            'MountVolume.SetUp failed for volume "c" : configmap "gone" not found',
            "configmap-missing: config map `gone` does not exist in the namespace; in 50 s",
        ),
        (
            'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) api-0',
            "volume-in-use: volume `pvc-1` is still held by another node: Volume is already used by pod(s) api-0; in 50 s",
        ),
        (
            "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[]: timed out waiting for the condition",
            "volume-not-mounted: volume `data` does not come; in 50 s",
        ),
        (
            "AttachVolume.Attach failed",
            "volume-not-mounted: a volume cannot be mounted: AttachVolume.Attach failed; in 50 s",
        ),
    ],
)
def test_a_volume_that_does_not_come_is_told_after_a_minute(words: str, expected: str) -> None:
    waiting = with_state(waiting="ContainerCreating")

    assert told(diagnosis(waiting, events=[event("FailedMount", words)])) == expected
    assert told(diagnosis(waiting, events=[event("FailedMount", words, first=60)])) == expected.replace(
        "in 50 s", "fatal"
    )


def test_the_cause_is_told_before_what_follows_from_it() -> None:
    late = event("FailedMount", "Unable to attach or mount volumes: unmounted volumes=[data]", last=1)
    cause = event("FailedAttachVolume", 'Multi-Attach error for volume "pvc-1" Volume is in use', last=9, first=20)

    assert told(diagnosis(with_state(waiting="PodInitializing"), events=[late, cause])) == (
        "volume-in-use: volume `pvc-1` is still held by another node: Volume is in use; in 40 s"
    )


def test_volumes_that_came_after_all_are_forgotten() -> None:
    late = event("FailedMount", 'MountVolume.SetUp failed for volume "d" : x')

    assert told(diagnosis(with_state(state={"running": {}}), events=[late])) == "nothing"
    assert told(diagnosis(with_state(waiting="CrashLoopBackOff"), events=[late])) == "nothing"


def test_a_node_that_cannot_set_a_pod_up_is_told_at_the_end() -> None:
    failed = event("FailedCreatePodSandBox", 'Failed to create pod sandbox: plugin type="bridge" failed')

    assert told(diagnosis(with_state(waiting="ContainerCreating"), events=[failed, failed])) == (
        'node-unready: the node cannot set its pod up: Failed to create pod sandbox: plugin type="bridge" failed; told later'
    )


def claim(phase: str = "Pending", age: float = 5, **spec: str) -> Json:
    return {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "uid": "c", "creationTimestamp": ago(age)},
        "spec": spec,
        "status": {"phase": phase},
    }


def test_a_claim_that_nobody_serves_is_told_before_its_pod() -> None:
    failed = event(
        "ProvisioningFailed",
        'storageclass.storage.k8s.io "fast" not found',
        of="c",
        kind="PersistentVolumeClaim",
        first=30,
    )
    full = event("ProvisioningFailed", "rpc error: quota reached", of="c", kind="PersistentVolumeClaim", first=4)
    waits = unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", since=40)
    classed = claim(storageClassName="fast")

    assert told(diagnosis(waits, claims=[classed], events=[failed])) == (
        "storage-class: volume `data` is not there: storage class `fast` does not exist; fatal"
    )
    assert told(diagnosis(claims=[classed], events=[full])) == (
        "volume-not-provided: volume `data` is not there: rpc error: quota reached; in 26 s"
    )
    assert told(diagnosis(claims=[claim()])) == (
        "storage-class: volume `data` is not there: it names no storage class, and the cluster has no default; in 25 s"
    )


def test_a_claim_that_waits_for_its_first_pod_or_its_volume_is_let_be() -> None:
    assert (
        told(diagnosis(claims=[claim("Bound"), claim(storageClassName="standard"), claim(volumeName="disk-1")]))
        == "nothing"
    )


# --- pods that are not made

QUOTA = 'pods "api-1" is forbidden: exceeded quota: few, requested: cpu=1, used: cpu=2, limited: cpu=2'


def not_made(words: str, *, last: float = 1, first: float = 10, of: str = "api-6c9f", kind: str = "ReplicaSet") -> Json:
    return event("FailedCreate", f"Error creating: {words}", of=of, kind=kind, first=first, last=last)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (QUOTA, "quota: quota `few` is used up: it asks for cpu=1, used are cpu=2 of cpu=2; fatal"),
        (
            'pods "x" is forbidden: failed quota: few: must specify limits.cpu for: api',
            "quota: quota `few` wants to be told limits.cpu for: api; fatal",
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true (pod or container "api" must set it), seccompProfile (x)',
            "pod-security: the namespace allows only `restricted` pods: runAsNonRoot != true, seccompProfile; fatal",
        ),
        (
            'pods "x" is forbidden: violates PodSecurity "baseline:v1.30": privileged (container "api" must not set it)',
            "pod-security: the namespace allows only `baseline` pods: privileged; fatal",
        ),
        (
            'admission webhook "policy.example.org" denied the request: no `latest` here',
            "admission-denied: webhook `policy.example.org` denies it: no `latest` here; fatal",
        ),
        (
            'admission webhook "p" denied the request: ',
            "admission-denied: webhook `p` denies it: without a word; fatal",
        ),
        (
            "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no `latest` here",
            "admission-denied: policy `p` denies it: no `latest` here; fatal",
        ),
        (
            'Internal error occurred: failed calling webhook "p": Post "https://p.svc": dial tcp: connection refused',
            'webhook-broken: webhook `p` does not answer: Post "https://p.svc": dial tcp: connection refused; in 20 s',
        ),
        (
            'pods "x" is forbidden: error looking up service account shop/api: serviceaccount "api" not found',
            "service-account-missing: service account `api` does not exist; fatal",
        ),
        (
            'pods "x" is forbidden: no PriorityClass with name high was found',
            "priority-class-missing: priority class `high` does not exist; fatal",
        ),
        (
            'pods "x" is forbidden: [maximum cpu usage per Container is 500m, but limit is 1]',
            "limit-range: the namespace sets limits: maximum cpu usage per Container is 500m, but limit is 1; fatal",
        ),
        ('pods "x" is forbidden: odd', "pods-refused: the cluster refuses its pods: odd; fatal"),
        (
            "etcdserver: request timed out",
            "pods-refused: the cluster refuses its pods: etcdserver: request timed out; in 20 s",
        ),
    ],
)
def test_a_cluster_that_refuses_pods_is_understood(words: str, expected: str) -> None:
    assert told(diagnosis(events=[not_made(words)])) == expected


def test_a_new_namespace_is_given_time_to_get_its_service_account() -> None:
    words = 'pods "x" is forbidden: error looking up service account shop/default: serviceaccount "default" not found'

    assert told(diagnosis(events=[not_made(words, first=2)])) == (
        "service-account-missing: service account `default` does not exist; in 8 s"
    )


def test_what_is_not_to_be_counted_is_raised_and_what_is_too_much_is_lowered() -> None:
    pods = diagnosis(events=[not_made("exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0")])
    cores = diagnosis(events=[not_made(QUOTA)])

    assert pods is not None
    assert cores is not None
    assert pods.fix == "raise the quota, or remove what is not needed"
    assert cores.fix == "ask for less in `resources`, or raise the quota"


@pytest.mark.parametrize("kind", ["StatefulSet", "Job"])
def test_other_controllers_say_it_of_themselves(kind: str) -> None:
    said = not_made(QUOTA, of="w", kind=kind)

    assert told(diagnosis(events=[said], of=workload(kind))).startswith("quota: ")
    assert told(diagnosis(events=[not_made(QUOTA)], of=workload(kind))) == "nothing"


def test_what_was_refused_before_is_of_another_version() -> None:
    older = not_made(QUOTA, last=61, first=99)
    foreign = [
        not_made(QUOTA, of="api-worker-6c9f"),
        not_made(QUOTA, of="web-6c9f"),
        event("FailedKillPod", QUOTA, of="w"),
    ]
    answered = not_made(QUOTA, last=26)

    assert told(diagnosis(events=[older])) == "nothing"
    assert told(diagnosis(events=foreign)) == "nothing"
    assert told(diagnosis(pod(), events=[answered], of=workload(spec={"replicas": 2}))) == "nothing"
    assert told(diagnosis(pod(), events=[not_made(QUOTA)])) == "nothing"
    assert told(diagnosis(pod(template=OLD), events=[not_made(QUOTA, first=90)])).endswith("fatal")


def test_pods_that_were_given_up_do_not_count_as_made() -> None:
    lost = pod(metadata={"creationTimestamp": None}, status={"phase": "Failed", "reason": "OutOfcpu"})

    assert told(diagnosis(lost, events=[not_made(QUOTA)])).startswith("quota: ")


def failing(since: float) -> Json:
    condition = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": QUOTA,
        "lastTransitionTime": ago(since),
    }
    return workload(status={"conditions": [condition]})


def test_a_deployment_and_an_event_say_it_in_the_same_words() -> None:
    by_event, by_condition = diagnosis(events=[not_made(QUOTA)]), diagnosis(of=failing(3))

    assert by_event is not None
    assert by_condition is not None
    assert by_event.cause == by_condition.cause == (f"the cluster says: {QUOTA}",)


def test_a_deployment_says_it_without_an_event() -> None:
    assert (
        told(diagnosis(of=failing(3)))
        == "quota: quota `few` is used up: it asks for cpu=1, used are cpu=2 of cpu=2; fatal"
    )


def test_what_a_deployment_said_before_our_change_is_given_time_to_pass() -> None:
    stale = {**failing(200), "metadata": workload(written=12)["metadata"]}

    assert told(diagnosis(of=stale)).endswith("; in 18 s")
    assert told(diagnosis(of=failing(200))).endswith("; fatal")


def test_a_job_that_has_ended_makes_no_more_pods() -> None:
    done = workload("Job", status={"conditions": [{"type": "Complete", "status": "True"}]})

    assert told(diagnosis(events=[not_made(QUOTA, of="w", kind="Job")], of=done)) == "nothing"


# --- jobs


def failed_job(**condition: str) -> Json:
    return workload("Job", status={"conditions": [{"type": "Failed", "status": "True", **condition}]})


def test_a_failed_job_shows_the_logs_of_the_pod_that_failed_last() -> None:
    once = pod("api-a", status={"containerStatuses": [container(state=ended(2, at=9))]})
    again = pod("api-b", status={"containerStatuses": [container(state=ended(4, at=3))]})
    found = diagnosis(
        again, once, of=failed_job(reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit")
    )

    assert found == Diagnosis(
        code="job-failed",
        reason="BackoffLimitExceeded",
        message="it ended with exit code 4",
        cause=("the cluster says: Job has reached the specified backoff limit",),
        fatal=True,
        pod="api-b",
        container="api",
        wants_logs=True,
    )


def test_a_job_that_was_ended_for_its_time_shows_the_logs_of_what_ran() -> None:
    running = pod("api-a", status={"containerStatuses": [container(state={"running": {}})]})
    found = diagnosis(running, of=failed_job(reason="DeadlineExceeded"))

    assert found is not None
    assert (found.code, found.pod, found.wants_logs, found.field) == ("job-timeout", "api-a", True, "timeout")


def test_a_job_that_failed_without_a_word_still_has_a_reason() -> None:
    assert told(diagnosis(of=failed_job(reason="FailedIndexes"))) == "job-failed: FailedIndexes; fatal"


# --- all in all


def test_what_is_fatal_is_told_before_what_may_pass() -> None:
    sick = pod("api-0", status={"containerStatuses": [container(state={"running": {}})]})
    gone = pod("api-1", status={"containerStatuses": [container(waiting="ErrImagePull", message="x: not found")]})
    check = event("Unhealthy", "Readiness probe failed: no", of="api-0", inside="api")

    assert told(diagnosis(sick, gone, events=[check])).startswith("image-not-found")


def test_a_broken_pod_of_an_old_version_says_nothing_of_the_new_one() -> None:
    old = pod(template=OLD, status={"containerStatuses": [container(waiting="ErrImagePull", message="x: not found")]})

    assert told(diagnosis(old)) == "nothing"


def test_a_sidecar_of_somebody_else_is_named() -> None:
    meshed = pod(
        spec={"containers": [{"name": "api"}, {"name": "proxy", "image": "proxy:1"}]},
        status={
            "containerStatuses": [
                container(ready=True),
                container("proxy", waiting="ErrImagePull", message="x: not found"),
            ]
        },
    )

    assert (
        told(diagnosis(meshed))
        == "image-not-found: container `proxy`: image `proxy:1` does not exist on Docker Hub; fatal"
    )


def test_pods_that_are_held_back_can_be_deleted_to_be_tried_at_once() -> None:
    held, fine = crashing(1, 5), pod(ready=True)

    assert stuck([held, fine]) == (held,)


def test_a_grace_begins_now_where_nobody_said_when_and_clocks_that_are_off_do_not_lengthen_it() -> None:
    found = Diagnosis(code="x", reason="X", message="x")

    assert graced(found, since=None, grace=5, now=NOW).soon == 5
    assert graced(found, since=NOW + timedelta(seconds=60), grace=5, now=NOW).soon == 5
    assert graced(found, since=NOW - timedelta(seconds=5), grace=5, now=NOW).fatal
    assert seconds(NOW - timedelta(seconds=5), NOW) == 5
