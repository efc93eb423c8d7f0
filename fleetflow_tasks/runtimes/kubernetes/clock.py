# SPDX-License-Identifier: Apache-2.0
"""The API server's clock, as its answers tell it, each by its `Date`.

Graces are counted from times that the cluster wrote. A worker whose own clock is wrong by a minute would have no
patience at all, or would not see a failure; so its own clock is not asked. What counts is how much time has passed since
an answer, and that is measured on a clock that nobody sets.

A `Date` has whole seconds, cut off, and says when the answer was made: somewhere between our question and its arrival.
So each answer gives bounds, and many answers narrow them down. Of what is possible the earliest is taken: a grace may
then last a little longer, and never ends too soon.
"""

import threading
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_STEP = 1.0  # seconds of what a `Date` leaves out


class Clock:
    """Of one server. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bounds: tuple[float, float] | None = None  # of its seconds since 1970, less ours of time.monotonic

    def heard(self, date: str, asked: float, answered: float) -> None:
        """date: of an answer, as HTTP writes it. asked, answered: moments on the clock of time.monotonic."""
        try:
            said = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        least, most = said - answered, said + _STEP - asked
        with self._lock:
            narrowed = (max(least, self._bounds[0]), min(most, self._bounds[1])) if self._bounds else (least, most)
            # Where both cannot be true, somebody set the server's clock, or another server answers now.
            self._bounds = narrowed if narrowed[0] <= narrowed[1] else (least, most)

    def now(self) -> datetime:
        """This machine's own time, as long as no answer has told another."""
        with self._lock:
            bounds = self._bounds
        if bounds is None:
            return datetime.now(UTC)
        return datetime.fromtimestamp(bounds[0] + time.monotonic(), UTC)
