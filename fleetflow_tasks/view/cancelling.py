# SPDX-License-Identifier: Apache-2.0
"""What `flow cancel` brought about: what is told to stop, or what was taken from whom."""

from collections.abc import Sequence

from fleetflow_tasks.engine.model import LEASE, RENEW, RUN_ENDS, SETTLE, Snapshot, StepState
from fleetflow_tasks.view.ink import clean, listed, paint
from fleetflow_tasks.view.jsonl import document, of_run

_SHOWN = 5  # steps that are named
_LATER = f"{LEASE + SETTLE:.0f} s"  # a lease that was just renewed, and the longest call that began in it


def is_over(snapshot: Snapshot) -> bool:
    return snapshot.run.status in RUN_ENDS


def text(before: Snapshot, after: Snapshot, *, now: bool, colour: bool = False) -> str:
    """before, after: the run as it was when it was told to stop, and a moment later."""
    run = after.run
    head = paint(f"run {run.id} of {run.project}/{run.stage}", "bold", on=colour)
    if is_over(before):
        return f"{head} is cancelled already"
    if not is_over(after):
        more = "" if now else f"\nnot to wait for that: flow cancel {run.id} --now"
        return f"{head} is being cancelled: {_stops(_running(after))}{more}"
    taken = _told(_running(before)) if now else ""
    if taken:
        return (
            f"{head} is {run.status}; taken from their workers: {taken}\n"
            f"what they were in the middle of may still land, so the stage's next run begins {_LATER} later at most"
        )
    return f"{head} is {run.status}"


def as_json(after: Snapshot) -> str:
    """One object: `{"v":1,"type":"cancel","run":"01k…","status":"ending",…,"running":[…]}`."""
    return document("cancel", {**of_run(after.run), "running": [state.step for state in _running(after)]})


def _running(snapshot: Snapshot) -> list[StepState]:
    return [state for state in snapshot.steps if state.status == "running"]


def _stops(running: Sequence[StepState]) -> str:
    """In advance: a job, or whatever else runs, is not waited for to its end."""
    if not running:
        return "it waits for the answer of its workers"
    return f"{_told(running)} {'is' if len(running) == 1 else 'are'} told to stop within {RENEW:.0f} s"


def _told(states: Sequence[StepState]) -> str:
    return listed((_where(state) for state in states), _SHOWN)


def _where(state: StepState) -> str:
    return f"{state.step} on {clean(state.worker.partition(':')[0])}" if state.worker else state.step
