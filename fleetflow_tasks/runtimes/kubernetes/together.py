# SPDX-License-Identifier: Apache-2.0
"""One asks for all: who comes while a question is on its way waits for its answer, and for its failure too.

All steps of a run begin at once and want to know the same. Behind a plain lock each of them would ask anew where the
one before it failed, one after another, each for as long as a call may take. And who waits at a lock cannot be told
that his step is no longer his.
"""

import threading
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
