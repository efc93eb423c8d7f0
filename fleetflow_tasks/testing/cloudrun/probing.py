# SPDX-License-Identifier: Apache-2.0
"""Startup, liveness and readiness probes.

Limits: the docstring of `Probe`; https://cloud.google.com/run/docs/configuring/healthchecks: a startup probe may take
`failureThreshold` times `periodSeconds` ≤ 240 s, a liveness probe is HTTP or gRPC.
"""

from typing import Any

from .violations import Violations

Json = dict[str, Any]

KINDS = ("httpGet", "tcpSocket", "grpc")


def checked(container: Json, field: str, found: Violations, *, job: bool) -> None:
    for name, longest in (("startupProbe", 240), ("livenessProbe", 3600), ("readinessProbe", 3600)):
        probe = container.get(name)
        if probe is None:
            continue
        here = f"{field}.{name}"
        if job:
            found.say(here, "probes are not supported for jobs.")  # guess: the docs have them for services alone
            continue
        _times(probe, here, longest, found)
        _kind(probe, here, found, tcp=name == "startupProbe")
    startup = container.get("startupProbe", {})
    total = startup.get("failureThreshold", 3) * startup.get("periodSeconds", 10)
    found.say_if(
        total > 240, f"{field}.startupProbe", f"failureThreshold * periodSeconds must be at most 240; it is {total}."
    )


def _times(probe: Json, field: str, longest: int, found: Violations) -> None:
    delay, timeout = probe.get("initialDelaySeconds", 0), probe.get("timeoutSeconds", 1)
    period, failures = probe.get("periodSeconds", 10), probe.get("failureThreshold", 3)
    found.say_if(not 0 <= delay <= longest, f"{field}.initialDelaySeconds", f"must be between 0 and {longest}.")
    found.say_if(not 1 <= timeout <= 3600, f"{field}.timeoutSeconds", "must be between 1 and 3600.")
    found.say_if(not 1 <= period <= longest, f"{field}.periodSeconds", f"must be between 1 and {longest}.")
    found.say_if(failures < 1, f"{field}.failureThreshold", "must be at least 1.")
    # The docstring says "smaller" in one place and "greater or equal" in the other; the default startup probe has both 240.
    found.say_if(timeout > period, f"{field}.timeoutSeconds", "must be less than or equal to periodSeconds.")


def _kind(probe: Json, field: str, found: Violations, *, tcp: bool) -> None:
    kinds = [kind for kind in KINDS if kind in probe]
    if len(kinds) != 1:
        found.say(field, "exactly one of httpGet, tcpSocket, or grpc must be specified.")
        return
    found.say_if(kinds == ["tcpSocket"] and not tcp, field, "tcpSocket is supported for startup probes only.")
    port = probe[kinds[0]].get("port")
    found.say_if(port is not None and not 0 < port < 65536, f"{field}.{kinds[0]}.port", "must be between 1 and 65535.")
    path = probe.get("httpGet", {}).get("path", "/")
    found.say_if(not path.startswith("/"), f"{field}.httpGet.path", "must begin with '/'.")
