# SPDX-License-Identifier: Apache-2.0
"""What is in a namespace of the kinds that we do not make: asked before a namespace is removed with all that is in it.

A cluster serves more kinds than anybody knows beforehand: CronJobs, whatever operators have added. It tells which
(discovery), and each of them is listed. What cannot be listed may be there, so it counts as if it were.
"""

from collections.abc import Iterator
from typing import Any

from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.kinds import POD, REPLICA_SET, Kind
from fleetflow_tasks.runtimes.kubernetes.objects import Json, at, items, text
from fleetflow_tasks.runtimes.kubernetes.observe import LISTED, key
from fleetflow_tasks.runtimes.kubernetes.trouble import decoded

_GONE = 404
_KNOWN = frozenset((kind.group, kind.plural) for kind in (POD, *LISTED))
# What a cluster writes by itself of what else is there, and what holds nothing: a lock that some program held.
_TRACES = frozenset({"events", "endpoints", "endpointslices", "leases"})
_MAKERS = frozenset(kind.name for kind in (POD, REPLICA_SET, *LISTED))


def strangers(client: Client, namespace: str) -> Iterator[str]:
    """Each object of a kind that we do not make, in words; then what may be there and cannot be seen."""
    doubts: list[str] = []
    for kind in _served(client, doubts):
        try:
            found = client.list(kind, namespace).items
        except KubernetesError as error:
            _doubted(error, f"it may hold {kind.plural}", doubts)
            continue
        yield from (f"{' '.join(key(each))} is in it" for each in found if not _follows(each))
    yield from doubts


def _served(client: Client, doubts: list[str]) -> Iterator[Kind]:
    """Each kind once, whatever the number of its versions."""
    seen = set(_KNOWN)
    for version in _versions(client):
        for each in _resources(client, version, doubts):
            kind = Kind(name=text(each, "kind"), api=version, plural=text(each, "name"))
            if (kind.group, kind.plural) not in seen and _is_asked(kind, each):
                seen.add((kind.group, kind.plural))
                yield kind


def _versions(client: Client) -> list[str]:
    """Of all groups, of each the one that the cluster likes best first."""
    found = ["v1"]
    for group in items(_told(client, "/apis"), "groups"):
        every = [text(each, "groupVersion") for each in items(group, "versions")]
        found += dict.fromkeys([text(group, "preferredVersion", "groupVersion"), *every])
    return found


def _resources(client: Client, version: str, doubts: list[str]) -> list[Any]:
    try:
        return [*items(_told(client, f"/apis/{version}" if "/" in version else f"/api/{version}"), "resources")]
    except KubernetesError as error:
        _doubted(error, f"it may hold something of `{version}`", doubts)
        return []


def _told(client: Client, path: str) -> Json:
    doing = "tell what it serves"
    return decoded(doing, client.line.ask(doing, "GET", path))


def _doubted(error: KubernetesError, what: str, doubts: list[str]) -> None:
    """Nobody answers at all: then there is nothing to be said of the namespace."""
    if error.status == 0:
        raise error
    if error.status != _GONE:  # a kind that was removed just now
        doubts.append(f"{what}, which we cannot list: {error.answer}")


def _is_asked(kind: Kind, resource: Json) -> bool:
    """What is no part of another, and can be listed."""
    listed = at(resource, "namespaced") and "list" in items(resource, "verbs") and "/" not in kind.plural
    return bool(listed) and kind.plural not in _TRACES


def _follows(found: Json) -> bool:
    """It goes with what it was made from, which is looked at itself; or it is a figure, and kept nowhere."""
    owners = {text(each, "kind") for each in items(found, "metadata", "ownerReferences")}
    return bool(owners & _MAKERS) or not text(found, "metadata", "uid")
