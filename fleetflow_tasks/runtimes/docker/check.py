# SPDX-License-Identifier: Apache-2.0
"""What Docker cannot honour, said at plan time and offline. Nothing is ignored in silence."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.docker.options import read

Severity = Literal["error", "warning", "note"]
_ELSEWHERE = "deploy it with runtime `kubernetes` or `cloudrun`, or leave it out for this stage"


def check(plan: Plan) -> Iterator[Problem]:
    for service in plan.services:
        if service.runtime == "docker":
            yield from _impossible(service)
            yield from _notes(service)


def _impossible(service: ResolvedService) -> Iterator[Problem]:
    if (service.replicas or 1) > 1:
        fix = 'say `replicas 1` for this stage, or `runtime "kubernetes"`'
        yield _problem(
            service, "replicas", f"cannot run {service.replicas} replicas: one container is one service", fix
        )
    if service.scaling is not None:
        yield _problem(service, "scaling", "cannot scale by itself", _ELSEWHERE)
    if service.ingress:
        yield _problem(service, "ingress", "has no ingress", "publish a `port`, and put a proxy in front")
    for volume in service.volumes:
        if volume.kind == "bucket":
            yield _problem(
                service, "volumes", f"cannot mount the bucket `{volume.source}`", "use a path or a named volume"
            )
    for name in sorted(service.secret_refs):
        fix = f"give `{name}` with `env=` or `file=`"
        yield _problem(service, "secrets", f"cannot read secret `{name}` from `{service.secret_refs[name]}`", fix)
    try:
        read(service.options)
    except msgspec.ValidationError as error:
        yield _problem(service, "options", f"does not understand its `docker` block: {error}", "correct the block")


def _notes(service: ResolvedService) -> Iterator[Problem]:
    for volume in service.volumes:
        if volume.size is not None:
            text = f"gives volume `{volume.source}` no size: it takes what it needs"
            yield _problem(service, "volumes", text, "", severity="note")
    if service.job and service.restart not in (None, "no"):
        text = f'does not restart a job: `restart "{service.restart}"` has no effect'
        yield _problem(service, "restart", text, "leave `restart` out; `retries` tries again", severity="warning")


def _problem(service: ResolvedService, field: str, text: str, fix: str, *, severity: Severity = "error") -> Problem:
    return Problem(
        code=f"docker-{field.replace('_', '-')}",
        message=f"service `{service.name}`: runtime `docker` {text}",
        fix=fix,
        place=service.place(field),
        severity=severity,
    )
