# SPDX-License-Identifier: Apache-2.0
"""What this process holds, kept alive; and the word to stop for whoever carries it out.

One thread renews all claims of the process every few seconds in one call per stage. Its answer is also how a cancel
arrives. Between two answers nobody can tell whether the lease is still ours, so every attempt watches the clock as well:
counted from *before* the claim or the renewal was sent, less a margin, its lease is over, and `checkpoint` lets nothing
pass that changes the world. It waits there rather than giving up. Redis that was away comes back, and its reconcilers
take nothing from anybody for one whole lease after that; a renewal that is accepted then lets the attempt go on, and one
that is refused ends it.

A step that overstays its deadline by a minute hangs in a call that has no timeout. It is no longer renewed, so another
worker gets it, and `stuck` tells the process to end: a thread cannot be killed.

Knows nothing of Celery, of plans, or of what a step does.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from fleetflow_tasks.engine.model import RENEW, Claim, Renewal, RunId
from fleetflow_tasks.engine.settings import OVERSTAY
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import FleetFlowError, UnavailableError
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.runtimes.base import Stopped

log = logging.getLogger(__name__)

MARGIN = 0.1  # of a lease: what a call under way and two clocks may take from it
OPENING = 60.0  # seconds to read and open a plan; from then on the step's own timeout counts
RETRY = 0.5  # seconds between renewals while Redis does not answer
REPORTS = 0.5  # seconds between two reports of one step; more often than eyes can read only fills the stream
EDGE = 0.2  # seconds between two looks of an attempt that waits for the renewer to reach Redis

Draining = Literal["no", "waiting", "all"]
Reason = Literal["lost", "cancelled", "timeout", "draining"]


class Held:
    """A claim at work: the `Attempt` that a runtime sees."""

    def __init__(self, claim: Claim, *, leases: "Leases") -> None:
        self.claim = claim
        self.began = time.monotonic()
        self.deadline = self.began + OPENING
        self.said = ""  # the last report: when the time is over, it tells what was being waited for
        self._leases = leases
        self._until = claim.taken + claim.lease * (1 - MARGIN)
        self._verdict: Renewal = "held"
        self._begun = False
        self._hide: Callable[[str], str] = str
        self._reported = 0.0
        self._changed = threading.Condition()

    def begin(self, timeout: float, *, hide: Callable[[str], str] = str) -> None:
        """The step's own time, in seconds, counts from now. hide: takes out of a report what it must not say."""
        self.began = time.monotonic()
        self.deadline = self.began + timeout
        self._hide = hide

    @property
    def number(self) -> int:
        return self.claim.attempt

    @property
    def generation(self) -> int:
        return self.claim.generation

    @property
    def run(self) -> str:
        return self.claim.run

    def report(self, text: str, current: float | None = None, total: float | None = None) -> None:
        self.said = text = self._hide(text)
        now = time.monotonic()
        if now - self._reported < REPORTS:
            return
        self._reported = now
        with suppress(UnavailableError):  # news, not state: what is lost here is said again by the next report
            self._leases.store.progress(self.claim, text, current, total)

    def checkpoint(self) -> None:
        self._pass(waiting=not self._begun)  # what has not begun can be given back like what only waits
        self._begun = True

    def sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        self._pass(waiting=True)
        while (left := end - time.monotonic()) > 0:
            with self._changed:
                if self._reason(waiting=True) is None:
                    now = time.monotonic()
                    self._changed.wait(max(0.0, min(left, self._until - now, self.deadline - now)))
            self._pass(waiting=True)

    def is_over(self) -> bool:
        """The lease is lost, or cannot be known to be ours any more."""
        return self._verdict == "lost" or time.monotonic() >= self._until

    def hangs(self) -> bool:
        return time.monotonic() > self.deadline + self._leases.overstay

    def answered(self, verdict: Renewal, *, sent: float) -> None:
        """The renewer's word. sent: the moment before the question went out."""
        with self._changed:
            self._verdict = verdict
            if verdict != "lost":
                self._until = sent + self.claim.lease * (1 - MARGIN)
            self._changed.notify_all()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _pass(self, *, waiting: bool) -> None:
        """Return only when the lease is known to be ours and nobody wants us to stop."""
        while True:
            if reason := self._reason(waiting=waiting):
                raise Stopped(reason)
            if time.monotonic() < self._until:
                return
            self._leases.hurry()
            with self._changed:
                self._changed.wait(EDGE)
            waiting = True  # who may change nothing only waits, whatever it was about to do

    def _reason(self, *, waiting: bool) -> Reason | None:
        if self._verdict == "lost":
            return "lost"
        if self._verdict == "cancelled" and not self._leases.finishing:
            return "cancelled"
        if self._leases.draining == "all" or (self._leases.draining == "waiting" and waiting):
            return "draining"
        if time.monotonic() >= self.deadline:
            return "timeout"
        return None


