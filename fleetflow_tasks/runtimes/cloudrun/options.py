# SPDX-License-Identifier: Apache-2.0
"""What `cloudrun { … }` of a service may say: the rows that the language reads, and the same, typed.

Named as people know them from `gcloud run deploy`. Each field is honoured in the template, in the service around it or in
its IAM policy.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.config.schema import Row
from fleetflow_tasks.runtimes.cloudrun.block_rows import LIVENESS, MEMORY, NFS, SECRET_FILE, STARTUP, VPC

Environment = Literal["gen1", "gen2"]
Ingress = Literal["all", "internal", "internal-and-cloud-load-balancing"]
Egress = Literal["private-ranges-only", "all-traffic"]
Protocol = Literal["http1", "h2c"]

SCHEMA: tuple[Row, ...] = (
    Row(
        name="public",
        doc="Anybody may call it; else only who has the right to.",
        type="bool",
        default="false",
        example="public #true",
    ),
    Row(
        name="invoker",
        kind="values",
        into="invokers",
        doc="Who may call it: `user:…`, `group:…`, `serviceAccount:…`, `domain:…`.",
        example='invoker "serviceAccount:web@p.iam.gserviceaccount.com" "group:ops@example.org"',
    ),
    Row(
        name="ingress",
        doc="From where it can be reached.",
        choices=("all", "internal", "internal-and-cloud-load-balancing"),
        default="all",
        example='ingress "internal"',
    ),
    Row(
        name="concurrency",
        doc="Requests that one instance gets at the same time.",
        type="int",
        low=1,
        high=1000,
        default="80; 1 below one cpu",
        example="concurrency 40",
    ),
    Row(
        name="timeout",
        doc="Time that one request may take, 3600 at most; of a job, one of its tasks, 604800 at most.",
        type="seconds",
        low=1,
        high=604_800,
        default="300; of a job the service's own `timeout`",
        example="timeout 60",
    ),
    Row(
        name="cpu_always",
        doc="The cpu is there, and paid for, between requests too.",
        type="bool",
        default="false",
        example="cpu_always #true",
    ),
    Row(
        name="cpu_boost",
        doc="More cpu while an instance starts.",
        type="bool",
        default="false",
        example="cpu_boost #true",
    ),
    Row(
        name="execution_environment",
        doc="`gen1` starts faster, `gen2` is a full Linux: for buckets and NFS.",
        choices=("gen1", "gen2"),
        default="gen2 where a volume needs it, else the platform's choice",
        example='execution_environment "gen2"',
    ),
    Row(
        name="service_account",
        doc="Who it is towards Google's other services.",
        default="the project's default compute account",
        example='service_account "api@p.iam.gserviceaccount.com"',
    ),
    VPC,
    Row(
        name="session_affinity",
        doc="Requests of one caller go to one instance, as far as possible.",
        type="bool",
        default="false",
        example="session_affinity #true",
    ),
    Row(
        name="protocol",
        doc="What the container speaks: `h2c` is HTTP/2 without TLS, for gRPC.",
        choices=("http1", "h2c"),
        default="http1",
        example='protocol "h2c"',
    ),
    Row(
        name="traffic",
        doc="Percent of the requests that a new revision gets until it is promoted.",
        type="int",
        low=0,
        high=100,
        default="100",
        example="traffic 10",
    ),
    STARTUP,
    LIVENESS,
    Row(
        name="cloud_sql",
        kind="values",
        doc="Cloud SQL instances, `project:region:name`; each is a socket under /cloudsql.",
        example='cloud_sql "p:europe-west1:shop"',
    ),
    MEMORY,
    NFS,
    SECRET_FILE,
    Row(name="working_dir", doc="Folder that the command starts in.", default="the image's"),
    Row(
        name="encryption_key",
        doc="Key of Cloud KMS that encrypts the image.",
        example='encryption_key "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"',
    ),
    Row(name="tasks", doc="Of a job: how many tasks it has.", type="int", low=1, high=10_000, default="1"),
    Row(
        name="parallelism",
        doc="Of a job: how many of its tasks run at a time.",
        type="int",
        low=1,
        high=10_000,
        default="as many as possible",
    ),
    Row(
        name="max_retries",
        doc="Of a job: how often the platform begins a failed task again.",
        type="int",
        low=0,
        high=10,
        default="0",
    ),
    Row(name="description", doc="A line for people, 512 characters at most.", example='description "the shop\'s API"'),
    Row(
        name="annotations",
        kind="map",
        doc="Annotations of its Service or Job.",
        rows=(Row(name="NAME", doc="An annotation and its value."),),
        example='annotations { "example.org/owner" "core" }',
    ),
)


class Vpc(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    network: str = ""
    subnet: str = ""
    tags: tuple[str, ...] = ()
    connector: str = ""
    egress: Egress = "private-ranges-only"


class Probe(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked: one of http (a path), tcp, grpc (a service's name, "" for the whole server; None: not said).

    port: None for the service's own. delay, interval, timeout: seconds; retries: failures in a row that count.
    """

    http: str = ""
    tcp: bool = False
    grpc: str | None = None
    port: int | None = None
    delay: float = 0.0
    interval: float = 10.0
    timeout: float = 1.0
    retries: int = 3


class Memory(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """size: bytes."""

    target: str
    size: int | None = None


class Nfs(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """source: `server:/path`."""

    source: str
    target: str
    read_only: bool = False


class SecretFile(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """target: of the file."""

    ref: str
    target: str


class Options(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """timeout: seconds of a request, or of one of a job's tasks. Empty and None: not said."""

    public: bool = False
    invokers: tuple[str, ...] = ()
    ingress: Ingress = "all"
    concurrency: int | None = None
    timeout: float | None = None
    cpu_always: bool = False
    cpu_boost: bool = False
    execution_environment: Environment | None = None
    service_account: str = ""
    vpc: Vpc | None = None
    session_affinity: bool = False
    protocol: Protocol | None = None
    traffic: int | None = None
    startup: Probe | None = None
    liveness: Probe | None = None
    cloud_sql: tuple[str, ...] = ()
    memory_volumes: tuple[Memory, ...] = ()
    nfs_volumes: tuple[Nfs, ...] = ()
    secret_files: tuple[SecretFile, ...] = ()
    working_dir: str = ""
    encryption_key: str = ""
    tasks: int | None = None
    parallelism: int | None = None
    max_retries: int = 0
    description: str = ""
    annotations: Mapping[str, str] = {}


def read(options: Mapping[str, object]) -> Options:
    """Raises msgspec.ValidationError where they cannot be; its text names the field."""
    return msgspec.convert(options, Options, strict=False)
