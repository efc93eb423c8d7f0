# SPDX-License-Identifier: Apache-2.0
"""The Engine's own shapes and spelling. What is not named here is not read."""

from typing import Literal

import msgspec

ContainerState = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


class Raw(msgspec.Struct, rename="pascal"):
    """Pascal case, where a field does not say otherwise."""


class Port(Raw):
    private: int = msgspec.field(name="PrivatePort")
    public: int = msgspec.field(name="PublicPort", default=0)
    type: str = "tcp"
    ip: str = msgspec.field(name="IP", default="")


class Mount(Raw):
    type: str
    destination: str
    name: str = ""
    source: str = ""
    writable: bool = msgspec.field(name="RW", default=True)


class Granted(Raw):
    address: str = msgspec.field(name="IPv4Address", default="")


class End(Raw):
    network: str = msgspec.field(name="NetworkID", default="")
    address: str = msgspec.field(name="IPAddress", default="")
    mac: str = msgspec.field(name="MacAddress", default="")
    aliases: list[str] | None = None
    granted: Granted | None = msgspec.field(name="IPAMConfig", default=None)


class Ends(Raw):
    networks: dict[str, End] | None = None


class Listed(Raw):
    id: str
    image: str
    image_id: str = msgspec.field(name="ImageID")
    created: int
    state: ContainerState
    status: str
    names: list[str] | None = None
    labels: dict[str, str] | None = None
    ports: list[Port] | None = None
    mounts: list[Mount] | None = None
    network: Ends | None = msgspec.field(name="NetworkSettings", default=None)


class Probe(Raw):
    output: str = ""


class HealthState(Raw):
    status: Literal["none", "starting", "healthy", "unhealthy"] = "none"
    failing: int = msgspec.field(name="FailingStreak", default=0)
    log: list[Probe] | None = None


class Life(Raw):
    status: str
    restarting: bool = False
    exit: int = msgspec.field(name="ExitCode", default=0)
    out_of_memory: bool = msgspec.field(name="OOMKilled", default=False)
    error: str = ""
    started: str = msgspec.field(name="StartedAt", default="")
    ended: str = msgspec.field(name="FinishedAt", default="")
    health: HealthState | None = None


class HostPort(Raw):
    ip: str = msgspec.field(name="HostIp", default="")
    port: str = msgspec.field(name="HostPort", default="")


class Net(Raw):
    networks: dict[str, End] = {}
    ports: dict[str, list[HostPort] | None] | None = None


class Host(Raw):
    memory: int = 0


class Config(Raw):
    env: list[str] | None = None
    labels: dict[str, str] | None = None


class Inspected(Raw):
    state: Life
    config: Config
    restarts: int = msgspec.field(name="RestartCount", default=0)
    network: Net = msgspec.field(name="NetworkSettings", default_factory=Net)
    host: Host = msgspec.field(name="HostConfig", default_factory=Host)


class Pool(Raw):
    subnet: str = ""


class Pools(Raw):
    config: list[Pool] | None = None


class Network(Raw):
    id: str
    name: str
    created: str = ""
    labels: dict[str, str] | None = None
    pools: Pools = msgspec.field(name="IPAM", default_factory=Pools)


class Usage(Raw):
    """size: bytes, -1 where nobody knows."""

    size: int = -1


class Volume(Raw):
    name: str
    labels: dict[str, str] | None = None
    created: str = msgspec.field(name="CreatedAt", default="")
    usage: Usage | None = msgspec.field(name="UsageData", default=None)


class Volumes(Raw):
    volumes: list[Volume] | None = None


class Image(Raw):
    id: str
    digests: list[str] | None = msgspec.field(name="RepoDigests", default=None)
    config: Config | None = None
    os: str = ""
    architecture: str = ""
