# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a plan on any runtime, and what is probably not meant. Offline and pure.

That a plan can be made at all (services that exist, no circles, images that are images) is `build`'s to say; what only
one runtime cannot honour is that runtime's own `check`. Here stands what lies between.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from fleetflow_tasks.config.model import Port, ServiceName
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan import image
from fleetflow_tasks.plan.handed import unreached, variables
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.plan.resolve import CLOUDRUN, DOCKER, KUBERNETES
from fleetflow_tasks.plan.waits import is_checked

LOCAL = "local"  # the stage of one's own machine, where `latest` hurts nobody

_LONGEST = 63  # characters of a DNS label: a service is reached under its name
_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_DOCKER_NAME = re.compile(r"[a-z]([-a-z0-9_.]*[a-z0-9])?")
_OUTER_NAME = re.compile(r"[a-z0-9]([-a-z0-9_.]*[a-z0-9])?")  # of a project or stage: stands within other names


def check(plan: Plan) -> tuple[Problem, ...]:
    """Errors and warnings, the plan's own first, then by service."""
    found = [*_outer_names(plan), *_port_conflicts(plan.services)]
    services = {service.name: service for service in plan.services}
    for service in plan.services:
        found += [
            *_name(service),
            *_waits(service, services),
            *_unreached(service, services),
            *_readiness(service),
            *_targets(service),
            *_job(service),
            *_floating(service, plan),
            *_built(service, plan),
        ]
    return tuple(found)


def fitting(name: str, *, allowed: str = "-") -> str:
    """The name nearest to *name* that fits everywhere; `service` where nothing of it can be kept.

    allowed: what may stand inside beside letters and digits.
    """
    lower = re.sub(rf"[^a-z0-9{re.escape(allowed)}]+", "-", name.lower())
    return re.sub(r"^[^a-z]+|[^a-z0-9]+$", "", lower)[:_LONGEST].rstrip("-_.") or "service"


def _outer_names(plan: Plan) -> Iterator[Problem]:
    for kind, name in (("project", plan.project), ("stage", plan.stage)):
        if not _OUTER_NAME.fullmatch(name):
            yield Problem(
                code="unfit-name",
                message=f"{kind} name `{name}` cannot be part of a container's or a host's name",
                cause=("it takes lower-case letters, digits and, inside, `-`, `_` and `.`",),
                fix=f"call it `{fitting(name, allowed='-_.')}`",
            )


def _name(service: ResolvedService) -> Iterator[Problem]:
    docker = service.runtime == DOCKER
    if (_DOCKER_NAME if docker else _NAME).fullmatch(service.name) and len(service.name) <= _LONGEST:
        return
    inside = "`-`, `_` and `.`" if docker else "`-`"
    yield Problem(
        code="unfit-name",
        message=f"service name `{service.name}` does not fit on {service.runtime}",
        cause=(
            f"it takes up to {_LONGEST} lower-case letters, digits and, inside, {inside}, and begins with a letter",
        ),
        fix=f"call it `{fitting(service.name, allowed='-_.' if docker else '-')}`",
        place=_place(service, ""),
    )


def _port_conflicts(services: Iterable[ResolvedService]) -> Iterator[Problem]:
    """Two published ports of one host. Elsewhere each service has an address of its own."""
    published: dict[tuple[int, str], list[tuple[ResolvedService, Port]]] = {}
    for service in services:
        for port in service.ports if service.runtime == DOCKER else ():
            if port.host is not None:
                published.setdefault((port.host, port.protocol), []).append((service, port))
    for (number, protocol), claims in published.items():
        clash = next(((one, other) for (one, a), (other, b) in combinations(claims, 2) if _meet(a, b)), None)
        if clash is not None:
            yield _port_conflict(*clash, number, protocol)


def _meet(one: Port, other: Port) -> bool:
    everywhere = {"", "0.0.0.0", "::"}  # noqa: S104  (compared, not bound)
    return one.host_ip == other.host_ip or bool({one.host_ip, other.host_ip} & everywhere)


def _port_conflict(one: ResolvedService, other: ResolvedService, number: int, protocol: str) -> Problem:
    port = f"host port {number}/{protocol}"
    twice = one.name == other.name
    said = [(f"{each.name} publishes it", _place(each, "ports")) for each in ((one,) if twice else (one, other))]
    columns = max(len(text) for text, _ in said)
    return Problem(
        code="port-conflict",
        message=f"service `{one.name}` publishes {port} twice"
        if twice
        else f"services `{one.name}` and `{other.name}` both publish {port}",
        cause=() if twice else tuple(f"{text:{columns}}   {place}" if place else text for text, place in said),
        fix="give one of them another host port, or leave it out: a free one is taken then",
        place=_place(other, "ports") if twice else None,
    )


