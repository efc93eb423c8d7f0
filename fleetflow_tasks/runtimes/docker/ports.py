# SPDX-License-Identifier: Apache-2.0
"""Which host port a service gets where the text names none: the first free one from 11000 up.

Stable: what a service's container has, its successor gets. The choice is written into the container's label, because a
stopped container publishes nothing and would otherwise forget it.
"""

import socket
from collections.abc import Collection, Sequence

from fleetflow_tasks.runtimes.docker import observe
from fleetflow_tasks.runtimes.docker.client import Client
from fleetflow_tasks.runtimes.docker.desired import Definition
from fleetflow_tasks.runtimes.docker.observe import Container

FIRST, LAST = 11000, 19999  # below the range that kernels give to outgoing connections (32768 on)


def chosen(
    client: Client, desired: Definition, containers: Sequence[Container], avoid: Collection[int]
) -> dict[str, int]:
    """A host port for each port of *desired* that has none, by `8080/tcp`. avoid: tried already, and taken."""
    kept = {inside: number for c in reversed(containers) for inside, number in c.chosen.items()}
    ports = {inside: kept[inside] for inside in desired.choose if inside in kept and kept[inside] not in avoid}
    if len(ports) < len(desired.choose):
        taken = {*observe.published_ports(client), *avoid, *ports.values(), *_numbers(desired)}
        for inside in sorted(set(desired.choose) - set(ports)):
            ports[inside] = next(n for n in range(FIRST, LAST) if n not in taken and _free(client, n, inside))
            taken.add(ports[inside])
    return ports


def _numbers(desired: Definition) -> set[int]:
    return {int(port.partition("/")[0]) for port in desired.fixed_ports}


def _free(client: Client, port: int, inside: str) -> bool:
    """Whether nothing on this machine listens there, where this machine is the Engine's."""
    if not client.local:
        return True
    kind = socket.SOCK_DGRAM if inside.endswith("/udp") else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
