# SPDX-License-Identifier: Apache-2.0
"""Is it ready? One verdict per kind. Pure: the API's objects and Events go in, with the moment on the API's clock.

Ready is what kstatus and `kubectl rollout status` call so, and where they differ the stricter of both. First of all
the object must be the one that we wrote (a watch lags behind a write) and its controller must have looked at it
(`observedGeneration`); before that every number in a status is of the version before. Then pods of the wanted version
must serve, all of them, and no old one be left.

Broken is what waiting does not mend (`diagnose`), so that nobody waits ten minutes for an image that does not exist.

Objects are told apart by their `kind`. The API leaves it out of the items of a list: whoever lists puts it in.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from fleetflow_tasks.runtimes.kubernetes.diagnose import diagnosed
from fleetflow_tasks.runtimes.kubernetes.diagnosis import Diagnosis, one_line, seconds
from fleetflow_tasks.runtimes.kubernetes.events import Event, about, newest_first
from fleetflow_tasks.runtimes.kubernetes.manifests import TEMPLATE
from fleetflow_tasks.runtimes.kubernetes.objects import (
    Json,
    at,
    condition,
    holds,
    items,
    mapping,
    moment,
    number,
    text,
    written,
)
from fleetflow_tasks.runtimes.kubernetes.podstate import Container, Pod, of_version, read
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

WATCHED = (
    15.0  # seconds in which what crashed and nobody checks must not crash again: loops of a few seconds look ready
)
BALANCER_GRACE = 30.0  # of a load balancer that fails to be made: its controller tries again


def judged(
    workload: Json | None,
    *,
    template: str,
    pods: Sequence[Json],
    claims: Sequence[Json] = (),
    events: Sequence[Json] = (),
    around: Sequence[Json] = (),
    generation: int = 0,
    now: datetime,
) -> Verdict:
    """Of a service: its Deployment, StatefulSet or Job, then what stands *around* it.

    workload: None where it is gone. template, pods, claims, events: as in `diagnose.diagnosed`.
    around: Services, HPA, Ingress, PDB. Whether a Service leads to the pods is not asked: it follows within a moment of
    their being ready, and the pods of before are led to until then.
    generation: the one that our own write was answered with; an object that is older is not judged yet.
    """
    if workload is None or at(workload, "metadata", "deletionTimestamp") is not None:
        return Broken(text="somebody removed its " + (text(workload, "kind") or "workload"))
    if _older(workload, template, generation):
        return Waiting(text="waiting for the cluster to look at it")
    mine = of_version(pods, template)
    found = diagnosed(workload, template=template, pods=pods, claims=claims, events=events, now=now)
    verdict = _KINDS[text(workload, "kind")](workload, mine, found, events)
    if not isinstance(verdict, Ready):
        return Broken(text=found.message) if found and found.fatal else _held_up(verdict, workload, pods, mine)
    if text(workload, "kind") != "Job" and (looping := _watched(workload, mine, now)):
        return looping
    return _surrounded(verdict, around, events, now)


def _held_up(verdict: Verdict, workload: Json, pods: Sequence[Json], mine: Sequence[Pod]) -> Verdict:
    """With the old pods that new ones wait for: some cannot run side by side."""
    stopping = sorted(pod.name for pod in map(read, pods) if pod.going)
    if not isinstance(verdict, Waiting) or not stopping or len(mine) >= number(workload, "spec", "replicas", absent=1):
        return verdict
    return msgspec.structs.replace(verdict, text=f"{verdict.text}; pod {stopping[0]} is stopping")


def accepted(thing: Json, *, events: Sequence[Json] = (), now: datetime) -> Verdict:
    """Of one object that is no workload: a claim, a Service, an Ingress, an HPA; all others are ready once they exist."""
    told = newest_first(events)
    match text(thing, "kind"):
        case "PersistentVolumeClaim":
            return _claim(thing, events, told, now)
        case "Service":
            return _service(thing, told, now)
        case "Ingress":
            return _ingress(thing)
        case "HorizontalPodAutoscaler":
            return _autoscaler(thing)
        case _:
            return Ready(text="there")


def notes(around: Sequence[Json], *, events: Sequence[Json] = (), now: datetime) -> list[str]:
    """What is not as one would wish around a service that is ready: worth a word, and nothing to wait for."""
    return _notes(accepted(thing, events=events, now=now) for thing in around)


def _older(workload: Json, template: str, generation: int) -> bool:
    """Not what we wrote, or not looked at by its controller. A Job has neither: its template never changes."""
    if text(workload, "spec", "template", "metadata", "labels", TEMPLATE) != template:
        return True
    present = number(workload, "metadata", "generation")
    observed = present if text(workload, "kind") == "Job" else number(workload, "status", "observedGeneration")
    return present < generation or observed < present


# --- workloads


def _deployment(workload: Json, pods: Sequence[Pod], found: Diagnosis | None, events: Sequence[Json]) -> Verdict:
    wanted = number(workload, "spec", "replicas", absent=1)
    total, updated, available = (
        number(workload, "status", name) for name in ("replicas", "updatedReplicas", "availableReplicas")
    )
    if updated >= wanted and total == updated and available == updated:
        return _all_ready(wanted)
    if at(workload, "spec", "paused") is True:
        return Broken(text="its Deployment is paused: `kubectl rollout resume` lets it go on")
    if _overdue(workload):
        return Broken(text=found.message if found else _waiting(workload, wanted, pods, found, events).text)
    if updated >= wanted and total > updated and sum(pod.ready for pod in pods) >= wanted:
        return Waiting(text=f"{_counted(total - updated, 'old pod')} still to end", current=wanted, total=wanted)
    return _waiting(workload, wanted, pods, found, events)


def _overdue(workload: Json) -> bool:
    """Its own deadline passed, and after our change: where a version is taken up again, the condition of before stays
    until the controller sees progress."""
    progressing, since = condition(workload, "Progressing"), written(workload)
    when = moment(progressing, "lastUpdateTime")
    if text(progressing, "status") != "False" or text(progressing, "reason") != "ProgressDeadlineExceeded":
        return False
    return since is None or when is None or when > since


def _stateful_set(workload: Json, pods: Sequence[Pod], found: Diagnosis | None, events: Sequence[Json]) -> Verdict:
    wanted = number(workload, "spec", "replicas", absent=1)
    status, strategy = mapping(workload, "status"), mapping(workload, "spec", "updateStrategy")
    kept = min(wanted, number(strategy, "rollingUpdate", "partition"))
    ready = min(number(status, "readyReplicas"), number(status, "availableReplicas"))
    rolled = kept or text(status, "currentRevision") == text(status, "updateRevision")
    updated = number(status, "updatedReplicas") >= wanted - kept
    if updated and rolled and ready == wanted == number(status, "replicas"):
        return _all_ready(wanted)
    if text(strategy, "type") == "OnDelete" and not updated and number(status, "replicas") == wanted:
        return Broken(text="its StatefulSet only takes a new version up when its pods are deleted by hand (`OnDelete`)")
    return _waiting(workload, wanted, pods, found, events)


def _watched(workload: Json, pods: Sequence[Pod], now: datetime) -> Waiting | None:
    """A pod that has crashed since our change and is up just now; None where there is none, or it has stayed up.

    Without a check a pod is ready as soon as it runs, between two crashes too.
    """
    since, wanted = written(workload), number(workload, "spec", "replicas", absent=1)
    held = [(pod, c) for pod in pods for c in pod.containers if _crashed(c, since) and _up_for(c, now) < WATCHED]
    if not held:
        return None
    pod, container = held[0]
    ready = max(0, wanted - len({pod.name for pod, _ in held}))
    told = f"{ready} of {wanted} pods ready; pod {pod.name}: {_crashes(container)}, watched for {WATCHED:.0f} s"
    return Waiting(text=told, soon=WATCHED - _up_for(container, now), current=ready, total=wanted)


def _up_for(container: Container, now: datetime) -> float:
    """Seconds; 0 where it does not run just now."""
    return seconds(container.started, now)


def _crashed(container: Container, since: datetime | None) -> bool:
    """And is not checked, which would tell whether it serves."""
    last = container.last
    if container.init or last is None or "readinessProbe" in container.spec:
        return False
    return since is None or last.at is None or last.at >= since


def _crashes(container: Container) -> str:
    exited = container.last.exit if container.last else 0
    times = "once" if container.restarts <= 1 else f"{container.restarts} times"
    return f"{'crashed' if exited else 'ended'} {times} (exit code {exited})"


def _job(workload: Json, pods: Sequence[Pod], found: Diagnosis | None, events: Sequence[Json]) -> Verdict:
    if holds(workload, "Complete"):
        return Ready(text="ended with exit code 0")
    if at(workload, "spec", "suspend") is True:
        return Broken(text="its Job is suspended")
    if found:
        return Waiting(text=found.message, soon=found.soon)
    told = next((_doing(pod, events) for pod in pods if pod.phase == "Pending"), "")
    return Waiting(text=told or "job is running")


_KINDS: Mapping[str, Callable[[Json, Sequence[Pod], Diagnosis | None, Sequence[Json]], Verdict]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "Job": _job,
}


def _all_ready(wanted: int) -> Ready:
    return Ready(text=f"{_counted(wanted, 'pod')} ready" if wanted else "no pod is wanted")


def _waiting(
    workload: Json, wanted: int, pods: Sequence[Pod], found: Diagnosis | None, events: Sequence[Json]
) -> Waiting:
    """`1 of 3 pods ready; pod api-6c9f-x2: waiting for postgres:5432`."""
    ready = min(wanted, sum(pod.ready for pod in pods))
    hold = number(workload, "spec", "minReadySeconds")
    parts = [f"{ready} of {wanted} pods ready"]
    if found:
        parts.append(found.message)
    elif ready < wanted:
        parts += [f"pod {pod.name}: {said}" for pod in pods if (said := _doing(pod, events))][:1]
    elif hold:
        parts.append(f"watched for {hold} s")
    return Waiting(text="; ".join(parts), soon=found.soon if found else None, current=ready, total=wanted)


def _doing(pod: Pod, events: Sequence[Json]) -> str:
    """What a pod is at; "" where it is ready or nothing is known."""
    if pod.ready or not pod.present:
        return ""
    if not pod.scheduled:
        return "waiting for a node"
    container = next((c for c in pod.containers if _unfinished(c)), None)
    if container is None:
        return "being set up"
    if container.waits_for:
        return f"waiting for {container.waits_for}"
    if container.state == "running":
        return f"`{container.name}` is running before it" if container.init else "running, waiting for its health check"
    return "pulling its image" if _pulling(pod, container, newest_first(events)) else "starting"


def _unfinished(container: Container) -> bool:
    if container.init:
        return not (container.ended and container.ended.exit == 0) and not container.ready
    return not container.ready


def _pulling(pod: Pod, container: Container, events: Iterable[Event]) -> bool:
    """The newest that the kubelet said of its image."""
    said = (e for e in about(events, pod.uid, "Pulling", "Pulled", "Failed") if e.container == container.name)
    return next((event.reason == "Pulling" for event in said), False)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")


# --- what stands around them


def _surrounded(ready: Ready, around: Sequence[Json], events: Sequence[Json], now: datetime) -> Verdict:
    """The workload's verdict, unless something around it is not there yet; notes are added to its words."""
    verdicts = [accepted(thing, events=events, now=now) for thing in around]
    worst = next((v for kind in (Broken, Waiting) for v in verdicts if isinstance(v, kind)), None)
    return worst or Ready(text="; ".join([ready.text, *_notes(verdicts)]))


