# SPDX-License-Identifier: Apache-2.0
"""What runs now, as `flow ps` shows it. Pure.

A service that no instance runs of is not down: the next request starts one. So what counts is whether its newest revision
is ready, and whether an older one serves where that is not so. The API tells neither how many instances there are nor how
often one was started again: that is Cloud Monitoring's.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.plan.image import ImageError, parse
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import ServiceState, ServiceStatus
from fleetflow_tasks.runtimes.cloudrun import causes, executions
from fleetflow_tasks.runtimes.cloudrun.canary import held, serving
from fleetflow_tasks.runtimes.cloudrun.conditions import failures, judged
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import mark
from fleetflow_tasks.runtimes.cloudrun.reading import at, items, last, mapping, moment, number, text
from fleetflow_tasks.runtimes.cloudrun.shares import shares
from fleetflow_tasks.runtimes.ready import Broken, Ready

CLOUDRUN = RuntimeName("cloudrun")

Revisions = Mapping[str, Json]  # by their full names

_JOB: Mapping[str, ServiceState] = {
    "EXECUTION_SUCCEEDED": "completed",
    "EXECUTION_FAILED": "failed",
    "EXECUTION_CANCELLED": "failed",
    "EXECUTION_RUNNING": "running",
    "EXECUTION_PENDING": "starting",
}


def told(
    services: Sequence[ResolvedService], found: Iterable[Json], revisions: Revisions, drifted: Collection[ServiceName]
) -> tuple[ServiceStatus, ...]:
    """One line for each service that the plan or the region holds, by name. found: the stage's services and jobs.

    revisions: those that `unread` names, as far as they could be read.
    """
    lines = {s.name: ServiceStatus(service=s.name, state="missing", runtime=CLOUDRUN, image=s.image) for s in services}
    known = set(lines)
    for each in found:
        owner = mark(each)
        if owner is not None and owner.service is not None:
            drift = owner.service in drifted or owner.service not in known
            lines[owner.service] = line(owner.service, each, revisions, drift=drift)
    return tuple(lines[name] for name in sorted(lines))


def unread(found: Iterable[Json]) -> tuple[str, ...]:
    """The revisions that have to be read for it: the newest of a service that is not ready, and one that serves in the
    place of the newest."""
    return tuple(sorted({name for each in found for name in _unread(each)}))


def line(name: ServiceName, found: Json, revisions: Revisions, *, drift: bool) -> ServiceStatus:
    if "/jobs/" in found["name"]:
        return _job(name, found, drift=drift)
    state, said = _service(found, revisions)
    return ServiceStatus(
        service=name,
        state=state,
        runtime=CLOUDRUN,
        text=said,
        image=_image(found, revisions),
        digest=_digest(found, revisions),
        ports=tuple(_addresses(found)),
        since=_since(found) if state == "running" else None,
        drift=drift,
        run=_run(found),
    )


def _service(found: Json, revisions: Revisions) -> tuple[ServiceState, str]:
    made, ready = text(found, "latestCreatedRevision"), text(found, "latestReadyRevision")
    verdict = judged(found, revisions.get(made))
    if isinstance(verdict, Ready):
        return ("stopped", "") if _stopped(found) else ("running", shares(items(found, "traffic")))
    if isinstance(verdict, Broken):
        why = causes.cause(found, revisions.get(made)).message
        return ("running", f"{last(ready)} goes on serving: {why}") if ready and ready != made else ("failed", why)
    if ready:
        return "running", f"updating: {verdict.text}"
    return "starting", verdict.text


def _stopped(found: Json) -> bool:
    """By hand: nothing starts until somebody says so."""
    scaling = mapping(found, "scaling")
    return text(scaling, "scalingMode") == "MANUAL" and not number(scaling, "manualInstanceCount")


def _unread(found: Json) -> Iterator[str]:
    made, ready = text(found, "latestCreatedRevision"), text(found, "latestReadyRevision")
    if made != ready:
        yield from filter(None, (made, ready))
    if (serves := _serving(found)) not in {"", made}:
        yield serves


def _serving(found: Json) -> str:
    """The full name of the revision that is trusted with the requests, which the newest on trial is not; "" without one."""
    name = serving(found)
    return f"{found['name']}/revisions/{name}" if name else ""


def _image(found: Json, revisions: Revisions) -> str:
    """What the service says of itself; what serves, where the requests were given back to that."""
    back = revisions.get(_serving(found), {}) if held(found) else {}
    return text(back, "containers", 0, "image") or text(found, "template", "containers", 0, "image")


def _digest(found: Json, revisions: Revisions) -> str:
    """Of the revision that serves; "" where it was named by a tag alone, which may have moved since."""
    serves = _serving(found)
    if not serves:
        return ""
    newest = serves == text(found, "latestCreatedRevision")
    runs = mapping(found, "template") if newest else revisions.get(serves, {})
    image = text(runs, "containers", 0, "image")
    try:
        return image if parse(image).digest else ""
    except ImageError:
        return ""


def _addresses(found: Json) -> Iterator[str]:
    """Where it answers: its own address first, then the one that only a revision with a tag has."""
    if uri := text(found, "uri"):
        yield uri
    for each in items(found, "trafficStatuses"):
        if text(each, "tag") and text(each, "uri"):
            yield text(each, "uri")


def _since(found: Json) -> float | None:
    return moment(found, "terminalCondition", "lastTransitionTime") or moment(found, "updateTime")


def _run(found: Json) -> str:
    theirs = mark(found)
    return theirs.run if theirs else ""


def _job(name: ServiceName, found: Json, *, drift: bool) -> ServiceStatus:
    latest = mapping(found, "latestCreatedExecution")
    state = _JOB.get(text(latest, "completionStatus"), _unrun(found, latest))
    image = text(found, "template", "template", "containers", 0, "image")
    ended = state in {"completed", "failed"}
    return ServiceStatus(
        service=name,
        state=state,
        runtime=CLOUDRUN,
        text=_about(found, latest, state),
        image=image,
        digest=image if "@sha256:" in image else "",
        since=moment(latest, "completionTime" if ended else "createTime"),
        drift=drift,
        run=executions.noted(found)[1] or _run(found),
    )


def _unrun(found: Json, latest: Json) -> ServiceState:
    """Of a job whose executions do not say how they are."""
    if latest:
        return "starting"
    return "failed" if any(failures(found)) else "starting" if at(found, "reconciling") else "stopped"


def _about(found: Json, latest: Json, state: ServiceState) -> str:
    if state == "failed" and not latest:
        return causes.cause(found).message
    if state == "failed":
        cancelled = text(latest, "completionStatus") == "EXECUTION_CANCELLED"
        return f"execution {last(text(latest, 'name'))} {'was cancelled' if cancelled else 'failed'}"
    return "never run" if state == "stopped" else ""
