# SPDX-License-Identifier: Apache-2.0
"""Ready, not yet, or never: one verdict per kind, and the traps of each."""

from typing import Any

import pytest

from fleetflow_tasks.runtimes.kubernetes.done import accepted, judged, notes
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

from .seen import NEW, NOW, OLD, Json, ago, container, ended, event, pod, with_state, workload

WAITS = {
    "name": "wait-for-postgres",
    "image": "busybox:1",
    "command": ["sh", "-c", "echo waiting for postgres:5432; until nc -z postgres 5432; do sleep 1; done"],
}


def verdict(of: Json | None, *pods: Json, **more: Any) -> Verdict:
    return judged(of, template=NEW, pods=pods, now=NOW, **more)


def deployment(
    replicas: int = 3, *, updated: int = 0, total: int = 0, available: int = 0, **changes: Any
) -> dict[str, Any]:
    status = {"observedGeneration": 2, "updatedReplicas": updated, "replicas": total, "availableReplicas": available}
    return workload(
        spec={"replicas": replicas, **changes.pop("spec", {})},
        status={**status, **changes.pop("status", {})},
        **changes,
    )


# --- which object it is


def test_what_somebody_removed_does_not_come_back_by_waiting() -> None:
    going = workload(metadata={"deletionTimestamp": ago(1)})

    assert verdict(None) == Broken(text="somebody removed its workload")
    assert verdict(going) == Broken(text="somebody removed its Deployment")


@pytest.mark.parametrize(
    "older",
    [
        deployment(1, updated=1, total=1, available=1, status={"observedGeneration": 1}),
        deployment(1, updated=1, total=1, available=1, metadata={"generation": 1}, status={"observedGeneration": 1}),
        deployment(
            1,
            updated=1,
            total=1,
            available=1,
            spec={"template": {"metadata": {"labels": {"fleetflow.io/template": OLD}}}},
        ),
    ],
    ids=["not looked at", "a watch that lags behind", "another version"],
)
def test_the_numbers_of_the_version_before_are_not_believed(older: Json) -> None:
    assert verdict(older, pod(ready=True), generation=2) == Waiting(text="waiting for the cluster to look at it")


# --- Deployment


def test_a_deployment_is_ready_when_all_pods_are_new_and_serve() -> None:
    one, three = deployment(1, updated=1, total=1, available=1), deployment(3, updated=3, total=3, available=3)

    assert verdict(one, generation=2) == Ready(text="1 pod ready")
    assert verdict(three) == Ready(text="3 pods ready")
    assert verdict(deployment(0)) == Ready(text="no pod is wanted")


def test_old_pods_that_serve_are_not_the_new_version() -> None:
    three_old = deployment(3, updated=1, total=4, available=3)
    old = [pod(f"api-old-{n}", template=OLD, ready=True) for n in range(3)]

    assert verdict(three_old, pod("api-new"), *old) == Waiting(
        text="0 of 3 pods ready; pod api-new: starting", current=0, total=3
    )


def test_an_old_pod_that_still_ends_is_waited_for() -> None:
    rolled = deployment(2, updated=2, total=3, available=3)
    new = [pod(f"api-{n}", ready=True) for n in range(2)]

    assert verdict(rolled, *new) == Waiting(text="1 old pod still to end", current=2, total=2)
    assert verdict(deployment(2, updated=2, total=4, available=4), *new) == Waiting(
        text="2 old pods still to end", current=2, total=2
    )


def test_what_is_ready_but_watched_for_a_while_says_so() -> None:
    held = deployment(1, updated=1, total=1, spec={"minReadySeconds": 3})

    assert verdict(held, pod(ready=True)) == Waiting(text="1 of 1 pods ready; watched for 3 s", current=1, total=1)
    assert verdict(deployment(1, updated=1, total=1), pod(ready=True)) == Waiting(
        text="1 of 1 pods ready", current=1, total=1
    )


def test_a_paused_deployment_is_told_unless_it_is_ready_anyway() -> None:
    paused = {"paused": True}

    assert verdict(deployment(1, updated=1, total=1, available=1, spec=paused)) == Ready(text="1 pod ready")
    assert verdict(deployment(1, spec=paused)) == Broken(
        text="its Deployment is paused: `kubectl rollout resume` lets it go on"
    )


