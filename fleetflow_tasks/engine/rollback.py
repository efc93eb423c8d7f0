# SPDX-License-Identifier: Apache-2.0
"""A run that was to be rolled back has failed: the last plan that went well comes again, as a run of its own.

The script that ends such a run holds its stage in the same moment: nothing else of it begins, so no queued run can come
between. Whoever looks at the stage next, the reconciler or a submitter, opens the good run's plan, seals it for a new
run and submits that; it goes before all others, and lifts the hold. Two may do so at once, or one be killed between two of
these steps and another begin anew: the script that stores the new run gives the second one the first one's.

Where there is nothing to go back to, or the plan is gone or was altered, the failed run says so and the hold is lifted: a
stage that waits for what cannot come would wait for ever. A plan that only another worker can open is left to it: several
teams may share a Redis, each with a key of its own. That worker may be away just now, restarting, or killed by the very
step that failed; the hold lasts for as long as a ready step waits for a worker, and the failed run says what it waits for.

What Redis says is not believed where it matters: which run was good is written there in clear, so only a plan that
deploys its stage as a whole is brought back, never one that takes it down.
"""

import logging
from collections.abc import Callable, Iterable

import msgspec

from fleetflow_tasks.config.model import Data, ProjectName, StageName
from fleetflow_tasks.engine.model import (
    LOCAL,
    PATIENCE,
    TELL,
    Because,
    Hint,
    Publish,
    Run,
    RunId,
    Submitted,
    Undo,
    WorkerInfo,
    new_run_id,
)
from fleetflow_tasks.engine.store import NOT_HELD, Store, whole
from fleetflow_tasks.engine.trouble import RIGHTS
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.codec import Keys, NewerSchemaError, header, seal, unseal
from fleetflow_tasks.plan.leave import at_once, without
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.plan.resolve import queue

log = logging.getLogger(__name__)

UNDO = StepId("run:undo")  # a hint with this step asks whoever can open the good plan to bring it back


class Lacking(Data, frozen=True, kw_only=True):
    """What this process lacks to open a plan, and another worker may have. Of one that is too new, its key is not looked at."""

    key: str | None = None
    schema: int = 0

    def __str__(self) -> str:
        return f"that has key {self.key}" if self.key is not None else f"that reads plans of schema {self.schema}"

    def is_with(self, worker: WorkerInfo) -> bool:
        return self.key in worker.keys if self.key is not None else worker.schema >= self.schema


def roll_back(
    undo: Undo, project: ProjectName, stage: StageName, *, store: Store, keys: Keys, publish: Publish
) -> Submitted | None:
    """Bring back what the stage is held for. None: it cannot be, and the failed run tells why; or another worker can, or may.

    Raises UnavailableError; what was stored by then goes on by itself. RefusedError where this process's user of Redis may
    not look.
    """
    if _is_left_to_another(undo, project, stage, store, keys):
        return None
    try:
        plan = _good_plan(undo, project, stage, store, keys)
    except RefusedError as refused:
        if refused.problems[0].code == RIGHTS:  # says nothing of the plan
            raise
        _send(publish, store.no_undo(project, stage, undo.failed, _impossible(undo, refused.problems)))
        return None
    try:
        submitted = _submitted(plan, undo, store, keys)
    except RefusedError as refused:
        if refused.problems[0].code != NOT_HELD:  # that one says that somebody was faster
            log.warning("rollback.refused", extra={"run": undo.failed, "problem": str(refused)})
        return None
    _send(publish, submitted.hints)
    return submitted


def pass_on(project: ProjectName, stage: StageName, *, store: Store, keys: Keys, publish: Publish) -> None:
    """Ask a worker that can open the good plan, where this process cannot. Again and again: one hint at a time is enough."""
    undo = store.undo(project, stage)
    lacking = _lacking(undo, store, keys) if undo is not None else None
    opener = _opener(lacking, store) if lacking is not None else None
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


def first(run: Run, known: Callable[[RunId], Run | None]) -> Run:
    """The run that first had *run*'s plan, where *run* is itself a rollback: the one that people remember.

    known: a run by its id, if it is still there; what lies behind one that is not cannot be known. An earlier run at each
    step, so it ends whatever somebody wrote there.
    """
    while (because := run.because) is not None and because.kind == "rollback" and because.plan is not None:
        before = known(because.plan)
        if before is None or before.submitted >= run.submitted:
            break
        run = before
    return run


def _good_plan(undo: Undo, project: ProjectName, stage: StageName, store: Store, keys: Keys) -> Plan:
    if undo.good is None:
        raise RefusedError(_never_good(project, stage))
    plan = reopened(undo.good, project, stage, store=store, keys=keys)
    if whole(plan) != "deploy":
        raise RefusedError(_not_whole(undo.good))
    return at_once(without(plan))


def _submitted(plan: Plan, undo: Undo, store: Store, keys: Keys) -> Submitted:
    run, failed = new_run_id(), store.run(undo.failed)
    good = store.run(undo.good) if undo.good is not None else None
    return store.submit(
        run,
        plan,
        seal(plan, keys, run),
        actor=f"rollback of {failed.actor}" if failed is not None and failed.actor else "rollback",
        because=Because(
            kind="rollback", run=undo.failed, plan=first(good, store.run).id if good is not None else undo.good
        ),
        undoes=undo.failed,
    )


def _is_left_to_another(undo: Undo, project: ProjectName, stage: StageName, store: Store, keys: Keys) -> bool:
    """Whether the good plan is one that another worker can open, or that one may come to open it. The failed run says so."""
    lacking = _lacking(undo, store, keys)
    if lacking is None:
        return False
    if _opener(lacking, store) is not None:
        return True
    waited = store.now() - _since(undo, store)
    if waited >= PATIENCE:
        return False
    if waited >= TELL:
        store.undo_waits(project, stage, undo.failed, _waits(undo, lacking))
    return True


def _since(undo: Undo, store: Store) -> float:
    """When the hold began; long ago, where nobody can know."""
    failed = store.run(undo.failed)
    return (failed.ended if failed is not None else None) or 0.0


def _lacking(undo: Undo, store: Store, keys: Keys) -> Lacking | None:
    """None: this process can open the good plan, or nobody can. Asked again and again, so only its header is read."""
    if undo.good is None:
        return None
    try:
        key = header(store.plan_head(undo.good)).key
    except NewerSchemaError as newer:
        return Lacking(schema=newer.schema)
    except RefusedError as refused:
        if refused.problems[0].code == RIGHTS:
            raise
        return None
    return Lacking(key=key) if key not in keys.ids else None


def _opener(lacking: Lacking, store: Store) -> WorkerInfo | None:
    """A live worker that has what this process lacks."""
    return next((each for each in _staying(store) if lacking.is_with(each)), None)


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


def _waits(undo: Undo, lacking: Lacking) -> Problem:
    return Problem(
        code="rollback-waits",
        message=f"not rolled back yet: no worker is there {lacking}",
        cause=(
            f"only such a one can open the plan of run {undo.good}, to which the stage is to go back",
            f"the stage waits for it for {PATIENCE / 60:g} minutes, and begins nothing else",
        ),
        fix="start one, or let a new run take the place of the rollback: flow submit --supersede",
        severity="warning",
    )


def _not_whole(run: RunId) -> Problem:
    return Problem(
        code="plan-not-whole",
        message=f"the plan of run {run} does not deploy its stage as a whole",
        cause=("no such run is ever kept as one to go back to: somebody else wrote that it is",),
        fix="find out who else can write to this Redis; then deploy a plan that is right",
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
