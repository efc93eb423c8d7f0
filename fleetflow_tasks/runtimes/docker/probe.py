# SPDX-License-Identifier: Apache-2.0
"""Looks at a container that should become ready, once per call; also asks its HTTP path, where one is given."""

import http.client
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from fleetflow_tasks.runtimes.docker import observe
from fleetflow_tasks.runtimes.docker.client import Client, EngineError
from fleetflow_tasks.runtimes.docker.desired import Definition
from fleetflow_tasks.runtimes.docker.observe import State
from fleetflow_tasks.runtimes.docker.verdict import verdict
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

_ANSWER = 2.0  # seconds for one HTTP question; the next one follows anyway


def patient(probe: Callable[[], Verdict]) -> Callable[[], Verdict]:
    """*probe*, for which an Engine in passing trouble is one more thing to wait for: looking again does no harm."""

    def asked() -> Verdict:
        try:
            return probe()
        except EngineError as error:
            if not error.transient:
                raise
            return Waiting(text=f"waiting for the Engine, which says: {error.answer}")

    return asked


class Probe:
    """state: what was seen last, for an explanation."""

    def __init__(self, client: Client, container: str, desired: Definition) -> None:
        self._client = client
        self._container = container
        self._desired = desired
        self._restarts: int | None = None
        self._asked = 0.0
        self._since = time.monotonic()
        self._running = 0.0
        self.state: State | None = None

    def __call__(self) -> Verdict:
        before = self.state.started if self.state else None
        state = self.state = observe.state(self._client, self._container)
        now = time.monotonic()
        if state is not None and self._restarts is None:
            self._restarts = state.restarts
        if state is not None and before not in (None, state.started):
            self._since = now
        seen = verdict(state, job=self._desired.job, restarts=self._restarts or 0, up=now - self._since)
        if self._desired.readiness is None or state is None or isinstance(seen, Broken):
            return seen
        if isinstance(seen, Waiting) and (state.health or state.status != "running"):
            return seen
        return self._answered(state, now)

    def _answered(self, state: State, now: float) -> Verdict:
        """Ask the path. Between two questions the last verdict holds: `interval` is the user's, looking is ours."""
        readiness, inside = self._desired.readiness, self._desired.readiness_port
        assert readiness is not None  # noqa: S101  (asked for by the caller)
        self._running = self._running or now
        if now - self._running > readiness.timeout:
            return Broken(text=f"{readiness.path} did not answer well within {readiness.timeout:g} s: {self._text}")
        if now - self._asked >= readiness.interval:
            self._asked = now
            self._text = self._ask(state, inside, readiness.path)
        return Waiting(text=f"waiting for {readiness.path}: {self._text}") if self._text else Ready(text="answers")

    _text = "not asked yet"

    def _ask(self, state: State, inside: str, path: str) -> str:
        """ "" where the answer is good, else what was wrong with it."""
        host, port = self._address(state, inside)
        if not host:
            return "it has no port and no address that can be reached from here"
        connection = http.client.HTTPConnection(host, port, timeout=_ANSWER)
        try:
            connection.request("GET", path, headers={"User-Agent": "fleetflow", "Connection": "close"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"{host}:{port}: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}"
        finally:
            connection.close()
        return "" if 200 <= status < 400 else f"{host}:{port} answered {status}"

    def _address(self, state: State, inside: str) -> tuple[str, int]:
        """The published port, as everybody reaches it; else the container's own address, which only Linux shows."""
        published = state.bindings.get(inside)
        if published:
            ip, _, port = published.rpartition(":")
            return (ip if ip not in observe.ANYWHERE else self._host()), int(port)
        return state.addresses.get(self._desired.network, ""), int(inside.partition("/")[0] or 0)

    def _host(self) -> str:
        url = urlsplit(self._client.endpoint.url)
        return url.hostname or "127.0.0.1" if url.scheme in {"tcp", "ssh", "http", "https"} else "127.0.0.1"
