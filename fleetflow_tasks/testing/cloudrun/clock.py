# SPDX-License-Identifier: Apache-2.0
"""Time, and what is to happen in it.

Nothing runs by itself: what is due happens when somebody looks, in the order in which it was due, and each thing at its own
moment. So no thread is needed, a test that moves the clock sees all that lies between at once, and with the real clock
the world still looks as if it had gone on meanwhile.
"""

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Seconds since 1970."""

    def now(self) -> float: ...


class Real:
    def now(self) -> float:
        return time.time()


class Moved:
    """Stands still until a test moves it."""

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._now = start
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds


class Agenda:
    """What is due when. Whoever uses it holds the state's lock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._moment: float | None = None

    @property
    def now(self) -> float:
        """While something that was due happens: its own moment."""
        return self.clock.now() if self._moment is None else self._moment

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Not before the next look, even after 0 seconds."""
        heapq.heappush(self._due, (self.now + seconds, next(self._order), happen))

    def catch_up(self) -> None:
        """Everything that is due by now, also what follows from it."""
        until = self.clock.now()
        try:
            while self._due and self._due[0][0] <= until:
                self._moment, _, happen = heapq.heappop(self._due)
                happen()
        finally:
            self._moment = None


def stamp(moment: float) -> str:
    """As google.protobuf.Timestamp writes itself in JSON, with microseconds."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds(duration: str) -> float:
    """Of a google.protobuf.Duration in JSON: `300s`, `0.500s`."""
    return float(duration.removesuffix("s"))
