# SPDX-License-Identifier: Apache-2.0
"""Wait until something is ready: a verdict goes in, deadline and backoff are here.

What "ready" means is each runtime's own, pure affair: it looks once and says `Waiting`, `Ready` or `Broken`. This
module only asks again, tells people what is being waited for, and stops in time.
"""

import random
import time
from collections.abc import Callable

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.base import Attempt

MOST = 0.5  # seconds between two questions at most: a person sees the answer "at once", and an engine is not kept busy
GROWTH = 1.5
JITTER = 0.2  # of each pause, so that many waiters do not ask in step


class Waiting(Data, frozen=True, kw_only=True, tag=True):
    """Not yet. text: what is being waited for, as a person would say it. soon: seconds until that may be over, where
    it is known."""

    text: str
    soon: float | None = None
    current: float | None = None
    total: float | None = None


class Ready(Data, frozen=True, kw_only=True, tag=True):
    text: str


class Broken(Data, frozen=True, kw_only=True, tag=True):
    """It will not become ready by waiting. text: the reason, one line."""

    text: str


Verdict = Waiting | Ready | Broken


def wait(probe: Callable[[], Verdict], attempt: Attempt, *, deadline: float, every: float = 0.1) -> Verdict:
    """Ask *probe* until it is done and return its last verdict; `Broken` is an answer, no error.

    deadline: a moment on `time.monotonic`'s clock. Past it the last `Waiting` is returned: not the clock but its text
    is what a person needs. every: the first pause; the pauses grow to MOST.
    Raises what `attempt.sleep` raises.
    """
    pause = every
    while True:
        verdict = probe()
        left = deadline - time.monotonic()
        if not isinstance(verdict, Waiting) or left <= 0:
            return verdict
        attempt.report(verdict.text, verdict.current, verdict.total)
        jitter = 1 + JITTER * random.random()  # noqa: S311  (no secret)
        attempt.sleep(min(left, pause * jitter, verdict.soon if verdict.soon is not None else MOST * 2))
        pause = min(MOST, pause * GROWTH)
