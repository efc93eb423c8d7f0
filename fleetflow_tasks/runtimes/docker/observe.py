# SPDX-License-Identifier: Apache-2.0
"""What exists: one list call by label for a stage or a service, turned into types.

The list tells nearly all: labels, state, health (in its `Status` text), exit code, mounts, networks, ports, and even
whether the image's tag still means the image that the container runs (where it does not, the Engine shows the id
instead of the reference). Only what it cannot tell is asked for singly, and only where it matters.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from fleetflow_tasks.config.model import Data, ProjectName, ServiceName, StageName
from fleetflow_tasks.runtimes.base import HeldVolume
from fleetflow_tasks.runtimes.docker import wire
from fleetflow_tasks.runtimes.docker.client import Client, EngineError
from fleetflow_tasks.runtimes.docker.desired import ADDRESSES, APART, BUILD, GRACE, IMAGE, PORTS, RESTART, SIGNAL
from fleetflow_tasks.runtimes.docker.wire import ContainerState
from fleetflow_tasks.runtimes.labels import Mark, read, selector

_EXIT = re.compile(r"Exited \((\d+)\)")
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")

Health = Literal["", "starting", "healthy", "unhealthy"]


class Mount(Data, frozen=True, kw_only=True):
    """source: a volume's name or a host path."""

    source: str
    target: str
    writable: bool
    anonymous: bool = False


class Container(Data, frozen=True, kw_only=True):
    """One of ours, as the list shows it.

    reference: the image as the plan said. shown: the same, as long as the tag has not moved; else an id.
    build: the hash of what its image was built of. health: "" where nothing is checked. exit: None unless it ended.
    networks: name -> id, "" before the first start. address: the one that it was granted, and has again when it comes
    back to its network; "" where the Engine chose it. apart: made without its alias. chosen: host ports of ours, by `8080/tcp`.
    ports: host ports in use, `11000/tcp`, of a stopped one those that we chose.
    grace, signal: how it is stopped. restart: its policy. limits: None unless asked for (`with_limits`).
    """

    id: str
    name: str
    mark: Mark
    state: ContainerState
    reference: str = ""
    shown: str = ""
    image: str = ""
    build: str = ""
    health: Health = ""
    exit: int | None = None
    networks: Mapping[str, str] = {}
    address: str = ""
    apart: bool = False
    chosen: Mapping[str, int] = {}
    ports: tuple[str, ...] = ()
    bindings: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    grace: float = 10.0
    signal: str = "SIGTERM"
    restart: str = "no"
    created: int = 0
    text: str = ""
    limits: Mapping[str, int] | None = None


class State(Data, frozen=True, kw_only=True):
    """A container's life, as inspecting it tells.

    started, ended: the Engine's own times, as text; equal texts mean the same start. output: of the last health probe.
    """

    status: str
    restarting: bool = False
    exit: int = 0
    out_of_memory: bool = False
    error: str = ""
    started: str = ""
    ended: str = ""
    restarts: int = 0
    health: Health = ""
    failing: int = 0
    output: str = ""
    addresses: Mapping[str, str] = {}
    bindings: Mapping[str, str] = {}
    memory: int = 0
    env: tuple[str, ...] = ()


def stage(client: Client, project: ProjectName, name: StageName) -> tuple[Container, ...]:
    return _containers(client.containers(selector(project, name)))


def service(client: Client, project: ProjectName, stage: StageName, name: ServiceName) -> tuple[Container, ...]:
    return _containers(client.containers(selector(project, stage, name)))


def with_limits(client: Client, container: Container) -> Container:
    """The same, with the limits that hold now: they can be changed behind the label's back."""
    found = client.container(container.id)
    host = found.get("HostConfig", {}) if isinstance(found, dict) else {}
    return msgspec.structs.replace(container, limits={n: v for n, v in host.items() if isinstance(v, int)})


def state(client: Client, name: str) -> State | None:
    """None where there is no such container."""
    found = client.container(name)
    return None if found is None else inspected(found)


class End(Data, frozen=True, kw_only=True):
    """A container's end in a network. network: its id, or its name before the first start. address: "" while the container does not run."""

    network: str
    address: str = ""
    granted: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()


