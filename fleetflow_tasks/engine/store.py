# SPDX-License-Identifier: Apache-2.0
"""The truth about runs, in Redis: one typed method per script, events in and out. The only module that imports the client.

A run moves only inside the Lua scripts beside this file, each of which Redis carries out alone and whole. A script may be
sent twice, when its reply was lost: each carries the id of its request, and a request that comes again gets the first
answer. So one retry is safe, and more would only hide that Redis is in trouble; redis-py's own default is ten.

Two connections' worth of client: *scripts* (5 s, one retry) and *reader* (waits up to 2 s for events, never retries, since
a wait that is retried in silence is a watcher that hangs).

What this module does not know: plans' contents (it stores them sealed), Celery, and what a step does.
"""

import math
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from itertools import islice
from typing import Final, Self, TypeVar, cast

import msgspec
import redis
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine import address, client, keys, trouble
from fleetflow_tasks.engine.footprint import Footprint, footprint
from fleetflow_tasks.engine.model import (
    LEASE,
    LOCAL,
    MAX_LOSSES,
    MIN_WINDOW,
    PATIENCE,
    TELL,
    WINDOW,
    AnyEvent,
    Because,
    Claim,
    Conflict,
    Due,
    EventId,
    Finished,
    Hint,
    Refusal,
    Renewal,
    Run,
    RunId,
    RunQueued,
    RunStatus,
    Snapshot,
    StepState,
    Submitted,
    Undo,
    WorkerId,
    WorkerInfo,
    settling,
)
from fleetflow_tasks.errors import Bug, Problem, RefusedError, UnavailableError
from fleetflow_tasks.plan.model import Plan, QueueName, Step, StepId
from fleetflow_tasks.runtimes.base import Outcome

T = TypeVar("T")
Facts = Mapping[str, str]  # of an outcome

TIMEOUT: Final = 5.0  # seconds a script may take, its way included; the largest needs some 30 ms
BLOCK: Final = 2.0  # seconds that a reader waits for events at most, well below its own timeout
BEGINNING: Final = EventId("0-0")  # of a stream: after it come all events
EVENTS_KEPT: Final = 10_000  # of a run, and ten for each step: a step without trouble makes three
REGISTRY: Final = 1.0  # seconds that the list of workers is believed
STAGES: Final = 50  # asked for their runs on one way to Redis and back
SKEW: Final = 60.0  # seconds that a submit may take between its stage's entry in the index and the run itself
HEAD: Final = 1024  # bytes of a sealed plan, of which its header takes some 300
BEATEN: Final = 15.0  # seconds after its last beat (one each 5) that a worker still counts as alive
AHEAD: Final = 15.0  # seconds that a beat may lie in the future: Redis's clock was set back, and the next beat mends it

NOT_HELD: Final = "not-held"  # the code of a rollback that nobody waits for any more

_SCRIPTS: Final = (
    "submit", "claim", "renew", "release", "finish", "cancel", "expire", "due", "no_undo", "snapshot", "runs", "tell", "beat",
    "reconciler", "idle", "pin", "undo_waits",
)  # fmt: skip


class _Stored(msgspec.Struct):
    run: RunId = RunId("")
    hints: tuple[Hint, ...] = ()
    repeated: bool = False
    busy: RunId | None = None
    unheld: bool = False
    overtaken: bool = False


class _Claimed(msgspec.Struct):
    refused: Refusal | None = None
    fence: int = 0
    attempt: int = 0
    losses: int = 0
    releases: int = 0
    generation: int = 0
    hints: tuple[Hint, ...] = ()


class _Moved(msgspec.Struct):
    hints: tuple[Hint, ...] = ()
    found: bool = True


class _Looked(Due, frozen=True, kw_only=True):
    idle: bool = False


class _Registry(msgspec.Struct, frozen=True, kw_only=True):
    """What workers can do, by queue. slots: of all together. schemas: of the newest plans that one of them can read."""

    at: float
    slots: Mapping[QueueName, int] = {}
    schemas: Mapping[QueueName, int] = {}


