# SPDX-License-Identifier: Apache-2.0
"""The language as data: a node is a row.

`decode` reads these rows to turn a tree into a model, the reference page is printed from them, and a runtime describes
its own block (`docker { }`) with rows of the same kind. A new node is a row here and a field in `model`.

A row says what shape its node has:

    value    `image "nginx"`                      one scalar
    values   `command "a" "b"`                    any number of scalars
    map      `environment { LOG "info" }`         names that the user chooses; as properties too: `environment LOG="info"`
    block    `healthcheck { interval 2 }`         known names, each as child, property or, where listed, argument
    list     `ports { port 80; port 81 }`         elements of one row; a `many` row adds one element without the list
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from fleetflow_tasks.config.model import Data

Kind = Literal["value", "values", "map", "block", "list"]
Type = Literal["text", "int", "bool", "seconds", "bytes", "cores"]


class Row(Data, frozen=True, kw_only=True):
    """One node.

    doc: what it means, one line. default: as the reference page prints it. example: one line of KDL.
    choices, low, high: what a scalar may be. required: inside its block.
    rows: the children of a block; the one row of a list's elements or of a map's entries.
    positional: which of `rows` a block's arguments are, in order.
    into: the field that it fills, where that is not its name. many: each such node adds an element to that field;
    emptied: one that says nothing at all takes back what an earlier definition said.
    """

    name: str
    doc: str
    kind: Kind = "value"
    type: Type = "text"
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    default: str = ""
    example: str = ""
    required: bool = False
    rows: tuple["Row", ...] = ()
    positional: tuple[str, ...] = ()
    into: str = ""
    many: bool = False
    emptied: bool = False

    @property
    def field(self) -> str:
        return self.into or self.name

    def names(self) -> tuple[str, ...]:
        return (self.name, *self.aliases)

    def row(self, name: str) -> "Row | None":
        """The child of that name or alias."""
        return next((row for row in self.rows if name in row.names()), None)


Blocks = Mapping[str, tuple[Row, ...]]
"""Runtime name -> the rows of its own block in a service."""

NOT_USED = ("provider", "server", "tenant", "registry", "deploy", "type")
"""Nodes of an earlier tool of the same name: they parse, and are reported once."""

PORT_LIMITS = (1, 65535)

RUNTIMES: Mapping[str, tuple[str, ...]] = {
    "docker": (),
    "kubernetes": ("k8s",),
    "cloudrun": ("cloud-run", "cloud_run"),
}
"""Built-in runtimes and what else people call them."""

RESERVED_VARIABLES = ("RUNTIME", "NAMESPACE", "CONTEXT", "PROJECT", "REGION", "DOCKER_HOST")
"""Stage variables that configure the runtime; they are no service's environment."""

SETTINGS: Mapping[str, str] = {
    "host": "docker",
    "docker_host": "docker",
    "namespace": "kubernetes",
    "context": "kubernetes",
    "version": "kubernetes",
    "wait_image": "kubernetes",
    "project": "cloudrun",
    "region": "cloudrun",
}
"""A stage has one set of settings for all its runtimes; each of these means something to one of them alone."""


def _port(name: str, doc: str) -> Row:
    return Row(name=name, doc=doc, type="int", low=PORT_LIMITS[0], high=PORT_LIMITS[1])


PORT = Row(
    name="port",
    kind="block",
    into="ports",
    many=True,
    doc="A published port. One number is host and container, two are host and container; without a host port the runtime chooses one.",
    example='port 8080 80; port host=11053 container=53 protocol="udp" host_ip="127.0.0.1"; port container=80',
    positional=("host", "container"),
    rows=(
        _port("host", "Port on the host."),
        _port("container", "Port inside the container."),
        Row(name="protocol", doc="Transport.", choices=("tcp", "udp"), default="tcp"),
        Row(name="host_ip", doc="Address of the host to listen on.", default="all addresses"),
    ),
)

VOLUME = Row(
    name="volume",
    kind="block",
    into="volumes",
    many=True,
    doc="A folder of the project (`./data`), of the host (`/srv`), a named volume (`pgdata`) or a bucket (`gs://b`), and where it appears inside.",
    example='volume "./data" "/data"; volume "pgdata" "/var/lib/postgresql" size="10Gi"',
    positional=("source", "target"),
    rows=(
        Row(name="source", doc="Path, name or bucket; left out: an anonymous volume."),
        Row(name="target", doc="Absolute path inside the container."),
        Row(name="read_only", doc="Nothing may be written.", type="bool", default="false"),
        Row(
            name="size",
            doc="Size of the claim, where the platform needs one.",
            type="bytes",
            low=1,
            default="1Gi on Kubernetes",
        ),
    ),
)