def end(client: Client, container: str, network: str) -> End | None:
    """None where it is not on the network, or where there is no such container."""
    found = client.container(container)
    raw = None if found is None else msgspec.convert(found, wire.Inspected).network.networks.get(network)
    if raw is None:
        return None
    granted = raw.granted.address if raw.granted else ""
    return End(
        network=raw.network or network,
        address=raw.address,
        granted=granted,
        mac=raw.mac,
        aliases=tuple(raw.aliases or ()),
    )


def network(client: Client, name: str) -> "Network | None":
    """The stage's network; None where there is none."""
    return next(iter(networks(client, name)), None)


class Network(Data, frozen=True, kw_only=True):
    """ours: the half of its subnet from which we give addresses, "" where it was made without one."""

    id: str
    name: str
    created: str = ""
    mark: Mark | None = None
    subnet: str = ""
    ours: str = ""


def networks(client: Client, name: str) -> tuple[Network, ...]:
    """Those of exactly this name, ours or not, the oldest first: an old Engine allows several."""
    raw = msgspec.convert(client.networks(name=name), list[wire.Network])
    return tuple(sorted((_network(n) for n in raw if n.name == name), key=lambda each: each.created))


def _network(raw: wire.Network) -> Network:
    return Network(
        id=raw.id,
        name=raw.name,
        created=raw.created,
        mark=read(raw.labels),
        subnet=next((pool.subnet for pool in raw.pools.config or ()), ""),
        ours=(raw.labels or {}).get(ADDRESSES, ""),
    )


def volumes(client: Client, project: ProjectName, stage: StageName) -> tuple[str, ...]:
    raw = msgspec.convert(client.volumes(selector(project, stage)), wire.Volumes)
    return tuple(sorted(each.name for each in raw.volumes or ()))


def held(client: Client, project: ProjectName, stage: StageName) -> tuple[HeldVolume, ...]:
    """The same with what is known of their data."""
    raw = msgspec.convert(client.volumes(selector(project, stage)), wire.Volumes)
    sizes = {each.name: each.usage.size for each in _used(client) if each.usage is not None and each.usage.size >= 0}
    found = (HeldVolume(name=v.name, size=sizes.get(v.name), created=_moment(v.created)) for v in raw.volumes or ())
    return tuple(sorted(found, key=lambda each: each.name))


def _used(client: Client) -> Sequence[wire.Volume]:
    """With their sizes; nothing of an Engine that cannot tell, or needs too long to count."""
    try:
        return msgspec.convert(client.volume_sizes(), wire.Volumes).volumes or ()
    except EngineError:
        return ()


