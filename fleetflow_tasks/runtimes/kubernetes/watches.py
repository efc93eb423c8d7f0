# SPDX-License-Identifier: Apache-2.0
"""What a cluster says of itself: one watch per kind and namespace, shared by all steps of a worker.

So a hundred rollouts that wait cost as many requests as one does. `listening` keeps a watch going over cut lines and
restarted servers, `store` keeps what it tells, by service. Our own writes are put in with `told`, so that nobody takes
what was before a write for what came of it.
"""

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from fleetflow_tasks.runtimes.kubernetes.client import Client, Json
from fleetflow_tasks.runtimes.kubernetes.kinds import EVENT, Kind
from fleetflow_tasks.runtimes.kubernetes.listening import Stream
from fleetflow_tasks.runtimes.kubernetes.store import Changes, Key, key
from fleetflow_tasks.runtimes.together import Pause

IDLE = 30.0  # seconds that a watch outlives the last step that used it: the next step of the run comes soon
FIRST = 20.0  # seconds for the first list of a kind


class Watches:
    """Of one cluster. Safe for many threads."""

    def __init__(self, client: Client, *, idle: float = IDLE) -> None:
        self._client = client
        self._idle = idle
        self._lock = threading.Lock()
        self._namespaces: dict[str, Watched] = {}

    def watched(self, namespace: str) -> "Watched":
        with self._lock:
            if namespace not in self._namespaces:
                self._namespaces[namespace] = Watched(self._client, namespace, self._idle)
            return self._namespaces[namespace]

    def close(self) -> None:
        with self._lock:
            every = list(self._namespaces.values())
            self._namespaces.clear()
        for watched in every:
            watched.close()


class Watched:
    """One namespace."""

    def __init__(self, client: Client, namespace: str, idle: float) -> None:
        self._client = client
        self._namespace = namespace
        self._idle = idle
        self._lock = threading.RLock()
        self._changes = Changes(self._lock)
        self._streams: dict[Kind, Stream] = {}
        self._sweeper: threading.Timer | None = None
        self._closed = False

    @contextmanager
    def use(self, kinds: Collection[Kind], labels: Mapping[str, str], pause: Pause | None = None) -> Iterator["Seen"]:
        """What there is of *kinds* that is of the service with *labels*, and what becomes of it.

        Everything that was there before the call is seen. Raises KubernetesError where a kind cannot be listed or watched.
        pause: asked while the first list is on its way; it may raise.
        """
        streams = self._taken(kinds)
        try:
            for stream in streams.values():
                stream.ready(FIRST, pause)
            yield Seen(streams, key(labels), self._changes)
        finally:
            self._released(streams.values())

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._sweeper is not None:
                self._sweeper.cancel()
            streams = list(self._streams.values())
            self._streams.clear()
        for stream in streams:
            stream.close()
        for stream in streams:
            stream.join()

    def _taken(self, kinds: Collection[Kind]) -> dict[Kind, Stream]:
        with self._lock:
            for kind in kinds:
                if kind not in self._streams or self._streams[kind].over:
                    self._streams[kind] = Stream(self._client, kind, self._namespace, self._changes, self._lock)
            taken = {kind: self._streams[kind] for kind in kinds}
            for stream in taken.values():
                stream.users += 1
            return taken

    def _released(self, streams: Collection[Stream]) -> None:
        with self._lock:
            for stream in streams:
                stream.users -= 1
                stream.left = time.monotonic()
            self._swept_later()

    def _swept_later(self) -> None:
        if self._sweeper is None and not self._closed and self._streams:
            self._sweeper = threading.Timer(self._idle, self._sweep)
            self._sweeper.daemon = True
            self._sweeper.start()

    def _sweep(self) -> None:
        """End the watches that nobody has used for a while. While one is used, whoever leaves it comes back here."""
        with self._lock:
            self._sweeper = None
            unused = [kind for kind, stream in self._streams.items() if not stream.users]
            tired = [kind for kind in unused if time.monotonic() - self._streams[kind].left >= self._idle]
            ended = [self._streams.pop(kind) for kind in tired]
            if len(tired) < len(unused):
                self._swept_later()
        for stream in ended:
            stream.close()


class Seen:
    """The objects of one service, as far as they are known by now."""

    def __init__(self, streams: Mapping[Kind, Stream], mine: Key, changes: Changes) -> None:
        self._streams = streams
        self._mine = mine
        self._changes = changes

    def objects(self, kind: Kind) -> tuple[Json, ...]:
        return self._streams[kind].store.of(self._mine)

    def events(self, subject: str) -> tuple[Json, ...]:
        """What was said of the object of that uid, or of a Deployment's ReplicaSets (`events.of_sets`)."""
        return self._streams[EVENT].store.of(subject)

    def told(self, kind: Kind, answer: Json) -> None:
        """Put in what the server answered to a write of ours: the watch may say so only later."""
        self._streams[kind].store.put(answer)

    def wait(self, since: int, timeout: float) -> int:
        """Return as soon as something of this service has changed since the answer before, or after *timeout*.

        -1 at first: returns at once. What is looked at after the answer is at least as new as the answer.

        Raises KubernetesError where one of the kinds can no longer be watched.
        """
        for stream in self._streams.values():
            stream.check()
        now = self._changes.wait(self._mine, since, timeout)
        for stream in self._streams.values():
            stream.check()
        return now

    @property
    def trouble(self) -> str:
        """Why nothing may be heard just now, for people; "" while all is well."""
        return next((stream.trouble for stream in self._streams.values() if stream.trouble), "")
