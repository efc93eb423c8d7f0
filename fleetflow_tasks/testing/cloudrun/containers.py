# SPDX-License-Identifier: Apache-2.0
"""The containers of revisions and tasks, run for real on a Docker Engine.

A container is told what Cloud Run tells it (PORT and who it is), gets the cpu and memory of its limits, and is ready when
its startup probe says so; the same probe as Cloud Run's default stands in where none is given: a TCP connection to the port.
The port is published on this machine's loopback, so that an Engine in a virtual machine serves as well. Only images that
are on the Engine exist: nothing is pulled.

What differs from Cloud Run: one container per instance (of several, the one with the port); volumes of any kind are an empty
file system in memory, but for secrets, which are files; the cpu is never taken away between requests.
"""

import io
import os
import secrets
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.runtimes.docker.client import connect
from fleetflow_tasks.runtimes.docker.endpoints import endpoints
from fleetflow_tasks.runtimes.docker.stream import lines
from fleetflow_tasks.testing.cloudrun.startup import Probe, passed

LABEL = "fleetflow.testing.cloudrun"  # of each container: whose it is
LOOPBACK = "127.0.0.1"
GRACE = 10  # seconds between SIGTERM and SIGKILL, cloud.google.com/run/docs/container-contract#instance-shutdown
LAST = 20  # lines that are told of a container that did not come up

Sink = Callable[[str, str], None]  # told of each line: stream ("stdout", "stderr"), text


class Wanted(Data, frozen=True, kw_only=True):
    """name: of the revision or the task. port: that it listens on, 0 for a task. files: path -> content.

    cpu: cores. memory: bytes. folders: paths of empty file systems.
    """

    name: str
    image: str
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environ: Mapping[str, str] = {}
    port: int = 0
    cpu: float = 1.0
    memory: int = 512 * 1024 * 1024
    folders: tuple[str, ...] = ()
    files: Mapping[str, bytes] = {}
    probe: Probe = Probe()


class NotServingError(Exception):
    """A container did not come up. code: it ended with that; None: it runs, and does not listen."""

    def __init__(self, text: str, code: int | None, lines: Sequence[str]) -> None:
        super().__init__(text)
        self.code = code
        self.lines = tuple(lines)


