# SPDX-License-Identifier: Apache-2.0
"""A run that is looked at while it goes on."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from fleetflow_tasks.errors import Problem, RefusedError, UnavailableError
from fleetflow_tasks.plan.model import Step

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import AnyEvent, EventId, RunId, Snapshot
    from fleetflow_tasks.engine.store import Store

ASK = 1.0  # seconds between two looks whether a silent run is still known
TICK = 0.25  # seconds that a follower waits for events before it gives its view a chance to redraw
KNOWN_RUNS = 1000  # among the newest of these a run is looked for by the end of its id


class Following:
    """A run that is being looked at: its snapshot, then its events, and None whenever nothing is new for a moment.

    steps: the plan's, as far as they can be read without a key. repeated: the run was there before it was submitted.
    """

    def __init__(self, store: "Store", run: "RunId", steps: Sequence[Step], *, repeated: bool = False) -> None:
        self.run = run
        self.steps = tuple(steps)
        self.needs = {step.id: tuple(need.step for need in step.needs) for step in steps}
        self.repeated = repeated
        self._store = store
        self._asked = time.monotonic()

    def updates(self, after: "EventId | None" = None) -> Iterator["Snapshot | AnyEvent | None"]:
        """To the run's end, and not beyond. after: go on there, without a snapshot.

        The stream is capped: where events were missed, a new snapshot comes in their place.
        """
        from fleetflow_tasks.engine.model import RUN_ENDS, RunEnded

        while True:
            if after is None or self._store.missed(self.run, after=after):
                snapshot = self.snapshot()
                yield snapshot
                after = snapshot.last
                if snapshot.run.status in RUN_ENDS:
                    return
            events = self._store.events(self.run, after=after, block=TICK)
            if not events:
                self._still_there()
                yield None
            for event in events:
                yield event
                after = event.id
                if isinstance(event, RunEnded):
                    return

    def _still_there(self) -> None:
        """Silence may mean that nothing happens, or that Redis was emptied: asked at most once a second.

        Raises UnavailableError.
        """
        from fleetflow_tasks.engine.trouble import lost

        now = time.monotonic()
        if now - self._asked < ASK:
            return
        self._asked = now
        if self._store.run(self.run) is None:
            raise UnavailableError(lost(self.run))

    def snapshot(self) -> "Snapshot":
        """Raises RefusedError where the run is not known (any more)."""
        snapshot = self._store.snapshot(self.run)
        if snapshot is None:
            raise RefusedError(no_run(self.run))
        return snapshot

    def cancel(self) -> None:
        """Begin nothing new; what runs comes to its end."""
        self._store.cancel(self.run, request=uuid.uuid4().hex)

    def clock(self) -> Callable[[], float]:
        """Redis's seconds, asked once and counted on from there."""
        offset = self._store.now() - time.monotonic()
        return lambda: offset + time.monotonic()


Follow = Callable[[Following], None]


def which(store: "Store", named: str | None) -> "RunId":
    from fleetflow_tasks.engine.model import RunId

    if named is not None and store.run(RunId(named)) is not None:
        return RunId(named)
    found = [run.id for run in store.runs(limit=KNOWN_RUNS) if named is None or run.id.endswith(named.lower())]
    if not found:
        raise RefusedError(no_run(named))
    if named is not None and len(found) > 1:
        raise RefusedError(
            Problem(
                code="which-run",
                message=f"{len(found)} runs end in `{named}`",
                cause=tuple(found[:10]),
                fix="write more of its id",
            )
        )
    return found[0]


def no_run(named: str | None) -> Problem:
    from fleetflow_tasks.engine.trouble import unknown

    if named is None:
        return Problem(
            code="run-not-found", message="there is no run yet", fix="begin one with `flow up` or `flow submit`"
        )
    return unknown(named)
