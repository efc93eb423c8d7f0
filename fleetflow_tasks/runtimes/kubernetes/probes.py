# SPDX-License-Identifier: Apache-2.0
"""A service's checks as the three probes of a container.

    startup     the same check, every second, until it is right once; only then the others begin
    readiness   whether it gets requests; `readiness` where that is said, else `healthcheck`
    liveness    whether it is killed and started again; `healthcheck` alone

On Docker a failing healthcheck is only told; here liveness kills. So it asks seldom and is three times as patient as
readiness, a minute at least: what is merely busy gets no requests for a while, and only what hangs is killed. And HTTP readiness kills nobody: it may fail
because of a service behind this one, and killing this one would not mend that.
"""

import re
from math import ceil
from typing import Any

from fleetflow_tasks.config.model import Healthcheck, Readiness
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.kubernetes.manifests import said

_PATIENCE = 3  # how much more liveness forgives than readiness
_LEAST_PATIENCE = 60.0  # seconds
_INTERVAL = 10.0  # seconds between two checks, where nothing is said; the platform's own default
_FAILURES = 3  # in a row, likewise
_TIMEOUT = 5.0  # seconds; the platform's default of 1 fails a command on a busy node, and Docker's is 30
_ANSWER = 2.0  # seconds for one HTTP answer, as on Docker

# What a container's command, arguments and probes would otherwise have expanded: `$(NAME)` is a variable's value there,
# and `$$` a dollar.
_EXPANDED = re.compile(r"\$\$+|\$(?=\()")


def escaped(text: str) -> str:
    return _EXPANDED.sub(lambda found: found[0] * 2, text)


def probes(service: ResolvedService) -> dict[str, Any]:
    check = service.healthcheck
    command = None if check is None else _command(check)
    asked = None if service.readiness is None else _asked(service, service.readiness)
    if check is None or command is None:
        return said(readinessProbe=asked)
    return said(
        startupProbe=_startup(service, check, command),
        readinessProbe=asked or _repeated(check, command),
        livenessProbe=_patient(check, command),
    )


def _command(check: Healthcheck) -> list[str] | None:
    """None where there is nothing to run: `NONE` switches off what the image has, and a cluster never asks that."""
    kind, *rest = check.test
    if kind == "NONE":
        return None
    words = ["/bin/sh", "-c", *rest] if kind == "CMD-SHELL" else rest
    return [escaped(word) for word in words]


def _repeated(check: Healthcheck, command: list[str]) -> dict[str, Any]:
    return _probe(check, command, period=whole(_or(check.interval, _INTERVAL)), failures=check.retries or _FAILURES)


def _patient(check: Healthcheck, command: list[str]) -> dict[str, Any]:
    period = whole(max(_or(check.interval, _INTERVAL), _INTERVAL))
    forgiven = max(_LEAST_PATIENCE, _PATIENCE * _failing(check))
    return _probe(check, command, period=period, failures=whole(forgiven / period))


def _failing(check: Healthcheck) -> float:
    """Seconds until failures in a row count."""
    return (check.retries or _FAILURES) * _or(check.interval, _INTERVAL)


def _startup(service: ResolvedService, check: Healthcheck, command: list[str]) -> dict[str, Any]:
    """How long a start may take: as the check says, else as long as a deployment waits. Asked every second, so that a
    service is ready when it is, and not an interval later."""
    allowed = service.timeout if check.start_period is None else check.start_period + _failing(check)
    return _probe(check, command, period=1, failures=whole(allowed))


def _probe(check: Healthcheck, command: list[str], *, period: int, failures: int) -> dict[str, Any]:
    return {
        "exec": {"command": command},
        "periodSeconds": period,
        "timeoutSeconds": whole(_or(check.timeout, _TIMEOUT)),
        "failureThreshold": failures,
    }


def _asked(service: ResolvedService, readiness: Readiness) -> dict[str, Any]:
    """`readiness` has a time until the first yes, which is the rollout's to watch; here is how often it is asked."""
    return {
        "httpGet": {"path": readiness.path, "port": readiness.port or _port(service)},
        "periodSeconds": whole(readiness.interval),
        "timeoutSeconds": whole(min(_ANSWER, readiness.timeout)),
        "failureThreshold": _FAILURES,
    }


def _port(service: ResolvedService) -> int:
    return next((port.container for port in service.ports if port.protocol == "tcp"), 80)


def _or(said_seconds: float | None, usual: float) -> float:
    return usual if said_seconds is None else said_seconds


def whole(seconds: float) -> int:
    """Whole seconds, rounded up; at least one."""
    return max(1, ceil(seconds))
