# SPDX-License-Identifier: Apache-2.0
"""What runs now, as `flow ps` shows it. Pure."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.plan.image import ImageError, parse, pinned
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import HeldVolume, ServiceState, ServiceStatus
from fleetflow_tasks.runtimes.kubernetes.amounts import amount
from fleetflow_tasks.runtimes.kubernetes.decide import finished, template_label, template_of
from fleetflow_tasks.runtimes.kubernetes.diagnose import Diagnosis, diagnosed
from fleetflow_tasks.runtimes.kubernetes.done import judged
from fleetflow_tasks.runtimes.kubernetes.kinds import INGRESS, JOB, SERVICE, WORKLOADS
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.objects import at, born, items, moment, number, text
from fleetflow_tasks.runtimes.kubernetes.observe import Objects, mark
from fleetflow_tasks.runtimes.kubernetes.podstate import Pod, of_version, read
from fleetflow_tasks.runtimes.ready import Ready

_KUBERNETES = RuntimeName("kubernetes")
_LOOPING = frozenset({"CrashLoopBackOff"})
_PULLED = "docker-pullable://"  # an older runtime's beginning of an image's id


def told(
    services: Sequence[ResolvedService],
    live: Objects,
    pods: Iterable[Json],
    events: Sequence[Json],
    drifted: Collection[ServiceName],
    now: datetime,
) -> tuple[ServiceStatus, ...]:
    """One line for each service that the plan or the cluster holds, by name."""
    lines = {
        s.name: ServiceStatus(service=s.name, state="missing", runtime=_KUBERNETES, image=s.image) for s in services
    }
    known = set(lines)
    mine: dict[ServiceName, list[Json]] = {}
    for pod in pods:
        if (service := mark(pod).service) is not None:
            mine.setdefault(service, []).append(pod)
    for name, workload in workloads(live).items():
        drift = name in drifted or name not in known
        own = {where: each for where, each in live.items() if mark(each).service == name}
        lines[name] = line(name, workload, mine.get(name, []), own, events, drift=drift, now=now)
    return tuple(lines[name] for name in sorted(lines))


def held(claim: Json) -> HeldVolume:
    """A claim as what it may hold; what is in it, the API does not tell."""
    room = at(claim, "status", "capacity", "storage") or at(claim, "spec", "resources", "requests", "storage")
    made, size = born(claim), amount(room)
    return HeldVolume(
        name=claim["metadata"]["name"],
        kind="claim",
        size=int(size) if size is not None else None,
        created=made.timestamp() if made is not None else None,
    )


def workloads(live: Objects) -> dict[ServiceName, Json]:
    """Of each service the one that counts: the one that serves, else the newest job."""
    kinds = [kind.name for kind in WORKLOADS]
    found: dict[ServiceName, Json] = {}
    for each in sorted((one for one in live.values() if one["kind"] in kinds), key=_rank):
        if (service := mark(each).service) is not None:
            found[service] = each
    return found


def line(
    name: ServiceName,
    workload: Json,
    pods: Sequence[Json],
    own: Objects,
    events: Sequence[Json],
    *,
    drift: bool,
    now: datetime,
) -> ServiceStatus:
    template = template_label(workload)
    there = [pod for pod in of_version(pods, template) if pod.present] or [
        pod for pod in map(read, pods) if pod.present
    ]
    why = diagnosed(workload, template=template, pods=pods, events=events, now=now)
    state, said = service_state(workload, there, pods, why, now), ""
    if state not in {"running", "stopped", "completed"} and _serves_old(workload, pods):
        state, said = "running", updating(workload, pods, why)
    image = _image(workload)
    return ServiceStatus(
        service=name,
        state=state,
        runtime=_KUBERNETES,
        text=said or remark(workload, there, why, state),
        image=image,
        digest=digest(image, pods, template),
        ports=tuple(ports(name, own)),
        since=_since(workload, pods, {pod.name for pod in there}, state),
        restarts=sum(container.restarts for pod in there for container in pod.containers if not container.init),
        drift=drift,
        run=mark(workload).run,
    )


def service_state(
    workload: Json, there: Sequence[Pod], pods: Sequence[Json], why: Diagnosis | None, now: datetime
) -> ServiceState:
    if workload["kind"] == JOB.name:
        ended = finished(workload)
        return "completed" if ended == "Complete" else "failed" if ended else "running" if _runs(there) else "starting"
    if not number(workload, "spec", "replicas", absent=1):
        return "stopped"
    ready = judged(workload, template=template_label(workload), pods=pods, now=now)
    if isinstance(ready, Ready):
        return "running"
    if any(container.reason in _LOOPING for pod in there for container in pod.containers):
        return "restarting"
    if why is not None and why.code == "not-healthy":
        return "unhealthy"
    if why is not None and why.fatal:
        return "failed"
    return "starting"


def remark(workload: Json, there: Sequence[Pod], why: Diagnosis | None, state: ServiceState) -> str:
    """What the state does not say yet: how many pods, and what is wrong with them."""
    if workload["kind"] == JOB.name:
        return why.message if why is not None and state == "failed" else ""
    wanted, ready = number(workload, "spec", "replicas", absent=1), number(workload, "status", "readyReplicas")
    counted = f"{ready} of {wanted} pods ready" if (wanted, ready) != (1, 1) and wanted else ""
    wrong = why.message if why is not None and state != "running" else ""
    return "; ".join(filter(None, (counted, wrong)))


def _serves_old(workload: Json, pods: Sequence[Json]) -> bool:
    """Whether pods of the version before go on serving while a new one comes."""
    template = template_label(workload)
    return workload["kind"] != JOB.name and any(
        pod.ready and pod.present and pod.template != template for pod in map(read, pods)
    )


def updating(workload: Json, pods: Sequence[Json], why: Diagnosis | None) -> str:
    wanted = number(workload, "spec", "replicas", absent=1)
    ready = sum(pod.ready for pod in of_version(pods, template_label(workload)))
    counted = f"updating: {ready} of {wanted} new pod{'s' * (wanted != 1)} ready"
    return "; ".join(filter(None, (counted, why.message if why is not None else "")))


def digest(reference: str, pods: Sequence[Json], template: str) -> str:
    """Exactly which image its pods run; "" where none has begun."""
    for pod in sorted(pods, key=lambda each: text(each, "metadata", "creationTimestamp"), reverse=True):
        if template and template_label({"spec": {"template": pod}}) != template:
            continue
        if found := text(pod, "status", "containerStatuses", 0, "imageID").removeprefix(_PULLED):
            return _pinned(reference, found)
    return ""


def _pinned(reference: str, found: str) -> str:
    """Under the name that the service has: of an image with several names a node tells any of them."""
    try:
        told = parse(found)
        return pinned(reference, [f"{parse(reference).name}@{told.digest}"]) if told.digest else found
    except ImageError:
        return found


def ports(name: ServiceName, own: Objects) -> Iterator[str]:
    """Where it is reached: within the cluster by its name, from outside as its Services and Ingresses say."""
    for (kind, called), found in sorted(own.items()):
        if kind == SERVICE.name and called == name:
            yield from _service_ports(name, found)
    for (kind, _), found in sorted(own.items()):
        if kind == INGRESS.name:
            yield from _addresses(found)


def _service_ports(name: ServiceName, service: Json) -> Iterator[str]:
    outside = [
        text(each, "ip") or text(each, "hostname") for each in items(service, "status", "loadBalancer", "ingress")
    ]
    for port in items(service, "spec", "ports"):
        inside, protocol = number(port, "port"), text(port, "protocol").lower() or "tcp"
        yield f"{name}:{inside}/{protocol}"
        if number(port, "nodePort") and text(service, "spec", "type") == "NodePort":
            yield f"*:{port['nodePort']}->{_target(port)}/{protocol}"
        yield from (f"{each}:{inside}->{_target(port)}/{protocol}" for each in outside)


def _target(port: Json) -> object:
    return at(port, "targetPort") or number(port, "port")


def _addresses(ingress: Json) -> Iterator[str]:
    secure = {host for each in items(ingress, "spec", "tls") for host in items(each, "hosts")}
    for rule in items(ingress, "spec", "rules"):
        host = text(rule, "host")
        for path in items(rule, "http", "paths"):
            yield f"{'https' if host in secure else 'http'}://{host}{text(path, 'path')}"


def _image(workload: Json) -> str:
    return next((text(each, "image") for each in items(template_of(workload), "spec", "containers")), "")


def _runs(there: Sequence[Pod]) -> bool:
    return any(container.state == "running" and not container.init for pod in there for container in pod.containers)


def _since(workload: Json, pods: Sequence[Json], there: Collection[str], state: ServiceState) -> float | None:
    if workload["kind"] == JOB.name and state in {"completed", "failed"}:
        return _seconds(_ended(workload))
    begun = [
        moment(status, "state", "running", "startedAt")
        for pod in pods
        if text(pod, "metadata", "name") in there
        for status in items(pod, "status", "containerStatuses")
    ]
    return _seconds(max(filter(None, begun), default=None))


def _ended(job: Json) -> datetime | None:
    done = [moment(each, "lastTransitionTime") for each in items(job, "status", "conditions")]
    return moment(job, "status", "completionTime") or max((each for each in done if each), default=None)


def _seconds(when: datetime | None) -> float | None:
    return when.timestamp() if when else None


def _rank(workload: Json) -> tuple[bool, str]:
    return workload["kind"] != JOB.name, text(workload, "metadata", "creationTimestamp")