class Container:
    """One that was started. port: on this machine's loopback, where its own is published; 0 for a task."""

    def __init__(self, engine: Any, wanted: Wanted, number: str, sink: Sink) -> None:
        self._engine = engine
        self._sink = sink
        self._last: list[str] = []
        self.id = number
        self.wanted = wanted
        self.port = 0
        self._reading = threading.Thread(target=self._read, name=f"log {wanted.name}", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        return LOOPBACK, self.port

    def start(self) -> None:
        self._engine.start(self.id)
        self._reading.start()
        if self.wanted.port:
            bound = self._engine.inspect_container(self.id)["NetworkSettings"]["Ports"]
            ports = bound.get(f"{self.wanted.port}/tcp") or [{"HostPort": 0}]  # none: it has ended already
            self.port = int(ports[0]["HostPort"])

    def code(self) -> int | None:
        """With which it ended; None while it runs."""
        state = self._engine.inspect_container(self.id)["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def end(self) -> int:
        """Wait for its end, and for its last line."""
        code = int(self._engine.wait(self.id)["StatusCode"])
        self._reading.join()
        return code

    def stop(self) -> None:
        """As Cloud Run does: SIGTERM, and SIGKILL ten seconds later."""
        from docker.errors import APIError

        with suppress(APIError):  # gone already
            self._engine.stop(self.id, timeout=GRACE)
        self.remove()

    def remove(self) -> None:
        from docker.errors import APIError

        with suppress(APIError):  # gone already, or going
            self._engine.remove_container(self.id, force=True, v=True)
        if self._reading.ident is not None:
            self._reading.join()

    def failure(self, text: str) -> NotServingError:
        return NotServingError(text, self.code(), self._last)

    def _read(self) -> None:
        """The SDK's own reader mixes the two streams."""
        url = f"{self._engine.base_url}/v{self._engine.api_version}/containers/{self.id}/logs"
        params = {"stdout": 1, "stderr": 1, "follow": 1}
        with self._engine.get(url, params=params, stream=True, timeout=(60, None)) as answer:
            for stream, text in lines(answer.raw):
                self._last = [*self._last, text][-LAST:]
                self._sink(stream, text)


class Containers:
    """Those of one server on one Engine. Safe for many threads."""

    def __init__(self, engine: Any, doors: Callable[[str], str] = lambda value: value) -> None:
        """engine: docker's `APIClient`. doors: turns a value of the environment into what a container can reach."""
        self._engine = engine
        self._doors = doors
        self._mark = secrets.token_hex(6)
        self._swept = False

    def known(self, image: str) -> bool:
        from docker.errors import ImageNotFound

        try:
            self._engine.inspect_image(image)
        except ImageNotFound:
            return False
        return True

    def serving(self, wanted: Wanted, sink: Sink) -> Container:
        """A new instance, ready for requests. Raises NotServingError; then nothing of it is left."""
        container = self._made(wanted, sink)
        try:
            container.start()
            self._up(container)
        except BaseException:
            container.remove()
            raise
        return container

    def ended(self, wanted: Wanted, sink: Sink, stopped: threading.Event | None = None) -> int:
        """A task, carried out to its end: its exit code. stopped: set, it is stopped as on its timeout."""
        container = self._made(wanted, sink)
        try:
            container.start()
            while stopped is not None and container.code() is None:
                if stopped.wait(0.1):
                    self._engine.stop(container.id, timeout=GRACE)
            return container.end()
        finally:
            container.remove()

    def sweep(self) -> None:
        """Nothing of this server is left on the Engine, and nothing more begins there."""
        from docker.errors import APIError

        self._swept = True
        for found in self._engine.containers(all=True, filters={"label": f"{LABEL}={self._mark}"}):
            with suppress(APIError):  # somebody else removes it just now
                self._engine.remove_container(found["Id"], force=True, v=True)

    def close(self) -> None:
        self.sweep()
        self._engine.close()

    def _up(self, container: Container) -> None:
        probe, begun = container.wanted.probe, time.monotonic()
        time.sleep(probe.delay)
        for _ in range(probe.threshold):
            began = time.monotonic()
            while time.monotonic() < began + probe.period:
                if container.code() is not None:
                    raise container.failure(f"the container ended with code {container.code()}")
                if passed(probe, container.port):
                    return
                time.sleep(min(0.05, probe.period))
        raise container.failure(f"it did not pass its startup probe in {time.monotonic() - begun:.0f} s")

    def _made(self, wanted: Wanted, sink: Sink) -> Container:
        if self._swept:
            raise NotServingError("the server is closed", None, ())
        host = self._engine.create_host_config(
            port_bindings={wanted.port: (LOOPBACK, None)} if wanted.port else None,
            mem_limit=wanted.memory,
            nano_cpus=int(min(wanted.cpu, os.cpu_count() or 1) * 1e9),
            tmpfs=dict.fromkeys(wanted.folders, ""),
            extra_hosts={"host.docker.internal": "host-gateway"},
            init=False,
        )
        made = self._engine.create_container(
            wanted.image,
            name=f"{wanted.name}-{secrets.token_hex(4)}",
            entrypoint=list(wanted.entrypoint) or None,
            command=list(wanted.arguments) or None,
            environment={name: self._doors(value) for name, value in wanted.environ.items()},
            ports=[wanted.port] if wanted.port else None,
            labels={LABEL: self._mark},
            host_config=host,
        )
        if wanted.files:
            self._engine.put_archive(made["Id"], "/", _archive(wanted.files))
        return Container(self._engine, wanted, made["Id"], sink)


def engine(environ: Mapping[str, str]) -> Any:
    """The Engine that DOCKER_HOST names, else the one that FleetFlow itself would find; None where none answers."""
    from docker.api.client import APIClient

    try:
        found = connect(endpoints("", environ, Path.home()))
    except UnavailableError:
        return None
    found.close()
    return APIClient(base_url=found.endpoint.url, version="auto", timeout=60)


def inside(engine: Any) -> str:
    """This machine's address as the Engine's containers see it: of the bridge between them, where it is here."""
    for place in engine.inspect_network("bridge")["IPAM"]["Config"] or ():
        if place.get("Gateway") and _ours(place["Gateway"]):
            return str(place["Gateway"])
    return "host.docker.internal"


def _ours(address: str) -> bool:
    try:
        with socket.create_server((address, 0)):
            return True
    except OSError:
        return False


def _archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o444
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
