# SPDX-License-Identifier: Apache-2.0
"""What runs now, as `flow ps` shows it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache, partial

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.plan.image import ImageError, pinned
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import ServiceState, ServiceStatus
from fleetflow_tasks.runtimes.docker import observe
from fleetflow_tasks.runtimes.docker.client import Client
from fleetflow_tasks.runtimes.docker.desired import NEXT, PREVIOUS
from fleetflow_tasks.runtimes.docker.observe import Container, State

_DOCKER = RuntimeName("docker")
_ASKED_TO_END = {0, 137, 143}  # exit codes of a service that somebody stopped


def told(
    client: Client,
    plan: Plan,
    services: Sequence[ResolvedService],
    containers: Sequence[Container],
    drifted: Collection[ServiceName],
) -> tuple[ServiceStatus, ...]:
    """One line for each service that the plan or the Engine holds, by name."""
    jobs = {service.name for service in services if service.job}
    lines = {s.name: ServiceStatus(service=s.name, state="missing", runtime=_DOCKER, image=s.image) for s in services}
    known, exact = set(lines), cache(partial(digest, client))
    for container in sorted(containers, key=_rank):
        name = container.mark.service
        if name is None or (name in lines and lines[name].state != "missing"):
            continue
        state = observe.state(client, container.id)
        if state is not None:
            drift = name in drifted or name not in known
            image = exact(container.reference or container.shown, container.image)
            lines[name] = line(name, container, state, job=name in jobs, drift=drift, digest=image)
    return tuple(lines[name] for name in sorted(lines))


def digest(client: Client, reference: str, image: str) -> str:
    """Exactly which image that is: *reference* with its digest, else the id; "" where the Engine has it no more.

    The Engine keeps the digest of what it pulled or pushed, also when the tag has moved on since.
    """
    found = observe.image(client, image)
    if found is None:
        return ""
    try:
        return pinned(reference, found.digests) or found.id
    except ImageError:  # shown by its bare id, or by one of its ids' beginnings
        return found.id


def line(
    name: ServiceName, container: Container, state: State, *, job: bool, drift: bool, digest: str
) -> ServiceStatus:
    running = state.status == "running"
    return ServiceStatus(
        service=name,
        state=service_state(state, job=job),
        runtime=_DOCKER,
        text=remark(state),
        image=container.reference or container.shown,
        digest=digest,
        ports=container.bindings,
        since=seconds(state.started if running else state.ended),
        restarts=state.restarts,
        drift=drift,
        run=container.mark.run,
    )


def remark(state: State) -> str:
    """What the state and its age do not say yet: health, or how it ended."""
    if state.status == "running":
        return state.health if state.health in {"healthy", "unhealthy"} else ""
    return f"exit code {state.exit}" if state.status == "exited" and state.exit else ""


def service_state(state: State, *, job: bool) -> ServiceState:
    match state.status:
        case "running" if state.health in ("unhealthy", "starting"):
            return state.health
        case "running":
            return "running"
        case "restarting":
            return "restarting"
        case "exited" if job:
            return "completed" if state.exit == 0 else "failed"
        case "exited":
            return "stopped" if state.exit in _ASKED_TO_END and not state.out_of_memory else "failed"
        case "dead":
            return "failed"
        case _:
            return "stopped"


def seconds(text: str) -> float | None:
    """Unix seconds of one of the Engine's times; None for the year 1, its word for never."""
    if not text or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def _rank(container: Container) -> tuple[bool, bool, int]:
    """The one that people mean first: by its plain name, then the one that runs, then the newest."""
    beside = container.name.endswith((NEXT, PREVIOUS))
    return beside, container.state != "running", -container.created
