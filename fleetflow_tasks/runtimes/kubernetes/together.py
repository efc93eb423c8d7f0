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
        return self._asked(asking, ask) if first else asking.heard(pause)

    def _asked(self, asking: "_Asking[Found]", ask: Callable[[], Found]) -> Found:
        try:
            asking.ask(ask)
        finally:
            with self._lock:
                self._asking = None
            asking.done.set()
        return asking.heard(None)


class _Asking(Generic[Found]):
    def __init__(self) -> None:
        self.done = threading.Event()
        self._answers: list[Found] = []
        self._failure: BaseException | None = None

    def ask(self, ask: Callable[[], Found]) -> None:
        try:
            self._answers.append(ask())
        except BaseException as error:
            self._failure = error
            raise

    def heard(self, pause: Pause | None) -> Found:
        while not self.done.wait(SLICE):
            if pause is not None:
                pause()
        if self._failure is not None:
            raise self._failure
        return self._answers[0]
