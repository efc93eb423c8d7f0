# SPDX-License-Identifier: Apache-2.0
"""An operation -> one API call. The only room that changes anything, and it decides nothing."""

from collections.abc import Callable, Iterable

from fleetflow_tasks.runtimes.docker.client import Client
from fleetflow_tasks.runtimes.docker.decide import (
    AwaitEnd,
    AwaitReady,
    Create,
    Limit,
    Operation,
    Policy,
    Remove,
    Rename,
    Signal,
    Start,
    Stop,
)
from fleetflow_tasks.runtimes.docker.desired import Json
from fleetflow_tasks.runtimes.docker.observe import Container

_SWAP = 2  # times its memory a container may have with swap, Docker's own default; said again, or a raise is refused


class Hands:
    """Carries operations out on the containers of one service, and remembers which name is which id."""

    def __init__(
        self, client: Client, containers: Iterable[Container], request: Callable[[], Json], platform: str
    ) -> None:
        """request: makes the create request, asked only when a container is created."""
        self._client = client
        self._ids = {container.name: container.id for container in containers}
        self._request = request
        self._platform = platform

    def id(self, name: str) -> str:
        return self._ids.get(name, name)

    def __call__(self, operation: Operation) -> None:
        client = self._client
        match operation:
            case Create(name=name):
                self._ids[name] = client.create_container(name, self._request(), self._platform)
            case Start(name=name):
                client.start(self.id(name))
            case Signal(name=name, signal=signal):
                client.kill(self.id(name), signal)
            case Stop(name=name, grace=grace):
                client.stop(self.id(name), grace)
            case Rename(name=name, to=to):
                client.rename(self.id(name), to)
                self._ids[to] = self._ids.pop(name, name)
            case Remove(name=name):
                client.remove(self.id(name), force=True)
                self._ids.pop(name, None)
            case Policy(name=name, policy=policy):
                client.restart_policy(self.id(name), policy)
            case Limit(name=name, limits=limits):
                swap = {"MemorySwap": limits["Memory"] * _SWAP} if "Memory" in limits else {}
                client.limits(self.id(name), {**limits, **swap})
            case AwaitReady() | AwaitEnd():
                raise AssertionError(f"waiting changes nothing: {operation}")
