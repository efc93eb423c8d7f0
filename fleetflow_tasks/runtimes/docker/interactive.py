# SPDX-License-Identifier: Apache-2.0
"""A person's hand inside a running container: a command with a terminal, and connections to its ports.

A command's line carries both directions at once, so one loop does: whoever waited to write while the other side waits to
be read would come to a standstill. Without a terminal the Engine puts a head of eight bytes before each piece that the
command prints, which says on which stream it came.
"""

import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import NotStartedError, Terminal
from fleetflow_tasks.runtimes.docker import observe
from fleetflow_tasks.runtimes.docker.client import Client, EngineError
from fleetflow_tasks.runtimes.docker.desired import NEXT, PREVIOUS
from fleetflow_tasks.runtimes.docker.observe import Container
from fleetflow_tasks.runtimes.labels import stage_name
from fleetflow_tasks.runtimes.pouring import poured

_GLANCE = 0.25  # seconds between two looks at the terminal's size
_SETTLES = 5.0  # seconds in which the Engine knows how a command ended whose line has ended
_CONNECTING = 5.0  # seconds; a container's address that can be reached at all answers at once
_ROOM = 2**18  # bytes under way, of one direction; who has more waits
_PIECE = 2**15
_HEAD = 8  # bytes before each piece: the stream, three of nothing, the length


# --- a command


def execute(
    client: Client, plan: Plan, service: ServiceName, command: Sequence[str], terminal: Terminal, instance: str
) -> int:
    """Raises EngineError, UnavailableError where nothing of the service runs, NotStartedError."""
    _refuse_ssh(client, service)
    container = _running(client, plan, service, instance)
    made = client.command(container.id, command, typed=terminal.input is not None, tty=terminal.tty)
    try:
        line, early, kept = client.begun(made, tty=terminal.tty)
    except EngineError as error:
        if error.status in {400, 404}:
            raise NotStartedError(_not_started(command, container, error.answer)) from error
        raise
    with line:
        _Talking(client, made, line, terminal).run(early)
    del kept  # it owns the line
    return _ended(client, made)


class _Talking:
    """All that goes to and fro while a command runs."""

    def __init__(self, client: Client, command: str, line: socket.socket, terminal: Terminal) -> None:
        self._client = client
        self._command = command
        self._line = line
        self._terminal = terminal
        self._source = terminal.input
        self._size: tuple[int, int] | None = None
        self._typed = bytearray()  # for the command
        self._heads = bytearray()  # of what it printed, as far as a piece is not complete
        self._over = False

    def run(self, early: bytes) -> None:
        self._print(early)
        line = self._line.fileno()
        while not self._over:
            self._resize()
            self._say()
            source = [self._source] if self._source is not None and len(self._typed) < _ROOM else []
            wait = 0 if self._pending() else _GLANCE
            ready, _, _ = select.select([line, *source], [line] if self._typed else [], [], wait)
            if self._source in ready:
                self._read_source()
            if line in ready or self._pending():
                self._hear()

    def _pending(self) -> bool:
        """TLS may hold bytes that the socket shows no more."""
        return isinstance(self._line, ssl.SSLSocket) and self._line.pending() > 0

    def _resize(self) -> None:
        size = self._terminal.size() if self._terminal.tty else None
        if size is not None and size != self._size:
            self._size = size
            self._client.resize(self._command, *size)

    def _read_source(self) -> None:
        assert self._source is not None  # noqa: S101  (it was ready)
        data = os.read(self._source, _PIECE)
        self._typed += data
        if not data:
            self._source = None
            self._say()

    def _say(self) -> None:
        with suppress(BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError, BrokenPipeError, ConnectionError):
            while self._typed:
                del self._typed[: self._line.send(self._typed[:_ROOM])]
        if self._source is None and not self._typed and self._terminal.input is not None:
            with suppress(OSError):  # past TLS, which would take its end for that of both directions
                socket.socket.shutdown(self._line, socket.SHUT_WR)

    def _hear(self) -> None:
        try:
            data = self._line.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except ConnectionError:
            data = b""
        self._over = not data
        self._print(data)

    def _print(self, data: bytes) -> None:
        if self._terminal.tty:
            return poured(data, self._terminal.output)
        self._heads += data
        while len(self._heads) >= _HEAD:
            length = struct.unpack(">L", self._heads[4:_HEAD])[0]
            if len(self._heads) < _HEAD + length:
                return None
            stream, piece = self._heads[0], bytes(self._heads[_HEAD : _HEAD + length])
            del self._heads[: _HEAD + length]
            poured(piece, self._terminal.errors if stream == 2 else self._terminal.output)
        return None


def _ended(client: Client, command: str) -> int:
    end = time.monotonic() + _SETTLES
    while (code := client.exit_code(command)) is None and time.monotonic() < end:
        time.sleep(0.02)
    if code is None:
        raise UnavailableError(
            Problem(
                code="engine-lost",
                message="the line to the command was cut; it may go on inside its container",
                fix="see that the Engine runs: `docker info`",
            )
        )
    return code


