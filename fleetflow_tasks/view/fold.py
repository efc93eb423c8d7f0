# SPDX-License-Identifier: Apache-2.0
"""Event by event to a Picture: the only place that interprets events.

A picture begins with a snapshot of the run and every later event is folded into it, so the terminal, a CI log, JSON
lines and the monitor cannot disagree. No clock is read: all times come from the snapshot and the events, which have
them from Redis. An event that has been counted already (a view that reconnects reads some twice) changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec.structs import replace

from fleetflow_tasks.config.model import Data, RuntimeName, ServiceName
from fleetflow_tasks.engine.model import (
    LOCAL,
    RUN_ENDS,
    STEP_ENDS,
    AnyEvent,
    EventId,
    Noted,
    Run,
    RunEnded,
    RunEnding,
    RunQueued,
    RunStarted,
    Snapshot,
    StepMoved,
    StepProgressed,
    StepState,
    StepStatus,
)
from fleetflow_tasks.plan.model import STAGE, Action, Step, StepId
from fleetflow_tasks.view.ink import listed

# What a service is seen to be doing; the first half can still become one of the second.
RowState = Literal[
    "waiting", "queued", "preparing", "prepared", "starting", "removing", "retrying",
    "ready", "unchanged", "removed", "failed", "skipped", "cancelled",
]  # fmt: skip
MOVING: frozenset[RowState] = frozenset({"preparing", "starting", "removing", "retrying"})
DONE: frozenset[RowState] = frozenset({"ready", "unchanged", "removed", "failed", "skipped", "cancelled"})

_NOTES = 50  # kept; a worker that comes and goes must not fill the memory of who watches


class Fact(Data, frozen=True, kw_only=True):
    """What the plan says of a step, for those who have it. tries: attempts in all."""

    runtime: RuntimeName
    tries: int


class Picture(Data, frozen=True, kw_only=True):
    """What a person sees of a run. Only ever made by `start` and `fold`.

    progress: the last words of each running step. needs, facts: of the plan; facts are empty where it was not at hand.
    notes: what was worth telling, the newest last. last: the newest event that is counted in. at: its time.
    """

    run: Run
    steps: Mapping[StepId, StepState]
    needs: Mapping[StepId, tuple[StepId, ...]]
    facts: Mapping[StepId, Fact] = {}
    progress: Mapping[StepId, StepProgressed] = {}
    notes: tuple[Noted, ...] = ()
    last: EventId = EventId("0-0")
    at: float = 0.0

    @property
    def ended(self) -> bool:
        return self.run.status in RUN_ENDS

    def elapsed(self, now: float | None = None) -> float:
        """Seconds since the run began, to its end or to *now* (by default: the newest event)."""
        began = self.run.started or self.run.submitted
        until = self.run.ended if self.run.ended is not None else (self.at if now is None else now)
        return max(0.0, until - began)


class Row(Data, frozen=True, kw_only=True):
    """One service (or, with service None, the stage's own steps), summarised.

    text: what it waits for or does, or what came of it. since: when what it does began, or its wait for a worker.
    took: seconds in which somebody was at work on it, None while it has not ended. due: when it is tried again.
    tries: attempts that are used up or under way, of *allowed*, 0 where the plan was not at hand. worker: its machine, where
    that can be another one than this. step: the one that speaks for the service.
    """

    service: ServiceName | None
    state: RowState
    step: StepId
    text: str = ""
    since: float | None = None
    took: float | None = None
    current: float | None = None
    total: float | None = None
    due: float | None = None
    tries: int = 0
    allowed: int = 0
    worker: str = ""


def tries(state: StepState) -> int:
    """How many of its attempts a step has used up: one whose worker died, or gave it back, does not count."""
    return state.attempt - state.losses - state.releases


def start(snapshot: Snapshot, needs: Mapping[StepId, tuple[StepId, ...]], *, steps: Iterable[Step] = ()) -> Picture:
    """The picture at the moment of *snapshot*.

    needs: of each step, in the plan's order, which is the order of the rows. steps: of the plan, where it is at hand; says
    runtimes and retries.
    """
    run = snapshot.run
    states = {state.step: state for state in snapshot.steps}
    newest = max((state.since for state in snapshot.steps), default=0.0)
    return Picture(
        run=run,
        steps={step: states[step] for step in (*needs, *sorted(states.keys() - needs.keys())) if step in states},
        needs=needs,
        facts={step.id: Fact(runtime=step.runtime, tries=step.retries + 1) for step in steps},
        last=snapshot.last,
        at=max(newest, run.submitted, run.started or 0.0, run.ended or 0.0),
    )


def fold(picture: Picture, event: AnyEvent) -> Picture:
    """The picture after *event*; the same picture where the event has been counted in before."""
    if event.id and _number(event.id) <= _number(picture.last):
        return picture
    picture = replace(picture, last=event.id or picture.last, at=max(event.at, picture.at))
    run = picture.run
    match event:
        case RunQueued():
            return replace(
                picture, run=replace(run, status="queued", ahead=event.ahead, actor=event.actor or run.actor)
            )
        case RunStarted():
            started = replace(run, status="running", started=event.at, generation=event.generation, ahead=0)
            return replace(picture, run=started)
        case StepMoved():
            return _moved(picture, event)
        case StepProgressed():
            return replace(picture, progress={**picture.progress, event.step: event})
        case Noted():
            return replace(picture, notes=(*picture.notes, event)[-_NOTES:])
        case RunEnding():
            return replace(picture, run=replace(run, status="ending"))
        case RunEnded():  # pragma: no branch  (there is no other, as mypy knows)
            ended = replace(run, status=event.status, ended=event.at, problem=event.problem or run.problem)
            return replace(picture, run=ended)


def rows(picture: Picture) -> tuple[Row, ...]:
    """One row per service, in the order of the plan's steps; the stage's own steps, as one row, first."""
    by_service: dict[ServiceName | None, list[StepState]] = {}
    for step, state in picture.steps.items():
        by_service.setdefault(service_of(step), []).append(state)
    names = sorted(by_service, key=lambda name: name is not None)
    return tuple(_row(picture, name, by_service[name]) for name in names)


def waits_for_somebody(picture: Picture) -> bool:
    """Whether the run, or a step of it, could begin but for others: another run, or workers that are not there."""
    ready = (state.status == "ready" and not state.queue.startswith(LOCAL) for state in picture.steps.values())
    return picture.run.status == "queued" or any(ready)


def counts(picture: Picture) -> Counter[RowState]:
    """How many services are in which state; the stage's own steps do not count."""
    return Counter(row.state for row in rows(picture) if row.service is not None)


def action_of(step: StepId) -> Action:
    """`deploy` of `api:deploy`; a stage's own step may name its runtime behind a dot."""
    return _ACTIONS[step.rpartition(":")[2].partition(".")[0]]


def service_of(step: StepId) -> ServiceName | None:
    """`api` of `api:deploy`; None for the stage's own steps."""
    name = step.rpartition(":")[0]
    return None if name == STAGE else ServiceName(name)


def blamed(picture: Picture, step: StepId) -> tuple[StepId, ...]:
    """The steps that failed or were cancelled, and for whose sake *step* was skipped: the nearest of each way."""
    found: dict[StepId, None] = {}
    seen = {step}
    open_ = [step]
    while open_:
        for need in picture.needs.get(open_.pop(), ()):
            status = _status(picture, need)
            if status in {"failed", "cancelled"}:
                found[need] = None
            elif status == "skipped" and need not in seen:
                seen.add(need)
                open_.append(need)
    return tuple(sorted(found))


_ACTIONS: dict[str, Action] = {
    "prepare": "prepare",
    "deploy": "deploy",
    "restart": "restart",
    "remove": "remove",
    "prune": "prune",
}


def _number(event: EventId) -> tuple[int, int]:
    milliseconds, _, sequence = event.partition("-")
    return int(milliseconds), int(sequence or 0)


def _status(picture: Picture, step: StepId) -> StepStatus | None:
    state = picture.steps.get(step)
    return state.status if state is not None else None


def _moved(picture: Picture, event: StepMoved) -> Picture:
    before = picture.steps.get(event.step) or StepState(
        step=event.step, status="waiting", service=service_of(event.step)
    )
    runs = event.status == "running"
    state = replace(
        before,
        status=event.status,
        attempt=event.attempt,
        losses=event.losses,
        releases=event.releases,
        fence=event.fence,
        worker=event.worker,
        since=event.at,
        started=event.at if runs else before.started,
        ended=event.at if event.status in STEP_ENDS and before.started is not None else None,
        due=event.due,
        outcome=event.outcome,
        problem=event.problem,
    )
    spoken = {step: said for step, said in picture.progress.items() if step != event.step}
    return replace(picture, steps={**picture.steps, event.step: state}, progress=spoken)


def _row(picture: Picture, service: ServiceName | None, states: list[StepState]) -> Row:
    speaker = _speaker(states)
    state, text = _said(picture, speaker, states)
    progress = picture.progress.get(speaker.step) if state in MOVING else None
    fact = picture.facts.get(speaker.step)
    return Row(
        service=service,
        state=state,
        step=speaker.step,
        text=text,
        since=_since(speaker),
        took=_took(states) if state in DONE else None,
        current=progress.current if progress else None,
        total=progress.total if progress else None,
        due=speaker.due if speaker.status == "delayed" else None,
        tries=tries(speaker),
        allowed=fact.tries if fact else 0,
        worker=_machine(speaker) if speaker.status == "running" else "",
    )


def _since(state: StepState) -> float | None:
    """Of what runs its start; of what waits for a worker when it began to."""
    return state.started if state.status == "running" else state.since or None


def _took(states: Iterable[StepState]) -> float | None:
    """Without the waits between its steps, of which others are the cause."""
    spans = [state.ended - state.started for state in states if state.started is not None and state.ended is not None]
    return sum(spans) if spans else None


def _machine(state: StepState) -> str:
    """Of a `flow up` it is this one, which nobody has to be told."""
    return state.worker.partition(":")[0] if state.worker and not state.queue.startswith(LOCAL) else ""


_LOUDNESS: Mapping[StepStatus, int] = {
    "failed": 0,
    "running": 1,
    "delayed": 2,
    "cancelled": 3,
    "skipped": 4,
    "ready": 5,
    "waiting": 6,
    "succeeded": 7,
}


def _speaker(states: list[StepState]) -> StepState:
    """The step that says most about a service: what failed, then what runs, then what keeps it. Of equals, the later one."""
    return min(reversed(states), key=lambda state: _LOUDNESS[state.status])


def _said(picture: Picture, speaker: StepState, states: list[StepState]) -> tuple[RowState, str]:
    progress = picture.progress.get(speaker.step)
    words = progress.text if progress else ""
    match speaker.status:
        case "failed":
            return "failed", speaker.problem.message if speaker.problem else ""
        case "running":
            return _RUNNING[action_of(speaker.step)], words
        case "delayed":
            return "retrying", speaker.problem.message if speaker.problem else ""
        case "cancelled":
            return "cancelled", ""
        case "skipped":
            return "skipped", _because(picture, speaker.step)
        case "ready":
            return "queued", "waits for its turn" if speaker.queue.startswith(LOCAL) else "waits for a worker"
        case "waiting":
            return _waiting(picture, speaker, states)
        case "succeeded":  # pragma: no branch  (there is no other, as mypy knows)
            return _came_of(speaker)


_RUNNING: Mapping[Action, RowState] = {
    "prepare": "preparing",
    "deploy": "starting",
    "restart": "starting",
    "remove": "removing",
    "prune": "removing",
}


def _because(picture: Picture, step: StepId) -> str:
    guilty = blamed(picture, step)
    return f"because {', '.join(guilty)} {_status(picture, guilty[0])}" if guilty else ""


def _waiting(picture: Picture, speaker: StepState, states: list[StepState]) -> tuple[RowState, str]:
    own = {state.step for state in states}
    open_ = [
        need
        for need in picture.needs.get(speaker.step, ())
        if need not in own and _status(picture, need) != "succeeded"
    ]
    prepared = any(state.status == "succeeded" for state in states)
    return "prepared" if prepared else "waiting", f"waits for {_named(open_)}" if open_ else ""


def _named(steps: list[StepId]) -> str:
    """Services by name, the stage's own steps by id; more than three are counted."""
    return listed(dict.fromkeys(service_of(step) or step for step in steps))


def _came_of(speaker: StepState) -> tuple[RowState, str]:
    outcome = speaker.outcome
    text = outcome.text if outcome else ""
    if action_of(speaker.step) in {"remove", "prune"}:
        return "removed", text
    return ("ready" if outcome is None or outcome.changed else "unchanged"), text
