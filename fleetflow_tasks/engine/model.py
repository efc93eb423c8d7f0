# SPDX-License-Identifier: Apache-2.0
"""A run on its way: its status, its steps' states, and the events that tell of every move.

Times are Unix seconds of Redis's clock (`TIME`), never of a worker's.
"""

import os
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Literal, NewType

import msgspec

from fleetflow_tasks.config.model import Data, ProjectName, ServiceName, StageName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import QueueName, StepId
from fleetflow_tasks.runtimes.base import Outcome

RunId = NewType("RunId", str)  # 26 characters, a ULID in lower case: sorts by time, made by the submitter
WorkerId = NewType("WorkerId", str)  # host:pid:random, one per worker process
EventId = NewType("EventId", str)  # a Redis stream id, "1700000000000-0"

RunStatus = Literal["queued", "running", "ending", "succeeded", "failed", "cancelled"]
StepStatus = Literal["waiting", "ready", "running", "delayed", "succeeded", "failed", "skipped", "cancelled"]
Conflict = Literal["wait", "supersede", "fail"]
EndingReason = Literal["cancelled", "failed", "timeout"]  # why a run begins nothing more

STEP_ENDS: frozenset[StepStatus] = frozenset({"succeeded", "failed", "skipped", "cancelled"})
RUN_ENDS: frozenset[RunStatus] = frozenset({"succeeded", "failed", "cancelled"})

# The one table of allowed moves. The Lua scripts are tested against it, the picture in the docs is made from it.
FOLLOWS: Mapping[StepStatus, frozenset[StepStatus]] = {
    "waiting": frozenset({"ready", "skipped", "cancelled"}),
    "ready": frozenset({"running", "failed", "skipped", "cancelled"}),  # failed: nobody came in time
    "running": frozenset({"succeeded", "failed", "cancelled", "delayed", "ready"}),  # ready: released or lease lost
    "delayed": frozenset({"ready", "skipped", "cancelled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "skipped": frozenset(),
    "cancelled": frozenset(),
}
RUN_FOLLOWS: Mapping[RunStatus, frozenset[RunStatus]] = {
    "queued": frozenset({"running", "failed", "cancelled"}),  # failed: its deadline came first
    "running": frozenset({"ending", "succeeded", "failed", "cancelled"}),
    "ending": frozenset({"failed", "cancelled"}),  # no new claims, leases still out
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}

LOCAL = "local."  # how the queues of `flow up` begin: each for one process, never seen by Celery

MAX_LOSSES = 3  # a step whose worker died this often fails: it is probably the step that kills
LEASE = 30.0  # seconds; renewed every RENEW, so that five renewals may fail before a step is lost
RENEW = 5.0  # seconds; also how soon a cancel reaches a running step
# Seconds after a lost lease before another run of the stage begins: the longest call that may be on its way, which is a stop
# (Docker's 15 for any call, and the ten between TERM and KILL). Who may begin one has until 0.9 of its lease to do so.
SETTLE = 25.0
PATIENCE = 600.0  # seconds that a ready step waits for a worker on a queue that nobody serves; then it fails
TELL = 5.0  # seconds of that after which the run's watchers are told
# Hints that a run may have out on a queue: one for two slots of its live workers, this many at least, or WINDOW where no worker
# is known. Each claim sends the next one, so no slot is idle for it; and another run's step, or one of higher rank, waits for
# half a round of the slots behind them.
MIN_WINDOW = 2
WINDOW = 32

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"  # no i, l, o, u: read aloud without doubt


def settling(lease: float) -> float:
    """SETTLE, where a claim is good for *lease* seconds: a test's short lease means a short wait."""
    return SETTLE * lease / LEASE


def new_run_id() -> RunId:
    """A ULID: 48 bits of milliseconds, 80 of chance. The clock is the submitter's and decides nothing but the sorting."""
    number = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    return RunId("".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5)))


class Hint(Data, frozen=True, kw_only=True):
    """*step* of *run* may be ready. An order to nobody: who comes late finds it taken."""

    run: RunId
    step: StepId
    queue: QueueName


Publish = Callable[[Hint], None]  # raises UnavailableError where the hint could not be sent


class StepState(Data, frozen=True, kw_only=True):
    """Where a step stands. since: when it came into this status. started, ended: of the last attempt. queue: who may do it.

    attempt: how often it was begun. losses: how often its worker died, releases: how often its worker gave it back; so
    `attempt - losses - releases` of `retries + 1` tries are used up. outcome, problem: of the last move.
    """

    step: StepId
    status: StepStatus
    service: ServiceName | None = None
    queue: QueueName = QueueName("")
    attempt: int = 0
    losses: int = 0
    releases: int = 0
    fence: int = 0
    worker: WorkerId | None = None
    since: float = 0.0
    started: float | None = None
    ended: float | None = None
    due: float | None = None
    outcome: Outcome | None = None
    problem: Problem | None = None


class Because(Data, frozen=True, kw_only=True):
    """Why a run was made, where it was not for its plan's own sake.

    retry: of `run`'s steps that did not succeed. rollback: `run` failed or is not wanted, and an earlier plan comes again.
    promote: the images are those that `run`, of another stage, deployed.
    plan: the run whose plan this one carries out again; None: it has one of its own.
    """

    kind: Literal["retry", "rollback", "promote"]
    run: RunId
    plan: RunId | None = None