def progressing(at: float | None, reason: str = "ProgressDeadlineExceeded", status: str = "False") -> dict[str, Any]:
    when = {} if at is None else {"lastUpdateTime": ago(at)}
    return {"conditions": [{"type": "Progressing", "status": status, "reason": reason, **when}]}


def test_a_deadline_that_passed_is_the_end() -> None:
    sick = with_state()

    assert verdict(deployment(1, total=1, status=progressing(5)), sick) == Broken(
        text="0 of 1 pods ready; pod api-1: starting"
    )
    assert verdict(deployment(1, total=1, status=progressing(None)), sick) == Broken(
        text="0 of 1 pods ready; pod api-1: starting"
    )


def test_a_deadline_that_passed_says_what_was_wrong() -> None:
    sick = with_state(ready=False, state={"running": {}})
    failing = event("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", inside="api")

    assert verdict(deployment(1, total=1, status=progressing(5)), sick, events=[failing]) == Broken(
        text="its health check fails: it answered 503"
    )


@pytest.mark.parametrize(
    "status",
    [
        progressing(90),
        progressing(5, reason="ReplicaSetUpdated"),
        progressing(5, reason="NewReplicaSetAvailable", status="True"),
    ],
    ids=["of a version before", "another reason", "progress"],
)
def test_a_deadline_of_before_our_change_counts_for_nothing(status: dict[str, Any]) -> None:
    assert isinstance(verdict(deployment(1, total=1, status=status), pod()), Waiting)


def test_what_is_fatal_is_told_long_before_any_deadline() -> None:
    gone = "failed to resolve reference: ghcr.io/shop/api:9: not found"

    assert verdict(deployment(1, total=1), with_state(waiting="ErrImagePull", message=gone)) == Broken(
        text="image `ghcr.io/shop/api:9` does not exist on ghcr.io"
    )


def test_what_may_pass_is_told_with_when_it_is_looked_at_again() -> None:
    refused = "dial tcp 10.0.0.1:443: connect: connection refused"

    assert verdict(deployment(1, total=1), with_state(waiting="ErrImagePull", message=refused)) == Waiting(
        text="0 of 1 pods ready; image `ghcr.io/shop/api:9` cannot be pulled: ghcr.io does not answer as it should",
        soon=10.0,
        current=0,
        total=1,
    )


# --- what a pod is at


def waiting_pod(**states: Any) -> dict[str, Any]:
    first = {"name": "wait-for-postgres", "ready": False, "state": {"running": {}}, "lastState": {}, **states}
    return pod(spec={"initContainers": [WAITS]}, status={"initContainerStatuses": [first]})


PULLING = event("Pulling", 'Pulling image "ghcr.io/shop/api:9"', inside="api", last=3)
MIGRATED = {"initContainers": [{"name": "sidecar"}]}


@pytest.mark.parametrize(
    ("seen", "events", "expected"),
    [
        (pod(placed=None), [], "waiting for a node"),
        (pod(), [], "starting"),
        (pod(), [PULLING], "pulling its image"),
        (pod(), [PULLING, event("Pulled", "Successfully pulled image", inside="api", last=1)], "starting"),
        (waiting_pod(), [], "waiting for postgres:5432"),
        (waiting_pod(state=ended(0)), [], "starting"),
        (pod(spec=MIGRATED, status={"initContainerStatuses": [container("sidecar", ready=True)]}), [], "starting"),
        (
            pod(spec=MIGRATED, status={"initContainerStatuses": [container("sidecar", state={"running": {}})]}),
            [],
            "`sidecar` is running before it",
        ),
        (with_state(state={"running": {}}), [], "running, waiting for its health check"),
        (pod(status={"containerStatuses": [container(ready=True)]}), [], "being set up"),
    ],
)
def test_what_is_waited_for_is_said_as_a_person_would(seen: Json, events: list[Json], expected: str) -> None:
    assert verdict(deployment(3, total=3, updated=3), seen, pod("api-2", ready=True), events=events) == Waiting(
        text=f"1 of 3 pods ready; pod api-1: {expected}", current=1, total=3
    )


def test_an_init_container_that_hides_its_port_is_told_by_its_name() -> None:
    silent = pod(
        spec={"initContainers": [{"name": "wait-for-postgres"}]},
        status={"initContainerStatuses": [container("wait-for-postgres", state={"running": {}})]},
    )

    assert verdict(deployment(1), silent) == Waiting(
        text="0 of 1 pods ready; pod api-1: waiting for postgres", current=0, total=1
    )


