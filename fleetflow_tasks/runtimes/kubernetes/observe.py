# SPDX-License-Identifier: Apache-2.0
"""What a cluster holds of one stage: one LIST per kind, found by label, shared by all steps of a run.

A stage of five hundred services is looked at with as many requests as a stage of one. What the steps then write goes
into the same picture, with the cluster's own answer, so that it stays true for what this worker does. For what others
do it does not have to: each write is preceded by a look at the one object that it changes (`writer`).

Objects that a controller made from ours (the claims of a StatefulSet) bear the labels of their pods, but no generation.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from fleetflow_tasks.config.model import ProjectName, ServiceName, StageName
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.desired import Json
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, MADE, SECRET, Kind
from fleetflow_tasks.runtimes.kubernetes.objects import light
from fleetflow_tasks.runtimes.labels import SLASHED, Mark, read, written

Key = tuple[str, str]  # an object's kind and name, as a manifest says them
Objects = Mapping[Key, Json]

LISTED = tuple(kind for kind in MADE if kind.namespaced)
NAMED_BY_CONTENT = frozenset({CONFIG_MAP.name, SECRET.name})  # what they hold never changes, and may be secret
KEPT, RUNS = 20_000, 256  # objects of all pictures that are kept, some 100 MB; and of how many runs


def mark(found: Json) -> Mark:
    """What its labels say; of no project where they are not ours."""
    labels = found["metadata"].get("labels")
    return read(labels, SLASHED) or Mark(project=ProjectName(""), stage=StageName(""))


def key(found: Json) -> Key:
    return found["kind"], found["metadata"]["name"]


def going(found: Json) -> bool:
    """It was deleted, and waits for what hangs on it."""
    return bool(found["metadata"].get("deletionTimestamp"))


def controlled(found: Json) -> bool:
    """A controller made it and will make it again: not ours to change or to remove."""
    return any(owner.get("controller") for owner in found["metadata"].get("ownerReferences") or ())


def labels(project: ProjectName, stage: StageName, service: ServiceName | None = None) -> dict[str, str]:
    """By which the objects of a stage, or of one service, are found."""
    return written(Mark(project=project, stage=stage, service=service), SLASHED)


class Snapshot:
    """The objects of one stage, as they were when the run first looked, and what this worker has written since."""

    def __init__(self, found: Iterable[Json]) -> None:
        self._services: dict[ServiceName | None, dict[Key, Json]] = {}
        self._lock = threading.Lock()
        for each in found:
            if not controlled(each):
                self.put(each)

    def __len__(self) -> int:
        return sum(map(len, self._services.values()))

    def of(self, service: ServiceName) -> dict[Key, Json]:
        """Its objects, and those that it shares with others: claims that belong to no service alone."""
        with self._lock:
            return {**self._services.get(None, {}), **self._services.get(service, {})}

    def all(self) -> dict[Key, Json]:
        with self._lock:
            return {where: each for objects in self._services.values() for where, each in objects.items()}

    def put(self, found: Json) -> None:
        light = _light(found)
        with self._lock:
            self._services.setdefault(mark(found).service, {})[key(found)] = light

    def drop(self, found: Json) -> None:
        with self._lock:
            self._services.get(mark(found).service, {}).pop(key(found), None)


def own(known: Snapshot, service: ServiceName) -> dict[Key, Json]:
    """The objects of one service, without those that it shares."""
    return {where: each for where, each in known.of(service).items() if mark(each).service == service}


def snapshot(client: Client, namespace: str, project: ProjectName, stage: StageName) -> Snapshot:
    """Asks for all kinds at once: on a far cluster the way is what takes long."""

    def listed(kind: Kind) -> Iterable[Json]:
        return client.list(kind, namespace, labels(project, stage)).items

    with ThreadPoolExecutor(max_workers=len(LISTED)) as threads:
        return Snapshot(each for found in threads.map(listed, LISTED) for each in found)


class Snapshots:
    """The pictures of the runs that are under way. Those that were not asked for the longest time go first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: OrderedDict[tuple[str, ...], Snapshot] = OrderedDict()
        self._looking: dict[tuple[str, ...], threading.Lock] = {}
        self._lock = threading.Lock()

    def of(self, namespace: str, project: ProjectName, stage: StageName, run: str) -> Snapshot:
        name = (namespace, project, stage, run)
        with self._alone(name):
            if (kept := self._found(name)) is not None:
                return kept
            made = snapshot(self._client, namespace, project, stage)
            self._keep(name, made)
            return made

    def forget(self, namespace: str, project: ProjectName, stage: StageName, run: str) -> None:
        with self._lock:
            self._kept.pop((namespace, project, stage, run), None)

    @contextmanager
    def _alone(self, name: tuple[str, ...]) -> Iterator[None]:
        """All steps of a run begin at once; one of them looks, the others wait for it."""
        with self._lock:
            looking = self._looking.setdefault(name, threading.Lock())
        try:
            with looking:
                yield
        finally:
            with self._lock:
                self._looking.pop(name, None)

    def _found(self, name: tuple[str, ...]) -> Snapshot | None:
        with self._lock:
            if name in self._kept:
                self._kept.move_to_end(name)
            return self._kept.get(name)

    def _keep(self, name: tuple[str, ...], made: Snapshot) -> None:
        with self._lock:
            self._kept[name] = made
            held = sum(map(len, self._kept.values()))
            while (held > KEPT or len(self._kept) > RUNS) and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                held -= len(dropped)


def _light(found: Json) -> Json:
    """Without what is read from the object itself before it is changed, and without what must not be kept."""
    whole: dict[str, Any] = {**found, "metadata": light(found["metadata"])}
    if whole["kind"] in NAMED_BY_CONTENT:
        whole.pop("data", None)
    return whole
