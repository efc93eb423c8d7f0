# SPDX-License-Identifier: Apache-2.0
"""Runs of a `flow up` that is not there any more.

`flow up` carries its steps out in its own process, on a queue that nobody else serves. When that process is killed,
no worker can go on with the run, and yet it holds its stage. Whoever comes to that stage next, or looks after it each
second, cancels it and gives its running steps back at once: waiting for their leases would make a person wait half a
minute for a process that is known to be dead. The next run then does what the dead one left undone.

Is it dead? A process number alone does not tell: it is given again, and a worker in a container counts its own. So a
process writes down where and when it began. Who is in the same place asks the kernel whether just that one lives, and
its silence does not matter: it may be stopped, or the machine may have slept. One elsewhere counts as gone when it has
been silent for long.
"""

import os
import socket
import uuid
from pathlib import Path

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine import keys
from fleetflow_tasks.engine.model import LOCAL, Claim, Hint, Run, RunId, StepState, WorkerInfo
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.engine.trouble import DamagedError
from fleetflow_tasks.plan.model import QueueName

SILENCE = 60.0  # seconds, two leases, after which a process that is not here is taken for dead


def local_queue(run: RunId) -> QueueName:
    """The queue that only the process of this very run serves."""
    return QueueName(LOCAL + run)


def give_up_abandoned(store: Store, project: ProjectName, stage: StageName, *, quiet: bool = False) -> tuple[Hint, ...]:
    """Cancel the stage's abandoned runs. Returns the hints of the run that may begin now, if one may.

    quiet: Redis was away a moment ago, so nobody could be heard, and silence proves nothing.
    """
    hints: list[Hint] = []
    for run in store.local_runs(project, stage):
        if _is_abandoned(store, run, quiet=quiet):
            hints += _given_up(store, run)
    return tuple(hints)


def birth(pid: int) -> str:
    """Where and when process *pid* began: machine since its start, pid namespace, moment. "" where it does not live."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self/stat").exists() else _birth_elsewhere(pid)
    state, began = fields[0], fields[19]
    return "" if state in "ZX" else f"{_place()}{began}"


def _place() -> str:
    """What two processes have in common that see each other by the same numbers."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()} "
    except OSError:
        return f"{socket.gethostname()} "


def _birth_elsewhere(pid: int) -> str:
    """Without /proc (macOS) the moment cannot be known."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass  # somebody else's process has this number; whether it is the one cannot be known
    return _place()


def _is_abandoned(store: Store, run: RunId, *, quiet: bool) -> bool:
    queue = local_queue(run)
    process = next((each for each in store.workers(within=keys.WORKER_LIFE) if queue in each.queues), None)
    if process is not None and process.birth.startswith(_place()):
        return birth(process.pid) != process.birth
    return not quiet and (process is None or _is_silent(store, process))


def _is_silent(store: Store, process: WorkerInfo) -> bool:
    return store.now() - process.seen > SILENCE


def _given_up(store: Store, run: RunId) -> tuple[Hint, ...]:
    hints = list(store.cancel(run, request=uuid.uuid4().hex))
    snapshot = store.snapshot(run)
    if snapshot is not None:
        for step in snapshot.steps:
            if step.status == "running":
                hints += store.release(_claim(snapshot.run, step), reason="its `flow up` was killed").hints
    return tuple(hints)


def _claim(run: Run, step: StepState) -> Claim:
    """The dead process's claim, as far as giving it back needs it."""
    if step.worker is None:
        raise DamagedError(f"step `{step.step}` of run {run.id} is under way, and no worker has it")
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