def test_pods_that_end_are_not_of_any_interest() -> None:
    going = pod("api-0", metadata={"deletionTimestamp": ago(1)})

    assert verdict(deployment(1, total=1), going, pod("api-1")) == Waiting(
        text="0 of 1 pods ready; pod api-1: starting", current=0, total=1
    )


def test_an_old_pod_that_a_new_one_has_to_wait_for_is_named() -> None:
    old = [pod(f"db-{n}", template=OLD, metadata={"deletionTimestamp": ago(1)}) for n in (1, 0)]

    assert verdict(deployment(1, total=1), *old) == Waiting(
        text="0 of 1 pods ready; pod db-0 is stopping", current=0, total=1
    )
    assert verdict(stateful(2, ready=1, updated=1), pod("db-1", ready=True), old[1]) == Waiting(
        text="1 of 2 pods ready; pod db-0 is stopping", current=1, total=2
    )


def test_a_pod_that_its_node_gave_up_is_told_and_no_failure() -> None:
    evicted = pod(
        "api-0", status={"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    )

    assert verdict(deployment(1, total=1), evicted, pod("api-1", ready=True)) == Waiting(
        text="1 of 1 pods ready; pod api-0 was given up by its node (Evicted): The node was low on resource: memory.",
        current=1,
        total=1,
    )


# --- a loop of crashes that nobody checks


def crashing(*, up: float, restarts: int = 1, code: int = 3, at: float = 15, **more: Any) -> dict[str, Any]:
    """up: seconds since its container was started again. at: seconds since it ended."""
    running = {"running": {"startedAt": ago(up)}}
    state = container(ready=True, restartCount=restarts, state=running, lastState=ended(code, at=at))
    return pod(ready=True, status={"containerStatuses": [state]}, **more)


SERVING = {"updated": 1, "total": 1, "available": 1}


def test_between_two_crashes_it_is_not_ready() -> None:
    held = verdict(deployment(1, **SERVING), crashing(up=4))
    again = verdict(stateful(1, updated=1, ready=1, total=1), crashing(up=1, restarts=2, code=0))

    assert held == Waiting(
        text="0 of 1 pods ready; pod api-1: crashed once (exit code 3), watched for 15 s", soon=11.0, current=0, total=1
    )
    assert again == Waiting(
        text="0 of 1 pods ready; pod api-1: ended 2 times (exit code 0), watched for 15 s",
        soon=14.0,
        current=0,
        total=1,
    )


def test_one_that_stays_up_after_a_crash_is_ready() -> None:
    assert verdict(deployment(1, **SERVING), crashing(up=15, at=40)) == Ready(text="1 pod ready")


def test_a_crash_of_before_our_change_counts_for_nothing() -> None:
    assert verdict(deployment(1, **SERVING), crashing(up=4, at=70)) == Ready(text="1 pod ready")


def test_what_is_checked_is_believed() -> None:
    checked = crashing(up=4, spec={"containers": [{"name": "api", "readinessProbe": {}}]})
    helped = crashing(up=60, at=90, spec={"initContainers": [WAITS]})
    helped["status"]["initContainerStatuses"] = [container("wait-for-postgres", state=ended(0), lastState=ended(1))]

    assert verdict(deployment(1, **SERVING), checked) == Ready(text="1 pod ready")
    assert verdict(deployment(1, **SERVING), helped) == Ready(text="1 pod ready")


# --- StatefulSet


def stateful(
    replicas: int = 2,
    *,
    current: str = "r2",
    updated: int = 2,
    ready: int = 2,
    total: int = 2,
    strategy: Json | None = None,
) -> dict[str, Any]:
    status = {
        "observedGeneration": 2,
        "replicas": total,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": "r2",
    }
    return workload("StatefulSet", spec={"replicas": replicas, "updateStrategy": dict(strategy or {})}, status=status)


def test_a_stateful_set_is_ready_when_all_its_pods_are_of_the_new_revision() -> None:
    assert verdict(stateful()) == Ready(text="2 pods ready")
    assert verdict(stateful(0, updated=0, ready=0, total=0)) == Ready(text="no pod is wanted")


@pytest.mark.parametrize(
    "unready",
    [
        stateful(current="r1", updated=1),
        stateful(current="r1"),
        stateful(ready=1),
        stateful(updated=1),
        stateful(total=3),
        stateful(3),
    ],
)
def test_a_stateful_set_in_between_is_waited_for(unready: Json) -> None:
    assert isinstance(verdict(unready, pod("api-0", ready=True), pod("api-1")), Waiting)


def test_a_partition_keeps_some_pods_of_the_old_revision() -> None:
    kept = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}

    assert verdict(stateful(current="r1", updated=1, strategy=kept)) == Ready(text="2 pods ready")
    assert isinstance(verdict(stateful(current="r1", updated=0, strategy=kept)), Waiting)


def test_a_stateful_set_that_never_rolls_by_itself_is_told() -> None:
    by_hand = {"type": "OnDelete"}

    assert verdict(stateful(current="r1", updated=0, strategy=by_hand)) == Broken(
        text="its StatefulSet only takes a new version up when its pods are deleted by hand (`OnDelete`)"
    )
    assert isinstance(verdict(stateful(current="r1", updated=0, total=1, strategy=by_hand)), Waiting)


# --- Job


def job(**conditions: str) -> dict[str, Any]:
    found = [
        {"type": kind, "status": "True", "reason": reason, "message": "so it is"} for kind, reason in conditions.items()
    ]
    return workload("Job", spec={"activeDeadlineSeconds": 60, "backoffLimit": 0}, status={"conditions": found})


def test_a_job_is_ready_when_it_is_complete_and_not_before() -> None:
    assert verdict(job(Complete="CompletionsReached")) == Ready(text="ended with exit code 0")
    assert verdict(job(SuccessCriteriaMet="CompletionsReached")) == Waiting(text="job is running")
    assert verdict(job(), pod(status={"phase": "Running"})) == Waiting(text="job is running")
    assert verdict(job(), pod()) == Waiting(text="starting")
    assert verdict(workload("Job", status={"observedGeneration": 0})) == Waiting(text="job is running")


def test_a_suspended_job_does_not_run() -> None:
    assert verdict(workload("Job", spec={"suspend": True})) == Broken(text="its Job is suspended")


@pytest.mark.parametrize(
    ("failed", "expected"),
    [
        (job(Failed="BackoffLimitExceeded"), "it ended with exit code 4"),
        (job(FailureTarget="BackoffLimitExceeded"), "it ended with exit code 4"),
        (job(Failed="PodFailurePolicy"), "it ended with exit code 4"),
        (job(Failed="DeadlineExceeded"), "it was ended: it ran longer than 60 s"),
    ],
)
def test_a_failed_job_says_how_it_ended(failed: Json, expected: str) -> None:
    once = pod(
        "api-1", spec={"restartPolicy": "Never"}, status={"containerStatuses": [container(state=ended(2, at=9))]}
    )
    again = pod(
        "api-2", spec={"restartPolicy": "Never"}, status={"containerStatuses": [container(state=ended(4, at=3))]}
    )

    assert verdict(failed, again, once) == Broken(text=expected)


def test_a_failed_job_whose_pods_are_gone_says_what_the_cluster_said() -> None:
    assert verdict(job(Failed="BackoffLimitExceeded")) == Broken(text="so it is")
    assert verdict(job(Failed="PodFailurePolicy")) == Broken(text="its failure policy ended it: so it is")


def test_a_job_whose_pod_failed_waits_for_the_jobs_own_word() -> None:
    once = pod(spec={"restartPolicy": "Never"}, status={"containerStatuses": [container(state=ended(2))]})

    assert verdict(job(), once) == Waiting(text="it ended with exit code 2")


# --- what stands around


def thing(kind: str, *, age: float = 5, **changes: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "data", "uid": "t", "creationTimestamp": ago(age)}, **changes}


