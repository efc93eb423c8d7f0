# SPDX-License-Identifier: Apache-2.0
"""The rules of a stage and of a run, each a function that tells what breaks it. Their numbers: see checks.py."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import cast

import msgspec

from fleetflow_tasks.engine.model import (
    FOLLOWS,
    MAX_LOSSES,
    RUN_ENDS,
    RUN_FOLLOWS,
    STEP_ENDS,
    EventId,
    RunEnded,
    RunEnding,
    RunQueued,
    RunStarted,
    RunStatus,
    StepMoved,
    StepState,
    StepStatus,
)
from fleetflow_tasks.plan.model import Step, StepId
from tests.engine.faults.seen import SeenRun, Stage

LIVE_PARTS = {"after", "remaining", "ready", "hinted", "leases", "delayed"}  # of a run, only while it is not ended
BEGUN: frozenset[StepStatus] = frozenset({"ready", "running", "delayed", "succeeded", "failed"})


def one_active(stage: Stage) -> Iterator[str]:
    active = sorted(run.id for run in stage.runs.values() if run.status in ("running", "ending"))
    if active != ([stage.active] if stage.active else []):
        yield f"invariant 1: the stage is held by {stage.active}, under way are {', '.join(active) or 'none'}"
    queued = sorted(run.id for run in stage.runs.values() if run.status == "queued")
    if queued != sorted(stage.line):
        yield f"invariant 1: in line are {', '.join(stage.line) or 'none'}, queued {', '.join(queued) or 'none'}"


def counts_up(stage: Stage) -> Iterator[str]:
    highest, newest = stage.number("generation"), stage.number("fence")
    by_generation = Counter(run.generation for run in stage.runs.values() if run.generation)
    yield from (f"invariant 1: {n} runs have generation {number}" for number, n in by_generation.items() if n > 1)
    for run in stage.runs.values():
        if run.generation > highest:
            yield f"invariant 1: run {run.id} has generation {run.generation}, its stage {highest}"
        fence = max((state.fence for state in run.steps.values()), default=0)
        if fence > newest:
            yield f"invariant 1: run {run.id} has fence {fence}, its stage {newest}"


def in_order(stage: Stage) -> Iterator[str]:
    line = [run for run in stage.line if run in stage.runs and not stage.runs[run].undoes]
    if line != sorted(line, key=lambda run: stage.submitted.get(run, 0.0)):
        yield f"invariant 16: the line is not in the order of the submits: {', '.join(line)}"
    begun = sorted((run for run in stage.runs.values() if run.generation and not run.undoes), key=_generation)
    for one, next_ in pairwise(begun):
        if stage.submitted.get(one.id, 0.0) > stage.submitted.get(next_.id, float("inf")):
            yield f"invariant 16: run {one.id} began before {next_.id}, which was submitted earlier"


def looked_after(stage: Stage) -> Iterator[str]:
    if (stage.active or stage.line) and not stage.looked_after:
        yield "invariant 7: runs are under way or in line, and the reconciler does not come by"


def keys_live_as_their_runs(stage: Stage) -> Iterator[str]:
    for key, (run, ttl) in stage.keys.items():
        found = stage.runs.get(run)
        if found is not None and (found.status in RUN_ENDS) != (ttl >= 0):
            yield f"invariant 15: run {run} is {found.status}, and its key `{key}` {'goes' if ttl >= 0 else 'stays'}"


def _generation(run: SeenRun) -> int:
    return run.generation


STAGE_CHECKS: tuple[Callable[[Stage], Iterable[str]], ...] = (
    one_active,
    counts_up,
    in_order,
    looked_after,
    keys_live_as_their_runs,
)


def whole(run: SeenRun) -> Iterator[str]:
    if set(run.plan) != set(run.steps):
        yield f"invariant 5: its plan has {len(run.plan)} steps, {len(run.steps)} are there"


def needs_first(run: SeenRun) -> Iterator[str]:
    for step in _steps(run):
        status, needs = run.steps[step.id].status, run.needs(step)
        if status in BEGUN and not needs <= {"succeeded"}:
            yield f"invariant 2: step {step.id} is {status}, of its needs some are {', '.join(sorted(needs))}"
        if status == "waiting" and needs <= {"succeeded"} and run.status != "queued":
            yield f"invariant 4: step {step.id} waits, and all its needs are done"


def indexes(run: SeenRun) -> Iterator[str]:
    if run.status in RUN_ENDS:
        return
    undone = {
        step.id: sum(run.steps[need.step].status != "succeeded" for need in step.needs) for step in run.plan.values()
    }
    for step, count in undone.items():
        if run.remaining.get(step) != count:
            yield f"invariant 4: step {step} has {count} needs undone, {run.remaining.get(step)} are counted"
    listed = [set().union(*run.ready.values(), *run.hinted.values()), run.leases, run.delayed]
    for status, there in zip(("ready", "running", "delayed"), listed, strict=True):
        told = run.of(cast("StepStatus", status))
        if there != told:
            yield f"invariant 4: {status} are {_some(told)}, listed as such {_some(there)}"
    twice = set().union(*run.ready.values()) & set().union(*run.hinted.values())
    if twice:
        yield f"invariant 4: hinted and not hinted at once: {_some(twice)}"


def ends_with_its_steps(run: SeenRun) -> Iterator[str]:
    over = all(state.status in STEP_ENDS for state in run.steps.values())
    if over != (run.status in RUN_ENDS) and run.steps and run.status != "queued":
        yield f"invariant 5: it is {run.status}, its steps are {run.told()}"


def driven(run: SeenRun) -> Iterator[str]:
    if run.status == "running" and not run.of("ready", "running", "delayed"):
        yield f"invariant 7: nothing drives it on: {run.told()}"
    if run.status == "ending" and not run.of("running"):
        yield f"invariant 7: it is ending, and nothing runs: {run.told()}"


def attempts(run: SeenRun) -> Iterator[str]:
    for step in _steps(run):
        state = run.steps[step.id]
        tries = state.attempt - state.losses - state.releases
        if tries > step.retries + 1:
            yield f"invariant 9: step {step.id}: {tries} tries of its own, {step.retries} retries"
        if state.losses > MAX_LOSSES:
            yield f"invariant 9: step {step.id}: {state.losses} losses, {MAX_LOSSES} at most"


def skipped(run: SeenRun) -> Iterator[str]:
    over = STEP_ENDS - {"succeeded"}
    for step in _steps(run):
        status, needs = run.steps[step.id].status, run.needs(step)
        if needs & over and status not in ("skipped", "cancelled"):
            yield f"invariant 10: step {step.id} is {status}, of its needs some are {', '.join(sorted(needs & over))}"
        if status == "skipped" and not needs & over and not run.reason:
            yield f"invariant 10: step {step.id} is skipped, and nothing that it needs ended badly"


def nothing_begins(run: SeenRun) -> Iterator[str]:
    ending = False
    for event in run.events:
        ending = ending or isinstance(event, RunEnding)
        if ending and isinstance(event, StepMoved) and event.status in ("ready", "running", "delayed"):
            yield f"invariant 11: step {event.step} became {event.status} after the run began to end"


def lives(run: SeenRun) -> Iterator[str]:
    over = run.status in RUN_ENDS
    for part, ttl in run.lives.items():
        name = part or "its hash"
        if over and part.partition(":")[0] in LIVE_PARTS:
            yield f"invariant 15: it is over, and there is still {name}"
        elif over != (ttl >= 0):
            yield f"invariant 15: it is {run.status}, and {name} {'goes' if ttl >= 0 else 'stays'}"


def told_faithfully(run: SeenRun) -> Iterator[str]:
    """Folds the events, and compares. A stream whose beginning was dropped tells nothing."""
    if not run.events or not isinstance(run.events[0], RunQueued):
        return
    states: dict[StepId, StepState] = {
        step: StepState(step=step, status="succeeded" if step in run.kept else "waiting") for step in run.plan
    }
    status: RunStatus = "queued"
    for before, event in zip([None, *run.events], run.events, strict=False):
        if before is not None and _order(event.id) <= _order(before.id):
            yield f"invariant 12: event {event.id} stands after {before.id}"
        match event:
            case StepMoved():
                yield from _moved(states, event, status)
            case RunStarted() | RunEnding() | RunEnded():
                follows = _status(event)
                if follows not in RUN_FOLLOWS[status] and not status == follows == "ending":
                    yield f"invariant 12: the run became {follows} out of {status}"
                status = follows
            case _:
                pass  # it moves nothing
    if status != run.status:
        yield f"invariant 12: it is {run.status}, its events say {status}"
    for step, state in run.steps.items():
        if _facts(states[step]) != _facts(state) and step not in run.kept:
            yield f"invariant 12: step {step} is {_facts(state)}, its events say {_facts(states[step])}"


def _moved(states: dict[StepId, StepState], event: StepMoved, status: RunStatus) -> Iterator[str]:
    was = states.get(event.step)
    if was is None:
        yield f"invariant 12: an event of step {event.step}, which the plan does not have"
        return
    if event.status not in FOLLOWS[was.status] and not (event.status == "succeeded" and was.status == "succeeded"):
        yield f"invariant 12: step {event.step} became {event.status} out of {was.status}"
    if status in RUN_ENDS:
        yield f"invariant 5: step {event.step} became {event.status} after the run had ended"
    if event.status == "running" and event.fence <= was.fence:
        yield f"invariant 1: step {event.step} got fence {event.fence} after {was.fence}"
    states[event.step] = msgspec.structs.replace(
        was,
        status=event.status,
        attempt=event.attempt,
        losses=event.losses,
        releases=event.releases,
        fence=event.fence,
        worker=event.worker,
    )


def _status(event: RunStarted | RunEnding | RunEnded) -> RunStatus:
    match event:
        case RunStarted():
            return "running"
        case RunEnding():
            return "ending"
        case RunEnded():
            return event.status


def _facts(state: StepState) -> str:
    return (
        f"{state.status}, attempt {state.attempt}, losses {state.losses}, releases {state.releases},"
        f" fence {state.fence}, worker {state.worker or '-'}"
    )


def _order(event: EventId) -> tuple[int, int]:
    milliseconds, _, sequence = event.partition("-")
    return int(milliseconds), int(sequence)


def _steps(run: SeenRun) -> Iterator[Step]:
    """Those that this run carries out itself."""
    kept = run.kept
    return (step for step in run.plan.values() if step.id not in kept)


def _some(steps: Iterable[str]) -> str:
    found = sorted(steps)
    return (", ".join(found[:5]) + (f" … ({len(found)})" if len(found) > 5 else "")) or "none"


RUN_CHECKS: tuple[Callable[[SeenRun], Iterable[str]], ...] = (
    whole,
    needs_first,
    indexes,
    ends_with_its_steps,
    driven,
    attempts,
    skipped,
    nothing_begins,
    lives,
    told_faithfully,
)
