# SPDX-License-Identifier: Apache-2.0
"""Cloud Run's quota of requests, kept on our side: a bucket of tokens per project, region and kind of request.

Google counts reads and writes of a project in a region within each minute. Who goes over it gets RESOURCE_EXHAUSTED, and
so does everybody else of the project: their console, their CI. So a call takes a token first and waits where there is none;
each token comes back a minute after it was taken. So all of a small stage may begin at once, and in no minute more is sent
than the bucket holds. A bucket that fills evenly would have to hold half as much to promise the same.

The buckets belong to a client, and a process has one client per endpoint: all of its steps share them. Other processes are
not seen; Google's own answer is heard for them (`drained`).
"""

import threading
import time
from collections import deque
from collections.abc import Callable

MINUTE = 60.0

# "Cloud Run Admin API" under cloud.google.com/run/quotas: 3000 and 180 per minute, project and region. A sixth is left to others.
READS = 2500
WRITES = 150


class Bucket:
    """Tokens of one kind. Safe for many threads; they get their tokens in the order in which they asked."""

    def __init__(self, tokens: int, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._taken: deque[float] = deque(maxlen=tokens)  # when, the last of them; in the future where somebody waits
        self._closed = float("-inf")  # until when Google wants to be left alone

    def take(self, patience: float) -> float | None:
        """Seconds to wait until the token that is now ours is there; None: it would be longer than *patience*."""
        with self._lock:
            now = self._now()
            wait = max(0.0, self._next() - now)
            if wait > max(0.0, patience):  # what is there costs no patience
                return None
            self._taken.append(now + wait)
            return wait

    def drained(self, pause: float) -> None:
        """Google says that there is nothing more, for *pause* seconds: nobody of us asks before that."""
        with self._lock:
            self._closed = max(self._closed, self._now() + pause)

    def _next(self) -> float:
        """When the next token is there."""
        full = len(self._taken) == self._taken.maxlen
        return max(self._closed, self._taken[0] + MINUTE if full else self._closed)


class Quota:
    """The buckets of one endpoint."""

    def __init__(self, reads: int = READS, writes: int = WRITES) -> None:
        self._reads = reads
        self._writes = writes
        self._lock = threading.Lock()
        self._buckets: dict[tuple[str, bool], Bucket] = {}

    def bucket(self, name: str, *, writes: bool) -> Bucket:
        """The one that counts a request about the resource *name*."""
        place = "/".join(name.split("/")[:4])  # projects/p/locations/r
        with self._lock:
            key = (place, writes)
            if key not in self._buckets:
                self._buckets[key] = Bucket(self._writes if writes else self._reads)
            return self._buckets[key]
