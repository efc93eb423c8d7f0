# SPDX-License-Identifier: Apache-2.0
"""What the text says, merged and decoded: frozen data, made once and trusted after.

Sizes are bytes, durations float seconds, cpu a float number of cores. A stage holds its services complete: the
top-level definition with the stage's own block laid over it, variables already put in.
"""

from collections.abc import Mapping
from typing import Literal, NewType

import msgspec

from fleetflow_tasks.errors import Place

ProjectName = NewType("ProjectName", str)
StageName = NewType("StageName", str)
ServiceName = NewType("ServiceName", str)
RuntimeName = NewType("RuntimeName", str)

Condition = Literal["started", "healthy", "completed"]
RestartPolicy = Literal["no", "always", "on-failure", "unless-stopped"]
PullPolicy = Literal["missing", "always", "never"]


HIDDEN = "[hidden]"  # what stands where a secret would
SHORTEST_SECRET = 4  # characters; to hide each "1" of a text would only spoil it


class Secret:
    """A value that must not be seen: it prints `[hidden]`, and no encoder takes it by accident.

    `reveal()` is the only way to the value; a reader can search for it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Data(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The base of all that travels in a plan: frozen, defaults left out of the bytes.

    `kw_only` must be said by each class again: msgspec does not inherit it. `frozen` is said for the type checker.
    """


class Port(Data, frozen=True, kw_only=True):
    """container: the port inside. host: None lets the runtime choose (docker: the first free one from 11000 up)."""

    container: int
    host: int | None = None
    protocol: Literal["tcp", "udp"] = "tcp"
    host_ip: str = ""


class Volume(Data, frozen=True, kw_only=True):
    """source: a path (bind), a name (named volume), a `gs://` bucket, or empty (anonymous). A path that was relative is
    relative to the project's root here too, and begins with `./`, `../`, `/` or `~`."""

    source: str
    target: str
    read_only: bool = False
    size: int | None = None

    @property
    def kind(self) -> Literal["bind", "named", "bucket", "anonymous"]:
        if not self.source:
            return "anonymous"
        if self.source.startswith("gs://"):
            return "bucket"
        return "bind" if self.source.startswith((".", "/", "~")) else "named"


class Healthcheck(Data, frozen=True, kw_only=True):
    """test: as Docker has it: ("CMD", …) or ("CMD-SHELL", line). Durations in seconds; None: the platform's default."""

    test: tuple[str, ...]
    interval: float | None = None
    timeout: float | None = None
    retries: int | None = None
    start_period: float | None = None


class Readiness(Data, frozen=True, kw_only=True):
    """An HTTP question that must be answered with 2xx or 3xx. port: None: the service's only port."""

    path: str = "/"
    port: int | None = None
    timeout: float = 30.0
    interval: float = 1.0


class Resources(Data, frozen=True, kw_only=True):
    """cpu in cores (0.5), memory in bytes. The first two are asked for, the limits are never exceeded."""

    cpu: float | None = None
    memory: int | None = None
    cpu_limit: float | None = None
    memory_limit: int | None = None


class Scaling(Data, frozen=True, kw_only=True):
    """min, max: instances. cpu: percent of the asked cpu at which one more is started."""

    min: int = 1
    max: int = 1
    cpu: int | None = None


class Ingress(Data, frozen=True, kw_only=True):
    host: str
    path: str = "/"
    port: int | None = None
    tls: str = ""


class Dependency(Data, frozen=True, kw_only=True):
    """condition: None means healthy where the other has a check, completed where it is a job, else started.

    wait: whether a later restart waits for the other too, where the platform starts services by itself.
    """

    service: ServiceName
    condition: Condition | None = None
    required: bool = True
    wait: bool = True


class SecretSource(Data, frozen=True, kw_only=True):
    """Where a secret comes from. `value` is filled by `config.load` for env and file; a `ref` is read by the platform."""

    kind: Literal["env", "file", "ref"]
    name: str
    value: Secret | None = None


class Build(Data, frozen=True, kw_only=True):
    """How an image is built. context: a folder, relative to the project's root. dockerfile: relative to the context.

    target: a stage of the Dockerfile; "": the last. platform: "": that of the engine.
    """

    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str = ""
    args: Mapping[str, str] = {}
    platform: str = ""


class Traits(Data, frozen=True, kw_only=True):
    """What a service has, in the text and in a plan alike; a field that is added here reaches both.

    None and empty mean that the text does not say. places: field name -> where the text says it (`ports`, `ports.0`,
    `options.docker.init`); `""` is the service node itself. For problems found later.
    """

    ports: tuple[Port, ...] = ()
    volumes: tuple[Volume, ...] = ()
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    readiness: Readiness | None = None
    restart: RestartPolicy | None = None
    replicas: int | None = None
    resources: Resources = Resources()
    scaling: Scaling | None = None
    labels: Mapping[str, str] = {}
    ingress: tuple[Ingress, ...] = ()
    job: bool = False
    rerun: Literal["changed", "always"] = "changed"
    pull: PullPolicy = "missing"
    timeout: float = 300.0
    retries: int = 2
    places: Mapping[str, Place] = {}

    def place(self, field: str) -> Place | None:
        """Where the text says *field*, else what it is a part of, else the service."""
        while field and field not in self.places:
            field = field.rpartition(".")[0]
        return self.places.get(field)


class Service(Traits, frozen=True, kw_only=True):
    """One service of one stage, as the text has it.

    options: what only one runtime has: {"docker": {...}}; its schema is that runtime's.
    """

    name: ServiceName
    image: str | None = None
    version: str | None = None
    build: Build | None = None
    runtime: RuntimeName | None = None
    environment: Mapping[str, str] = {}
    secrets: Mapping[str, SecretSource] = {}
    depends_on: tuple[Dependency, ...] = ()
    options: Mapping[str, Mapping[str, object]] = {}


class RuntimeChoice(Data, frozen=True, kw_only=True):
    """A stage's runtime and its settings: {"namespace": "stg", "context": "gke"} or {"docker_host": "ssh://web1"}."""

    name: RuntimeName
    options: Mapping[str, str] = {}
    place: Place | None = None


class Stage(Data, frozen=True, kw_only=True):
    """services: in the order of the text. variables: those that every service sees as environment."""

    name: StageName
    runtime: RuntimeChoice
    services: tuple[Service, ...]
    variables: Mapping[str, str] = {}
    place: Place | None = None


class Project(Data, frozen=True, kw_only=True):
    """root: the absolute folder that relative paths in volumes and builds start from.

    stages: the one that was asked for, else all. declared: every service at top level, whether a stage holds it or not.
    """

    name: ProjectName
    root: str
    stages: tuple[Stage, ...]
    declared: tuple[ServiceName, ...] = ()

    def stage(self, name: StageName) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)
