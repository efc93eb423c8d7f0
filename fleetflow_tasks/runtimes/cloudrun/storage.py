# SPDX-License-Identifier: Apache-2.0
"""What is mounted into a container: buckets, folders in memory, NFS, secrets as files, sockets of Cloud SQL.

Instances come and go, so nothing that is written beside these lasts. A volume's name is only the link between the volume
and its mount; it says what it is and is counted.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fleetflow_tasks.config.model import Data, Volume
from fleetflow_tasks.runtimes.cloudrun.form import said, yes
from fleetflow_tasks.runtimes.cloudrun.options import Memory, Nfs, SecretFile
from fleetflow_tasks.runtimes.cloudrun.sizes import bytes_text
from fleetflow_tasks.runtimes.cloudrun.source import Source
from fleetflow_tasks.runtimes.cloudrun.variables import reference

CLOUD_SQL = "/cloudsql"  # the only place where the platform puts its sockets
_BUCKET = "gs://"


class Mounted(Data, frozen=True, kw_only=True):
    """A volume and the one place where it appears. content: how the API describes what is in it."""

    name: str
    target: str
    content: dict[str, Any]


def mounted(made_from: Source) -> list[Mounted]:
    options, project = made_from.options, made_from.settings.project
    return [
        *_counted("bucket", ((each.target, _bucket(each)) for each in buckets(made_from))),
        *_counted("memory", ((each.target, _memory(each)) for each in options.memory_volumes)),
        *_counted("nfs", ((each.target, _nfs(each)) for each in options.nfs_volumes)),
        *_counted("secret", ((folder(each.target), _secret(each, project)) for each in options.secret_files)),
        *_cloud_sql(options.cloud_sql),
    ]


def volumes(made_from: Source) -> list[dict[str, Any]]:
    return [{"name": each.name, **each.content} for each in mounted(made_from)]


def mounts(made_from: Source) -> list[dict[str, Any]]:
    return [{"name": each.name, "mountPath": each.target} for each in mounted(made_from)]


def buckets(made_from: Source) -> list[Volume]:
    return [volume for volume in made_from.service.volumes if volume.kind == "bucket"]


def needs_gen2(made_from: Source) -> bool:
    return bool(buckets(made_from) or made_from.options.nfs_volumes)


def bucket_name(volume: Volume) -> tuple[str, str]:
    """Of `gs://bucket/folder`: the bucket and the folder in it, "" for all of it."""
    name, _, inside = volume.source.removeprefix(_BUCKET).partition("/")
    return name, inside.strip("/")


def folder(target: str) -> str:
    """Where a file is mounted: a volume is a folder."""
    return target.rpartition("/")[0]


def _counted(kind: str, found: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Mounted]:
    for number, (target, content) in enumerate(found, 1):
        yield Mounted(name=f"{kind}-{number}", target=target, content=content)


def _bucket(volume: Volume) -> dict[str, Any]:
    name, inside = bucket_name(volume)
    options = [f"only-dir={inside}"] if inside else []
    return {"gcs": said(bucket=name, readOnly=yes(volume.read_only), mountOptions=options)}


def _memory(memory: Memory) -> dict[str, Any]:
    size = None if memory.size is None else bytes_text(memory.size)
    return {"emptyDir": said(medium="MEMORY", sizeLimit=size)}


def _nfs(nfs: Nfs) -> dict[str, Any]:
    server, _, path = nfs.source.partition(":")
    return {"nfs": said(server=server, path=path, readOnly=yes(nfs.read_only))}


def _secret(file: SecretFile, project: str) -> dict[str, Any]:
    named = reference(file.ref, project)
    assert named is not None, file.ref  # noqa: S101  (`check` has refused it)
    return {
        "secret": {
            "secret": named.secret,
            "items": [{"path": file.target.rpartition("/")[2], "version": named.version}],
        }
    }


def _cloud_sql(instances: tuple[str, ...]) -> Iterator[Mounted]:
    if instances:
        yield Mounted(name="cloudsql", target=CLOUD_SQL, content={"cloudSqlInstance": {"instances": list(instances)}})
