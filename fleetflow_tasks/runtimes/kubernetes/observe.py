# SPDX-License-Identifier: Apache-2.0
"""What a cluster holds of one stage: one LIST per kind, found by label, shared by all steps of a run.

A stage of five hundred services is looked at with as many requests as a stage of one. What the steps then write goes
into the same picture, with the cluster's own answer, so that it stays true for what this worker does. For what others
do it need not be exact: each write is preceded by a look at the one object that it changes (`apply`). But that nothing
has to be written is believed without such a look, so a picture that is some seconds old is taken anew, once for all who
ask meanwhile; and so is one from before a step's first attempt, of which this worker may not know what became.

Objects that a controller made from ours (the claims of a StatefulSet) bear the labels of their pods, but no generation.
"""

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fleetflow_tasks.config.model import ProjectName, ServiceName, StageName
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.desired import Json
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, MADE, SECRET, Kind
from fleetflow_tasks.runtimes.kubernetes.objects import light
from fleetflow_tasks.runtimes.labels import SLASHED, Mark, read, written
from fleetflow_tasks.runtimes.together import Pause, Recent

Key = tuple[str, str]  # an object's kind and name, as a manifest says them
Objects = Mapping[Key, Json]

LISTED = tuple(kind for kind in MADE if kind.namespaced)
NAMED_BY_CONTENT = frozenset({CONFIG_MAP.name, SECRET.name})  # what they hold never changes, and may be secret
FRESH = 10.0  # seconds for which a picture is believed
KEPT, RUNS = 20_000, 256  # objects of all pictures that are kept, some 100 MB; and of how many runs

_FORBIDDEN = 403
_DIGEST = "digest"  # in the place of the data


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
    """The objects of one stage, as they were when they were last listed, and what this worker has written since."""

    def __init__(self, found: Iterable[Json], *, unseen: frozenset[str] = frozenset()) -> None:
        """unseen: kinds of which it says nothing, because we may not look."""
        self.unseen = unseen
        self._services: dict[ServiceName | None, dict[Key, Json]] = {}
        self._written: list[tuple[float, Json, bool]] = []  # when, what, whether it is there
        self._lock = threading.Lock()
        for each in found:
            if not controlled(each):
                self._kept(_light(each))

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
            self._kept(light)
            self._written.append((time.monotonic(), light, True))

    def drop(self, found: Json) -> None:
        light = _light(found)
        with self._lock:
            self._dropped(light)
            self._written.append((time.monotonic(), light, False))

    def renew(self, listed: "Snapshot", since: float) -> None:
        """Become *listed*, whose listing began at *since*, with what was written meanwhile: it may have missed that."""
        with self._lock:
            self._services = listed._services  # noqa: SLF001  (another one of ours, which nobody else holds)
            self._written = [each for each in self._written if each[0] >= since]
            for _, each, there in self._written:
                if there:
                    self._kept(each)
                else:
                    self._dropped(each)

    def _kept(self, light: Json) -> None:
        """Unless a newer state of it is known."""
        held = self._services.setdefault(mark(light).service, {})
        if (known := held.get(key(light))) is None or _version(known) <= _version(light):
            held[key(light)] = light

    def _dropped(self, light: Json) -> None:
        """Unless another one has taken its place."""
        held = self._services.get(mark(light).service, {})
        known = held.get(key(light))
        if known is not None and known["metadata"].get("uid") == light["metadata"].get("uid"):
            del held[key(light)]


def own(known: Snapshot, service: ServiceName) -> dict[Key, Json]:
    """The objects of one service, without those that it shares."""
    return {where: each for where, each in known.of(service).items() if mark(each).service == service}


def snapshot(
    client: Client, namespace: str, project: ProjectName, stage: StageName, *, without_secrets: bool = False
) -> Snapshot:
    """Asks for all kinds at once: on a far cluster the way is what takes long.

    without_secrets: where we may not list them, do without; the picture then says that it holds none (`unseen`).
    """
    unseen: list[str] = []

    def listed(kind: Kind) -> Iterable[Json]:
        try:
            return client.list(kind, namespace, labels(project, stage)).items
        except KubernetesError as error:
            if not (without_secrets and kind == SECRET and error.status == _FORBIDDEN):
                raise
            unseen.append(kind.name)
            return ()

    with ThreadPoolExecutor(max_workers=len(LISTED)) as threads:
        found = [each for listed_ in threads.map(listed, LISTED) for each in listed_]
    return Snapshot(found, unseen=frozenset(unseen))


class Snapshots:
    """The pictures of the runs that are under way. Those that were not asked for the longest time go first."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._kept: OrderedDict[tuple[str, ...], Recent[Snapshot]] = OrderedDict()
        self._lock = threading.Lock()

    def of(
        self,
        namespace: str,
        project: ProjectName,
        stage: StageName,
        run: str,
        *,
        fresh: float = FRESH,
        pause: Pause | None = None,
    ) -> Snapshot:
        """fresh: how many seconds old it may be; 0: as of now. pause: asked while another one looks; it may raise."""

        picture = self._found((namespace, project, stage, run))

        def look() -> Snapshot:
            """The same object for all steps of a run, however often it is taken anew."""
            began, found = time.monotonic(), snapshot(self._client, namespace, project, stage)
            if (known := picture.taken) is None:
                return found
            known.renew(found, began)
            return known

        found = picture.since(time.monotonic() - fresh, look, pause)
        self._swept()
        return found

    def forget(self, namespace: str, project: ProjectName, stage: StageName, run: str) -> None:
        with self._lock:
            self._kept.pop((namespace, project, stage, run), None)

    def _found(self, name: tuple[str, ...]) -> Recent[Snapshot]:
        with self._lock:
            picture = self._kept.setdefault(name, Recent())
            self._kept.move_to_end(name)
            return picture

    def _swept(self) -> None:
        with self._lock:
            held = sum(map(_size, self._kept.values()))
            while (held > KEPT or len(self._kept) > RUNS) and len(self._kept) > 1:
                _, dropped = self._kept.popitem(last=False)
                held -= _size(dropped)


def _size(picture: Recent[Snapshot]) -> int:
    return len(picture.taken or ())


def _light(found: Json) -> Json:
    """Without what is read from the object itself before it is changed, and without what must not be kept."""
    whole: dict[str, Any] = {**found, "metadata": light(found["metadata"])}
    if whole["kind"] in NAMED_BY_CONTENT:
        whole[_DIGEST] = digest(found)
        whole.pop("data", None)
    return whole


def digest(found: Json) -> str:
    """Of what a ConfigMap or a Secret holds; it says the same of one in a picture, which holds that no more."""
    data = {name: found[name] for name in ("data", "binaryData") if found.get(name)}
    return str(found.get(_DIGEST) or hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest())


def _version(found: Json) -> int:
    """Versions grow, as every client of the API relies on by now."""
    said = str(found["metadata"].get("resourceVersion", ""))
    return int(said) if said.isdigit() else 0