SECRET = Row(
    name="NAME",
    kind="block",
    doc="Where the value comes from; nothing said: the variable of the same name.",
    example='NAME env="VARIABLE"',
    rows=(
        Row(name="env", doc="A variable of the process or of `.env`."),
        Row(name="file", doc="A file, relative to the project root; one line break at its end is left out."),
        Row(
            name="ref",
            doc="A reference that the platform reads itself: `secret/key` on Kubernetes, Secret Manager's `projects/p/secrets/s/versions/latest` on Cloud Run.",
        ),
    ),
)

DEPENDENCY = Row(
    name="service",
    kind="block",
    doc="A service that must be there first.",
    positional=("name",),
    rows=(
        Row(name="name", doc="The other service.", required=True),
        Row(
            name="condition",
            doc="`started`: it runs. `healthy`: its check passes. `completed`: the job ended with 0.",
            choices=("started", "healthy", "completed"),
            default="completed for a job, healthy where the other has a check, else started",
        ),
        Row(name="required", doc="Whether a stage without the other is an error.", type="bool", default="true"),
        Row(
            name="wait",
            doc="Kubernetes: whether a later restart of a pod waits for the other's port too, not only a deployment.",
            type="bool",
            default="true",
        ),
    ),
)

INGRESS = Row(
    name="ingress",
    kind="block",
    many=True,
    emptied=True,
    doc="A public address; an empty node: none.",
    example='ingress host="shop.example.org" path="/" port=80 tls="shop-tls"',
    rows=(
        Row(name="host", doc="Host name.", required=True),
        Row(name="path", doc="Path prefix.", default="/"),
        _port("port", "Port inside the container; left out: the service's only one."),
        Row(name="tls", doc="Name of the secret that holds the certificate."),
    ),
)

