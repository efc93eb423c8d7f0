# SPDX-License-Identifier: Apache-2.0
"""What is wrong with what a service keeps, and where: an instance may end at any time, and takes its files with it. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator

from fleetflow_tasks.config.model import Volume
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan import image
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.cloudrun.complaints import BLOCK, note, warned, wrong
from fleetflow_tasks.runtimes.cloudrun.source import Source
from fleetflow_tasks.runtimes.cloudrun.storage import bucket_name, buckets, folder
from fleetflow_tasks.runtimes.cloudrun.variables import reference

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_SYSTEM = ("/dev", "/proc", "/sys", "/cloudsql")
_INSTANCE = re.compile(r"(?:[^\s:]+:)?[^\s:]+:[a-z0-9-]+:[a-z][-a-z0-9]*")
# The last word of images that keep data, as their makers call them.
_DATABASES = frozenset(
    [
        "cassandra",
        "clickhouse",
        "clickhouse-server",
        "cockroach",
        "couchdb",
        "elasticsearch",
        "etcd",
        "influxdb",
        "kafka",
        "mariadb",
        "minio",
        "mongo",
        "mongodb",
        "mssql",
        "mysql",
        "neo4j",
        "opensearch",
        "percona",
        "postgis",
        "postgres",
        "postgresql",
        "rabbitmq",
        "redis",
        "rethinkdb",
        "scylla",
        "timescaledb",
        "valkey",
    ]
)


def storage_problems(made_from: Source) -> Iterator[Problem]:
    for rule in _RULES:
        yield from rule(made_from)


def database(service: ResolvedService) -> str:
    """What kind of database the image is, by its name; "" where it is none that we know."""
    words = image.parse(service.image).path.split("/")
    return next((word for word in reversed(words) if word in _DATABASES), "")


def _volumes(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    for index, volume in enumerate(service.volumes):
        field = f"volumes.{index}"
        bucket = f'`volume "gs://…" "{volume.target}"`'
        if volume.kind == "bind":
            fix = f"build the files into the image, or mount a bucket: {bucket}"
            yield wrong(service, field, f"cannot mount the host's path `{volume.source}`: there is no host", fix)
        elif volume.kind == "named":
            fix = f"mount a bucket: {bucket}, or run the service on another runtime"
            yield wrong(service, field, f"has no disk for the volume `{volume.source}`", fix)
        elif volume.kind == "anonymous":
            fix = f'say `cloudrun {{ memory "{volume.target}" }}`, or mount a bucket: {bucket}'
            yield wrong(service, field, f"has no disk for what is in `{volume.target}`", fix)
        else:
            yield from _mounted_bucket(service, volume, field)


def _mounted_bucket(service: ResolvedService, volume: Volume, field: str) -> Iterator[Problem]:
    name, _ = bucket_name(volume)
    kind = database(service)
    if not _BUCKET.fullmatch(name):
        rule = "a name is 3 to 222 lower-case letters, digits, `-`, `_` and `.`"
        text = f"has no bucket called `{name}`"
        yield wrong(service, field, text, "write it as `gcloud storage buckets list` shows it", cause=rule)
    elif kind and not volume.read_only:
        text = f"cannot keep the files of a database, `{kind}`, in the bucket `{name}`"
        cause = "a bucket knows no locks, the last write wins, and each file is written as a whole"
        fix = "use Cloud SQL: `cloudrun { cloud_sql … }` of those who ask it, or run it on another runtime"
        yield wrong(service, field, text, fix, cause=cause)
    elif not volume.read_only:
        text = f"keeps what is in `{volume.target}` in the bucket `{name}`: without locks, and the last write wins"
        yield warned(service, field, text, "say `read_only=#true` if it only reads, or keep state in a database")
    if volume.size is not None:
        yield note(service, field, f"gives the bucket `{name}` no size: it takes what it needs")


def _state(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    kind = database(service)
    if kind and not service.job and not buckets(made_from):
        text = f"keeps nothing that `{kind}` writes: an instance ends at any time, with all its files"
        fix = f'use a managed one, such as Cloud SQL, or say `service "{service.name}" runtime="kubernetes"`'
        yield warned(service, "image", text, fix)


def _targets(made_from: Source) -> Iterator[Problem]:
    service = made_from.service
    seen: set[str] = set()
    for target, field in _all_targets(made_from):
        path = target.rstrip("/") or "/"
        reserved = next((each for each in _SYSTEM if f"{path}/".startswith(f"{each}/")), "")
        if not path.startswith("/") or path == "/" or ":" in path:
            text = f"mounts nothing at `{target}`"
            yield wrong(service, field, text, "write an absolute path below `/`, without a colon")
        elif reserved:
            text = f"mounts nothing at `{target}`: `{reserved}` is the platform's own"
            yield wrong(service, field, text, "mount it elsewhere")
        elif path in seen:
            yield wrong(service, field, f"cannot mount two things at `{path}`", "give one of them another path")
        seen.add(path)


def _all_targets(made_from: Source) -> Iterator[tuple[str, str]]:
    options = made_from.options
    for index, volume in enumerate(made_from.service.volumes):
        if volume.kind == "bucket":
            yield volume.target, f"volumes.{index}"
    for name, targets in (
        ("memory_volumes", [memory.target for memory in options.memory_volumes]),
        ("nfs_volumes", [nfs.target for nfs in options.nfs_volumes]),
        ("secret_files", [folder(file.target) for file in options.secret_files]),
    ):
        yield from ((target, f"{BLOCK}.{name}.{index}") for index, target in enumerate(targets))


def _block(made_from: Source) -> Iterator[Problem]:
    service, options, project = made_from.service, made_from.options, made_from.settings.project
    for index, nfs in enumerate(options.nfs_volumes):
        field = f"{BLOCK}.nfs_volumes.{index}"
        server, colon, path = nfs.source.partition(":")
        if not server or not colon or not path.startswith("/"):
            text = f"cannot mount `{nfs.source}` by NFS"
            yield wrong(service, field, text, f'write server and path: `nfs "10.0.0.2:/share" "{nfs.target}"`')
    if options.nfs_volumes and options.vpc is None:
        text = "reaches an NFS server only through a private network"
        yield wrong(service, f"{BLOCK}.nfs_volumes", text, 'say which: `cloudrun { vpc network="default" }`')
    for index, file in enumerate(options.secret_files):
        field = f"{BLOCK}.secret_files.{index}"
        if reference(file.ref, project) is None:
            text = f"has no secret `{file.ref}` for the file `{file.target}`"
            fix = f'write `secret_file "projects/{project or "my-project"}/secrets/…/versions/latest" "{file.target}"`'
            yield wrong(service, field, text, fix)
        if file.target.endswith("/"):
            text = f"makes a file of a secret, and `{file.target}` is a folder"
            yield wrong(service, field, text, f"name the file in it: `{file.target}value`")
    for instance in options.cloud_sql:
        if not _INSTANCE.fullmatch(instance):
            text = f"has no Cloud SQL instance `{instance}`"
            fix = f'write its connection name: `cloud_sql "{project or "my-project"}:{made_from.settings.region or "europe-west1"}:{_last(instance)}"`'
            yield wrong(service, f"{BLOCK}.cloud_sql", text, fix)


def _last(instance: str) -> str:
    return instance.rpartition(":")[2] or "shop"


_RULES: tuple[Callable[[Source], Iterable[Problem]], ...] = (_volumes, _state, _targets, _block)
