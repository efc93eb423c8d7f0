# SPDX-License-Identifier: Apache-2.0
"""What is known of a namespace's objects: found by service, and whoever waits for a service is woken by it alone.

A thousand services share one stream of changes. A step that waits for one of them looks at its own objects, and does
not run through all of them; and it sleeps while others change. Of two states of an object the newer one counts, however
late the older one comes: so that our own writes can be put in before the stream tells of them. One that the stream has
told the end of does not come back: whatever is older than that and is not known is gone.
"""

import threading
from collections.abc import Mapping

from fleetflow_tasks.runtimes.kubernetes.client import Json
from fleetflow_tasks.runtimes.kubernetes.events import of_sets, subject
from fleetflow_tasks.runtimes.kubernetes.kinds import DEPLOYMENT, EVENT, Kind
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
        self.owners: dict[str, Key] = {}  # what an event may be about (`subject`) -> whose that is

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
    """The objects of one kind, found by whose they are: a service's, or for an event, by what it is about."""

    def __init__(self, kind: Kind, changes: Changes, lock: threading.RLock) -> None:
        self._kind = kind
        self._changes = changes
        self._lock = lock
        self._all: dict[str, Json] = {}
        self._ended = -1  # the version of the last end that was heard of; all that is older and lives is known
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
            if _version(new) <= (self._ended if old is None else _version(old)):
                return
            self._put(name, old, new)

    def remove(self, gone: Json) -> None:
        """Unless another one of its name is there by now."""
        with self._lock:
            self._ended = max(self._ended, _version(gone))
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
                self._listed(_slim(self._kind, each))
            self._ended = _number(version)

    def clear(self) -> None:
        with self._lock:
            for held in list(self._all.values()):
                self._drop(held)

    def _listed(self, new: Json) -> None:
        name = new["metadata"]["name"]
        old = self._all.get(name)
        if old is None or _version(new) > _version(old):
            self._put(name, old, new)

    def _put(self, name: str, old: Json | None, new: Json) -> None:
        if old is not None:
            self._drop(old)
        self._all[name] = new
        self._found.setdefault(self._whose(new), {})[name] = new
        self._known(new)

    def _drop(self, held: Json) -> None:
        metadata, whose = held["metadata"], self._whose(held)
        del self._all[metadata["name"]]
        found = self._found[whose]
        del found[metadata["name"]]
        if not found:
            del self._found[whose]
        for subject_ in self._subjects(held):
            self._changes.owners.pop(subject_, None)
        self._note(held)

    def _known(self, new: Json) -> None:
        for subject_ in self._subjects(new):
            self._changes.owners[subject_] = key(new["metadata"].get("labels") or {})
        self._note(new)

    def _subjects(self, held: Json) -> tuple[str, ...]:
        """What events that concern it may be about: itself, and the ReplicaSets of a Deployment."""
        metadata = held["metadata"]
        sets = (of_sets(metadata["name"]),) if self._kind == DEPLOYMENT else ()
        return () if self._kind == EVENT else (metadata["uid"], *sets)

    def _note(self, changed: Json) -> None:
        whose = self._whose(changed)
        owner = self._changes.owners.get(whose) if isinstance(whose, str) else whose
        if owner is not None:  # an event of something that comes only later is found when that comes
            self._changes.note(owner)

    def _whose(self, held: Json) -> Key | str:
        if self._kind == EVENT:
            return subject(held)
        return key(held["metadata"].get("labels") or {})


def _slim(kind: Kind, told: Json) -> Json:
    """Without what nobody asks for and what is half of an object's size; items of a list do not say their kind."""
    return {"apiVersion": kind.api, "kind": kind.name, **told, "metadata": light(told["metadata"])}


def _version(held: Json) -> int:
    return _number(str(held["metadata"].get("resourceVersion", "")))


def _number(version: str) -> int:
    """Versions of a kind grow, as every client of the API relies on by now."""
    return int(version) if version.isdigit() else 0
