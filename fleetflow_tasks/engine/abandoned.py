# SPDX-License-Identifier: Apache-2.0
"""Runs of a `flow up` that is not there any more.

`flow up` carries its steps out in its own process, on a queue that nobody else serves. When that process is killed,
no worker can go on with the run, and yet it holds its stage. Whoever comes next to that stage cancels it and gives its
running steps back at once: waiting for their leases would make a person wait half a minute for a process that is known
to be dead. Their own run then does what the dead one left undone.

A process on this machine is asked for by its number; one elsewhere counts as gone when it has been silent for long.
"""

import os
import socket
import uuid

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import LOCAL, RUN_ENDS, Claim, Hint, Run, RunId, StepState, WorkerInfo
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.plan.codec import readable
from fleetflow_tasks.plan.model import QueueName

SILENCE = 60.0  # seconds, two leases, after which a process on another machine is taken for dead


def local_queue(run: RunId) -> QueueName:
    """The queue that only the process of this very run serves."""
    return QueueName(LOCAL + run)


def give_up_abandoned(store: Store, project: ProjectName, stage: StageName) -> tuple[Hint, ...]:
    """Cancel the stage's abandoned runs. Returns the hints of the run that may begin now, if one may."""
    hints: list[Hint] = []
    for run in store.runs(project, stage):
        if run.status not in RUN_ENDS and _is_local(store, run.id) and _is_abandoned(store, run.id):
            hints += _given_up(store, run)
    return tuple(hints)


def _is_local(store: Store, run: RunId) -> bool:
    blob = store.sealed_plan(run)
    try:
        return blob is not None and any(step.queue == local_queue(run) for step in readable(blob).steps)
    except RefusedError:  # of a newer schema, or no plan at all: not ours to judge
        return False


def _is_abandoned(store: Store, run: RunId) -> bool:
    queue = local_queue(run)
    return not any(queue in worker.queues and _is_alive(worker) for worker in store.workers(within=SILENCE))


def _is_alive(worker: WorkerInfo) -> bool:
    if worker.host != socket.gethostname():
        return True
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's process has this number; whether it is the one cannot be known
    return True


def _given_up(store: Store, run: Run) -> tuple[Hint, ...]:
    hints = list(store.cancel(run.id, request=uuid.uuid4().hex))
    snapshot = store.snapshot(run.id)
    for step in snapshot.steps if snapshot else ():
        if step.status == "running":
            hints += store.release(_claim(run, step), reason="its `flow up` was killed")
    return tuple(hints)


def _claim(run: Run, step: StepState) -> Claim:
    """The dead process's claim, as far as giving it back needs it."""
    assert step.worker is not None  # noqa: S101  (a running step has one)
    return Claim(
        run=run.id,
        step=step.step,
        project=run.project,
        stage=run.stage,
        worker=step.worker,
        fence=step.fence,
        attempt=step.attempt,
        losses=step.losses,
        generation=run.generation,
        taken=0.0,
    )
