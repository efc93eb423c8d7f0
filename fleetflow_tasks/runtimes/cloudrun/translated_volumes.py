# SPDX-License-Identifier: Apache-2.0
"""Volumes and their mounts, as the text says them: a bucket is a `volume`, all others are options of `cloudrun`.

A volume is read only as a whole. One that says more than its node can (other mount options, a file's mode), or that is not
mounted just where the node would put it, stays unread with its mount.
"""

from collections.abc import Callable, Mapping

from fleetflow_tasks.config.as_kdl import Node, Scalar, node
from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.amounts import reference, size
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.mapping import Path, Reading
from fleetflow_tasks.runtimes.cloudrun.spelling import UnfitError, flag, text, texts
from fleetflow_tasks.runtimes.cloudrun.storage import CLOUD_SQL
from fleetflow_tasks.runtimes.cloudrun.variables import LATEST

_FOLDER = "only-dir="


class Volumes(Data, frozen=True, kw_only=True):
    """own: nodes of the service's `volumes`. options: nodes of its `cloudrun`."""

    own: tuple[Node, ...] = ()
    options: tuple[Node, ...] = ()


def volumes(source: Reading, template: Path, main: Reading | None, project: str) -> Volumes:
    """Those that *main* mounts. project: that secrets without one belong to."""
    known = {str(each.peek(("name",))): each for each in source.each((*template, "volumes"))}
    own: list[Node] = []
    options: list[Node] = []
    for mount in main.each(("volumeMounts",)) if main is not None else ():
        volume, target = known.get(str(mount.peek(("name",)))), mount.peek(("mountPath",))
        if volume is None or not isinstance(target, str) or mount.peek(("subPath",)):
            continue
        if volume.peek(("emptyDir",)) is not None and volume.is_read(()):
            continue  # one folder at two places; two nodes would be two folders
        if (found := _node(volume, target, project)) is not None:
            (own if found.name == "volume" else options).append(found)
            mount.took(())
            volume.took(())
    return Volumes(own=tuple(own), options=tuple(options))


def _node(volume: Reading, target: str, project: str) -> Node | None:
    """None where no node says just that."""
    for kind, made in _KINDS.items():
        if isinstance(content := volume.peek((kind,)), Mapping):
            try:
                return made(content, target, project)
            except ValueError:
                return None
    return None


def _bucket(content: Json, target: str, _: str) -> Node:
    _only(content, "bucket", "readOnly", "mountOptions")
    options = texts(content.get("mountOptions", []))
    if len(options) > 1 or not all(each.startswith(_FOLDER) for each in options):
        raise UnfitError(options)
    path = "/".join([text(content.get("bucket")), *(each.removeprefix(_FOLDER) for each in options)])
    return node("volume", f"gs://{path}", target, **_read_only(content))


def _memory(content: Json, target: str, _: str) -> Node:
    _only(content, "medium", "sizeLimit")
    if content.get("medium", "MEMORY") != "MEMORY":
        raise UnfitError(content)
    return node("memory", target, **({"size": size(content["sizeLimit"])} if "sizeLimit" in content else {}))


def _nfs(content: Json, target: str, _: str) -> Node:
    _only(content, "server", "path", "readOnly")
    return node("nfs", f"{text(content.get('server'))}:{text(content.get('path'))}", target, **_read_only(content))


def _secret(content: Json, target: str, project: str) -> Node:
    """One file. Nothing said of it: the newest version, under the secret's own name."""
    _only(content, "secret", "items")
    secret = text(content.get("secret"))
    items = content.get("items") or [{"path": secret.rpartition("/")[2], "version": LATEST}]
    if len(items) != 1 or not isinstance(items[0], Mapping):
        raise UnfitError(items)
    _only(items[0], "path", "version")
    path = text(items[0].get("path"))
    if "/" in path:
        raise UnfitError(path)
    return node("secret_file", reference(secret, text(items[0].get("version")), project), f"{target}/{path}")


def _cloud_sql(content: Json, target: str, _: str) -> Node:
    _only(content, "instances")
    instances = texts(content.get("instances"))
    if target != CLOUD_SQL or not instances:
        raise UnfitError(target)
    return node("cloud_sql", *instances)


_KINDS: Mapping[str, Callable[[Json, str, str], Node]] = {
    "gcs": _bucket,
    "emptyDir": _memory,
    "nfs": _nfs,
    "secret": _secret,
    "cloudSqlInstance": _cloud_sql,
}


def _only(content: Json, *names: str) -> None:
    if set(content) - set(names):
        raise UnfitError(content)


def _read_only(content: Json) -> dict[str, Scalar]:
    return {"read_only": True} if flag(content.get("readOnly", False)) else {}
