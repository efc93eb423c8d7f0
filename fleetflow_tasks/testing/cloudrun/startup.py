# SPDX-License-Identifier: Apache-2.0
"""Startup probes: whether a container takes requests yet.

cloud.google.com/run/docs/configuring/healthchecks: a TCP connection to the container's port where no probe is given, with
one failure allowed in 240 seconds; HTTP has passed with any status from 200 to below 400.
"""

import http.client
import socket
from collections.abc import Mapping
from typing import Any

from fleetflow_tasks.config.model import Data

LISTENS = 0.1  # seconds that a connection must live; a proxy before a port that nobody listens on closes it at once


class Probe(Data, frozen=True, kw_only=True):
    """path: for HTTP; None for a connection alone. gRPC's probe is a connection here too.

    delay: seconds before the first. period, timeout: seconds. threshold: failures, after which the container is given up.
    """

    path: str | None = None
    headers: Mapping[str, str] = {}
    delay: float = 0.0
    period: float = 240.0
    timeout: float = 240.0
    threshold: int = 1


def probe(said: Mapping[str, Any] | None) -> Probe:
    """*said*: a v2 `startupProbe`; None for Cloud Run's default."""
    if said is None:
        return Probe()
    asked = said.get("httpGet")
    return Probe(
        path=None if asked is None else asked.get("path", "/"),
        headers={each["name"]: each.get("value", "") for each in (asked or {}).get("httpHeaders", ())},
        delay=float(said.get("initialDelaySeconds", 0)),
        period=float(said.get("periodSeconds", 10)),
        timeout=float(said.get("timeoutSeconds", 1)),
        threshold=int(said.get("failureThreshold", 3)),
    )


def passed(probe: Probe, port: int) -> bool:
    """One question, to this machine's *port*."""
    try:
        return _listens(port, probe.timeout) if probe.path is None else _answers(probe, port)
    except (OSError, http.client.HTTPException):
        return False


def _listens(port: int, timeout: float) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as line:
        line.settimeout(LISTENS)
        try:
            return line.recv(1) != b""
        except TimeoutError:
            return True


def _answers(probe: Probe, port: int) -> bool:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=probe.timeout)
    try:
        line.request("GET", probe.path or "/", headers=dict(probe.headers))
        return 200 <= line.getresponse().status < 400
    finally:
        line.close()
