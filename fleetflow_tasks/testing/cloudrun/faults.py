# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on purpose: a request that a test names is refused, is slow, or is carried out and its answer lost.

Requests are named as a pattern of `Services.UpdateService projects/p/locations/r/services/s`.
"""

import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from .refused import TYPE, Refused

Json = dict[str, Any]


@dataclass
class Fault:
    """left: how many more requests meet it. met: how many did."""

    requests: re.Pattern[str]
    left: int
    refusal: Refused | None = None
    delay: float = 0.0
    lost: bool = False
    met: int = 0


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._closed = threading.Event()

    def refuse(
        self, requests: str, code: str, message: str = "", *, times: int = 1, after: float | None = None
    ) -> Fault:
        """Nothing is done. after: seconds, as RetryInfo."""
        details: list[Json] = [] if after is None else [{"@type": f"{TYPE}RetryInfo", "retryDelay": f"{after:.3f}s"}]
        return self.answer(requests, Refused(code, message or f"a fault: {code}", *details), times=times)

    def answer(self, requests: str, refusal: Refused, *, times: int = 1) -> Fault:
        return self._added(Fault(re.compile(requests), times, refusal=refusal))

    def lose(self, requests: str, *, times: int = 1, code: str = "UNAVAILABLE") -> Fault:
        """All is done, and then the connection is gone before the answer came."""
        return self._added(Fault(re.compile(requests), times, lost=True, refusal=Refused(code, "Socket closed")))

    def delay(self, requests: str, seconds: float, *, times: int = 1) -> Fault:
        """The answer comes after so many real seconds; what was asked is done before them."""
        return self._added(Fault(re.compile(requests), times, delay=seconds))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def close(self) -> None:
        """Nobody is kept waiting any more."""
        self._closed.set()

    def met(self, request: str) -> Fault | None:
        """The first one that *request* meets."""
        with self._lock:
            for fault in self._faults:
                if fault.left and fault.requests.search(request):
                    fault.left, fault.met = fault.left - 1, fault.met + 1
                    return fault
        return None

    def before(self, fault: Fault | None) -> None:
        """Raises Refused where nothing shall be done."""
        if fault is not None and fault.refusal is not None and not fault.lost:
            raise fault.refusal

    def after(self, fault: Fault | None) -> None:
        """Raises Refused where the answer is lost."""
        if fault is None:
            return
        until = time.monotonic() + fault.delay
        self._closed.wait(max(0.0, until - time.monotonic()))
        if fault.lost and fault.refusal is not None:
            raise fault.refusal

    def _added(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault
