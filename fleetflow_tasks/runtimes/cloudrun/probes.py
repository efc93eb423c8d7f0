# SPDX-License-Identifier: Apache-2.0
"""When an instance counts as started, and when as hung: the platform's own two questions.

`readiness` is the question at the start: an instance gets requests once its path is answered. It asks nobody later, as
it may fail because of a service behind this one, and starting this one again would not mend that. `startup` and
`liveness` of the block say both in full. Nothing said: the platform waits until the port takes a connection.
"""

from math import ceil
from typing import Any

from fleetflow_tasks.config.model import Readiness
from fleetflow_tasks.runtimes.cloudrun.form import said
from fleetflow_tasks.runtimes.cloudrun.options import Probe
from fleetflow_tasks.runtimes.cloudrun.source import Source

STARTUP = 240  # seconds that a start may take: failures times interval
_ANSWER = 2.0  # seconds for one answer to `readiness`, as on the other runtimes


def probes(made_from: Source) -> dict[str, Any]:
    """Of a container. A job's has none: it is done when it ends."""
    if made_from.service.job:
        return {}
    startup, liveness = startup_probe(made_from), made_from.options.liveness
    return said(
        startupProbe=None if startup is None else _written(made_from, startup),
        livenessProbe=None if liveness is None else _written(made_from, liveness),
    )


def startup_probe(made_from: Source) -> Probe | None:
    """As the block says it, else from `readiness`."""
    readiness = made_from.service.readiness
    if made_from.options.startup is not None or readiness is None:
        return made_from.options.startup
    return _asked(readiness)


def allowed(probe: Probe) -> int:
    """Seconds until failures in a row count."""
    return whole(probe.interval) * probe.retries


def whole(duration: float) -> int:
    """Whole seconds, rounded up; at least one."""
    return max(1, ceil(duration))


def _asked(readiness: Readiness) -> Probe:
    interval = whole(readiness.interval)
    return Probe(
        http=readiness.path,
        port=readiness.port,
        interval=interval,
        timeout=min(_ANSWER, interval, readiness.timeout),
        retries=whole(readiness.timeout / interval),
    )


def _written(made_from: Source, probe: Probe) -> dict[str, Any]:
    return said(
        initialDelaySeconds=ceil(probe.delay) or None,
        timeoutSeconds=whole(probe.timeout),
        periodSeconds=whole(probe.interval),
        failureThreshold=probe.retries,
    ) | _question(probe, probe.port or made_from.port)


def _question(probe: Probe, port: int) -> dict[str, Any]:
    if probe.grpc is not None:
        return {"grpc": said(port=port, service=probe.grpc)}
    if probe.http:
        return {"httpGet": {"path": probe.http, "port": port}}
    return {"tcpSocket": {"port": port}}