def _not_started(command: Sequence[str], container: Container, answer: str) -> Problem:
    return Problem(
        code="not-started",
        message=f"`{command[0]}` could not be started in container `{container.name}`",
        cause=(answer,),
        fix="name a program that the image holds; a shell line needs a shell: `-- sh -c '…'`",
    )


# --- connections


def reached(client: Client, plan: Plan, service: ServiceName, instance: str) -> str:
    return f"container {_running(client, plan, service, instance).name}"


def carry(client: Client, plan: Plan, service: ServiceName, port: int, line: socket.socket, instance: str) -> None:
    """Raises EngineError, UnavailableError where nothing runs, or the port cannot be reached from here."""
    container = _running(client, plan, service, instance)
    host, number = _address(client, plan, container, port)
    try:
        far = socket.create_connection((host, number), timeout=_CONNECTING)
    except OSError as error:
        raise UnavailableError(_silent(service, port, container, f"{host}:{number}", error)) from error
    with far:
        joined(line, far)


def joined(one: socket.socket, other: socket.socket) -> None:
    """Both directions, each to its own end: who has said all may still be answered."""
    waiting = {one: bytearray(), other: bytearray()}  # for each
    speaks = {one, other}
    facing = {one: other, other: one}
    for each in waiting:
        each.setblocking(False)
    with suppress(OSError):  # one of them is gone, and with it the connection
        while speaks or any(waiting.values()):
            readers = [each for each in speaks if len(waiting[facing[each]]) < _ROOM]
            ready, open_, _ = select.select(readers, [each for each in waiting if waiting[each]], [])
            for each in ready:
                data = each.recv(_PIECE)
                waiting[facing[each]] += data
                speaks -= set() if data else {each}
                if not data and not waiting[facing[each]]:
                    facing[each].shutdown(socket.SHUT_WR)
            for each in open_:
                del waiting[each][: each.send(waiting[each])]
                if not waiting[each] and facing[each] not in speaks:
                    each.shutdown(socket.SHUT_WR)


def _address(client: Client, plan: Plan, container: Container, port: int) -> tuple[str, int]:
    """Where it is published, as everybody reaches it; else the container's own address, which only this machine's Linux shows."""
    state = observe.state(client, container.id)
    published = state.bindings.get(f"{port}/tcp") if state else None
    if published:
        ip, _, number = published.rpartition(":")
        return (ip if ip not in observe.ANYWHERE else _host(client)), int(number)
    address = state.addresses.get(stage_name(plan.project, plan.stage), "") if state and client.local else ""
    if not address:
        raise UnavailableError(
            Problem(
                code="port-unpublished",
                message=f"port {port} of container `{container.name}` cannot be reached from here: it is not published",
                fix=f"publish it: `port {port}`",
            )
        )
    return address, port


def _host(client: Client) -> str:
    url = urlsplit(client.endpoint.url)
    return url.hostname or "127.0.0.1" if url.scheme in {"tcp", "http", "https"} else "127.0.0.1"


def _silent(service: ServiceName, port: int, container: Container, where: str, error: OSError) -> Problem:
    return Problem(
        code="port-silent",
        message=f"port {port} of container `{container.name}` does not answer",
        cause=(f"{where}: {error.strerror or error}",),
        fix=f"see that `{service}` listens there, on all addresses",
    )


# --- which


def _running(client: Client, plan: Plan, service: ServiceName, instance: str) -> Container:
    """The service's container that runs; of an old and a new one, the one that has its name."""
    found = observe.service(client, plan.project, plan.stage, service)
    running = sorted(
        (each for each in found if each.state == "running"),
        key=lambda each: (each.name.endswith((NEXT, PREVIOUS)), -each.created),
    )
    if not running:
        raise UnavailableError(
            Problem(
                code="nothing-runs",
                message=f"no container of service `{service}` runs in stage `{plan.stage}`",
                cause=tuple(f"{each.name} is {each.state}" for each in found),
                fix=f"deploy the stage, or see what keeps it: flow ps {plan.stage}",
            )
        )
    if instance not in {"", "1"}:
        raise UnavailableError(
            Problem(
                code="no-pod",
                message=f"service `{service}` has no instance `{instance}`: on Docker it has one container",
                fix="leave `--pod` out",
            )
        )
    return running[0]


def _refuse_ssh(client: Client, service: ServiceName) -> None:
    if client.endpoint.url.startswith("ssh://"):
        host = urlsplit(client.endpoint.url).hostname
        raise UnavailableError(
            Problem(
                code="exec-over-ssh",
                message=f"no command can be run inside `{service}` through ssh: its line carries one direction at a time",
                fix=f"run it there: `ssh -t {host} docker exec -it …`",
            )
        )
