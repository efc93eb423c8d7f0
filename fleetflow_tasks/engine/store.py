# SPDX-License-Identifier: Apache-2.0
"""The only module that imports the Redis client: one typed method per script, stream in and out."""

from collections.abc import Iterator, Mapping, Sequence

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import (
    AnyEvent, Claim, Conflict, EventId, Finished, Hint, Refusal, Renewal, Run, RunId, RunStatus, Snapshot, StepState,
    Submitted, WorkerId, WorkerInfo,
)
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, QueueName, StepId
from fleetflow_tasks.runtimes.base import Outcome


class Store:
    """SIGNATURES ONLY, being written. Raises UnavailableError when Redis does not answer; RefusedError where told."""

    @classmethod
    def connect(cls, url: str, *, client_name: str = "ff") -> "Store":
        """url: redis://, rediss:// or unix://. Lazy: the first call connects. Checks server >= 7 and eviction policy in `check()`."""

    def check(self) -> None:
        """Raise UnavailableError / RefusedError in words: no answer, wrong password, Redis < 7, maxmemory-policy evicts, read-only replica."""

    def submit(self, run: RunId, plan: Plan, sealed: bytes, *, actor: str, note: str = "", conflict: Conflict = "wait",
               key: str | None = None, fail_fast: bool = False) -> Submitted:
        """Write the run; start it if its stage is free. `sealed` is stored as it is; of `plan` only ids, needs, queues, weights,
        timeouts, retries, services are written in clear. key: idempotency key. Raises RefusedError on conflict="fail" and a busy stage."""

    def claim(self, run: RunId, step: StepId, *, worker: WorkerId, nonce: str, schema: int) -> Claim | Refusal: ...
    def renew(self, claims: Sequence[Claim]) -> Mapping[tuple[RunId, StepId], Renewal]:
        """One call per stage."""
    def release(self, claim: Claim, *, reason: str) -> tuple[Hint, ...]: ...
    def finish_well(self, claim: Claim, outcome: Outcome) -> Finished: ...
    def finish_badly(self, claim: Claim, problem: Problem, *, retry_in: float | None) -> Finished:
        """retry_in: seconds until the next attempt, None: failed for good. More attempts than the step's retries allow: failed."""
    def finish_cancelled(self, claim: Claim) -> Finished: ...
    def progress(self, claim: Claim, text: str, current: float | None, total: float | None) -> None:
        """Append a StepProgressed event, if the fence is current."""
    def note(self, run: RunId, problem: Problem, step: StepId | None = None) -> None: ...
    def cancel(self, run: RunId, *, request: str) -> tuple[Hint, ...]:
        """No new claims; waiting, ready and delayed steps become cancelled; running ones learn it by renew. Hints: of the next run, if one starts."""
    def expire(self, project: ProjectName, stage: StageName) -> tuple[Hint, ...]:
        """Leases that ended: back to ready, or failed at MAX_LOSSES."""
    def due(self, project: ProjectName, stage: StageName, *, republish: Sequence[QueueName] = ()) -> tuple[Hint, ...]:
        """Delayed steps whose time came; for `republish` queues also every ready step's hint again (within the window);
        ready steps that nobody took within 10 min of their queue having no worker: failed."""
    def snapshot(self, run: RunId) -> Snapshot | None: ...
    def events(self, run: RunId, *, after: EventId = EventId("0-0"), block: float = 0.0) -> Sequence[AnyEvent]:
        """At most 1,000; waits up to `block` seconds (<= 2) for the first."""
    def sealed_plan(self, run: RunId) -> bytes | None: ...
    def run(self, run: RunId) -> Run | None: ...
    def runs(self, project: ProjectName | None = None, stage: StageName | None = None, *, limit: int = 50) -> Sequence[Run]: ...
    def active_stages(self) -> Sequence[tuple[ProjectName, StageName]]: ...
    def active_run(self, project: ProjectName, stage: StageName) -> Run | None: ...
    def queue_length(self, queue: QueueName) -> int: ...
    def beat(self, worker: WorkerInfo) -> None: ...
    def leave(self, worker: WorkerId) -> None: ...
    def workers(self, *, within: float = 15.0) -> Sequence[WorkerInfo]:
        """Those seen within that many seconds."""
    def reconciler(self, worker: WorkerId, *, lease: float = 5.0) -> bool:
        """Take or keep the reconciler's lease."""
    def server_epoch(self) -> tuple[str, float]:
        """(run_id:replid, uptime seconds), for the grace after an outage."""
    def now(self) -> float: ...
    def close(self) -> None: ...
