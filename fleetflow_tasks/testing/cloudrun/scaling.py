# SPDX-License-Identifier: Apache-2.0
"""The instances of one revision: none while nobody asks, one more when those there are busy, none again after a while.

cloud.google.com/run/docs/about-instance-autoscaling: an instance takes as many requests at once as `concurrency` says, a
request waits for an instance that starts, and is refused with 429 where none may be added. The seconds until an idle one is
stopped are a setting here (Google: at most 15 minutes).
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

QUEUED = 10.0  # seconds that a request waits for a place, as Cloud Run lets it


class Instance(Protocol):
    """Something that answers HTTP at an address of this machine."""

    @property
    def address(self) -> tuple[str, int]: ...

    def stop(self) -> None: ...


class BusyError(Exception):
    """All instances are busy, and there may be no more of them."""


class _Place:
    """Of one instance. instance: None while it starts. requests: that it has, or that wait for it."""

    def __init__(self) -> None:
        self.instance: Instance | None = None
        self.failure: Exception | None = None
        self.requests = 0
        self.idle_since = 0.0

    @property
    def pending(self) -> bool:
        return self.instance is None and self.failure is None


class Pool:
    """Safe for many threads."""

    def __init__(
        self,
        start: Callable[[], Instance],
        *,
        concurrency: int = 80,
        least: int = 0,
        most: int = 100,
        idle: float = 15.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """start: a new instance, which takes requests when it returns. idle: seconds until one without any is stopped."""
        self._start = start
        self._concurrency = max(1, concurrency)
        self._least = least
        self._most = max(1, most, least)
        self._idle = idle
        self._now = now
        self._changed = threading.Condition()
        self._places: list[_Place] = []
        self._closed = False

    @property
    def instances(self) -> int:
        """That run, or start."""
        with self._changed:
            return len(self._places)

    def warm(self) -> None:
        """Start what has to run always, and one at least: Cloud Run tries a revision before it calls it ready.

        Raises what `start` raises.
        """
        missing = max(1, self._least) - self.instances
        for _ in range(missing):
            place = self._added()
            self._begin(place)
            self._leave(place)

    @contextmanager
    def instance(self, patience: float = QUEUED) -> Iterator[Instance]:
        """One for a request. Raises BusyError, and what `start` raises."""
        place, new = self._taken(patience)
        try:
            if new:
                self._begin(place)
            yield self._running(place)
        finally:
            self._leave(place)

    def broken(self, instance: Instance) -> None:
        """It does not answer any more: no request goes there again."""
        with self._changed:
            self._places = [place for place in self._places if place.instance is not instance]
            self._changed.notify_all()

    def reap(self) -> None:
        """Stop those that have been idle long enough."""
        for place in self._idle_ones():
            if place.instance is not None:
                place.instance.stop()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: not any(place.pending for place in self._places), timeout=QUEUED)
            places, self._places = self._places, []
            self._changed.notify_all()
        for place in places:
            if place.instance is not None:
                place.instance.stop()

    def _taken(self, patience: float) -> tuple[_Place, bool]:
        """(where the request goes, whether its instance has to be started)."""
        end = time.monotonic() + patience
        with self._changed:
            while True:
                if self._closed:
                    raise BusyError
                free = next((place for place in self._places if place.requests < self._concurrency), None)
                if free is not None:
                    free.requests += 1
                    return free, False
                if len(self._places) < self._most:
                    return self._added(), True
                if not self._changed.wait(end - time.monotonic()):
                    raise BusyError

    def _added(self) -> _Place:
        with self._changed:
            place = _Place()
            place.requests = 1
            self._places.append(place)
            return place

    def _begin(self, place: _Place) -> None:
        try:
            instance = self._start()
        except Exception as error:
            with self._changed:
                place.failure = error
                self._places.remove(place)
                self._changed.notify_all()
            raise
        with self._changed:
            place.instance = instance
            late = self._closed and place not in self._places  # `close` has waited for it long enough
            self._changed.notify_all()
        if late:
            instance.stop()

    def _running(self, place: _Place) -> Instance:
        with self._changed:
            self._changed.wait_for(lambda: not place.pending)
            if place.failure is not None:
                raise place.failure
            assert place.instance is not None
            return place.instance

    def _leave(self, place: _Place) -> None:
        with self._changed:
            place.requests -= 1
            place.idle_since = self._now()
            self._changed.notify_all()

    def _idle_ones(self) -> list[_Place]:
        """Taken out, the youngest first; so many stay as have to."""
        with self._changed:
            over = len(self._places) - self._least
            idle = [place for place in reversed(self._places) if self._is_idle(place)][: max(0, over)]
            self._places = [place for place in self._places if place not in idle]
            return idle

    def _is_idle(self, place: _Place) -> bool:
        return place.instance is not None and not place.requests and self._now() - place.idle_since >= self._idle