def about_thing(reason: str, message: str = "", *, first: float = 3, last: float = 1) -> dict[str, Any]:
    return event(reason, message, of="t", kind="", first=first, last=last)


BALANCER: dict[str, Any] = {"spec": {"type": "LoadBalancer"}}
ADDRESS: dict[str, Any] = {"status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}}


def scaler(**conditions: tuple[str, str]) -> dict[str, Any]:
    found = [
        {"type": kind, "status": status, "reason": reason, "message": "so it is"}
        for kind, (status, reason) in conditions.items()
    ]
    return thing("HorizontalPodAutoscaler", status={"conditions": found})


@pytest.mark.parametrize(
    ("seen", "events", "expected"),
    [
        (thing("ConfigMap"), [], Ready(text="there")),
        (thing("PodDisruptionBudget"), [], Ready(text="there")),
        (thing("PersistentVolumeClaim", status={"phase": "Bound"}), [], Ready(text="there")),
        (
            thing("PersistentVolumeClaim", status={"phase": "Pending"}),
            [about_thing("WaitForFirstConsumer")],
            Ready(text="there"),
        ),
        (
            thing("PersistentVolumeClaim", spec={"storageClassName": "standard"}, status={"phase": "Pending"}),
            [],
            Waiting(text="waiting for volume `data`"),
        ),
        (
            thing("PersistentVolumeClaim", spec={"storageClassName": "fast"}, status={"phase": "Pending"}),
            [about_thing("ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found', first=4)],
            Waiting(text="volume `data` is not there: storage class `fast` does not exist", soon=26.0),
        ),
        (
            thing("PersistentVolumeClaim", age=31, status={"phase": "Pending"}),
            [],
            Broken(text="volume `data` is not there: it names no storage class, and the cluster has no default"),
        ),
        (
            thing("PersistentVolumeClaim", status={"phase": "Lost"}),
            [],
            Broken(text="volume `data` has lost what it was bound to; its data may be gone"),
        ),
        (thing("Service", spec={"type": "ClusterIP"}), [], Ready(text="there")),
        (thing("Service", **BALANCER, **ADDRESS), [], Ready(text="there")),
        (thing("Service", **BALANCER), [], Waiting(text="waiting for the address of its load balancer")),
        (
            thing("Service", **BALANCER),
            [about_thing("SyncLoadBalancerFailed", "Error syncing load balancer: no subnet", first=9, last=8)],
            Waiting(text="waiting for the address of its load balancer"),
        ),
        (
            thing("Service", **BALANCER),
            [about_thing("SyncLoadBalancerFailed", "Error syncing load balancer: no subnet")],
            Waiting(text="its load balancer cannot be made: no subnet", soon=27.0),
        ),
        (
            thing("Service", age=60, **BALANCER),
            [about_thing("SyncLoadBalancerFailed", "Error syncing load balancer: no subnet", first=31)],
            Broken(text="its load balancer cannot be made: no subnet"),
        ),
        (thing("Ingress", **ADDRESS), [], Ready(text="there")),
        (thing("Ingress"), [], Ready(text="its Ingress has no address yet")),
        (
            scaler(AbleToScale=("True", "ReadyForNewScale"), ScalingActive=("True", "ValidMetricFound")),
            [],
            Ready(text="there"),
        ),
        (scaler(), [], Ready(text="there")),
        (scaler(ScalingActive=("False", "ScalingDisabled")), [], Ready(text="there")),
        (
            scaler(ScalingActive=("False", "FailedGetResourceMetric")),
            [],
            Ready(text="its autoscaler does not scale yet: so it is"),
        ),
        (
            scaler(AbleToScale=("False", "FailedGetScale")),
            [],
            Waiting(text="its autoscaler cannot scale: so it is"),
        ),
    ],
)
def test_each_kind_has_its_own_idea_of_ready(seen: Json, events: list[Json], expected: Verdict) -> None:
    assert accepted(seen, events=events, now=NOW) == expected


def test_a_service_is_ready_with_what_stands_around_it() -> None:
    done = deployment(1, updated=1, total=1, available=1)

    assert verdict(done, around=[thing("Service"), thing("Ingress", age=40)]) == Ready(
        text="1 pod ready; its Ingress has no address yet"
    )
    assert verdict(done, around=[thing("Service", **BALANCER)]) == Waiting(
        text="waiting for the address of its load balancer"
    )
    assert isinstance(
        verdict(done, around=[thing("PersistentVolumeClaim", status={"phase": "Lost"}), thing("Ingress")]), Broken
    )


def test_what_is_not_as_one_would_wish_around_it_is_worth_a_word() -> None:
    assert notes([thing("Service"), thing("Ingress"), thing("Ingress", **ADDRESS)], now=NOW) == [
        "its Ingress has no address yet"
    ]