def _waits(service: ResolvedService, services: Mapping[ServiceName, ResolvedService]) -> Iterator[Problem]:
    for dependency in service.depends_on:
        other = services[dependency.service]
        place = _place(service, f"depends_on.{other.name}", "depends_on")
        if dependency.condition == "healthy" and not _is_asked(other):
            docker = other.runtime == DOCKER
            yield Problem(
                code="dependency-never-healthy",
                message=f"service `{service.name}` waits for healthy `{other.name}`, which declares no check",
                cause=("it means something only where the image brings a check of its own",) if docker else (),
                fix=f'give `{other.name}` a `healthcheck` or `readiness`, or wait with `condition="started"`',
                place=place,
                severity="warning" if docker else "error",
            )
        if dependency.condition == "completed" and not other.job:
            yield Problem(
                code="dependency-never-completed",
                message=f"service `{service.name}` waits until `{other.name}` has completed, which is no job",
                fix=f'mark `{other.name}` with `job #true`, or wait with `condition="started"`',
                place=place,
            )


def _is_asked(other: ResolvedService) -> bool:
    """Cloud Run asks each service itself, at its port at least."""
    return is_checked(other) or (other.runtime == CLOUDRUN and not other.job)


def _unreached(service: ResolvedService, services: Mapping[ServiceName, ResolvedService]) -> Iterator[Problem]:
    for other in unreached(service, services):
        url, host = variables(other.name)
        may = f", or give `{other.name}` an `ingress`" if other.runtime == KUBERNETES else ""
        yield Problem(
            code="dependency-unreached",
            message=f"service `{service.name}` on {service.runtime} depends on `{other.name}` on {other.runtime},"
            " and is not told where that is",
            cause=(f"`{other.name}` has no URL that could be handed over, so the dependency is an order and no more",),
            fix=f"say it in the `environment` of `{service.name}`, as `{url}` or `{host}`{may}",
            place=_place(service, f"depends_on.{other.name}", "depends_on"),
            severity="warning",
        )


def _readiness(service: ResolvedService) -> Iterator[Problem]:
    """Cloud Run has a port of its own for a service that names none."""
    least = 0 if service.runtime == CLOUDRUN else 1
    if service.readiness is not None and service.readiness.port is None and not least <= len(service.ports) <= 1:
        number = len(service.ports) or "no"
        yield Problem(
            code="readiness-port",
            message=f"readiness of service `{service.name}` names no port, and the service has {number} ports",
            fix="say which: `readiness port=8080`",
            place=_place(service, "readiness"),
        )


def _targets(service: ResolvedService) -> Iterator[Problem]:
    seen: set[str] = set()
    for volume in service.volumes:
        target = volume.target.rstrip("/") or "/"
        if target in seen:
            yield Problem(
                code="volume-conflict",
                message=f"service `{service.name}` mounts two volumes at `{volume.target}`",
                fix="give one of them another path",
                place=_place(service, "volumes"),
            )
        seen.add(target)


def _job(service: ResolvedService) -> Iterator[Problem]:
    if service.job and service.restart in {"always", "unless-stopped"}:
        yield Problem(
            code="job-restarts",
            message=f'job `{service.name}` has `restart "{service.restart}"`, so it would never be done',
            fix="leave `restart` out, or take `on-failure`",
            place=_place(service, "restart"),
        )


def _built(service: ResolvedService, plan: Plan) -> Iterator[Problem]:
    """On Docker the engine that runs it has built it; every other platform has to get it from somewhere."""
    if service.build is None or service.runtime == DOCKER or image.is_pushable(image.parse(service.image)):
        return
    yield Problem(
        code="build-nowhere",
        message=f"service `{service.name}`: image `{service.image}` names no registry that {service.runtime} could get it from",
        cause=("it works only where the nodes have been given the image by hand",)
        if service.runtime == KUBERNETES
        else (),
        fix=f"name one in `image`, then `flow build {plan.stage} --push`",
        place=service.places.get("image") or service.place("build"),
        severity="warning" if service.runtime == KUBERNETES else "error",
    )


def _floating(service: ResolvedService, plan: Plan) -> Iterator[Problem]:
    if plan.stage != LOCAL and image.parse(service.image).floating:
        yield Problem(
            code="floating-image",
            message=f"service `{service.name}`: image `{service.image}` may be another one tomorrow",
            fix=f'name a version in stage `{plan.stage}`, such as `version "1.2"`',
            place=_place(service, "image", "version"),
            severity="warning",
        )


def _place(service: ResolvedService, *fields: str) -> Place | None:
    """The first of *fields* whose place is known, else the service's own."""
    return next((service.places[field] for field in (*fields, "") if field in service.places), None)
