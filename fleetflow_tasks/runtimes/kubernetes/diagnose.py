# SPDX-License-Identifier: Apache-2.0
"""Why a service does not become ready: what a person would have found with `kubectl describe`, in one line. Pure.

The API's objects and Events go in, with the moment on the API's clock; the cause that matters most comes out, fatal or
not. A rollout's own deadline would say "no progress" after ten minutes; the cause stands in a pod's state, in an Event
of its ReplicaSet or its claim within seconds. Only pods of the wanted version are asked: one of the old version that
is broken, too, says nothing of the new one.

What is first in the order of `_found` is told where several are equally grave: what keeps all pods from being made,
then a claim, then each pod.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import msgspec

from fleetflow_tasks.runtimes.kubernetes import crashes, pulls, schedule, unhealthy
from fleetflow_tasks.runtimes.kubernetes.diagnosis import Diagnosis, graced, one_line
from fleetflow_tasks.runtimes.kubernetes.events import Event, about, newest_first
from fleetflow_tasks.runtimes.kubernetes.objects import (
    Json,
    born,
    condition,
    holds,
    moment,
    number,
    text,
    written,
)
from fleetflow_tasks.runtimes.kubernetes.podstate import Container, Pod, of_version, read
from fleetflow_tasks.runtimes.kubernetes.unmade import refused

__all__ = ["Diagnosis", "Json", "diagnosed", "stuck"]

MOUNT_GRACE = 60.0  # seconds: the old pod must let go of the volume first
CLAIM_GRACE = 30.0
STALE_GRACE = 30.0  # for a controller to try again what failed before our change

_HELD_BACK = (
    frozenset({"CrashLoopBackOff", crashes.CONFIG, "InvalidImageName", "ErrImageNeverPull"})
    | pulls.PULLS
    | crashes.CREATION
)


def diagnosed(
    workload: Json,
    *,
    template: str,
    pods: Sequence[Json],
    claims: Sequence[Json] = (),
    events: Sequence[Json] = (),
    now: datetime,
) -> Diagnosis | None:
    """The gravest thing that keeps *workload* from being ready; None where nothing is known to.

    template: of the wanted version, the label of its pods. pods, claims: of the service; of other versions, too.
    events: of any object; those of the service's objects are picked.
    """
    told = newest_first(events)
    found = list(_found(workload, of_version(pods, template), claims, told, now))
    return min(found, key=lambda one: not one.fatal, default=None)


def stuck(pods: Iterable[Json]) -> tuple[Json, ...]:
    """Pods that the kubelet holds back for up to five minutes although the cause may be gone.

    Worth deleting when a service is deployed again, as a StatefulSet does not replace a broken pod by itself: not even
    one of an older version, once its pods are to start in order.
    """
    return tuple(pod for pod in pods if any(c.reason in _HELD_BACK for c in read(pod).containers))


def _found(
    workload: Json, pods: Sequence[Pod], claims: Sequence[Json], events: Sequence[Event], now: datetime
) -> Iterator[Diagnosis]:
    yield from _of_job(workload, pods)
    yield from _refusals(workload, pods, events, now)
    for claim in claims:
        yield from _of_claim(claim, events, now)
    main = text(workload, "spec", "template", "spec", "containers", 0, "name")
    for pod in pods:
        yield from _of_pod(pod, main, events, now)


# --- jobs


def _of_job(workload: Json, pods: Sequence[Pod]) -> Iterator[Diagnosis]:
    failed = next((condition(workload, kind) for kind in ("Failed", "FailureTarget") if holds(workload, kind)), {})
    if text(workload, "kind") != "Job" or not failed:
        return
    reason, words = text(failed, "reason"), text(failed, "message")
    pod, container = _last_end(pods)
    how = crashes.ending(container, container.crash) if container and container.crash else ""
    message, fix = {
        "DeadlineExceeded": (
            f"it was ended: it ran longer than {_limit(workload)} s",
            "raise its `timeout`, or let it do less",
        ),
        "PodFailurePolicy": (how or f"its failure policy ended it: {one_line(words)}", ""),
    }.get(reason, (how or one_line(words) or reason, ""))
    yield Diagnosis(
        code="job-timeout" if reason == "DeadlineExceeded" else "job-failed",
        reason=reason,
        message=message,
        cause=(f"the cluster says: {one_line(words)}",) if words else (),
        fix=fix,
        field="timeout" if reason == "DeadlineExceeded" else "",
        fatal=True,
        pod=pod,
        container=container.name if container else "",
        wants_logs=container is not None,
    )


def _limit(job: Json) -> int:
    return number(job, "spec", "activeDeadlineSeconds")


def _last_end(pods: Sequence[Pod]) -> tuple[str, Container | None]:
    """The container that ended last, and not well; where none did, any that ran."""
    ran = [(pod.name, c) for pod in pods for c in pod.containers if c.crash or c.state == "running"]
    bad = [(name, c) for name, c in ran if c.crash and c.crash.exit != 0]
    when = [(c.crash.at.timestamp() if c.crash and c.crash.at else 0.0, name, c) for name, c in bad or ran]
    _, name, container = max(when, key=lambda one: one[:2], default=(0.0, "", None))
    return name, container


# --- pods that are not made


def _refusals(workload: Json, pods: Sequence[Pod], events: Sequence[Event], now: datetime) -> Iterator[Diagnosis]:
    """No pod exists that could tell; its controller does. What was said before our change is of another version."""
    if len([pod for pod in pods if pod.present]) >= number(workload, "spec", "replicas", absent=1) or _ended(workload):
        return
    since, made = written(workload), max((pod.created for pod in pods if pod.created), default=None)
    said = next(
        (e for e in _failures(workload, events) if not _before(e.last, since) and not _before(e.last, made)), None
    )
    failing = condition(workload, "ReplicaFailure")
    if said:
        yield refused(said.message, since=said.first if not _before(said.first, since) else since, now=now)
    elif text(failing, "status") == "True":
        found = refused(text(failing, "message"), since=moment(failing, "lastTransitionTime"), now=now)
        stale = _before(moment(failing, "lastTransitionTime"), since)
        yield graced(found, since=since, grace=STALE_GRACE, now=now) if stale else found


def _ended(workload: Json) -> bool:
    return holds(workload, "Complete") or holds(workload, "Failed")


def _failures(workload: Json, events: Sequence[Event]) -> Iterator[Event]:
    """A Deployment's ReplicaSets are told by their names: theirs alone have just one more part."""
    uid, name = text(workload, "metadata", "uid"), text(workload, "metadata", "name")
    for event in events:
        of_set = (
            event.kind == "ReplicaSet"
            and event.name.rpartition("-")[0] == name
            and text(workload, "kind") == "Deployment"
        )
        if event.reason == "FailedCreate" and (event.uid == uid or of_set):
            yield event


