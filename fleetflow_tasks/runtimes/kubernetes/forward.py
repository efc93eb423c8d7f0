# SPDX-License-Identifier: Apache-2.0
"""One connection from this machine to a port of a pod, through the API server.

Each connection chooses its pod anew, the oldest that is ready: so all go to one as long as it serves, and to another
once it does not. This protocol has no word for "I have said all": a local end that has closed its half is listened for
only as long as answers come.
"""

import socket
import time
from contextlib import suppress

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.kubernetes import instances, kinds
from fleetflow_tasks.runtimes.kubernetes.channels import PLAIN, Channels, ready
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.objects import Json
from fleetflow_tasks.runtimes.kubernetes.settings import settings

_DATA, _ERROR = 0, 1
_HEAD = 2  # bytes of each channel's first message: the port, said back
_LINGER = 5.0  # seconds without an answer after which a half-closed connection is over
_ROOM = 2**18  # bytes that wait for the local end; more are not taken from the pod
_PIECE = 2**15


def reached(client: Client, plan: Plan, service: ServiceName, instance: str) -> str:
    return f"pod {instances.name(_chosen(client, plan, service, instance))}"


def carry(client: Client, plan: Plan, service: ServiceName, port: int, line: socket.socket, instance: str) -> None:
    """Raises KubernetesError, UnavailableError where no pod runs, or the port does not answer."""
    pod = _chosen(client, plan, service, instance)
    path = f"{kinds.path(kinds.POD, settings(plan).namespace, instances.name(pod))}/portforward"
    doing = f"forward a connection to port {port} of pod `{instances.name(pod)}`"
    with Channels(client.stream(doing, path, [("ports", str(port))], (PLAIN,))) as channels:
        trouble = _Carrying(channels, line).run()
    if trouble:
        raise UnavailableError(
            Problem(
                code="port-silent",
                message=f"port {port} of pod `{instances.name(pod)}` does not answer",
                cause=(trouble,),
                fix=f"see that `{service}` listens there, on all addresses or on 127.0.0.1",
            )
        )


def _chosen(client: Client, plan: Plan, service: ServiceName, instance: str) -> Json:
    return instances.chosen(instances.listed(client, plan, service), plan, service, instance)


class _Carrying:
    """Both directions of one connection, in one loop."""

    def __init__(self, channels: Channels, line: socket.socket) -> None:
        self._channels = channels
        self._line = line
        self._line.setblocking(False)
        self._heads = {_DATA: _HEAD, _ERROR: _HEAD}
        self._waiting = bytearray()  # for the local end
        self._open = True  # whether the local end may still say something
        self._heard = time.monotonic()
        self._trouble = bytearray()

    def run(self) -> str:
        """What the kubelet says is wrong; "" where nothing is."""
        try:
            while not self._over():
                self._turn()
        except OSError:  # the local end is gone
            return ""
        return self._trouble.decode(errors="replace").strip()

    def _over(self) -> bool:
        if self._channels.ended or self._trouble:
            return not self._waiting
        return not self._open and time.monotonic() - self._heard > _LINGER

    def _turn(self) -> None:
        self._channels.send()
        near, far = self._line.fileno(), self._channels.fileno()
        readers = [
            *([far] if len(self._waiting) < _ROOM and not self._channels.ended else []),
            *([near] if self._open and self._channels.room else []),
        ]
        writers = [*([far] if self._channels.unsent else []), *([near] if self._waiting else [])]
        told = ready(readers, writers, 1.0)
        if near in told:
            self._say()
        if far in told:
            self._hear()
        with suppress(BlockingIOError):
            del self._waiting[: self._line.send(self._waiting)]

    def _say(self) -> None:
        if data := self._line.recv(_PIECE):
            self._channels.put(_DATA, data)
        else:
            self._open, self._heard = False, time.monotonic()

    def _hear(self) -> None:
        for channel, data in self._channels.take():
            head = min(self._heads.get(channel, 0), len(data))
            self._heads[channel] = self._heads.get(channel, 0) - head
            if channel == _DATA:
                self._waiting += data[head:]
                self._heard = time.monotonic()
            elif channel == _ERROR:
                self._trouble += data[head:]
