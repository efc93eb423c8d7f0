# SPDX-License-Identifier: Apache-2.0
"""An attempt without an engine: it keeps what was reported, and stops the runtime where a test wants it."""

import time
from collections.abc import Callable, Mapping
from typing import Literal

from fleetflow_tasks.runtimes.base import Stopped


class Trial:
    """generation, run: as the engine would give them. stop_at: the checkpoint, counted from 0, that raises.

    meanwhile: what happens in the world while a checkpoint, counted from 0, is asked for, and is passed all the same.
    """

    def __init__(
        self,
        generation: int = 1,
        *,
        run: str = "",
        number: int = 1,
        timeout: float = 60.0,
        stop_at: int | None = None,
        reason: Literal["lost", "cancelled", "timeout", "draining"] = "lost",
        meanwhile: Mapping[int, Callable[[], None]] = {},
    ) -> None:
        self.number = number
        self.generation = generation
        self.run = run or f"run-{generation}"
        self.deadline = time.monotonic() + timeout
        self.reports: list[str] = []
        self.checkpoints = 0
        self._stop_at = stop_at
        self._meanwhile = dict(meanwhile)
        self._reason: Literal["lost", "cancelled", "timeout", "draining"] = reason

    def report(self, text: str, current: float | None = None, total: float | None = None) -> None:
        self.reports.append(text if total is None else f"{text} ({current} of {total})")

    def checkpoint(self) -> None:
        self.checkpoints += 1
        if self._stop_at is not None and self.checkpoints > self._stop_at:
            raise Stopped(self._reason)
        if happens := self._meanwhile.pop(self.checkpoints - 1, None):
            happens()

    def sleep(self, seconds: float) -> None:
        self.checkpoint()
        time.sleep(seconds)
