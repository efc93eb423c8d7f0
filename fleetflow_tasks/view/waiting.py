# SPDX-License-Identifier: Apache-2.0
"""What waits for what, and why: an Overview read as a person would who knows all the rules.

A run waits for the run before it, for a rollback that its stage is held for, or until no call of a lost worker can still be
on its way. A step waits for other steps (which is its plan, and only counted here), for its next try, or for a worker:
and then there is none, or it leaves, or it cannot open the plan, or all of its slots are busy, or nothing is heard of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fleetflow_tasks.config.model import Data, ProjectName, StageName
from fleetflow_tasks.engine.model import LOCAL, Run, RunId, Snapshot, StepState, WorkerInfo
from fleetflow_tasks.engine.overview import Overview, StageOverview, silent
from fleetflow_tasks.plan.model import QueueName, StepId
from fleetflow_tasks.view.because import short
from fleetflow_tasks.view.contract.parts import Why
from fleetflow_tasks.view.fold import tries
from fleetflow_tasks.view.ink import ago, clean, duration


class Waiting(Data, frozen=True, kw_only=True):
    """A run or some steps of it that are not done yet, and *why*; *text* says it with names and numbers.

    steps: none where the run as a whole waits. since: when it began; of several steps, the one that waits longest.
    """

    run: RunId
    why: Why
    text: str
    steps: tuple[StepId, ...] = ()
    queue: QueueName | None = None
    since: float | None = None


class Reasons(Data, frozen=True, kw_only=True):
    """Of one run: why it has not begun, and why nobody has each of its ready steps; "" and missing where nobody knows."""

    run: str = ""
    steps: Mapping[StepId, str] = {}


class StageWaits(Data, frozen=True, kw_only=True):
    """active: the run under way. done, total: of its steps. behind: of its steps, those that wait for other steps."""

    project: ProjectName
    stage: StageName
    active: Run | None = None
    done: int = 0
    total: int = 0
    behind: int = 0
    waits: tuple[Waiting, ...] = ()


class QueueLoad(Data, frozen=True, kw_only=True):
    """workers, slots, busy: of those that stay. ready, running: steps of all stages. messages: that nobody fetched yet."""

    queue: QueueName
    workers: int
    slots: int
    busy: int
    ready: int
    running: int
    messages: int


def waits(seen: Overview) -> tuple[StageWaits, ...]:
    """Every stage in which something runs or waits."""
    found = (_stage(stage, seen) for stage in seen.stages)
    return tuple(each for each in found if each.active or each.waits)


def reasons(run: RunId, seen: Overview) -> Reasons:
    """What of *seen* is about *run*, for who looks at that run alone."""
    found = [each for stage in waits(seen) for each in stage.waits if each.run == run]
    return Reasons(
        run=next((each.text for each in found if not each.steps), ""),
        steps={step: each.text for each in found if each.why not in {"running", "backoff"} for step in each.steps},
    )


def loads(seen: Overview) -> tuple[QueueLoad, ...]:
    """Every queue that is served, has messages, or is needed, by name; those of a `flow up` are its own affair."""
    states = [state for stage in seen.stages if stage.active for state in stage.active.steps]
    wanted = {state.queue for state in states if state.status in {"ready", "running"}}
    served = {queue for worker in seen.workers for queue in worker.queues}
    filled = {queue for queue, length in seen.lengths.items() if length}
    return tuple(_load(queue, seen, states) for queue in sorted(wanted | served | filled) if not _is_local(queue))


def _load(queue: QueueName, seen: Overview, states: Iterable[StepState]) -> QueueLoad:
    staying = [worker for worker in seen.workers if queue in worker.queues and not worker.draining]
    ours = [state.status for state in states if state.queue == queue]
    return QueueLoad(
        queue=queue,
        workers=len(staying),
        slots=sum(worker.slots for worker in staying),
        busy=_busy(staying, seen),
        ready=ours.count("ready"),
        running=ours.count("running"),
        messages=seen.lengths.get(queue, 0),
    )


def _stage(stage: StageOverview, seen: Overview) -> StageWaits:
    line = tuple(_run_waits(stage, seen))
    if stage.active is None:
        return StageWaits(project=stage.project, stage=stage.stage, waits=line)
    states = stage.active.steps
    ended = sum(1 for state in states if state.status in {"succeeded", "failed", "skipped", "cancelled"})
    return StageWaits(
        project=stage.project,
        stage=stage.stage,
        active=stage.active.run,
        done=ended,
        total=len(states),
        behind=sum(1 for state in states if state.status == "waiting"),
        waits=(*_running(stage.active), *_ready(stage, stage.active, seen), *_backoff(stage.active, seen.now), *line),
    )


def _running(active: Snapshot) -> Iterator[Waiting]:
    for state in active.steps:
        if state.status == "running":
            host = clean(state.worker.partition(":")[0]) if state.worker else "somebody"
            again = f", try {tries(state)}" if tries(state) > 1 else ""
            yield _of(active, "running", f"on {host}{again}", [state], since=state.started)


def _backoff(active: Snapshot, now: float) -> Iterator[Waiting]:
    for state in active.steps:
        if state.status == "delayed":
            after = f"in {duration(state.due - now)}" if state.due is not None and state.due > now else "now"
            why = f": {clean(state.problem.message)}" if state.problem else ""
            yield _of(active, "backoff", f"is tried again {after}{why}", [state])


def _ready(stage: StageOverview, active: Snapshot, seen: Overview) -> Iterator[Waiting]:
    ready = [state for state in active.steps if state.status == "ready"]
    for queue in sorted({state.queue for state in ready}):
        why, text = _nobody(queue, stage, seen)
        yield _of(active, why, text, [state for state in ready if state.queue == queue])


def _of(active: Snapshot, why: Why, text: str, states: Sequence[StepState], *, since: float | None = None) -> Waiting:
    return Waiting(
        run=active.run.id,
        why=why,
        text=text,
        steps=tuple(state.step for state in states),
        queue=states[0].queue,
        since=min(state.since for state in states) if since is None else since,
    )


def _nobody(queue: QueueName, stage: StageOverview, seen: Overview) -> tuple[Why, str]:
    """Why nobody has the ready steps of *queue*; the rule that decides is the first that holds."""
    serving = [worker for worker in seen.workers if queue in worker.queues]
    staying = [worker for worker in serving if not worker.draining]
    reading = [worker for worker in staying if worker.schema >= stage.schema]
    able = [worker for worker in reading if not stage.key or stage.key in worker.keys]
    if not serving and _is_local(queue):
        return "gone", "the `flow up` that carries it out is not there any more"
    if not serving:
        at = seen.seen.get(queue)
        last = "none was ever seen" if at is None else f"the last one was seen {ago(seen.now - at)}"
        return "no-worker", f"no worker serves queue `{queue}`, {last}"
    if not staying:
        return "leaving", f"{_workers(serving)} of queue `{queue}` takes nothing new: it is being stopped"
    if not reading:
        newest = max(worker.schema for worker in staying)
        return (
            "too-old",
            f"{_workers(staying)} of queue `{queue}` reads plans up to schema {newest}, not {stage.schema}",
        )
    if not able:
        return "other-key", f"{_workers(reading)} of queue `{queue}` holds another key than {stage.key}"
    slots = sum(worker.slots for worker in able)
    if _busy(able, seen) >= slots:
        all_ = f"all {slots} slots of queue `{queue}` are" if slots > 1 else f"the only slot of queue `{queue}` is"
        return "busy", f"{all_} busy"
    quiet = silent(able, seen.now)
    if len(quiet) == len(able):
        return "silent", f"last sign of life of {clean(quiet[0].host)}: {seen.now - quiet[0].seen:.0f} s ago"
    return "taking", "a worker takes it in a moment"


def _busy(workers: Sequence[WorkerInfo], seen: Overview) -> int:
    """Slots that are taken: what a worker says of itself is some seconds old, and what it runs may be known already."""
    states = [state for stage in seen.stages if stage.active for state in stage.active.steps]
    holders = [state.worker for state in states if state.status == "running"]
    return sum(min(worker.slots, max(worker.busy, holders.count(worker.id))) for worker in workers)


def _workers(workers: Sequence[WorkerInfo]) -> str:
    return "the only worker" if len(workers) == 1 else f"each of the {len(workers)} workers"


def _run_waits(stage: StageOverview, seen: Overview) -> Iterator[Waiting]:
    before: RunId | None = stage.active.run.id if stage.active else None
    for run in stage.line:
        why, text = _held_back(run, before, stage, seen)
        yield Waiting(run=run.id, why=why, text=text, since=run.submitted)
        before = run.id
    if stage.undo is not None and not stage.line and before is None:
        text = f"failed, and is to be rolled back{_unattended(seen)}"
        yield Waiting(run=stage.undo.failed, why="held", text=text)


def _held_back(run: Run, before: RunId | None, stage: StageOverview, seen: Overview) -> tuple[Why, str]:
    if before is not None:
        return "line", f"waits for run {short(before)}"
    if stage.undo is not None:
        failed = short(stage.undo.failed)
        return "held", f"waits until run {failed}, which failed, is rolled back{_unattended(seen)}"
    if stage.quiet is not None and stage.quiet > seen.now:
        left = duration(stage.quiet - seen.now)
        return "quiet", f"begins in {left}: what a worker was in the middle of may still land"
    return "beginning", "begins in a moment"


def _unattended(seen: Overview) -> str:
    """Workers see to a rollback, and so does who submits to the stage."""
    return "" if seen.workers else "; no worker is there to begin that"


def _is_local(queue: QueueName) -> bool:
    return queue.startswith(LOCAL)
