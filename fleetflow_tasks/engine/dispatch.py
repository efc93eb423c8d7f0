# SPDX-License-Identifier: Apache-2.0
"""A plan becomes a run: look whether somebody serves its queues, seal it, store it in one script, hint at what is ready.

The look comes first, before anything is stored: a run that hangs because nobody serves its queue is the commonest
complaint about systems like this one, and the answer is known at once. Then what stands in the way of the stage and has
nobody who sees to it: runs of a `flow up` that was killed, a rollback that is due. The run is stored before the first
hint goes out, so a hint that cannot be sent costs a second or two and nothing else: a reconciler sends it again.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from fleetflow_tasks.engine.abandoned import give_up_abandoned
from fleetflow_tasks.engine.model import Because, Conflict, Hint, Publish, RunId, Submitted, WorkerInfo
from fleetflow_tasks.engine.rollback import roll_back
from fleetflow_tasks.engine.store import Facts, Store
from fleetflow_tasks.errors import Problem, RefusedError, UnavailableError
from fleetflow_tasks.plan.codec import Keys, seal
from fleetflow_tasks.plan.model import Plan, QueueName, StepId

OTHER_KEY = "other-key"
NEVER = "none was ever seen on this Redis"


def submit(
    plan: Plan,
    *,
    run: RunId,
    store: Store,
    keys: Keys,
    publish: Publish,
    actor: str,
    note: str = "",
    conflict: Conflict = "wait",
    key: str | None = None,
    fail_fast: bool = False,
    wait_workers: bool = False,
    kept: Mapping[StepId, Facts] = {},
    because: Because | None = None,
    timeout: float | None = None,
    rollback: bool = False,
    adopt: bool = False,
    after: int | None = None,
) -> Submitted:
    """Store *plan* as *run* and set it going.

    wait_workers: store it even where nobody serves a queue; its steps then wait for a worker.
    kept: steps that count as done, with the facts that they told. timeout: seconds from now, after which the run ends as failed. rollback: when it
    fails, the stage's last good run comes again. adopt: forget which engines the stage was on. after: as `Store.submit`.
    Raises UnavailableError where nobody serves a queue, or Redis does not answer or must not be used (it evicts keys,
    it is nearly full); RefusedError where the workers hold another key, or the stage is busy and `conflict` is `fail`.
    """
    store.check()
    missing = unserved(plan, store, key=keys.current.id, kept=kept)
    if missing and not wait_workers:
        raise (RefusedError if all(problem.code == OTHER_KEY for problem in missing) else UnavailableError)(*missing)
    left = give_up_abandoned(store, plan.project, plan.stage)
    undo = store.undo(plan.project, plan.stage)
    if undo is not None and conflict != "supersede":  # that lifts the hold: nobody waits for what was before
        roll_back(undo, plan.project, plan.stage, store=store, keys=keys, publish=publish)
    submitted = store.submit(
        run,
        plan,
        seal(plan, keys, run),
        actor=actor,
        note=note,
        conflict=conflict,
        key=key,
        fail_fast=fail_fast,
        kept=kept,
        because=because,
        timeout=timeout,
        rollback=rollback,
        adopt=adopt,
        after=after,
    )
    for problem in missing:
        store.note(submitted.run.id, msgspec.structs.replace(problem, severity="warning"))
    if unsent := _unsent(publish, (*left, *submitted.hints)):
        store.note(submitted.run.id, unsent)
    return submitted


def unserved(plan: Plan, store: Store, *, key: str, kept: Collection[StepId] = ()) -> tuple[Problem, ...]:
    """A problem for each queue of *plan* that no worker serves that is there, stays, and can open and read the plan.

    key: the id of the one that seals it. kept: steps that need nobody.
    """
    workers = store.workers()
    queues = sorted({step.queue for step in plan.steps if step.id not in kept})
    problems = (_unserved(queue, plan.schema, key, workers, store) for queue in queues)
    return tuple(problem for problem in problems if problem is not None)


def _unserved(queue: QueueName, schema: int, key: str, workers: Sequence[WorkerInfo], store: Store) -> Problem | None:
    staying = [worker for worker in workers if queue in worker.queues and not worker.draining]
    readers = [worker for worker in staying if worker.schema >= schema]
    strangers = [worker for worker in readers if key not in worker.keys]  # any of them may come to a step first
    if readers and not strangers:
        return None
    start = f"flow worker {queue}"
    if strangers:
        return Problem(
            code=OTHER_KEY,
            message=f"workers of queue `{queue}` hold another key: they could not open this plan",
            cause=tuple(
                f"{worker.host} opens plans of key {', '.join(worker.keys)}, not {key}" for worker in strangers[:5]
            ),
            fix="give FLEETFLOW_KEY the same value here and there (to change it: `new,old` on the workers first)",
        )
    if staying:
        newest = max(worker.schema for worker in staying)
        return Problem(
            code="worker-too-old",
            message=f"the workers of queue `{queue}` are too old for this plan",
            cause=(f"the plan is of schema {schema}, they read up to {newest}",),
            fix=f"update them, or start a new one: {start}",
        )
    return Problem(
        code="no-worker",
        message=f"no worker serves the queue `{queue}`",
        cause=(_last_seen(queue, store),),
        fix=f"start one, with the same Redis and key: {start}   (or add --wait-workers, and the run waits for one)",
    )


def _last_seen(queue: QueueName, store: Store) -> str:
    at = store.last_served(queue)
    return NEVER if at is None else f"the last one was seen {ago(store.now() - at)} ago"


def ago(seconds: float) -> str:
    """As people say it, in one unit: `40 s`, `3 min`, `5 h`, `2 days`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def kept_safe(store: Store) -> Problem | None:
    """A note where what was just submitted could be lost with its Redis, and how that is mended. Takes up to a second.

    For after the hints are out: nobody's deployment waits for a disk.
    """
    try:
        if store.durable():
            return None
    except UnavailableError as error:
        return _not_safe(str(error))
    return _not_safe("it has no replica that has the run by now, and no append-only file that has it on disk")


def _not_safe(why: str) -> Problem:
    return Problem(
        code="not-durable",
        message="the run is stored, but it would be lost if its Redis lost power, or failed over, in this moment",
        cause=(why, "a Redis that only crashes, or is stopped, loses nothing as long as it writes an append-only file"),
        fix="switch on `appendonly yes` there, or give it a replica and `min-replicas-to-write 1`",
        severity="note",
    )


def _unsent(publish: Publish, hints: tuple[Hint, ...]) -> Problem | None:
    try:
        for hint in hints:
            publish(hint)
    except UnavailableError as error:
        return Problem(
            code="hint-unsent",
            message="the run is stored, but its first steps could not be announced; a worker finds them in a moment",
            cause=(str(error),),
            severity="note",
        )
    return None
