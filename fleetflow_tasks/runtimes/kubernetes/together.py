# SPDX-License-Identifier: Apache-2.0
"""One asks for all: who comes while a question is on its way waits for its answer, and for its failure too.

All steps of a run begin at once and want to know the same. Behind a plain lock each of them would ask anew where the
one before it failed, one after another, each for as long as a call may take. And who waits at a lock cannot be told
that his step is no longer his.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Found = TypeVar("Found")
Pause = Callable[[], None]  # may raise: whoever waits is wanted elsewhere

SLICE = 0.5  # seconds without asking whether to go on waiting


class Together(Generic[Found]):
    """Of one question."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asking: _Asking[Found] | None = None

    def __call__(self, ask: Callable[[], Found], pause: Pause | None = None) -> Found:
        """The answer to *ask*, or to that of somebody who was first. Raises what it raised, and what *pause* raises."""
        with self._lock:
            asking, first = self._asking or _Asking[Found](), self._asking is None
            self._asking = asking
        try:
            if first:
                asking.answers, asking.failure = _outcome(ask)
                with self._lock:
                    self._asking = None
                asking.done.set()
            return asking.heard(pause)
        finally:
            del asking  # a failure holds this frame: it must not be held by it, or what it holds stays open


class Recent(Generic[Found]):
    """The answer to one question, believed for a while. All who find it too old wait for the one who asks again."""

    def __init__(self) -> None:
        self._together: Together[tuple[float, Found]] = Together()
        self._taken: tuple[float, Found] | None = None  # when it began to be asked for

    @property
    def taken(self) -> Found | None:
        """As it was last, however long ago that is."""
        return self._taken[1] if self._taken else None

    def since(self, wanted: float, ask: Callable[[], Found], pause: Pause | None = None) -> Found:
        """As of *wanted*, on the monotonic clock, or later."""
        taken = self._taken
        while taken is None or taken[0] < wanted:
            taken = self._together(lambda: self._asked(wanted, ask), pause)
        return taken[1]

    def _asked(self, wanted: float, ask: Callable[[], Found]) -> tuple[float, Found]:
        if self._taken is None or self._taken[0] < wanted:  # else somebody was done just now
            self._taken = time.monotonic(), ask()
        return self._taken


class _Asking(Generic[Found]):
    """answers: one, or none where there is a failure."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answers: list[Found] = []
        self.failure: BaseException | None = None

    def heard(self, pause: Pause | None) -> Found:
        try:
            while not self.done.wait(SLICE):
                if pause is not None:
                    pause()
            if self.failure is not None:
                raise self.failure
            return self.answers[0]
        finally:
            del self


def _outcome(ask: Callable[[], Found]) -> tuple[list[Found], BaseException | None]:
    try:
        return [ask()], None
    except BaseException as error:  # noqa: BLE001  (raised again, for all who wait)
        return [], error
