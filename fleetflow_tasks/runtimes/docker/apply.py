# SPDX-License-Identifier: Apache-2.0
"""An operation -> one API call. The only room that changes anything, and it decides nothing.

Two operations are two calls, because the Engine has none for them: what a container is called in DNS is said when it
joins a network, so for another name it leaves and joins again, under the same address. On Linux its connections outlive
that, a tenth of a second without a network. If we die in between it is on no network, which `decide` calls unfit.
"""

from collections.abc import Callable, Iterable

from fleetflow_tasks.runtimes.docker import observe
from fleetflow_tasks.runtimes.docker.client import Client, EngineError
from fleetflow_tasks.runtimes.docker.decide import (
    AwaitEnd,
    AwaitReady,
    Create,
    Introduce,
    Limit,
    Linger,
    Operation,
    Policy,
    Remove,
    Rename,
    Restart,
    Signal,
    Start,
    Stop,
    Withdraw,
)
from fleetflow_tasks.runtimes.docker.desired import Json, endpoint
from fleetflow_tasks.runtimes.docker.observe import Container

_MAC_SAID = (1, 44)  # the first API in which an endpoint's MAC is a wish; before, it follows from the address
_SWAP = 2  # times its memory a container may have with swap, Docker's own default; said again, or a raise is refused


class Hands:
    """Carries operations out on the containers of one service, and remembers which name is which id."""

    def __init__(
        self, client: Client, containers: Iterable[Container], request: Callable[[Create], Json], platform: str
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
                self._ids[name] = client.create_container(name, self._request(operation), self._platform)
            case Introduce(name=name, network=network, alias=alias):
                self._introduce(self.id(name), network, alias)
            case Withdraw(name=name, network=network, alias=alias):
                end = observe.end(client, self.id(name), network)
                if end is not None and alias in end.aliases:
                    self._rejoin(self.id(name), end, ())
            case Start(name=name):
                client.start(self.id(name))
            case Signal(name=name, signal=signal):
                client.kill(self.id(name), signal)
            case Stop(name=name, grace=grace):
                client.stop(self.id(name), grace)
            case Restart(name=name, grace=grace):
                client.restart(self.id(name), grace)
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
            case AwaitReady() | AwaitEnd() | Linger():
                raise AssertionError(f"waiting changes nothing: {operation}")

    def readdress(self, name: str, network: str, address: str) -> None:
        """Let it ask for another address at its next start."""
        end = observe.end(self._client, self.id(name), network)
        if end is not None:
            aliases = [alias for alias in end.aliases if not self.id(name).startswith(alias)]
            self._client.disconnect(self.id(name), network)
            self._client.connect(self.id(name), network, endpoint(aliases, address))

    def _introduce(self, container: str, network: str, alias: str) -> None:
        end = observe.end(self._client, container, network)
        if end is None:
            self._client.connect(container, network, endpoint((alias,)))
        elif alias not in end.aliases:
            self._rejoin(container, end, (alias,))

    def _rejoin(self, container: str, end: observe.End, aliases: tuple[str, ...]) -> None:
        """Without its address where that is refused: in a network that was made without a subnet, or if it is taken."""
        address = end.address or end.granted
        mac = end.mac if self._client.version >= _MAC_SAID else ""
        self._client.disconnect(container, end.network)
        try:
            self._client.connect(container, end.network, endpoint(aliases, address, mac))
        except EngineError as error:
            if error.transient or not address:
                raise
            self._client.connect(container, end.network, endpoint(aliases))