def _before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other


# --- claims


def _of_claim(claim: Json, events: Sequence[Event], now: datetime) -> Iterator[Diagnosis]:
    name, phase = text(claim, "metadata", "name"), text(claim, "status", "phase")
    if phase == "Lost":
        message = f"volume `{name}` has lost what it was bound to; its data may be gone"
        yield Diagnosis(code="volume-lost", reason="ClaimLost", message=message, field="volumes", fatal=True)
    if phase != "Pending":
        return
    failures = [*about(events, text(claim, "metadata", "uid"), "ProvisioningFailed", "FailedBinding", "VolumeMismatch")]
    if failures:
        said = failures[0]
        begun = min((event.first for event in failures if event.first), default=born(claim))
        yield graced(_unprovided(name, said.reason, said.message), since=begun, grace=CLAIM_GRACE, now=now)
    elif not text(claim, "spec", "storageClassName") and not text(claim, "spec", "volumeName"):
        words = "no persistent volumes available for this claim and no storage class is set"
        yield graced(_unprovided(name, "FailedBinding", words), since=born(claim), grace=CLAIM_GRACE, now=now)


def _unprovided(name: str, reason: str, words: str) -> Diagnosis:
    said = words.lower()
    code, why, fix = "volume-not-provided", one_line(words), ""
    if "storageclass" in said and "not found" in said:
        wanted = words.partition('"')[2].partition('"')[0]
        code, why, fix = "storage-class", f"storage class `{wanted}` does not exist", "correct `storage_class`"
    elif "no storage class is set" in said:
        code, why = "storage-class", "it names no storage class, and the cluster has no default"
        fix = "say `storage_class`, or make one the default (`kubectl get storageclass`)"
    return Diagnosis(
        code=code,
        reason=reason,
        message=f"volume `{name}` is not there: {why}",
        cause=(f"the cluster says: {one_line(words)}",),
        fix=fix,
        field="volumes",
    )


# --- pods


def _of_pod(pod: Pod, main: str, events: Sequence[Event], now: datetime) -> Iterator[Diagnosis]:
    if pod.lost:
        yield _lost(pod)
        return
    if pod.ready:
        return
    for found in (*_scheduling(pod, events, now), *_volumes(pod, events, now), *_containers(pod, main, events, now)):
        yield msgspec.structs.replace(found, pod=pod.name)


def _lost(pod: Pod) -> Diagnosis:
    """No failure of the service: its controller makes another one."""
    return Diagnosis(
        code="pod-lost",
        reason=pod.reason,
        message=f"pod {pod.name} was given up by its node ({pod.reason})"
        + (f": {one_line(pod.message)}" if pod.message else ""),
        pod=pod.name,
    )


