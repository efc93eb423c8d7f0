# SPDX-License-Identifier: Apache-2.0
"""A command inside a pod's container, with a person's terminal at this end of it.

One loop carries all of it: what the person types, what the command prints, the terminal's size, and at last a Status
object that holds the exit code. From Kubernetes 1.30 on the end of the input can be told; before, a command that reads to
its end would wait for ever, so there one says so.
"""

import json
import os
from collections.abc import Sequence

import msgspec

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import NotStartedError, Terminal
from fleetflow_tasks.runtimes.kubernetes import instances, kinds
from fleetflow_tasks.runtimes.kubernetes.channels import CLOSING, PLAIN, Channels, ready
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.objects import Json, items, text
from fleetflow_tasks.runtimes.kubernetes.settings import settings
from fleetflow_tasks.runtimes.kubernetes.trouble import lost
from fleetflow_tasks.runtimes.pouring import poured

_INPUT, _OUTPUT, _ERRORS, _STATUS, _SIZE = range(5)
_GLANCE = 0.25  # seconds between two looks at the terminal's size
_PIECE = 2**15
_NO_END = (
    b"flow: this cluster cannot be told that the input has ended (Kubernetes before 1.30): end the command yourself\n"
)


def execute(
    client: Client, plan: Plan, service: ServiceName, command: Sequence[str], terminal: Terminal, instance: str
) -> int:
    """Raises KubernetesError, UnavailableError where nothing of the service runs, NotStartedError."""
    pod = instances.chosen(instances.listed(client, plan, service), plan, service, instance)
    path = f"{kinds.path(kinds.POD, settings(plan).namespace, instances.name(pod))}/exec"
    doing = f"run a command in pod `{instances.name(pod)}`"
    with Channels(client.stream(doing, path, _query(pod, command, terminal), (CLOSING, PLAIN))) as channels:
        status = _carried(channels, terminal)
    if not status:
        raise lost(doing, ConnectionError("the connection was cut"), client.server)
    return _exit_code(msgspec.json.decode(status), command, instances.name(pod))


def _query(pod: Json, command: Sequence[str], terminal: Terminal) -> list[tuple[str, str]]:
    """On a terminal there is one stream for all that is printed."""
    asked = {"stdin": terminal.input is not None, "stdout": True, "stderr": not terminal.tty, "tty": terminal.tty}
    return [
        ("container", instances.containers(pod)[0]),
        *((name, "true") for name, wanted in asked.items() if wanted),
        *(("command", word) for word in command),
    ]


def _carried(channels: Channels, terminal: Terminal) -> bytes:
    """The command's status; empty where the connection ended without one."""
    source, size, status = terminal.input, None, bytearray()
    while not (channels.ended or status):
        if terminal.tty and (now := terminal.size()) != size and now is not None:
            size = now
            channels.put(_SIZE, json.dumps({"Width": now[0], "Height": now[1]}).encode())
        channels.send()
        readers = [channels.fileno(), *([source] if source is not None and channels.room else [])]
        told = ready(readers, [channels.fileno()] if channels.unsent else [], _GLANCE)
        if source is not None and source in told and not _typed(source, channels, terminal):
            source = None
        for channel, data in channels.take():
            if channel == _STATUS:
                status += data
            elif channel in {_OUTPUT, _ERRORS}:
                poured(data, terminal.output if channel == _OUTPUT else terminal.errors)
    return bytes(status)


def _typed(source: int, channels: Channels, terminal: Terminal) -> bool:
    """Hand on what was typed, or piped in; False at its end."""
    data = os.read(source, _PIECE)
    if data:
        channels.put(_INPUT, data)
    elif channels.tells_ends:
        channels.close(_INPUT)
    else:
        poured(_NO_END, terminal.errors)
    return bool(data)


def _exit_code(status: Json, command: Sequence[str], pod: str) -> int:
    if text(status, "status") == "Success":
        return 0
    for cause in items(status, "details", "causes"):
        if text(cause, "reason") == "ExitCode":
            return int(text(cause, "message"))
    raise NotStartedError(
        Problem(
            code="not-started",
            message=f"`{command[0]}` could not be started in pod `{pod}`",
            cause=(text(status, "message"),),
            fix="name a program that the image holds; a shell line needs a shell: `-- sh -c '…'`",
        )
    )
