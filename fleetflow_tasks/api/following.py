# SPDX-License-Identifier: Apache-2.0
"""A run that is looked at while it goes on."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from fleetflow_tasks.errors import FleetFlowError, Problem, RefusedError, UnavailableError
from fleetflow_tasks.plan.model import Step

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import AnyEvent, EventId, Run, RunId, Snapshot
    from fleetflow_tasks.engine.overview import Overview
    from fleetflow_tasks.engine.store import Store

ASK = 1.0  # seconds between two looks whether a silent run is still known
PACE = 0.05  # seconds after events before more are asked for: an eye sees no less, and Redis answers fewer questions
TICK = 0.25  # seconds that a follower waits for events before it gives its view a chance to redraw
PATIENCE = 30.0  # seconds that a rollback may take to begin; a reconciler passes by each second
KNOWN_RUNS = 1000  # among the newest of these a run is looked for by a part of its id
LETTERS = 4  # of an id, at least: fewer are a slip of the hand, and might mean somebody's deployment


class Following:
    """A run that is being looked at: its snapshot, then its events, and None whenever nothing is new for a moment.

    steps: the plan's, as far as they can be read without a key. repeated: the run was there before it was submitted.
    key: the idempotency key that it was submitted with. superseded: the runs that it was to take the place of.
    """

    superseded: Sequence["Run"] = ()

    def __init__(
        self, store: "Store", run: "RunId", steps: Sequence[Step], *, repeated: bool = False, key: str | None = None
    ) -> None:
        self.run = run
        self.steps = tuple(steps)
        self.needs = {step.id: tuple(need.step for need in step.needs) for step in steps}
        self.repeated = repeated
        self.key = key
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
            if events:
                time.sleep(PACE)

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

    def stoppable(self) -> "Snapshot":
        """As `snapshot`, of a run that can be cancelled or was. Raises RefusedError where it has ended otherwise."""
        found = self.snapshot()
        if found.run.status in {"succeeded", "failed"}:
            raise RefusedError(_over(found))
        return found

    def cancel(self, *, now: bool = False) -> None:
        """Begin nothing new. What runs stops where it safely can; now: nobody waits for that."""
        from fleetflow_tasks.engine.publish import publisher

        publish = publisher(self._store)
        for hint in self._store.cancel(self.run, request=uuid.uuid4().hex, now=now):
            publish(hint)

    def undoing(self, patience: float = PATIENCE) -> "Following | None":
        """Of a run that failed and was to be rolled back, the run that does so, once it is there.

        None: none comes, or not within *patience* seconds. Then `snapshot` may say why.
        """
        from fleetflow_tasks.engine.record import undoes

        end = time.monotonic() + patience
        run = self.snapshot().run
        while run.rollback and run.status == "failed":
            held = self.is_held()  # first: the run is stored and the hold lifted in one moment
            found = next((each for each in self._store.runs(run.project, run.stage) if undoes(each, run.id)), None)
            if found is not None:
                return following(self._store, found.id)
            if not held or time.monotonic() > end:
                return None
            time.sleep(TICK)
        return None

    def is_held(self) -> bool:
        """Whether its stage waits for this run to be rolled back."""
        run = self.snapshot().run
        undo = self._store.undo(run.project, run.stage)
        return undo is not None and undo.failed == run.id

    def unsafe(self) -> Problem | None:
        """Whether a power cut at this moment would lose the run; takes up to a second."""
        from fleetflow_tasks.engine.dispatch import kept_safe

        return kept_safe(self._store)

    @contextmanager
    def warned(self) -> Iterator[None]:
        """While the block runs, those who watch the run are told where a power cut would lose it."""

        def warn() -> None:
            with suppress(FleetFlowError):  # whoever follows the run finds out too
                if problem := self.unsafe():
                    self._store.note(self.run, problem)

        thread = threading.Thread(target=warn, name="ff-safe", daemon=True)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def overview(self) -> "Overview":
        """Its stage and the workers at this moment: what tells why it waits."""
        from fleetflow_tasks.api.overlooking import overview

        run = self.snapshot().run
        return overview(self._store, [(run.project, run.stage)])

    def clock(self) -> Callable[[], float]:
        """Redis's seconds, asked once and counted on from there."""
        offset = self._store.now() - time.monotonic()
        return lambda: offset + time.monotonic()


Follow = Callable[[Following], None]


def following(store: "Store", run: "RunId", *, repeated: bool = False, key: str | None = None) -> Following:
    """*run* as it lies in *store*, its plan read as far as that needs no key."""
    from fleetflow_tasks.plan.codec import readable

    blob = store.sealed_plan(run)
    return Following(store, run, readable(blob).steps if blob else (), repeated=repeated, key=key)


def which(store: "Store", named: str | None) -> "RunId":
    """The run whose id is *named*, or begins or ends so; None: the newest one.

    Raises RefusedError where there is none, or more than one, or where too little of an id is said to mean it.
    """
    from fleetflow_tasks.engine.model import RunId

    if named is not None and store.run(RunId(named)) is not None:
        return RunId(named)
    if named is not None and len(named) < LETTERS:
        raise RefusedError(_too_short(named))
    part = (named or "").lower()
    found = [run.id for run in store.runs(limit=KNOWN_RUNS) if run.id.endswith(part) or run.id.startswith(part)]
    if not found:
        raise RefusedError(no_run(named))
    if named is not None and len(found) > 1:
        raise RefusedError(
            Problem(
                code="which-run",
                message=f"{len(found)} runs begin or end in `{named}`",
                cause=tuple(found[:10]),
                fix="write more of its id; the last letters tell runs apart best",
            )
        )
    return found[0]


def _too_short(named: str) -> Problem:
    return Problem(
        code="run-too-short",
        message=f"`{named}` is too short for a run; write at least {LETTERS} letters of its id",
        fix="look at its id: `flow runs` lists them",
    )


def _over(found: "Snapshot") -> Problem:
    """A way back is named where something was deployed."""
    run = found.run
    deployed = any(
        step.step.endswith(":deploy") and step.outcome is not None and step.outcome.changed for step in found.steps
    )
    return Problem(
        code="run-over",
        message=f"run {run.id} has ended already: it {run.status}",
        fix=f"to take back what it deployed: flow rollback {run.project}/{run.stage}" if deployed else "",
        more=f"flow show {run.id}",
    )


def no_run(named: str | None) -> Problem:
    from fleetflow_tasks.engine.trouble import unknown

    if named is None:
        return Problem(
            code="run-not-found", message="there is no run yet", fix="begin one with `flow up` or `flow submit`"
        )
    return unknown(named)