def _notes(verdicts: Iterable[Verdict]) -> list[str]:
    return [v.text for v in verdicts if isinstance(v, Ready) and v.text != "there"]


def _claim(claim: Json, events: Sequence[Json], told: Sequence[Event], now: datetime) -> Verdict:
    name = text(claim, "metadata", "name")
    if text(claim, "status", "phase") == "Bound":
        return Ready(text="there")
    if any(about(told, text(claim, "metadata", "uid"), "WaitForFirstConsumer")):
        return Ready(text="there")  # it is bound when its first pod comes: to wait for it here would wait for ever
    found = diagnosed({}, template="", pods=(), claims=[claim], events=events, now=now)
    if found and found.fatal:
        return Broken(text=found.message)
    return Waiting(text=found.message if found else f"waiting for volume `{name}`", soon=found.soon if found else None)


def _service(service: Json, told: Sequence[Event], now: datetime) -> Verdict:
    if text(service, "spec", "type") != "LoadBalancer" or items(service, "status", "loadBalancer", "ingress"):
        return Ready(text="there")
    failed = next(about(told, text(service, "metadata", "uid"), "SyncLoadBalancerFailed"), None)
    if failed is None or _before(failed, service):
        return Waiting(text="waiting for the address of its load balancer")
    left = BALANCER_GRACE - seconds(failed.first, now)
    message = (
        f"its load balancer cannot be made: {one_line(failed.message.removeprefix('Error syncing load balancer: '))}"
    )
    return Waiting(text=message, soon=left) if left > 0 else Broken(text=message)


def _before(event: Event, thing: Json) -> bool:
    since = written(thing)
    return event.last is not None and since is not None and event.last < since


def _ingress(ingress: Json) -> Ready:
    """That the server took it is enough: many controllers never write an address, and a cluster may have none of them.
    The pods serve meanwhile, and an address is somebody else's to bring."""
    told = items(ingress, "status", "loadBalancer", "ingress")
    return Ready(text="there" if told else "its Ingress has no address yet")


def _autoscaler(hpa: Json) -> Verdict:
    able, active = condition(hpa, "AbleToScale"), condition(hpa, "ScalingActive")
    if text(able, "status") == "False":
        return Waiting(text=f"its autoscaler cannot scale: {one_line(text(able, 'message'))}")
    if text(active, "status") == "False" and text(active, "reason") != "ScalingDisabled":
        return Ready(text=f"its autoscaler does not scale yet: {one_line(text(active, 'message'))}")
    return Ready(text="there")