SERVICE_ROWS: tuple[Row, ...] = (
    Row(
        name="image",
        doc="Image reference; a tag or digest in it needs no `version`.",
        default="the service's name",
        example='image "ghcr.io/shop/api"',
    ),
    Row(name="version", doc="Tag of the image.", default="latest", example='version "16"'),
    Row(name="runtime", doc="Runtime of this service alone; beats its stage's.", example='runtime "cloudrun"'),
    PORT,
    Row(
        name="ports",
        kind="list",
        doc="Several ports; empty: none.",
        rows=(PORT,),
        example="ports { port 8080 80; port 9000 }",
    ),
    Row(
        name="environment",
        kind="map",
        aliases=("env",),
        emptied=True,
        doc="Environment variables; they win over `env_file` and over the stage's variables.",
        rows=(Row(name="NAME", doc="A variable and its value."),),
        example='environment { LOG "info"; WORKERS 4 }',
    ),
    Row(
        name="env_file",
        kind="values",
        doc="Files of `NAME=value` lines, relative to the project root; a later one wins.",
        example='env_file ".env.postgres"',
    ),
    Row(
        name="secrets",
        kind="map",
        emptied=True,
        doc="Environment variables whose values are never shown or stored in clear.",
        rows=(SECRET,),
        example='secrets { POSTGRES_PASSWORD env="PG_PASSWORD"; API_KEY file="secrets/api" }',
    ),
    VOLUME,
    Row(
        name="volumes",
        kind="list",
        doc="Several volumes; empty: none.",
        rows=(VOLUME,),
        example='volumes { volume "./data" "/data" }',
    ),
    Row(
        name="command",
        kind="values",
        doc="Arguments instead of the image's own. One string is split like a shell does, several are taken as they are.",
        example='command "postgres -c max_connections=200"',
    ),
    Row(
        name="entrypoint",
        kind="values",
        doc="Program instead of the image's own; split as `command` is.",
        example='entrypoint "docker-entrypoint.sh"',
    ),
    Row(
        name="depends_on",
        kind="list",
        doc="Services that must be there first; empty: none.",
        rows=(DEPENDENCY,),
        example='depends_on "postgres" "redis"; depends_on { service "migrate" condition="completed" }',
    ),
    Row(
        name="healthcheck",
        kind="block",
        emptied=True,
        doc="A command inside the container that ends with 0 when the service is healthy.",
        example='healthcheck { test "CMD-SHELL" "pg_isready"; interval 2; retries 20 }',
        rows=(
            Row(
                name="test",
                kind="values",
                doc="`CMD` and a program with arguments, or `CMD-SHELL` and one line; one string alone is a shell line.",
            ),
            Row(name="interval", doc="Time between two checks.", type="seconds", low=0.001, default="the platform's"),
            Row(
                name="timeout",
                doc="Time that one check may take.",
                type="seconds",
                low=0.001,
                default="the platform's; 5 on Kubernetes",
            ),
            Row(
                name="retries",
                doc="Failures in a row that make it unhealthy.",
                type="int",
                low=1,
                high=1000,
                default="the platform's",
            ),
            Row(
                name="start_period",
                doc="Time at the start in which failures do not count.",
                type="seconds",
                low=0,
                default="the platform's",
            ),
        ),
    ),
    Row(
        name="readiness",
        kind="block",
        doc="An HTTP question that must be answered with 2xx or 3xx before the service counts as ready.",
        example='readiness path="/health" port=8080 timeout=30 interval=2',
        positional=("path",),
        rows=(
            Row(name="path", doc="Path of the question.", default="/"),
            _port("port", "Port inside the container; left out: the service's only one."),
            Row(name="timeout", doc="Time until the answer must have come.", type="seconds", low=0.001, default="30"),
            Row(name="interval", doc="Time between two questions.", type="seconds", low=0.001, default="1"),
        ),
    ),
    Row(
        name="restart",
        doc="What the platform does when the process ends.",
        choices=("no", "always", "on-failure", "unless-stopped"),
        default="the platform's",
        example='restart "unless-stopped"',
    ),
    Row(name="replicas", doc="How many copies run.", type="int", low=0, high=10_000, default="1", example="replicas 3"),
    Row(
        name="resources",
        kind="block",
        emptied=True,
        doc="What is asked for and what is never exceeded.",
        example='resources { cpu "500m"; memory "256Mi"; cpu_limit "1"; memory_limit "512Mi" }',
        rows=(
            Row(name="cpu", doc="Cores asked for: `0.5` or `500m`.", type="cores", low=0.001, high=4096),
            Row(name="memory", doc="Memory asked for: `256Mi`, `256M`, `1g`.", type="bytes", low=1),
            Row(name="cpu_limit", doc="Cores never exceeded.", type="cores", low=0.001, high=4096),
            Row(name="memory_limit", doc="Memory never exceeded.", type="bytes", low=1),
        ),
    ),
    Row(
        name="scaling",
        kind="block",
        emptied=True,
        doc="Between how many copies the platform chooses; it then owns `replicas`.",
        example="scaling min=1 max=10 cpu=70",
        rows=(
            Row(name="min", doc="Least copies.", type="int", low=0, high=10_000, default="1"),
            Row(name="max", doc="Most copies.", type="int", low=1, high=10_000, default="the larger of `min` and 1"),
            Row(name="cpu", doc="Percent of the asked cpu at which one more starts.", type="int", low=1, high=100),
        ),
    ),
    Row(
        name="labels",
        kind="map",
        emptied=True,
        doc="Labels of what is made.",
        rows=(Row(name="NAME", doc="A label and its value."),),
        example='labels { team "core" }',
    ),
    INGRESS,
    Row(
        name="job",
        doc='Runs to its end instead of staying: a migration. `restart "no"` on a service with no port reads the same.',
        type="bool",
        default="false",
        example="job #true",
    ),
    Row(
        name="rerun",
        doc="When a job runs again: when its content changed, or in every deployment.",
        choices=("changed", "always"),
        default="changed",
        example='rerun "always"',
    ),
    Row(
        name="pull",
        doc="When the image is asked for.",
        choices=("missing", "always", "never"),
        default="missing",
        example='pull "always"',
    ),
    Row(
        name="timeout",
        doc="Time for the service to become ready in one deployment.",
        type="seconds",
        low=0.001,
        high=86_400,
        default="300",
        example="timeout 300",
    ),
    Row(
        name="retries",
        doc="Tries after the first, for a failure that may pass by itself.",
        type="int",
        low=0,
        high=100,
        default="2",
        example="retries 2",
    ),
    Row(
        name="build",
        kind="block",
        emptied=True,
        doc="Builds the image from files, with the Docker Engine of whoever has them: in `flow up` on docker, else by `flow build`.",
        example='build { context "."; dockerfile "Dockerfile"; target "prod"; args { V "1" } }',
        positional=("context",),
        rows=(
            Row(
                name="context",
                doc="Folder that is sent to the builder, relative to the project's root; `.dockerignore` in it says what is not.",
                default=".",
            ),
            Row(name="dockerfile", doc="Its Dockerfile, relative to the context.", default="Dockerfile"),
            Row(name="target", doc="Stage of the Dockerfile to build.", default="the last"),
            Row(
                name="args",
                kind="map",
                doc="Values for its `ARG`s; they can be read in the image, so no secrets.",
                rows=(Row(name="NAME", doc="An argument and its value."),),
            ),
        ),
    ),
)