class Leases:
    """All claims of this process. `start` the renewer before the first claim; `stop` it after the last.

    broken: told when the renewer meets what nobody foresaw, and ends; without it, the thread's own hook is.
    """

    def __init__(
        self,
        store: Store,
        *,
        renew: float = RENEW,
        overstay: float = OVERSTAY,
        broken: Callable[[Exception], None] | None = None,
    ) -> None:
        self.store = store
        self.draining: Draining = "no"
        self.finishing = False  # a cancel that lets running steps come to their end (Ctrl-C once)
        self.stuck = threading.Event()
        self.lag = (
            0.0  # seconds by which the last renewal came late: a process whose threads starve shows it here first
        )
        self.overstay = overstay
        self._every = renew
        self._broken = broken
        self._held: dict[tuple[RunId, StepId], Held] = {}
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ff-renewer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._hurry.set()
        self._thread.join()

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[Held]:
        """Keep *claim* renewed while the block runs.

        An attempt of this process that still holds the same step has lost it: nobody is given what another holds. No
        renewal would tell it so from now on, hence this does.
        """
        held = Held(claim, leases=self)
        key = (claim.run, claim.step)
        with self._lock:
            before, self._held[key] = self._held.get(key), held
        if before is not None:
            before.answered("lost", sent=claim.taken)
        try:
            yield held
        finally:
            with self._lock:
                if self._held.get(key) is held:
                    del self._held[key]

    def held(self) -> tuple[Held, ...]:
        with self._lock:
            return tuple(self._held.values())

    def __len__(self) -> int:
        return len(self._held)

    def drain(self, how: Draining) -> None:
        """`waiting`: whatever has not begun or only waits stops. `all`: everything stops at its next checkpoint."""
        self.draining = how
        for held in self.held():
            held.wake()

    def finish_running(self) -> None:
        """From now on a cancel lets what runs come to its end."""
        self.finishing = True

    def hurry(self) -> None:
        """Renew now: somebody waits to know."""
        self._hurry.set()

    def renew(self) -> None:
        """Renew all claims once. Raises UnavailableError when Redis does not answer."""
        mine = [held for held in self.held() if not self._is_stuck(held)]
        if not mine:
            return
        sent = time.monotonic()
        answers = self.store.renew([held.claim for held in mine])
        for held in mine:
            held.answered(answers[(held.claim.run, held.claim.step)], sent=sent)

    def _is_stuck(self, held: Held) -> bool:
        if not held.hangs():
            return False
        if not self.stuck.is_set():
            log.error("step.hangs", extra=_fields(held))
            self.stuck.set()
        return True

    def _run(self) -> None:
        try:
            self._renew_for_ever()
        except Exception as error:
            if self._broken is None:
                raise
            self._broken(error)

    def _renew_for_ever(self) -> None:
        pause = self._every
        while not self._ended.is_set():
            asleep = time.monotonic()
            hurried = self._hurry.wait(pause)
            self._hurry.clear()
            self.lag = 0.0 if hurried else max(0.0, time.monotonic() - asleep - pause)
            try:
                self.renew()
                pause = self._every
            except FleetFlowError as error:
                if self._broken is not None and not isinstance(error, UnavailableError):
                    raise  # the one stage that this process is there for cannot go on
                log.warning("lease.unrenewed", extra={"problem": str(error)})
                self._ended.wait(RETRY)
                pause = 0.0


def _fields(held: Held) -> dict[str, object]:
    claim = held.claim
    return {"run": claim.run, "step": claim.step, "fence": claim.fence, "attempt": claim.attempt}