class Run(Data, frozen=True, kw_only=True):
    """A plan on its way. generation: grows with each run of the stage; objects carry it.

    actor: who submitted it. note: from where (git commit, CI job), free text. ahead: runs before it in line.
    deadline: Redis's clock; what is not done by then ends the run. rollback: whether, if it fails, the last run that
    succeeded comes again by itself. whole: it deploys its stage as a whole, so that its plan is one to roll back to.
    """

    id: RunId
    project: ProjectName
    stage: StageName
    status: RunStatus
    generation: int
    actor: str = ""
    note: str = ""
    submitted: float = 0.0
    started: float | None = None
    ended: float | None = None
    ahead: int = 0
    because: Because | None = None
    deadline: float | None = None
    rollback: bool = False
    whole: bool = False
    problem: Problem | None = None


class Undo(Data, frozen=True, kw_only=True):
    """A stage that lets nothing else begin until `failed`, which was to be rolled back, has been: to the plan of `good`.

    good: None where no run of the stage has succeeded as a whole, so that there is nothing to go back to.
    """

    failed: RunId
    good: RunId | None = None


class Submitted(Data, frozen=True, kw_only=True):
    """repeated: this run id (or idempotency key) was there already; `run` is the one found."""

    run: Run
    hints: tuple[Hint, ...] = ()
    repeated: bool = False


class Claim(Data, frozen=True, kw_only=True):
    """The right to carry a step out, until the lease ends or another fence is given.

    taken: `time.monotonic()` of the claimer *before* the claim was sent; with `lease` (seconds) it bounds what it may do
    without having renewed. hints: of other steps, to be sent on, as this one's is not out any more.
    """

    run: RunId
    step: StepId
    project: ProjectName
    stage: StageName
    worker: WorkerId
    fence: int
    attempt: int
    losses: int
    releases: int = 0
    generation: int
    taken: float
    lease: float = LEASE
    hints: tuple[Hint, ...] = ()


Refusal = Literal["not-found", "not-ready", "taken", "ended", "newer-schema"]  # why a claim was not given
Renewal = Literal["held", "lost", "cancelled"]


class Finished(Data, frozen=True, kw_only=True):
    """accepted False: the fence was old, nothing was written. ended: the run's status, where this was its last step."""

    accepted: bool
    hints: tuple[Hint, ...] = ()
    ended: RunStatus | None = None


class Due(Data, frozen=True, kw_only=True):
    """What a look at a stage brought, and what else is to be looked at there.

    held: a run that failed is to be rolled back. alone: a run is carried out by the process that made it, and by nobody else.
    """

    hints: tuple[Hint, ...] = ()
    held: bool = False
    alone: bool = False


class Snapshot(Data, frozen=True, kw_only=True):
    """A run and all of its steps at one moment; events after `last` have not been counted in."""

    run: Run
    steps: tuple[StepState, ...]
    last: EventId


# What one entry of the registry may say. It is read by everybody, so nonsense in it must stop at its reader.
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
ServedQueue = Annotated[
    QueueName, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+(\..*)?\Z", max_length=300)
]  # runtime, or with a host


class WorkerInfo(Data, frozen=True, kw_only=True):
    """What a worker says of itself every 5 s. seen: when it last did. One that says what no worker would is not read.

    birth: where and when its process began, so that who is in the same place can tell whether it lives; "": not said.
    keys: the ids of the keys whose plans it can open; an id says nothing of its key.
    """

    id: WorkerId
    host: str
    pid: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    queues: Annotated[tuple[ServedQueue, ...], msgspec.Meta(min_length=1, max_length=1000)]
    slots: Count
    busy: Count = 0
    schema: Count = 1
    runtimes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    birth: str = ""
    draining: bool = False
    started: float = 0.0
    seen: float = 0.0
    version: str = ""


class _Event(Data, frozen=True, kw_only=True):
    """id: of the stream, so that a view can go on where it stopped. at: Redis's clock."""

    id: EventId = EventId("")
    at: float = 0.0


class RunQueued(_Event, frozen=True, kw_only=True, tag="run.queued"):
    ahead: int = 0
    actor: str = ""


class RunStarted(_Event, frozen=True, kw_only=True, tag="run.started"):
    generation: int


class StepMoved(_Event, frozen=True, kw_only=True, tag="step.moved"):
    """A move allowed by FOLLOWS. due: when a delayed step is tried again."""

    step: StepId
    status: StepStatus
    attempt: int = 0
    losses: int = 0
    releases: int = 0
    fence: int = 0
    worker: WorkerId | None = None
    due: float | None = None
    outcome: Outcome | None = None
    problem: Problem | None = None


class StepProgressed(_Event, frozen=True, kw_only=True, tag="step.progressed"):
    step: StepId
    text: str
    current: float | None = None
    total: float | None = None


class Noted(_Event, frozen=True, kw_only=True, tag="noted"):
    """Something worth telling that moves nothing: no worker serves a queue, a late finish was refused.

    step: where it concerns one. problem: severity note or warning.
    """

    problem: Problem
    step: StepId | None = None


class RunEnding(_Event, frozen=True, kw_only=True, tag="run.ending"):
    """No new steps are begun; those that run come to their end."""

    reason: EndingReason


class RunEnded(_Event, frozen=True, kw_only=True, tag="run.ended"):
    status: RunStatus
    problem: Problem | None = None


AnyEvent = RunQueued | RunStarted | StepMoved | StepProgressed | Noted | RunEnding | RunEnded
