# SPDX-License-Identifier: Apache-2.0
"""A run that was to be rolled back has failed: the last plan that went well comes again, as a run of its own.

The script that ends such a run holds its stage in the same moment: nothing else of it begins, so no queued run can come
between. Whoever looks at the stage next, the reconciler or a submitter, opens the good run's plan, seals it for a new
run and submits that; it goes before all others, and lifts the hold. Two may do so at once, or one be killed between two of
these steps and another begin anew: the script that stores the new run gives the second one the first one's.

Where there is nothing to go back to, or the plan cannot be opened any more, the failed run says so and the hold is
lifted: a stage that waits for what cannot come would wait for ever. A plan that only another worker can open is left to
it: several teams may share a Redis, each with a key of its own.
"""

from collections.abc import Iterable

import msgspec

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import LOCAL, Because, Hint, Publish, RunId, Submitted, Undo, WorkerInfo, new_run_id
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.codec import Keys, NewerSchemaError, header, seal, unseal
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.plan.resolve import queue

UNDO = StepId("run:undo")  # a hint with this step asks whoever can open the good plan to bring it back


def roll_back(
    undo: Undo, project: ProjectName, stage: StageName, *, store: Store, keys: Keys, publish: Publish
) -> Submitted | None:
    """Bring back what the stage is held for. None: it cannot be, and the failed run tells why; or another worker can.

    Raises UnavailableError; what was stored by then goes on by itself.
    """
    try:
        plan = _good_plan(undo, project, stage, store, keys)
    except RefusedError as refused:
        if undo.good is None or _opener(undo.good, store, keys) is None:
            _send(publish, store.no_undo(project, stage, undo.failed, _impossible(undo, refused.problems)))
        return None
    try:
        submitted = _submitted(plan, undo, store, keys)
    except RefusedError:  # the stage is not held any more: somebody was faster
        return None
    _send(publish, submitted.hints)
    return submitted


def pass_on(project: ProjectName, stage: StageName, *, store: Store, keys: Keys, publish: Publish) -> None:
    """Ask a worker that can open the good plan, where this process cannot. Again and again: one hint at a time is enough."""
    undo = store.undo(project, stage)
    opener = _opener(undo.good, store, keys) if undo is not None and undo.good is not None else None
    if undo is not None and opener is not None and store.queue_length(opener.queues[0]) == 0:
        publish(Hint(run=undo.failed, step=UNDO, queue=opener.queues[0]))


def follow_undo(failed: RunId, *, store: Store, keys: Keys, publish: Publish) -> None:
    """What a worker does with such a hint. It may be late, doubled or another's: the store says whether it still counts."""
    run = store.run(failed)
    undo = store.undo(run.project, run.stage) if run is not None else None
    if run is not None and undo is not None and undo.failed == failed:
        roll_back(undo, run.project, run.stage, store=store, keys=keys, publish=publish)


def reopened(run: RunId, project: ProjectName, stage: StageName, *, store: Store, keys: Keys) -> Plan:
    """The plan of an earlier run, for workers to carry out again. Raises RefusedError where it cannot be opened."""
    blob = store.sealed_plan(run)
    if blob is None:
        raise RefusedError(_forgotten(run))
    return for_workers(unseal(blob, keys, run=run, project=project, stage=stage))


def for_workers(plan: Plan) -> Plan:
    """*plan* with its steps on the queues of workers, where a `flow up` had them on one of its own."""
    return msgspec.structs.replace(
        plan,
        steps=tuple(
            msgspec.structs.replace(step, queue=queue(step.runtime, plan.options.get(step.runtime, {})))
            if step.queue.startswith(LOCAL)
            else step
            for step in plan.steps
        ),
    )


def _good_plan(undo: Undo, project: ProjectName, stage: StageName, store: Store, keys: Keys) -> Plan:
    if undo.good is None:
        raise RefusedError(_never_good(project, stage))
    return reopened(undo.good, project, stage, store=store, keys=keys)


def _submitted(plan: Plan, undo: Undo, store: Store, keys: Keys) -> Submitted:
    run, failed = new_run_id(), store.run(undo.failed)
    return store.submit(
        run,
        plan,
        seal(plan, keys, run),
        actor=f"rollback of {failed.actor}" if failed is not None and failed.actor else "rollback",
        because=Because(kind="rollback", run=undo.failed, plan=_first(undo.good, store)),
        undoes=undo.failed,
    )


def _first(good: RunId | None, store: Store) -> RunId | None:
    """The run that first had *good*'s plan, where *good* is itself a rollback: the one that people remember."""
    found = store.run(good) if good is not None else None
    because = found.because if found is not None else None
    return because.plan if because is not None and because.kind == "rollback" else good


def _opener(run: RunId, store: Store, keys: Keys) -> WorkerInfo | None:
    """A live worker that can open *run*'s plan where this process lacks the key, or is too old."""
    blob = store.sealed_plan(run)
    try:
        key = header(blob).key if blob is not None else None
    except NewerSchemaError as newer:
        return next((each for each in _staying(store) if each.schema >= newer.schema), None)
    except RefusedError:
        return None
    if key is None or key in keys.ids:
        return None
    return next((each for each in _staying(store) if key in each.keys), None)


def _staying(store: Store) -> Iterable[WorkerInfo]:
    """Those whose queue others can write to."""
    return (each for each in store.workers() if not each.draining and not each.queues[0].startswith(LOCAL))


def _send(publish: Publish, hints: Iterable[Hint]) -> None:
    for hint in hints:
        publish(hint)


def _impossible(undo: Undo, problems: tuple[Problem, ...]) -> Problem:
    return Problem(
        code="no-rollback",
        message=f"not rolled back: {problems[0].message}",
        cause=problems[0].cause,
        fix=problems[0].fix or "look at what the stage runs now: `flow ps`, and deploy a plan that is right",
        more=f"flow show {undo.failed}",
        severity="warning",
    )


def _never_good(project: ProjectName, stage: StageName) -> Problem:
    return Problem(
        code="never-good",
        message=f"no run of stage `{project}/{stage}` as a whole has succeeded yet, so there is nothing to go back to",
        fix="mend what failed, and submit again",
    )


def _forgotten(run: RunId) -> Problem:
    return Problem(
        code="plan-forgotten",
        message=f"the plan of run {run} is not there any more",
        cause=("a run is kept for 30 days, and among the last 50 of its stage",),
        fix="deploy that version from its files: `flow submit`",
    )