class Store:
    """Every method raises UnavailableError, in words, when Redis does not answer. Threads may share one store."""

    def __init__(
        self, scripts: redis.Redis, reader: redis.Redis, *, shown: str, lease: float, clock: Callable[[], float] | None
    ) -> None:
        self._redis = scripts
        self._reader = reader
        self._shown = shown
        self._lease = lease
        self.settle = settling(lease)
        self._clock = clock
        self._scripts = {name: client.script(scripts, _text(name)) for name in _SCRIPTS}
        self._listing = client.Reading(scripts, _text("runs"))
        self._names: dict[RunId, str] = {}
        self._registry = _Registry(at=float("-inf"))
        self._interruption: Exception | None = None

    @classmethod
    def connect(
        cls, url: str, *, client_name: str = "ff", lease: float = LEASE, clock: Callable[[], float] | None = None
    ) -> Self:
        """url: one that `address.parsed` takes. Nothing is sent before the first call.

        lease: seconds that a claim is good for. clock: a test's; None: Redis's own `TIME`, as in all but tests.
        """
        shown = address.shown(url)
        try:
            there = address.parsed(url)
        except ValueError as error:
            raise UnavailableError(trouble.no_address(shown, str(error))) from error
        again, never = (Retry(ConstantBackoff(0.1), tries) for tries in (1, 0))
        scripts = client.client(there, name=client_name, timeout=TIMEOUT, connect=TIMEOUT, retry=again)
        reader = client.client(there, name=client_name, timeout=BLOCK + TIMEOUT, connect=TIMEOUT, retry=never)
        return cls(scripts, reader, shown=shown, lease=lease, clock=clock)

    def check(self) -> None:
        """Raise, in words, unless this Redis answers, is new enough, may be written to and keeps what is written."""
        with self._said():
            info = (
                self._redis.info()
            )  # all of it: one older than 7 takes no list of sections, and is to be told from a fault
        for problem in trouble.unfit(info, self._shown):
            raise UnavailableError(problem)

    # ---------------------------------------------------------------------------------------------- runs

    def submit(
        self,
        run: RunId,
        plan: Plan,
        sealed: bytes,
        *,
        actor: str,
        note: str = "",
        conflict: Conflict = "wait",
        key: str | None = None,
        fail_fast: bool = False,
        kept: Mapping[StepId, Facts] = {},
        because: Because | None = None,
        timeout: float | None = None,
        rollback: bool = False,
        adopt: bool = False,
        undoes: RunId | None = None,
        after: int | None = None,
    ) -> Submitted:
        """Write the run and, if its stage is free, start it.

        sealed: stored as it comes. Of *plan* nothing is stored but ids, needs, queues, ranks, retries and services.
        key: idempotency key; a run of the stage that has it is the answer, and nothing is written.
        kept: steps that count as done, since the run that this one is because of did them, with the facts that they told.
        timeout: seconds from now, its time in line included; a run that is not done then fails.
        rollback: if it fails, nothing else of the stage begins until `undo` was followed.
        adopt: as it begins, the stage forgets which engines it was pinned to.
        undoes: the failed run that the stage is held for. This one goes before all others and lifts the hold; if another has
        done so, that one is the answer.
        after: the generation of the run that must still be the last of the stage that has begun; 0: none must have begun.
        Raises RefusedError where conflict is "fail" and a run has the stage, the stage is not held for *undoes* any more, or
        another run than *after*'s has begun.
        """
        self._room()
        name = keys.stage_name(plan.project, plan.stage)
        self._announce(name, run)
        answer = self._call(
            "submit",
            keys.tag(name),
            sealed,
            run=run,
            project=plan.project,
            stage=plan.stage,
            actor=actor,
            note=note,
            conflict=conflict,
            key=key,
            fail_fast=fail_fast,
            because=None if because is None else _json(because),
            timeout=timeout,
            rollback=rollback,
            whole=whole(plan),
            adopt=adopt,
            undoes=undoes,
            after=after,
            schema=plan.schema,
            events=EVENTS_KEPT + 10 * len(plan.steps),
            **_clear(plan, _kept(because, kept)),
            **self._windows(),
        )
        stored = _read(answer, type=_Stored)
        if stored.busy is not None:
            raise RefusedError(self._busy(name, stored.busy))
        if stored.unheld:
            raise RefusedError(_unheld(name, undoes))
        if stored.overtaken:
            raise RefusedError(_overtaken(name))
        found = self._run(name, stored.run)
        if found is None:
            raise Bug(Problem(code="run-lost", message=f"run `{stored.run}` was written and is not there"))
        return Submitted(run=found, hints=stored.hints, repeated=stored.repeated)

    def durable(self, within: float = 1.1) -> bool:
        """Wait until what this process wrote would survive a power cut or a failover; False: it might not.

        A crash of Redis alone loses nothing that was answered. An append-only file is synced once a second, hence the
        default. A Redis before 7.2 that writes one cannot be asked how far it is, and is taken at its word. Not for each
        script: for a submitter that has hinted its steps and wants to tell its user.
        """
        with self._said():
            info = self._redis.info("server", "replication", "persistence")
            # Redis waits for what was written through the connection that asks. So that one writes something as well:
            # whatever any other connection wrote before stands before it.
            batch = self._redis.pipeline(transaction=False)
            batch.set(keys.MARK, 1, ex=60)
            if info["connected_slaves"] > 0:
                batch.wait(1, 100)
            elif not info.get("aof_enabled"):
                return False
            elif trouble.version(info) >= (7, 2):
                batch.waitaof(1, 0, int(within * 1000))
            else:
                return True
            _, kept = batch.execute()
        copies: int = kept if isinstance(kept, int) else kept[0]
        return copies > 0

    def cancel(self, run: RunId, *, request: str, now: bool = False) -> tuple[Hint, ...]:
        """Begin nothing new; waiting, ready and delayed steps are cancelled, running ones learn it when they renew.

        now: running ones are cancelled at once, and whoever carries them out finds its fence gone. No other run of the stage
        begins until their leases would have ended and `settle` more, as one of their calls may be on its way.
        Returns the hints of the next run, if one begins. Raises RefusedError for a run that nobody knows.
        """
        name = self._name(run)
        answer = name and self._call(
            "cancel", keys.tag(name), run=run, request=request, at_once=now, settle=self.settle, **self._windows()
        )
        moved = _read(answer, type=_Moved) if answer else _Moved(found=False)
        if not moved.found:
            raise RefusedError(trouble.unknown(run))
        return moved.hints

    def undo(self, project: ProjectName, stage: StageName) -> Undo | None:
        """The rollback that the stage is held for, if it is."""
        with self._said():
            failed = cast(
                "bytes | None", self._redis.hget(f"{keys.tag(keys.stage_name(project, stage))}:stage", "undo")
            )
        return (
            None
            if failed is None
            else Undo(failed=RunId(failed.decode(errors="replace")), good=self.good_run(project, stage))
        )

    def quiet_until(self, project: ProjectName, stage: StageName) -> float | None:
        """Until when no run of the stage begins, since a call of a lost worker may be on its way; None: nothing keeps it."""
        with self._said():
            until = cast(
                "bytes | None", self._redis.hget(f"{keys.tag(keys.stage_name(project, stage))}:stage", "quiet")
            )
        return _number(until)

    def no_undo(self, project: ProjectName, stage: StageName, failed: RunId, problem: Problem) -> tuple[Hint, ...]:
        """Nothing is brought back for *failed*, and *problem* says why, on that run. Returns the hints of the next, if one begins.

        Nothing happens where the stage is not held for *failed* (any more).
        """
        tag = keys.tag(keys.stage_name(project, stage))
        answer = self._call("no_undo", tag, failed=failed, problem=_json(problem), **self._windows())
        return _read(answer, type=_Moved).hints

    def undo_waits(self, project: ProjectName, stage: StageName, failed: RunId, problem: Problem) -> None:
        """Tell on *failed*, once, that its rollback waits, and for what. Nothing happens where the stage is not held for it."""
        tag = keys.tag(keys.stage_name(project, stage))
        self._carried_out("undo_waits", tag, failed=failed, problem=_json(problem))

    def generation(self, project: ProjectName, stage: StageName) -> int:
        """Of the last run of the stage that has begun; 0: none has."""
        with self._said():
            text = cast(
                "bytes | None", self._redis.hget(f"{keys.tag(keys.stage_name(project, stage))}:stage", "generation")
            )
        return int(_number(text) or 0)

    def good_run(self, project: ProjectName, stage: StageName) -> RunId | None:
        """The last run that succeeded in deploying the stage as a whole, and that nobody has taken down since."""
        name = keys.stage_name(project, stage)
        with self._said():
            good = cast("bytes | None", self._redis.hget(f"{keys.tag(name)}:stage", "good"))
        found = self._run(name, RunId(good.decode(errors="replace"))) if good is not None else None
        return found.id if found is not None else None

    def run(self, run: RunId) -> Run | None:
        name = self._name(run)
        return self._run(name, run) if name else None

    def runs(
        self,
        project: ProjectName | None = None,
        stage: StageName | None = None,
        *,
        statuses: Collection[RunStatus] = (),
        actor: str | None = None,
        since: float | None = None,
        limit: int = 50,
    ) -> Sequence[Run]:
        """The newest first; of all stages of *project*, or of all projects, where they are not named.

        statuses: () for any. since: submitted then or later, on Redis's clock.
        """
        wanted = {"statuses": dict.fromkeys(statuses, True) or None, "actor": actor, "since": since, "limit": limit}
        found: list[Run] = []
        stages = self._stages(project, stage, since)
        while page := list(islice(stages, STAGES)):
            if len(found) == limit and page[0][1] + SKEW < found[-1].submitted:
                break  # of this stage and all after it the newest run is older than all that were found
            tags = [keys.tag(name) for name, _ in page]
            found += [run for answer in self._runs_of(tags, wanted) for run in _read(answer, type=list[Run])]
            found = sorted(found, key=lambda run: (run.submitted, run.id), reverse=True)[:limit]
        return found

    def snapshot(self, run: RunId) -> Snapshot | None:
        name = self._name(run)
        answer = self._call("snapshot", keys.tag(name), run=run) if name else None
        return _read(answer, type=Snapshot) if answer else None

    def outcomes(self, run: RunId, steps: Sequence[StepId]) -> Mapping[StepId, Outcome]:
        """What those of *steps* that have ended well did; one question for all of them."""
        name = self._name(run)
        if name is None:
            return {}
        with self._said():
            told = cast("list[bytes | None]", self._redis.hmget(keys.part(name, run, "steps"), steps))
        states = (_read(text, type=StepState) for text in told if text is not None)
        return {state.step: state.outcome for state in states if state.status == "succeeded" and state.outcome}

    def sealed_plan(self, run: RunId) -> bytes | None:
        name = self._name(run)
        if name is None:
            return None
        with self._said():
            return cast("bytes | None", self._redis.get(keys.part(name, run, "sealed")))

    def plan_head(self, run: RunId) -> bytes:
        """The beginning of the sealed plan, with its header in it; empty where the plan is not there."""
        name = self._name(run)
        if name is None:
            return b""
        with self._said():
            return cast("bytes", self._redis.getrange(keys.part(name, run, "sealed"), 0, HEAD - 1))

    def events(self, run: RunId, *, after: EventId = BEGINNING, block: float = 0.0) -> Sequence[AnyEvent]:
        """At most 1,000; waits up to *block* seconds, 2 at most, for the first.

        Raises what `interrupt_watchers` was given.
        """
        if self._interruption is not None:
            raise self._interruption
        name = self._name(run)
        if name is None:
            return ()
        wait = max(1, int(min(block, BLOCK) * 1000)) if block > 0 else None  # BLOCK 0 would wait for ever
        with self._said():
            reply = self._reader.xread({keys.part(name, run, "events"): after}, count=1000, block=wait)
        streams = cast("list[tuple[bytes, list[tuple[bytes, Mapping[bytes, bytes]]]]]", reply)
        return [_event(entry) for _, entries in streams for entry in entries]

    def interrupt_watchers(self, error: Exception | None) -> None:
        """From now on *error* comes out of `events`; None: no more.

        So a process that carries out what it watches, and cannot go on, ends where it waits for events that never come.
        """
        self._interruption = error

    def missed(self, run: RunId, *, after: EventId) -> bool:
        """Whether events after *after* may have been dropped from the stream: then only a new snapshot helps."""
        name = self._name(run)
        if name is None:
            return False
        with self._said():
            reply = self._redis.xrange(keys.part(name, run, "events"), count=1)
        entries = cast("list[tuple[bytes, Mapping[bytes, bytes]]]", reply)
        first = next(map(_event, entries), None)
        return first is not None and not isinstance(first, RunQueued) and _order(first.id) > _order(after)

    # ---------------------------------------------------------------------------------------------- steps

    def claim(self, run: RunId, step: StepId, *, worker: WorkerId, nonce: str, schema: int) -> Claim | Refusal:
        """nonce: of this one call; the same again gets the same answer."""
        taken = time.monotonic()
        name = self._name(run)
        if name is None:
            return "not-found"
        answer = self._call(
            "claim",
            keys.tag(name),
            run=run,
            step=step,
            worker=worker,
            nonce=nonce,
            schema=schema,
            lease=self._lease,
            **self._windows(),
        )
        claimed = _read(answer, type=_Claimed)
        if claimed.refused is not None:
            return claimed.refused
        project, stage = keys.split(name)
        return Claim(
            run=run,
            step=step,
            project=project,
            stage=stage,
            worker=worker,
            fence=claimed.fence,
            attempt=claimed.attempt,
            losses=claimed.losses,
            releases=claimed.releases,
            generation=claimed.generation,
            hints=claimed.hints,
            taken=taken,
            lease=self._lease,
        )

    def renew(self, claims: Sequence[Claim]) -> Mapping[tuple[RunId, StepId], Renewal]:
        """Prolong what is held, one call per stage. A lease that is over is prolonged too while nobody else got the step."""
        verdicts: dict[tuple[RunId, StepId], Renewal] = {}
        damaged: dict[tuple[RunId, StepId], trouble.DamagedError] = {}
        for name in sorted({_stage_of(claim) for claim in claims}):
            ours = [claim for claim in claims if _stage_of(claim) == name]
            wanted = [(claim.run, claim.step, claim.fence) for claim in ours]
            try:
                answer = self._call("renew", keys.tag(name), claims=wanted, lease=self._lease)
                for claim, verdict in zip(ours, _read(answer, type=list[Renewal]), strict=True):
                    verdicts[claim.run, claim.step] = verdict
            except trouble.DamagedError as error:
                damaged |= {(claim.run, claim.step): error for claim in ours}
        if damaged and not verdicts:
            raise next(iter(damaged.values()))
        # What is held of sound stages must not be lost with what is held of a damaged one.
        verdicts.update(dict.fromkeys(damaged, "lost"))
        return verdicts

    def release(self, claim: Claim, *, reason: str) -> Finished:
        """Give a step back for another worker to begin; no loss is counted. Nothing happens where the fence is old."""
        return self._end("release", claim, reason=reason)

    def finish_well(self, claim: Claim, outcome: Outcome) -> Finished:
        return self._end("finish", claim, status="succeeded", outcome=_json(outcome))

    def finish_badly(self, claim: Claim, problem: Problem, *, retry_in: float | None) -> Finished:
        """retry_in: seconds until the next attempt; None: it failed for good, as it does when its retries are used up."""
        return self._end("finish", claim, status="failed", problem=_json(problem), retry_in=retry_in)

    def finish_cancelled(self, claim: Claim) -> Finished:
        return self._end("finish", claim, status="cancelled")

    def progress(self, claim: Claim, text: str, current: float | None, total: float | None) -> None:
        """Tell how far a step is, if the fence is current."""
        told = {"step": claim.step, "text": text, "current": current, "total": total}
        members = {name: value for name, value in told.items() if value is not None}
        self._tell(_stage_of(claim), claim.run, "step.progressed", members, step=claim.step, fence=claim.fence)

    def note(self, run: RunId, problem: Problem, step: StepId | None = None) -> None:
        """Tell something that moves nothing, while the run goes on."""
        name = self._name(run)
        if name is not None:
            members = {"problem": problem} if step is None else {"problem": problem, "step": step}
            self._tell(name, run, "noted", members)

    def _tell(self, name: str, run: RunId, kind: str, members: Mapping[str, object], **holder: object) -> None:
        """An event beside the moves. Not worth failing for: a full Redis just does not tell."""
        inner = _json(members)[1:-1]
        try:
            self._carried_out("tell", keys.tag(name), run=run, kind=kind, members=inner, **holder)
        except UnavailableError as error:
            if error.problems[0].code != "redis-full":
                raise

    # ---------------------------------------------------------------------------------------------- the reconciler's

    def expire(self, project: ProjectName, stage: StageName) -> tuple[Hint, ...]:
        """Take the steps of workers that did not renew: ready again, or failed at the MAX_LOSSES-th time."""
        answer = self._call(
            "expire",
            keys.tag(keys.stage_name(project, stage)),
            losses=MAX_LOSSES,
            settle=self.settle,
            lease=self._lease,
            request=uuid.uuid4().hex,
            **self._windows(),
        )
        return _read(answer, type=_Moved).hints

    def due(self, project: ProjectName, stage: StageName, *, republish: Sequence[QueueName] = ()) -> Due:
        """Ready the delayed steps whose time came, fill the windows, begin a run that waited for its turn.

        republish: queues whose messages are gone; their hints come again. Ready steps of a queue that no live worker
        serves fail after PATIENCE. A stage with nothing to do leaves `active_stages`.
        """
        name = keys.stage_name(project, stage)
        before = self._last_submit(name)
        answer = self._call(
            "due",
            keys.tag(name),
            republish=list(republish),
            served=self._staying().schemas,
            patience=PATIENCE,
            tell=TELL,
            request=uuid.uuid4().hex,
            **self._windows(),
        )
        looked = _read(answer, type=_Looked)
        if looked.idle:
            self._carried_out("idle", keys.ACTIVE, stage=name, before=before)
        return looked

    def active_stages(self) -> Sequence[tuple[ProjectName, StageName]]:
        """Those that have a run under way or in line, or had one a moment ago."""
        with self._said():
            names = cast("list[bytes]", self._redis.zrange(keys.ACTIVE, 0, -1))
        return [keys.split(name.decode(errors="replace")) for name in names]

    def active_run(self, project: ProjectName, stage: StageName) -> Run | None:
        name = keys.stage_name(project, stage)
        with self._said():
            run = cast("bytes | None", self._redis.hget(f"{keys.tag(name)}:stage", "active"))
        return self._run(name, RunId(run.decode(errors="replace"))) if run is not None else None

    def local_runs(self, project: ProjectName, stage: StageName) -> Sequence[RunId]:
        """The stage's active run and those in line, as far as only the process that made them carries them out."""
        tag = keys.tag(keys.stage_name(project, stage))
        with self._said():
            batch = self._redis.pipeline(transaction=False)
            batch.hget(f"{tag}:stage", "active")
            batch.lrange(f"{tag}:line", 0, -1)
            active, line = batch.execute()
            runs = [RunId(run.decode(errors="replace")) for run in ([active] if active else []) + line]
            if not runs:
                return ()
            for run in runs:
                batch.hget(f"{tag}:run:{run}", "queues")
            served = batch.execute()
        return [
            run
            for run, queues in zip(runs, served, strict=True)
            if queues is not None and any(queue.startswith(LOCAL) for queue in _read(queues, type=list[str]))
        ]

    def pin_engine(self, project: ProjectName, stage: StageName, queue: QueueName, identity: str) -> str:
        """Keep which engine *queue* of this stage goes to, and return the one kept: the first named since a run adopted.

        So a stage is not spread over two engines by chance; the caller refuses where the answer is another than its own.
        """
        return self._call("pin", keys.tag(keys.stage_name(project, stage)), queue=queue, identity=identity).decode()

    def reconciler(self, worker: WorkerId, *, lease: float = 5.0) -> bool:
        """Take or keep the right to reconcile, for *lease* seconds; False while another has it."""
        return self._carried_out("reconciler", keys.RECONCILER, worker=worker, lease=lease) == 1

    def server_epoch(self) -> tuple[str, float]:
        """Which server this is ("run id:replication id") and for how many seconds it has been up.

        After a change, or a short time up, leases look expired that could not be renewed: nothing is to be taken for
        the length of one lease.
        """
        with self._said():
            info = self._redis.info("server", "replication")
        return f"{info['run_id']}:{info['master_replid']}", float(info["uptime_in_seconds"])

    # ---------------------------------------------------------------------------------------------- workers

    def beat(self, worker: WorkerInfo) -> None:
        """Say that a worker lives; every 5 s."""
        self._carried_out(
            "beat",
            keys.WORKERS,
            worker=worker.id,
            info=_json(worker),
            queues=[queue for queue in worker.queues if not queue.startswith(LOCAL)],  # nobody looks for one later
            keep=keys.WORKER_LIFE,
        )

    def leave(self, worker: WorkerId) -> None:
        self._carried_out("beat", keys.WORKERS, worker=worker, queues=[], keep=keys.WORKER_LIFE)

    def workers(self, *, within: float = BEATEN) -> Sequence[WorkerInfo]:
        """Those seen within that many seconds, by id."""
        now = self.now()
        with self._said():
            seen = cast(
                "list[tuple[bytes, float]]",
                self._redis.zrangebyscore(keys.WORKERS, now - within, now + AHEAD, withscores=True),
            )
            if not seen:
                return ()
            told = cast("list[bytes | None]", self._redis.hmget(f"{keys.WORKERS}:info", [worker for worker, _ in seen]))
        found: list[WorkerInfo] = []
        for (_, at), info in zip(seen, told, strict=True):
            with suppress(trouble.DamagedError):  # one that cannot be read is as good as none; the others are there
                found += [msgspec.structs.replace(_read(info, type=WorkerInfo), seen=at)] if info is not None else []
        return sorted(found, key=lambda worker: worker.id)

    def last_served(self, queue: QueueName) -> float | None:
        """When a worker of *queue* was last seen; None: never. For "no worker serves it, the last was seen 3 h ago"."""
        with self._said():
            at = cast("bytes | None", self._redis.hget(f"{keys.WORKERS}:queues", queue))
        return _number(at)

    def queue_length(self, queue: QueueName) -> int:
        """Messages that no worker has fetched. Celery keeps a queue as a list of that name, as no priorities are used."""
        with self._said():
            return self._redis.llen(queue)

    def push(self, queue: QueueName, message: bytes) -> None:
        """Put a message at the end of a queue, where Celery's transport would put it."""
        with self._said():
            self._redis.lpush(queue, message)

    def now(self) -> float:
        """Redis's clock."""
        if self._clock is not None:
            return self._clock()
        with self._said():
            seconds, micros = self._redis.time()
        return seconds + micros / 1_000_000

    def info(self) -> Mapping[str, object]:
        """What the server says of itself, in redis-py's words."""
        with self._said():
            return self._redis.info()

    def known_queues(self) -> Sequence[QueueName]:
        """Those that a worker has ever served."""
        with self._said():
            names = cast("list[bytes]", self._redis.hkeys(f"{keys.WORKERS}:queues"))
        return [QueueName(name.decode(errors="replace")) for name in sorted(names)]

    def footprint(self) -> Footprint:
        """How much of this Redis FleetFlow's runs take. Some milliseconds, even with thousands of stages."""
        with self._said():
            return footprint(self._redis)

    def close(self) -> None:
        self._redis.close()
        self._reader.close()

    # ---------------------------------------------------------------------------------------------- within

    def _call(self, script: str, key: str, /, *blobs: bytes, **arguments: object) -> bytes:
        return cast("bytes", self._carried_out(script, key, *blobs, **arguments))

    def _carried_out(self, script: str, key: str, /, *blobs: bytes, **arguments: object) -> object:
        with self._said():
            reply: object = self._scripts[script](keys=[key], args=[*self._packed(arguments), *blobs])
            return reply

    def _runs_of(self, tags: Sequence[str], wanted: Mapping[str, object]) -> Sequence[bytes]:
        with self._said():
            return cast("Sequence[bytes]", self._listing.each(keys=tags, args=self._packed(wanted)))

    def _packed(self, arguments: Mapping[str, object]) -> tuple[str, bytes]:
        """Arguments that are None are not sent: Lua reads them as nil."""
        clock = str(round(self._clock() * 1_000_000)) if self._clock else ""
        given = {name: value for name, value in arguments.items() if value is not None}
        try:
            return clock, msgspec.msgpack.encode(given)
        except OverflowError as error:  # a fence, say, that came from Redis, and that no script has given
            raise trouble.DamagedError("a number of more than 64 bits") from error

    def _stages(
        self, project: ProjectName | None, stage: StageName | None, since: float | None
    ) -> Iterator[tuple[str, float]]:
        """The stages that are asked for and when something was last submitted to each, the newest first."""
        least = "-inf" if since is None else since - SKEW
        with self._said():
            reply = self._redis.zrevrangebyscore(keys.STAGES, "+inf", least, withscores=True)
        for name, at in cast("list[tuple[bytes, float]]", reply):
            its_project, its_stage = keys.split(name.decode(errors="replace"))
            if project in (None, its_project) and stage in (None, its_stage):
                yield name.decode(errors="replace"), at

    def _end(self, script: str, claim: Claim, **arguments: object) -> Finished:
        tag = keys.tag(_stage_of(claim))
        answer = self._call(
            script, tag, run=claim.run, step=claim.step, fence=claim.fence, **arguments, **self._windows()
        )
        return _read(answer, type=Finished)

    def _announce(self, name: str, run: RunId) -> None:
        """The indexes first: a run that nobody could find would hold its stage for ever."""
        now = self.now()
        with self._said():
            batch = self._redis.pipeline(transaction=False)
            batch.set(keys.index(run), name, ex=keys.INDEX_LIFE)
            batch.zadd(keys.STAGES, {name: now})
            batch.zremrangebyscore(keys.STAGES, "-inf", now - keys.STAGE_LIFE)
            batch.zadd(keys.ACTIVE, {name: now})
            batch.execute()

    def _last_submit(self, name: str) -> float:
        with self._said():
            return self._redis.zscore(keys.ACTIVE, name) or 0.0

    def _name(self, run: RunId) -> str | None:
        """`project/stage` of *run*. It never changes, so it is asked for once."""
        if run not in self._names:
            with self._said():
                name = cast("bytes | None", self._redis.get(keys.index(run)))
            if name is None:
                return None
            if len(self._names) >= 1000:  # a worker lives for weeks
                self._names.clear()
            self._names[run] = name.decode(errors="replace")
        return self._names[run]

    def _run(self, name: str, run: RunId) -> Run | None:
        answer = self._call("runs", keys.tag(name), ids=[run])
        return next(iter(_read(answer, type=list[Run])), None)

    def _staying(self) -> "_Registry":
        """Live workers as they were at most REGISTRY seconds ago; those that leave take nothing new."""
        ticks = self._clock or time.monotonic
        if ticks() - self._registry.at > REGISTRY:
            staying = [worker for worker in self.workers() if not worker.draining]
            self._registry = _registry(ticks(), staying)
        return self._registry

    def _windows(self) -> Mapping[str, object]:
        windows = {queue: max(MIN_WINDOW, slots // 2) for queue, slots in self._staying().slots.items()}
        return {"window": WINDOW, "windows": windows}

    def _room(self) -> None:
        with self._said():
            info = self._redis.info("memory")
        if info["maxmemory"] and info["used_memory"] > trouble.FULL * info["maxmemory"]:
            raise UnavailableError(trouble.full(self._shown))

    def _busy(self, name: str, run: RunId) -> Problem:
        found = self._run(name, run)
        cause = f"run {run}" + (f" of {found.actor}, {found.status}" if found else "")
        return Problem(
            code="stage-busy",
            message=f"stage `{name}` is busy with another run",
            cause=(cause,),
            fix="wait for it (leave `--no-wait` out), or let this one take its place: --supersede",
            more=f"flow watch {run}",
        )

    @contextmanager
    def _said(self) -> Iterator[None]:
        """What the client raises, as ours, in words."""
        try:
            yield
        except (RedisError, OSError) as error:
            raise trouble.in_words(error, self._shown) from error


def _registry(at: float, workers: Sequence[WorkerInfo]) -> _Registry:
    slots: dict[QueueName, int] = {}
    schemas: dict[QueueName, int] = {}
    for worker in workers:
        for queue in worker.queues:
            slots[queue] = slots.get(queue, 0) + worker.slots
            schemas[queue] = max(schemas.get(queue, 0), worker.schema)
    return _Registry(at=at, slots=slots, schemas=schemas)


@cache
def _text(script: str) -> str:
    """A script as Redis gets it: its first line (flags), the shared part, its own part."""
    folder = resources.files("fleetflow_tasks.engine") / "lua"
    first, _, rest = (folder / f"{script}.lua").read_text().partition("\n")
    return f"{first}\n{(folder / 'lib.lua').read_text()}\n{rest}"


def whole(plan: Plan) -> str | None:
    """What *plan* does with its stage as a whole. Only then it removes what is not declared; a part of a stage is left alone."""
    if not any(step.action == "prune" for step in plan.steps):
        return None
    return "deploy" if plan.services else "teardown"


def _kept(because: Because | None, kept: Mapping[StepId, Facts]) -> Mapping[StepId, Outcome]:
    text = "kept" if because is None else f"kept from run {because.run}"
    return {step: Outcome(changed=False, text=text, facts=facts) for step, facts in kept.items()}


def _clear(plan: Plan, kept: Mapping[StepId, Outcome]) -> Mapping[str, object]:
    """What the scripts must know of a plan: nothing that could hold a value of the user's."""
    open_needs = {step.id: sum(need.step not in kept for need in step.needs) for step in plan.steps}
    successors: dict[StepId, list[StepId]] = {step.id: [] for step in plan.steps}
    for step in plan.steps:
        for need in step.needs:
            successors[need.step].append(step.id)
    return {
        "order": _json([step.id for step in plan.steps]),
        "roots": _json([step.id for step in plan.steps if not open_needs[step.id] and step.id not in kept]),
        "queues": _json(sorted({step.queue for step in plan.steps})),
        "steps": [
            (
                step.id,
                step.service or "",
                step.queue,
                _rank(step),
                step.retries,
                open_needs[step.id],
                _json(successors[step.id]),
                _json(kept[step.id]) if step.id in kept else None,
            )
            for step in plan.steps
        ],
    }


def _rank(step: Step) -> int:
    """Highest goes first: the longest way to the end, and of equals what serves before what only prepares."""
    return 2 * step.weight + (step.action != "prepare")


def _unheld(name: str, failed: RunId | None) -> Problem:
    return Problem(
        code=NOT_HELD,
        message=f"stage `{name}` does not wait for run `{failed}` to be rolled back",
        cause=("a newer run took its place, or there was nothing to go back to",),
        fix="see what is there: flow runs",
    )


def _overtaken(name: str) -> Problem:
    return Problem(
        code="overtaken",
        message=f"another run of stage `{name}` has begun in this moment",
        cause=("it may change what was to be kept",),
        fix="see what it does: flow watch; then deploy the stage anew with `flow submit`, if that is still wanted",
        more="flow runs",
    )


def _stage_of(claim: Claim) -> str:
    return keys.stage_name(claim.project, claim.stage)


def _read(text: bytes, *, type: type[T]) -> T:  # noqa: A002  (msgspec's own word)
    """Raises DamagedError where *text* is not what our scripts answer: then something else wrote to our keys."""
    try:
        return msgspec.json.decode(text, type=type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise trouble.DamagedError(str(error)) from error


def _number(text: bytes | None) -> float | None:
    try:
        number = float(text) if text is not None else None
    except ValueError as error:
        raise trouble.DamagedError(f"{text!r} where a number should be") from error
    if number is not None and not math.isfinite(number):
        raise trouble.DamagedError(f"{text!r} where a number should be")
    return number


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _event(entry: tuple[bytes, Mapping[bytes, bytes]]) -> AnyEvent:
    event: AnyEvent = _read(entry[1].get(b"e", b""), type=AnyEvent)  # type: ignore[arg-type]  # a union is no `type`
    return msgspec.structs.replace(event, id=EventId(entry[0].decode()))


def _order(event: str) -> tuple[int, int]:
    milliseconds, _, sequence = event.partition("-")
    return int(milliseconds), int(sequence or 0)