RUNTIME = Row(
    name="runtime",
    kind="block",
    doc="Where the stage runs: `docker`, `kubernetes` or `cloudrun`, with its settings.",
    example='runtime "kubernetes" { namespace "stg"; context "gke_stg" }',
    positional=("name",),
    rows=(
        Row(name="name", doc="`docker`, `kubernetes` (`k8s`) or `cloudrun` (`cloud-run`).", required=True),
        Row(name="namespace", doc="Kubernetes namespace.", default="`{project}-{stage}`"),
        Row(name="context", doc="Context of the kubeconfig."),
        Row(
            name="version",
            doc="Kubernetes: the oldest version that must take the stage. Below 1.30 no pod waits before it stops (`stop_delay`).",
            default="1.30",
            example='version "1.28"',
        ),
        Row(
            name="wait_image",
            doc="Kubernetes: image with `sh` and `nc` in which a pod waits for what it depends on.",
            default="the variable `FLEETFLOW_WAIT_IMAGE`, else a pinned busybox",
        ),
        Row(name="project", doc="Google Cloud project."),
        Row(name="region", doc="Cloud Run region."),
        Row(name="docker_host", doc="Address of the Docker Engine, as `DOCKER_HOST` has it."),
        Row(name="host", doc="Name of a Docker host: its workers serve the queue `docker.<name>`."),
    ),
)

VARIABLES = Row(
    name="variables",
    kind="map",
    doc="Values for templates; a stage's own win over the project's and are environment of all its services.",
    rows=(Row(name="NAME", doc="A variable and its value."),),
    example='variables { DOMAIN "example.org" }',
)


def service_row(blocks: Blocks) -> Row:
    """The `service` node, with a block for each runtime in *blocks*."""
    own = tuple(
        Row(name=name, kind="block", into=f"options.{name}", emptied=True, doc=f"What only {name} has.", rows=rows)
        for name, rows in sorted(blocks.items())
    )
    return Row(
        name="service",
        kind="block",
        many=True,
        into="services",
        doc="A service: at top level its definition, in a stage a reference to it or an override for that stage alone.",
        example='service "api" { image "ghcr.io/shop/api"; port 8080 80 }',
        positional=("name",),
        rows=(Row(name="name", doc="Its name.", required=True), *SERVICE_ROWS, *own),
    )


def stage_row(blocks: Blocks) -> Row:
    """The `stage` node."""
    return Row(
        name="stage",
        kind="block",
        many=True,
        into="stages",
        doc="An environment to deploy to: a runtime, variables and the services it holds.",
        example='stage "local" { service "api" }',
        positional=("name",),
        rows=(
            Row(name="name", doc="Its name.", required=True),
            RUNTIME,
            Row(name="backend", doc="The runtime's name alone; `runtime` wins.", example='backend "docker"'),
            VARIABLES,
            service_row(blocks),
        ),
    )


def document_row(blocks: Blocks) -> Row:
    """A whole file, as a block without a name."""
    return Row(
        name="",
        kind="block",
        doc="What may stand at top level.",
        rows=(
            Row(
                name="project",
                doc="The project's name.",
                default="the name of the project's folder",
                example='project "shop"',
            ),
            VARIABLES,
            Row(
                name="include",
                kind="values",
                many=True,
                doc="Other files, relative to this one; `*` and `**` match names. Read before templates are rendered.",
                example='include "teams/*.kdl"',
            ),
            service_row(blocks),
            stage_row(blocks),
        ),
    )


def every_row(row: Row) -> Iterator[Row]:
    """*row* and all rows below it."""
    yield row
    for child in row.rows:
        yield from every_row(child)
