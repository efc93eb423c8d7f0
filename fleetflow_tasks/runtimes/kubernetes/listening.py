# SPDX-License-Identifier: Apache-2.0
"""One kind of one namespace, as it happens: a list, then what changed since, for as long as somebody listens.

A connection that is cut goes on from the version of the last thing heard. Where the server no longer knows that version
(410 Gone), or refuses it twice, everything is listed again. A server that does not answer is asked again, ever more
rarely, and it is said so meanwhile (`trouble`): an API server that is restarted is away for seconds. What waiting cannot
mend, as a role that may not watch, ends the stream and is raised to all who use it.
"""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.runtimes.kubernetes.client import Client, Json, Listed
from fleetflow_tasks.runtimes.kubernetes.events import TELLING
from fleetflow_tasks.runtimes.kubernetes.kinds import EVENT, Kind
from fleetflow_tasks.runtimes.kubernetes.lines import Watching
from fleetflow_tasks.runtimes.kubernetes.store import Changes, Store
from fleetflow_tasks.runtimes.kubernetes.trouble import KubernetesError, broken, slow
from fleetflow_tasks.runtimes.labels import SLASHED
from fleetflow_tasks.runtimes.together import SLICE, Pause

SHORTEST, LONGEST = 0.1, 2.0  # seconds between two tries to reach a server that does not answer
SETTLING = 10.0  # seconds for which a refusal in the middle may be that of a server which has just been started
LEAVING = 2.0  # seconds that closing waits for a thread, which may be in the middle of a list
PATIENCE = 10.0  # seconds that a server may ask us to wait before the next try
BUSY = 429  # of HTTP: it has more to do than it can, or is still waking up
GONE = 410  # of HTTP: the version that we go on from is no longer known
FORBIDDEN = {401, 403, 404, 405}
OURS = f"{SLASHED}project"  # a label that whatever we made has, and what is made from it

Failure = KubernetesError | UnavailableError


class Stream:
    """A thread of its own, from the first who uses it until it is closed."""

    def __init__(self, client: Client, kind: Kind, namespace: str, changes: Changes, lock: threading.RLock) -> None:
        self.users = 0
        self.left = 0.0  # when the last user went, on the clock of time.monotonic
        self.trouble = ""
        self.store = Store(kind, changes, lock)
        self._client = client
        self._kind = kind
        self._namespace = namespace
        self._changes = changes
        self._lock = lock
        self._version = ""
        self._tries = 0
        self._refused_since: float | None = None
        self._last: Failure | None = None  # of the tries since it was well
        self._failure: Failure | None = None  # that waiting does not mend
        self._watching: Watching | None = None
        self._ready = threading.Event()  # watches, or has failed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch {kind.plural}", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        return self._failure is not None or self._ended.is_set()

    def ready(self, timeout: float, pause: Pause | None = None) -> None:
        """Return when everything was listed once, and is watched. Raises what stands in the way: before that the store is
        empty, and would be taken for a service that is gone. pause: asked meanwhile; it may raise."""
        end = time.monotonic() + timeout
        while not self._ready.wait(max(0.0, min(SLICE, end - time.monotonic()))):
            if time.monotonic() >= end:
                raise self._last or slow(f"list {self._kind.plural}", timeout)
            if pause is not None:
                pause()
        self.check()

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        with self._lock:
            self._ended.set()
            watching = self._watching
            self.store.clear()
        if watching is not None:
            watching.close()

    def join(self) -> None:
        self._thread.join(LEAVING)

    def _run(self) -> None:
        """Who waits is told of a mistake of ours too: what is held would never change again, and look like the truth."""
        try:
            while not self.over:
                self._tried()
        except Exception as error:  # noqa: BLE001  (the end of a thread: whoever waits raises it, with this as its cause)
            failure = broken(f"watch {self._kind.plural}", error)
            failure.__cause__ = error
            self._failed(failure)

    def _tried(self) -> None:
        try:
            self._listen()
        except KubernetesError as error:
            self._refused(error)
        except UnavailableError as error:
            self._again(error, str(error))

    def _listen(self) -> None:
        """One list, where we know nothing, then one watch to its end."""
        selector, fields = ("", TELLING) if self._kind == EVENT else (OURS, "")
        if not self._version:
            listed = self._client.list(self._kind, self._namespace, selector, fields)
            self._replaced(listed)
        begun, before = time.monotonic(), self._version
        with self._held(self._client.watch(self._kind, self._namespace, selector, fields, self._version)) as watching:
            self._well()
            self._followed(watching)
        if self._version == before and time.monotonic() - begun < LONGEST and not self.over:
            self._ended.wait(SHORTEST)  # somebody in between ends watches at once: never ask without a pause

    def _followed(self, watching: Watching) -> None:
        """To its end. That it is cut is no trouble yet: that nobody answers the next one would be."""
        try:
            for what, changed in watching:
                self._heard(what, changed)
        except KubernetesError as error:
            if error.status:
                raise

    @contextmanager
    def _held(self, watching: Watching) -> Iterator[Watching]:
        """So that `close` can wake us; also when it was called while the connection was being made."""
        with self._lock:
            self._watching = watching
        if self._ended.is_set():
            watching.close()
        try:
            yield watching
        finally:
            with self._lock:
                self._watching = None
            watching.close()

    def _replaced(self, listed: Listed) -> None:
        with self._lock:
            if not self._ended.is_set():
                self.store.replace(listed.items, listed.version)
            self._version = listed.version
        self._changes.note_all()

    def _heard(self, what: str, changed: Json) -> None:
        with self._lock:
            if self._ended.is_set():
                return
            if what == "DELETED":
                self.store.remove(changed)
            elif what != "BOOKMARK":
                self.store.put(changed)
            self._version = str(changed["metadata"]["resourceVersion"])

    def _well(self) -> None:
        self._tries, self._refused_since, self._last = 0, None, None
        self._ready.set()
        if self.trouble:
            self.trouble = ""
            self._changes.note_all()

    def _refused(self, error: KubernetesError) -> None:
        if error.status == GONE:
            self._version = ""
        elif error.status in FORBIDDEN and self._for_good():
            self._failed(error)
        elif error.status:
            self._again(error, f"the API server refuses to answer: {error.answer}")
            if self._tries > 1 and error.status != BUSY:  # perhaps our version is of a time that it does not know
                self._version = ""
        else:
            self._again(error, f"the API server does not answer: {error.answer}")

    def _for_good(self) -> bool:
        """A server that has just been started knows nobody and allows nothing, for some seconds."""
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        return not self._ready.is_set() or now - self._refused_since > SETTLING

    def _failed(self, failure: Failure) -> None:
        self._failure = failure
        self._ready.set()
        self._changes.note_all()

    def _again(self, failure: Failure, trouble: str) -> None:
        self._last = failure
        if trouble != self.trouble and not self._ended.is_set():
            self.trouble = trouble
            self._changes.note_all()
        pause = min(LONGEST, SHORTEST * 2**self._tries) * random.uniform(0.75, 1.25)  # noqa: S311  (no secret)
        asked = failure.retry_after if isinstance(failure, KubernetesError) else None
        self._ended.wait(max(pause, min(asked or 0.0, PATIENCE)))
        self._tries += 1