def _scheduling(pod: Pod, events: Sequence[Event], now: datetime) -> Iterator[Diagnosis]:
    if pod.scheduled or not pod.unscheduled:
        return
    growing = any(about(events, pod.uid, "TriggeredScaleUp"))
    found = schedule.unscheduled(pod)
    yield found if growing else graced(found, since=pod.judged or pod.created, grace=schedule.GRACE, now=now)


def _volumes(pod: Pod, events: Sequence[Event], now: datetime) -> Iterator[Diagnosis]:
    """What keeps its containers from being made at all; nothing once the first of them was."""
    if not all(container.reason in {"ContainerCreating", "PodInitializing", ""} for container in pod.containers) or any(
        container.state != "waiting" for container in pod.containers
    ):
        return
    mounts = [*about(events, pod.uid, "FailedMount", "FailedAttachVolume", "FailedMapVolume")]
    if mounts:
        begun = min((event.first for event in mounts if event.first), default=pod.placed)
        yield graced(schedule.unmounted(mounts), since=begun, grace=MOUNT_GRACE, now=now)
    for event in about(events, pod.uid, "FailedCreatePodSandBox", "NetworkNotReady", "FailedCreatePodContainer"):
        message = f"the node cannot set its pod up: {one_line(event.message)}"
        yield Diagnosis(
            code="node-unready",
            reason=event.reason,
            message=message,
            cause=(f"the node says: {one_line(event.message)}",),
        )
        return


def _containers(pod: Pod, main: str, events: Sequence[Event], now: datetime) -> Iterator[Diagnosis]:
    for container in pod.containers:
        told = [event for event in events if event.uid == pod.uid and event.container in {container.name, ""}]
        found = _of_container(pod, container, told, now)
        if found:
            yield _named(found, container, main)


def _named(found: Diagnosis, container: Container, main: str) -> Diagnosis:
    """The service's own container needs no name; one that waits for a dependency has an image of its own setting."""
    named = msgspec.structs.replace(found, container=container.name)
    if container.name == main:
        return named
    fix = "say another image as `wait_image`" if container.waits_for and found.field == "image" else found.fix
    return msgspec.structs.replace(named, message=f"container `{container.name}`: {found.message}", fix=fix, field="")


def _of_container(pod: Pod, container: Container, events: Sequence[Event], now: datetime) -> Diagnosis | None:
    since = _begun(pod, container, events)
    match container.reason:
        case reason if reason in pulls.PULLS:
            return pulls.unpulled(container, events, since=since, now=now)
        case "InvalidImageName":
            return pulls.unnamed(container)
        case "ErrImageNeverPull":
            return pulls.forbidden(container)
        case crashes.CONFIG:
            return crashes.misconfigured(container, since=since, now=now)
        case reason if reason in crashes.CREATION:
            return crashes.unstarted(container, container.message, reason, since=since, now=now)
        case _:
            return _ran(pod, container, events, now)


def _begun(pod: Pod, container: Container, events: Sequence[Event]) -> datetime | None:
    """Since when it fails: the first "Error: …" of it, else since its pod got a node."""
    errors = [
        event.first
        for event in events
        if event.reason == "Failed" and event.container == container.name and event.first
    ]
    return min(errors, default=pod.placed or pod.created)


def _ran(pod: Pod, container: Container, events: Sequence[Event], now: datetime) -> Diagnosis | None:
    ended = container.crash
    checks = [event.message for event in events if event.reason == "Unhealthy"]
    if ended and ended.reason in crashes.UNSTARTABLE:
        return crashes.unstarted(container, ended.message, ended.reason, since=ended.at, now=now)
    if ended and not (container.init and ended.exit == 0) and not (ended.exit == 0 and not pod.restarted):
        alive = next((unhealthy.failure(said) for said in checks if unhealthy.ends(said)), None)
        found = crashes.crashed(container, ended, restarted=pod.restarted, unhealthy=alive if ended.exit else None)
        return found if container.state != "running" else msgspec.structs.replace(found, fatal=False)
    if container.state == "running" and not container.ready and checks and not container.init:
        return _unhealthy(checks[0])
    return None


def _unhealthy(said: str) -> Diagnosis:
    """A check that asks a port is what `readiness` says, one that runs a command what `healthcheck` says."""
    how = unhealthy.failure(said)
    asks = unhealthy.asks(said)
    fix = "run the check by hand in the container, or give it more `start_period`"
    if asks and how.endswith("was refused"):
        fix = "nothing listens there: check the port of `readiness`, and that it does not listen on 127.0.0.1 alone"
    elif asks:
        fix = "check the path and port of `readiness`, or give it more time"
    return Diagnosis(
        code="not-healthy",
        reason="Unhealthy",
        message=": ".join(filter(None, ["its health check fails", how])),
        cause=(f"the node says: {one_line(said)}",),
        fix=fix,
        field="readiness" if asks else "healthcheck",
        wants_logs=True,
    )
