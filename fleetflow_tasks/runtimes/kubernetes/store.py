# SPDX-License-Identifier: Apache-2.0
"""What is known of a namespace's objects: found by service, and whoever waits for a service is woken by it alone.

A thousand services share one stream of changes. A step that waits for one of them looks at its own objects, and does
not run through all of them; and it sleeps while others change. Of two states of an object the newer one counts, however
late the older one comes: so that our own writes can be put in before the stream tells of them.
"""

import threading
from collections.abc import Mapping

from fleetflow_tasks.runtimes.kubernetes.client import Json
from fleetflow_tasks.runtimes.kubernetes.kinds import EVENT, Kind
from fleetflow_tasks.runtimes.kubernetes.objects import light
from fleetflow_tasks.runtimes.labels import SLASHED

Key = tuple[str, str, str]  # project, stage, service


def key(labels: Mapping[str, str]) -> Key:
    """Whose an object with these labels is."""
    project, stage, service = (labels.get(SLASHED + name, "") for name in ("project", "stage", "service"))
    return project, stage, service


class Changes:
    """Counts what changed, service by service, and wakes who waits for one of them."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._counts: dict[Key, int] = {}
        self._waiting: dict[Key, list[threading.Condition]] = {}
        self._all = 0
        self.owners: dict[str, Key] = {}  # uid -> whose; an event names its object by uid alone

    def note(self, whose: Key) -> None:
        with self._lock:
            self._counts[whose] = self._counts.get(whose, 0) + 1
            for waiting in self._waiting.get(whose, ()):
                waiting.notify()

    def note_all(self) -> None:
        """Something that concerns everybody: everything was listed anew, or nobody answers."""
        with self._lock:
            self._all += 1
            for each in self._waiting.values():
                for waiting in each:
                    waiting.notify()

    def wait(self, whose: Key, since: int, timeout: float) -> int:
        with self._lock:
            woken = threading.Condition(self._lock)
            waiting = self._waiting.setdefault(whose, [])
            waiting.append(woken)
            try:
                woken.wait_for(lambda: self._count(whose) != since, timeout)
            finally:
                waiting.remove(woken)
            return self._count(whose)

    def _count(self, whose: Key) -> int:
        return self._counts.get(whose, 0) + self._all


class Store:
    """The objects of one kind, found by whose they are: a service's, or for an event, the object's that it is about."""

    def __init__(self, kind: Kind, changes: Changes, lock: threading.RLock) -> None:
        self._kind = kind
        self._changes = changes
        self._lock = lock
        self._all: dict[str, Json] = {}
        self._found: dict[Key | str, dict[str, Json]] = {}

    def of(self, whose: Key | str) -> tuple[Json, ...]:
        with self._lock:
            return tuple(self._found.get(whose, {}).values())

    def put(self, told: Json) -> None:
        """Unless we know a newer one already."""
        new = _slim(self._kind, told)
        name = new["metadata"]["name"]
        with self._lock:
            old = self._all.get(name)
            if old is not None and _version(new) <= _version(old):
                return
            if old is not None:
                self._drop(old)
            self._all[name] = new
            self._found.setdefault(self._whose(new), {})[name] = new
            self._known(new)

    def remove(self, gone: Json) -> None:
        """Unless another one of its name is there by now."""
        with self._lock:
            held = self._all.get(gone["metadata"]["name"])
            if held is not None and held["metadata"]["uid"] == gone["metadata"]["uid"]:
                self._drop(held)

    def replace(self, listed: tuple[Json, ...], version: str) -> None:
        """What a list has; and what we wrote ourselves after it was made."""
        with self._lock:
            names = {each["metadata"]["name"] for each in listed}
            for name, held in list(self._all.items()):
                if name not in names and _version(held) <= _number(version):
                    self._drop(held)
            for each in listed:
                self.put(each)

    def clear(self) -> None:
        with self._lock:
            for held in list(self._all.values()):
                self._drop(held)

    def _drop(self, held: Json) -> None:
        metadata, whose = held["metadata"], self._whose(held)
        del self._all[metadata["name"]]
        found = self._found[whose]
        del found[metadata["name"]]
        if not found:
            del self._found[whose]
        self._changes.owners.pop(metadata["uid"], None)
        self._note(held)

    def _known(self, new: Json) -> None:
        if self._kind != EVENT:
            self._changes.owners[new["metadata"]["uid"]] = key(new["metadata"].get("labels") or {})
        self._note(new)

    def _note(self, changed: Json) -> None:
        whose = self._whose(changed)
        owner = self._changes.owners.get(whose) if isinstance(whose, str) else whose
        if owner is not None:  # an event of something that comes only later is found when that comes
            self._changes.note(owner)

    def _whose(self, held: Json) -> Key | str:
        if self._kind == EVENT:
            return str(held.get("involvedObject", {}).get("uid", ""))
        return key(held["metadata"].get("labels") or {})


def _slim(kind: Kind, told: Json) -> Json:
    """Without what nobody asks for and what is half of an object's size; items of a list do not say their kind."""
    return {"apiVersion": kind.api, "kind": kind.name, **told, "metadata": light(told["metadata"])}


def _version(held: Json) -> int:
    return _number(str(held["metadata"].get("resourceVersion", "")))


def _number(version: str) -> int:
    """Versions of a kind grow, as every client of the API relies on by now."""
    return int(version) if version.isdigit() else 0