def _moment(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def volume_mark(client: Client, name: str) -> tuple[bool, Mark | None]:
    """(whether there is a volume of this name, whose it is)."""
    found = client.volume(name)
    return (False, None) if found is None else (True, read(msgspec.convert(found, wire.Volume).labels))


class Image(Data, frozen=True, kw_only=True):
    """digests: `name@sha256:…` under which registries know it."""

    id: str
    labels: Mapping[str, str] = {}
    digests: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    platform: str = ""


def image(client: Client, reference: str) -> Image | None:
    found = client.image(reference)
    if found is None:
        return None
    raw = msgspec.convert(found, wire.Image)
    config = raw.config or wire.Config()
    return Image(
        id=raw.id,
        labels=config.labels or {},
        digests=tuple(raw.digests or ()),
        env=tuple(config.env or ()),
        platform=f"{raw.os}/{raw.architecture}",
    )


def published_ports(client: Client) -> frozenset[int]:
    """Host ports that any container has, or, of ours that are stopped, will want again."""
    taken: set[int] = set()
    for raw in msgspec.convert(client.containers(), list[wire.Listed]):
        taken.update(port.public for port in raw.ports or () if port.public)
        taken.update(_chosen(raw.labels or {}).values())
    return frozenset(taken)


class Holder(Data, frozen=True, kw_only=True):
    """A container, ours or not, as an error names it."""

    id: str
    name: str
    image: str
    created: int
    owner: str


def all_containers(client: Client) -> tuple[tuple[Holder, frozenset[int]], ...]:
    """Every container of the Engine with the host ports it publishes."""
    return tuple(
        (
            Holder(id=raw.id, name=_name(raw), image=raw.image, created=raw.created, owner=_owner(raw.labels or {})),
            frozenset(port.public for port in raw.ports or () if port.public),
        )
        for raw in msgspec.convert(client.containers(), list[wire.Listed])
    )


def inspected(found: object) -> State:
    """An inspected container's state."""
    raw = msgspec.convert(found, wire.Inspected)
    life, health = raw.state, raw.state.health
    return State(
        status=life.status,
        restarting=life.restarting,
        exit=life.exit,
        out_of_memory=life.out_of_memory,
        error=life.error,
        started=life.started,
        ended=life.ended,
        restarts=raw.restarts,
        health="" if health is None or health.status == "none" else health.status,
        failing=health.failing if health else 0,
        output=health.log[-1].output.strip() if health and health.log else "",
        addresses={name: end.address for name, end in raw.network.networks.items() if end.address},
        bindings={inside: f"{b[0].ip}:{b[0].port}" for inside, b in (raw.network.ports or {}).items() if b},
        memory=raw.host.memory,
        env=tuple(raw.config.env or ()),
    )


def _containers(found: object) -> tuple[Container, ...]:
    """Sorted by age, so that the same Engine always gives the same answer."""
    listed = [_container(raw, mark) for raw, mark in _marked(msgspec.convert(found, list[wire.Listed]))]
    return tuple(sorted(listed, key=lambda each: (each.created, each.id)))


def _marked(listed: "Iterable[wire.Listed]") -> "Iterable[tuple[wire.Listed, Mark]]":
    for raw in listed:
        mark = read(raw.labels)
        if mark is not None:
            yield raw, mark


def _container(raw: "wire.Listed", mark: Mark) -> Container:
    labels = raw.labels or {}
    chosen = _chosen(labels)
    exit_code = _EXIT.match(raw.status)
    in_use = {f"{port.public}/{port.type}" for port in raw.ports or () if port.public}
    wanted = {f"{number}/{inside.rpartition('/')[2]}" for inside, number in chosen.items()}
    networks = raw.network.networks if raw.network else None
    return Container(
        id=raw.id,
        name=_name(raw),
        mark=mark,
        state=raw.state,
        reference=labels.get(IMAGE, ""),
        shown=raw.image,
        image=raw.image_id,
        build=labels.get(BUILD, ""),
        health=_health(raw.status),
        exit=int(exit_code[1]) if exit_code else None,
        networks={name: end.network for name, end in (networks or {}).items()},
        address=next((end.granted.address for end in (networks or {}).values() if end.granted), ""),
        apart=APART in labels,
        chosen=chosen,
        ports=tuple(sorted(in_use | wanted)),
        bindings=_people_ports(raw.ports or ()),
        mounts=tuple(_mounted(mount) for mount in raw.mounts or ()),
        grace=_grace(labels.get(GRACE, "")),
        signal=labels.get(SIGNAL, "SIGTERM"),
        # What an earlier tool made does not say: the policy of most services is the safe guess.
        restart=labels.get(RESTART, "no" if mark.hash else "unless-stopped"),
        created=raw.created,
        text=raw.status,
    )


def _name(raw: "wire.Listed") -> str:
    return raw.names[0].removeprefix("/") if raw.names else raw.id[:12]


def _owner(labels: Mapping[str, str]) -> str:
    mark = read(labels)
    if mark is not None:
        return f"stage `{mark.stage}` of project `{mark.project}`"
    compose = labels.get("com.docker.compose.project")
    return f"Docker Compose project `{compose}`" if compose else ""


def _health(status: str) -> Health:
    for word, health in _HEALTHS:
        if word in status:
            return health
    return ""


_HEALTHS: tuple[tuple[str, Health], ...] = (
    ("(healthy)", "healthy"),
    ("(unhealthy)", "unhealthy"),
    ("(health: starting)", "starting"),
)


def _chosen(labels: Mapping[str, str]) -> dict[str, int]:
    pairs = (pair.partition("=") for pair in labels.get(PORTS, "").split(",") if pair)
    return {inside: int(number) for inside, _, number in pairs if number.isascii() and number.isdigit()}


def _grace(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 10.0  # Docker's own default


def _people_ports(ports: "Iterable[wire.Port]") -> tuple[str, ...]:
    shown = {
        f"{port.ip + ':' if port.ip not in ANYWHERE else ''}{port.public}->{port.private}/{port.type}"
        for port in ports
        if port.public
    }
    return tuple(sorted(shown))


ANYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104  (read, not bound)


def _mounted(raw: "wire.Mount") -> Mount:
    named = raw.type == "volume"
    return Mount(
        source=raw.name if named else raw.source,
        target=raw.destination,
        writable=raw.writable,
        anonymous=named and _ANONYMOUS.fullmatch(raw.name) is not None,
    )
