# SPDX-License-Identifier: Apache-2.0
"""A person's hand inside a running service: a command there, and ports of this machine that lead there.

Which runtime can do so, it says by having the methods of `Interactive`; one that lacks them is told of by name.
"""

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Self, cast

from fleetflow_tasks.api.reading import no_service
from fleetflow_tasks.api.request import Request, runtimes_of
from fleetflow_tasks.config.model import Data, ServiceName
from fleetflow_tasks.errors import FleetFlowError, PlanError, Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Interactive, Terminal

_METHODS = ("execute", "reached", "carry")
_WAITING = 128  # connections that the system accepts before we do
_AGAIN = 0.2  # seconds after a connection that could not be taken, mostly for want of file descriptors

Say = Callable[[Problem], None]


class Forward(Data, frozen=True, kw_only=True):
    """local: 0 for one that is free."""

    local: int
    remote: int


class Forwarded(Data, frozen=True, kw_only=True):
    """One port that listens: its address as people write it, and where it leads."""

    address: str
    port: int
    remote: int
    to: str


def execute(
    request: Request, made: Plan, service: str, command: Sequence[str], terminal: Terminal, *, instance: str = ""
) -> int:
    """The command's own exit code. Raises PlanError, UnavailableError, NotStartedError."""
    found = _service(request, made, service)
    return _interactive(request, found).execute(made, found.name, command, terminal, instance=instance)


def declared_ports(request: Request, made: Plan, service: str) -> Sequence[Forward]:
    """Those that the service says it has, each on the same number here; of several protocols only TCP can be carried."""
    found = _service(request, made, service)
    ports = [port.container for port in found.ports if port.protocol == "tcp"]
    if not ports:
        raise PlanError(
            Problem(
                code="no-port",
                message=f"service `{service}` declares no port",
                fix=f"say which it listens on: `flow port-forward {service} 8080`",
                place=found.places.get(""),
            )
        )
    return [Forward(local=port, remote=port) for port in dict.fromkeys(ports)]


@contextmanager
def forwarded(
    request: Request,
    made: Plan,
    service: str,
    ports: Sequence[Forward],
    *,
    addresses: Sequence[str],
    say: Say,
    instance: str = "",
) -> Iterator[Sequence[Forwarded]]:
    """Listens while the block lasts, and carries each connection to *service*.

    say: is told what is wrong with a connection, by the thread that carries it; the others go on.
    Raises PlanError, UnavailableError where nothing of the service runs now, or a local port cannot be had.
    """
    found = _service(request, made, service)
    runtime = _interactive(request, found)
    to = runtime.reached(made, found.name, instance=instance)
    carried = _carried(runtime, made, found.name, instance, say)
    with ExitStack() as stack:
        listening: list[Forwarded] = []
        for port in ports:
            local = port.local
            for address in addresses:
                door = stack.enter_context(_Door(address, local, port.remote, carried))
                local = door.port  # one number on all addresses
                listening.append(Forwarded(address=address, port=door.port, remote=port.remote, to=to))
        yield listening


def _carried(
    runtime: Interactive, made: Plan, service: ServiceName, instance: str, say: Say
) -> Callable[[int, socket.socket], None]:
    """Of one connection: all of it. The others go on, whatever is wrong with this one."""

    def carry(remote: int, line: socket.socket) -> None:
        with line:
            try:
                runtime.carry(made, service, remote, line, instance=instance)
            except FleetFlowError as error:
                say(error.problems[0])

    return carry


class _Door:
    """A listening socket, and a thread for each who comes in."""

    def __init__(self, address: str, port: int, remote: int, carry: Callable[[int, socket.socket], None]) -> None:
        try:
            self._socket = socket.create_server(
                (address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=_WAITING
            )
        except OSError as error:
            raise UnavailableError(_no_door(address, port, remote, error)) from error
        self.port: int = self._socket.getsockname()[1]
        self._remote = remote
        self._carry = carry
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True, name=f"port-{self.port}").start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # closing alone would leave the other thread in its `accept`
        self._socket.close()

    def _accept(self) -> None:
        """Until it is closed. One who goes before he is let in, or too many who are in, keep nobody out for long."""
        while not self._closed.is_set():
            try:
                line, _ = self._socket.accept()
            except OSError:
                self._closed.wait(_AGAIN)
                continue
            threading.Thread(target=self._carry, args=(self._remote, line), daemon=True).start()


def _service(request: Request, made: Plan, name: str) -> ResolvedService:
    found = next((service for service in made.services if service.name == name), None)
    if found is None:
        raise PlanError(no_service(made, name, request))
    return found


def _interactive(request: Request, service: ResolvedService) -> Interactive:
    runtime = runtimes_of(request)(service.runtime)
    if not all(callable(getattr(runtime, method, None)) for method in _METHODS):
        raise UnavailableError(
            Problem(
                code="not-interactive",
                message=f"service `{service.name}` cannot be entered: the runtime `{service.runtime}` offers no way in",
                fix="use the platform's own tool",
            )
        )
    return cast(Interactive, runtime)


def _no_door(address: str, port: int, remote: int, error: OSError) -> Problem:
    return Problem(
        code="port-taken",
        message=f"cannot listen on {address}:{port}: {os.strerror(error.errno) if error.errno else error}",
        fix=f"take another local port, `8081:{remote}`, or any that is free, `:{remote}`",
    )
