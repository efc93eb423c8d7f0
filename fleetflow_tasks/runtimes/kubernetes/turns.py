# SPDX-License-Identifier: Apache-2.0
"""Who may ask next: a few requests at a time, and what takes longest afterwards first.

All services of a stage begin at once. In the order in which they come, every ConfigMap would be made before the first
Deployment, and the cluster, whose part of the work is the longer one, would have nothing to do for so long. So whoever is
furthest with its service goes first: the cluster starts pods while the other services are still being made.
"""

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """As many at a time as *count*. Safe for many threads."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._line: list[tuple[int, int, threading.Event]] = []  # a heap: the next one first
        self._came = itertools.count()

    @property
    def waiting(self) -> int:
        """How many stand in line."""
        return len(self._line)

    @contextmanager
    def turn(self, urgency: int, timeout: float) -> Iterator[bool]:
        """Whether it came within *timeout* seconds. Of two who wait, the more urgent one is first, then who came first."""
        turn = self._joined(urgency)
        had = turn.wait(max(0.0, timeout)) or not self._left(turn)
        try:
            yield had
        finally:
            if had:
                self._passed_on()

    def _joined(self, urgency: int) -> threading.Event:
        """Set as soon as it is one's turn."""
        turn = threading.Event()
        with self._lock:
            if self._free:
                self._free -= 1
                turn.set()
            else:
                heapq.heappush(self._line, (-urgency, next(self._came), turn))
        return turn

    def _left(self, turn: threading.Event) -> bool:
        """False: it came just now."""
        with self._lock:
            if turn.is_set():
                return False
            self._line = [each for each in self._line if each[2] is not turn]
            heapq.heapify(self._line)
            return True

    def _passed_on(self) -> None:
        with self._lock:
            if self._line:
                heapq.heappop(self._line)[2].set()
            else:
                self._free += 1
