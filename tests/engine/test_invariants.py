# SPDX-License-Identifier: Apache-2.0
"""The rules of a run, as Hypothesis tries to break them: the real scripts on real servers against a model in Python.

Messages are delivered twice, late, never; workers die, sleep, come back with an old fence; Redis falls back to an older
state; time jumps; deadlines pass; runs that failed are to be rolled back. After each move the whole database is compared
with the model and held against the invariants, which are numbered as below. Every script is sent twice, as after a lost
reply.

     1  one active run per stage; generation and fence only grow, also across a restored older state
     2  a step runs only if its needs are done in this run, or kept from the one that it tries again
     3  an old fence changes nothing, not even the events
     4  remaining = needs not done; ready <=> none remains and it is not taken, delayed or ended
     5  ends never change; a run is ended <=> all its steps are
     6  a request twice = once, in state and in answer
     7  an active run has something that drives it on, and ends when faults end
     8  hints out per run and queue <= window
     9  attempts <= retries + 1 + losses (3 at most) + releases
    10  what waits for a failed step is skipped, nothing else is (unless fail-fast)
    11  after a cancel, or a deadline, nothing is claimed; the run ends when the leases do, or at once where it shall
    12  folding the events gives the states, but for kept steps, which never move; ids grow; one event for each move; each
        move is in FOLLOWS
    15  keys of a live run have no TTL, of an ended one always; the stage's good run lives longer than all
    16  queued runs start in order, none past its deadline; supersede leaves one
    17  a stage is held <=> its last run failed, was to be rolled back, and that was neither done nor given up; then nothing
        begins but the one run that brings it back, once
    18  a retry is stored only while its run is the last of the stage that has begun

(13 is a runtime's; 14, no secret anywhere, is a worker's.) `FLEETFLOW_TEST_EXAMPLES` asks for more examples.
"""

import copy
import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import (
    FOLLOWS,
    LEASE,
    MAX_LOSSES,
    PATIENCE,
    RUN_ENDS,
    RUN_FOLLOWS,
    SETTLE,
    STEP_ENDS,
    WINDOW,
    AnyEvent,
    Because,
    Claim,
    Conflict,
    Finished,
    Hint,
    Noted,
    Refusal,
    Renewal,
    Run,
    RunEnded,
    RunEnding,
    RunId,
    RunQueued,
    RunStarted,
    RunStatus,
    StepMoved,
    StepProgressed,
    StepState,
    StepStatus,
    Submitted,
    Undo,
    WorkerId,
    WorkerInfo,
)
from fleetflow_tasks.engine.store import Store, _Registry
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.model import Plan, QueueName, StepId
from fleetflow_tasks.runtimes.base import Outcome
from tests.engine.conftest import Server, plan_of

EXAMPLES = int(os.environ.get("FLEETFLOW_TEST_EXAMPLES", "150"))
PROJECT, STAGE = ProjectName("shop"), StageName("local")
TAG = "ff:{shop/local}"
ROOM = 2  # the window of a queue that one worker with one slot serves
QUEUES = (QueueName("docker"), QueueName("gke"))
TIDY = StepId("run:tidy")
BECAUSE = Because(kind="retry", run=RunId("run-000"))
FACTS = {"url": "https://edge"}  # of what is kept
KEPT = Outcome(changed=False, text=f"kept from run {BECAUSE.run}", facts=FACTS)
STOPS = ("cancelled", "timeout")  # the reasons for which running steps are told to stop
NEVER = Problem(code="never-good", message="no run has succeeded, so there is nothing to go back to")

PLANS = {
    "chain": plan_of("a:deploy retries=0", "b:deploy <- a:deploy", "c:deploy <- b:deploy retries=1"),
    "shop": plan_of(
        "stage:prepare",
        "db:prepare",
        "db:deploy <- db:prepare, stage:prepare retries=1",
        "api:deploy <- db:deploy queue=gke retries=1",
        "web:deploy <- stage:prepare",
        "stage:prune <- api:deploy, web:deploy",
    ),
    "fan": plan_of("a:prepare", *(f"{name}:deploy <- a:prepare retries=0" for name in "bcdef"), "z:deploy queue=gke"),
    "down": plan_of("web:remove", "db:remove <- web:remove", "stage:prune <- db:remove retries=0"),
    "nothing": plan_of(),
}
WHOLE = {"shop": "deploy", "down": "teardown"}


@dataclass(frozen=True)
class Wish:
    """What a run is submitted with."""

    plan: str
    fail_fast: bool = False
    key: str | None = None
    timeout: float | None = None
    rollback: bool = False
    adopt: bool = False
    kept: Collection[StepId] = ()

    def __post_init__(self) -> None:
        assert set(self.kept) <= {step.id for step in PLANS[self.plan].steps}


@dataclass
class StepModel:
    status: StepStatus = "waiting"
    attempt: int = 0
    losses: int = 0
    releases: int = 0
    fence: int = 0
    lease: float = 0.0
    due: float = 0.0
    hinted: bool = False
    moves: int = 0


@dataclass
class RunModel:
    id: RunId
    wish: Wish
    steps: dict[StepId, StepModel]
    ahead: int
    deadline: float | None
    status: RunStatus = "queued"
    reason: str = ""
    problem: str | None = None
    undone: RunId | None = None
    unserved: dict[QueueName, tuple[float, float]] = field(default_factory=dict)  # since, last seen so

    @property
    def plan(self) -> Plan:
        return PLANS[self.wish.plan]

    def move(self, step: StepId, status: StepStatus) -> None:
        model = self.steps[step]
        assert status in FOLLOWS[model.status]
        model.status = status
        model.moves += 1
        model.hinted = False

    def of(self, *statuses: StepStatus) -> list[StepId]:
        return [step for step, model in self.steps.items() if model.status in statuses]

    def needs(self, step: StepId) -> list[StepStatus]:
        return [self.steps[need.step].status for need in self.plan.step(step).needs]

    def rank(self, step: StepId) -> tuple[int, str]:
        found = self.plan.step(step)
        return (-(2 * found.weight + (found.action != "prepare")), step)


@dataclass
class StageModel:
    """What the stage's keys should say, by the rules alone; slow and plain."""

    runs: dict[RunId, RunModel] = field(default_factory=dict)
    line: list[RunId] = field(default_factory=list)
    active: RunId | None = None
    last: RunId | None = None  # the last that has begun
    quiet: float = 0.0
    undo: RunId | None = None
    good: RunId | None = None
    deadlines: dict[RunId, float] = field(default_factory=dict)
    engines: dict[QueueName, str] = field(default_factory=dict)
    keys: dict[str, RunId] = field(default_factory=dict)
    answers: dict[tuple[RunId, StepId], tuple[int, Finished]] = field(default_factory=dict)
    windows: dict[QueueName, int] = field(default_factory=dict)

    def submit(self, run: RunId, wish: Wish, conflict: Conflict, now: float, undoes: RunId | None = None) -> list[Hint]:
        before = self.runs[self.active] if self.active else None
        if conflict == "supersede":
            for queued in list(self.line):
                self._end_in_line(self.runs[queued], "cancelled", "superseded")
            if undoes is None:
                self.lift("no-rollback")
        if undoes is not None:
            self.runs[undoes].undone, self.undo = run, None
        ahead = (0 if undoes else len(self.line)) + self._is_held()
        deadline = None if wish.timeout is None else round(now + wish.timeout, 6)
        self.runs[run] = RunModel(run, wish, _steps(wish), ahead, deadline)
        self.line.insert(0 if undoes else len(self.line), run)
        if wish.key is not None:
            self.keys[wish.key] = run
        if deadline is not None:
            self.deadlines[run] = deadline
        if conflict == "supersede" and before is not None and before.reason != "cancelled":
            before.problem = "superseded"
            self._begin_ending(before, "cancelled")
            return self.follow(before, now, [])
        return self._next(now)

    def cancel(self, run: RunModel, now: float, *, at_once: bool) -> list[Hint]:
        if run.status == "queued":
            self._end_in_line(run, "cancelled")
        elif run.status not in RUN_ENDS and (at_once or run.reason != "cancelled"):
            if run.reason == "timeout":
                run.problem = None
            if run.reason != "cancelled":
                self._begin_ending(run, "cancelled")
            for step in run.of("running") if at_once else ():
                self.quiet = max(self.quiet, run.steps[step].lease + SETTLE)
                run.move(step, "cancelled")
            return self.follow(run, now, [])
        return []

    def lift(self, problem: str) -> None:
        """Nothing is brought back any more for the run that the stage is held for."""
        if self.undo is not None:
            self.runs[self.undo].problem = self.runs[self.undo].problem or problem
            self.undo = None

    def no_undo(self, now: float) -> list[Hint]:
        self.lift("never-good")
        return self._next(now)

    def refusal(self, run: RunId, step: StepId, schema: int) -> Refusal | None:
        found = self.runs.get(run)
        if found is None or step not in found.steps:
            return "not-found"
        if found.status == "queued":
            return "not-ready"
        if found.status != "running" or found.steps[step].status in STEP_ENDS:
            return "ended"
        if found.plan.schema > schema:
            return "newer-schema"
        match found.steps[step].status:
            case "ready":
                return None
            case "running":
                return "taken"
            case _:
                return "not-ready"

    def claim(self, claim: Claim, now: float) -> list[Hint]:
        run = self.runs[claim.run]
        run.move(claim.step, "running")
        step = run.steps[claim.step]
        step.attempt += 1
        step.fence = claim.fence
        step.lease = now + LEASE
        return self._top_up(run, [run.plan.step(claim.step).queue])

    def holds(self, claim: Claim) -> StepModel | None:
        run = self.runs.get(claim.run)
        step = run.steps[claim.step] if run else None
        return step if step and step.status == "running" and step.fence == claim.fence else None

    def end(self, claim: Claim, how: str, now: float, retry_in: float = 0.0) -> list[Hint]:
        run, step = self.runs[claim.run], self.runs[claim.run].steps[claim.step]
        queue = run.plan.step(claim.step).queue
        tries = step.attempt - step.losses - step.releases
        if how == "again" and run.status == "running" and tries <= run.plan.step(claim.step).retries:
            run.move(claim.step, "delayed")
            step.due = now + retry_in
        elif how == "again" and run.reason in STOPS:
            run.move(claim.step, "cancelled")
        elif how == "release":
            step.releases += 1
            run.move(claim.step, "cancelled" if run.status == "ending" else "ready")
        elif how in ("succeeded", "cancelled"):
            run.move(claim.step, how)  # type: ignore[arg-type]  # (one of the two)
        else:
            self._fail(run, claim.step)
        hints = self.follow(run, now, [queue])
        ended = run.status if run.status in RUN_ENDS else None
        self.answers[claim.run, claim.step] = (
            claim.fence,
            Finished(accepted=True, hints=tuple(hints), ended=ended),
        )
        return hints

    def answer(self, claim: Claim) -> Finished:
        """To a finish or release that comes again, or too late."""
        fence, answer = self.answers.get((claim.run, claim.step), (0, None))
        return answer if answer is not None and fence == claim.fence else Finished(accepted=False)

    def expire(self, now: float) -> list[Hint]:
        run = self.runs[self.active] if self.active else None
        if run is None:
            return []
        lost = [step for step in run.of("running") if run.steps[step].lease <= now]
        if not lost:
            return []
        for step in sorted(lost, key=lambda step: (run.steps[step].lease, step)):
            model = run.steps[step]
            self.quiet = max(self.quiet, model.lease + SETTLE)
            model.losses += 1
            if model.losses >= MAX_LOSSES and run.reason not in STOPS:
                self._fail(run, step)
            else:
                run.move(step, "cancelled" if run.status == "ending" else "ready")
        return self.follow(run, now, [run.plan.step(step).queue for step in lost])

    def due(self, now: float, republish: bool, served: Iterable[QueueName]) -> list[Hint]:
        run = self.runs[self.active] if self.active else None
        hints: list[Hint] = []
        for late in sorted((id_ for id_, at in self.deadlines.items() if at <= now), key=self._by_deadline):
            hints += self._time_is_over(self.runs[late], now)
        if run is None:
            return self._next(now)
        if run.status != "running":
            return hints
        for step in run.of("delayed"):
            if run.steps[step].due <= now:
                run.move(step, "ready")
        again: list[Hint] = []
        for queue in sorted({step.queue for step in run.plan.steps}):
            self._watch(run, queue, now, served)
            if republish:  # of a run that ends nothing is ready
                again += self._hints(run, [step for step in self._ready(run, queue) if run.steps[step].hinted])
        return again + self.follow(run, now, sorted({step.queue for step in run.plan.steps}))

    def follow(self, run: RunModel, now: float, touched: Iterable[QueueName]) -> list[Hint]:
        """What follows from a move: steps without open needs are ready, those behind a failure are skipped …"""
        touched = set(touched)
        while run.status == "running":
            ready = [step for step in run.of("waiting") if set(run.needs(step)) <= {"succeeded"}]
            skipped = [step for step in run.of("waiting") if STEP_ENDS - {"succeeded"} & set(run.needs(step))]
            if not ready and not skipped:
                break
            for step in ready:
                run.move(step, "ready")
                touched.add(run.plan.step(step).queue)
            for step in skipped:
                run.move(step, "skipped")
        if all(step.status in STEP_ENDS for step in run.steps.values()):
            return self._end(run) + self._next(now)
        return self._top_up(run, touched) if run.status == "running" else []

    def _next(self, now: float) -> list[Hint]:
        while self.line and not self._is_held() and self.quiet <= now:
            run = self.runs[self.line[0]]
            if run.deadline is None or run.deadline > now:
                return self._begin(run, now)
            self._end_in_line(run, "timeout", "run-timeout")
        return []

    def _begin(self, run: RunModel, now: float) -> list[Hint]:
        self.line.remove(run.id)
        self.active, self.last, run.status = run.id, run.id, "running"
        if run.wish.adopt:
            self.engines.clear()
        return self.follow(run, now, {step.queue for step in run.plan.steps})

    def _is_held(self) -> bool:
        return self.active is not None or self.undo is not None

    def _by_deadline(self, run: RunId) -> tuple[float, RunId]:
        return self.deadlines[run], run

    def _time_is_over(self, run: RunModel, now: float) -> list[Hint]:
        self.deadlines.pop(run.id, None)  # one that began and ended meanwhile has none any more
        if run.status == "queued":
            self._end_in_line(run, "timeout", "run-timeout")
        elif run.id == self.active and run.reason not in STOPS:
            run.problem = "run-timeout"
            self._begin_ending(run, "timeout")
            return self.follow(run, now, [])
        return []

    def _end(self, run: RunModel) -> list[Hint]:
        begun = run.status != "queued"
        statuses = {step.status for step in run.steps.values()}
        if run.reason == "timeout":
            run.status = "failed"
        elif run.reason == "cancelled" or ("cancelled" in statuses and "failed" not in statuses):
            run.status = "cancelled"
        else:
            run.status = "failed" if "failed" in statuses else "succeeded"
        self.deadlines.pop(run.id, None)
        if self.active == run.id:
            self.active = None
        if run.status == "succeeded" and run.wish.plan in WHOLE:
            self.good = run.id if WHOLE[run.wish.plan] == "deploy" else None
        if run.status == "failed" and run.wish.rollback and begun:
            self.undo = run.id
        if run.status == "succeeded" or not begun:
            return []
        return [Hint(run=run.id, step=TIDY, queue=queue) for queue in sorted({step.queue for step in run.plan.steps})]

    def _end_in_line(self, run: RunModel, reason: str, problem: str | None = None) -> None:
        self.line.remove(run.id)
        run.reason, run.problem = reason, problem
        for step in run.of("waiting"):
            run.move(step, "cancelled")
        self._end(run)

    def _begin_ending(self, run: RunModel, reason: str) -> None:
        run.status, run.reason = "ending", reason
        for step in run.of("waiting", "ready", "delayed"):
            run.move(step, "cancelled" if reason in STOPS else "skipped")

    def _fail(self, run: RunModel, step: StepId) -> None:
        run.move(step, "failed")
        if run.wish.fail_fast and run.status == "running":
            self._skip_behind(run)
            self._begin_ending(run, "failed")

    def _skip_behind(self, run: RunModel) -> None:
        while True:
            behind = [step for step in run.of("waiting") if STEP_ENDS - {"succeeded"} & set(run.needs(step))]
            if not behind:
                return
            for step in behind:
                run.move(step, "skipped")

    def _watch(self, run: RunModel, queue: QueueName, now: float, served: Iterable[QueueName]) -> None:
        ready = self._ready(run, queue)
        if queue in served or not ready:
            run.unserved.pop(queue, None)
            return
        since, last = run.unserved.get(queue, (now, now))
        run.unserved[queue] = (now if now - last > PATIENCE / 2 else since, now)
        if now - run.unserved[queue][0] >= PATIENCE:
            for step in sorted(ready, key=lambda step: (not run.steps[step].hinted, run.rank(step))):
                if run.steps[step].status == "ready":  # a fail-fast run has skipped the others by then
                    self._fail(run, step)

    def _ready(self, run: RunModel, queue: QueueName) -> list[StepId]:
        return sorted((step for step in run.of("ready") if run.plan.step(step).queue == queue), key=run.rank)

    def _top_up(self, run: RunModel, queues: Iterable[QueueName]) -> list[Hint]:
        hints: list[Hint] = []
        for queue in sorted(queues):
            ready = self._ready(run, queue)
            room = self.windows.get(queue, WINDOW) - sum(run.steps[step].hinted for step in ready)
            chosen = [step for step in ready if not run.steps[step].hinted][: max(0, room)]
            for step in chosen:
                run.steps[step].hinted = True
            hints += self._hints(run, chosen)
        return hints

    def _hints(self, run: RunModel, steps: Sequence[StepId]) -> list[Hint]:
        return [Hint(run=run.id, step=step, queue=run.plan.step(step).queue) for step in steps]


def _steps(wish: Wish) -> dict[StepId, StepModel]:
    return {
        step.id: StepModel(status="succeeded" if step.id in wish.kept else "waiting") for step in PLANS[wish.plan].steps
    }


# All keys of the stage, sorted, each with 1 where it has a TTL, 2 where it has a good run's (else -1), and its value. Hashes are
# sorted too: reading alone may turn their order round. With 'digest' one sum of it all, else only what is not looked at
# through the store.
EVERYTHING = """
local found, digest = {}, ARGV[2] == 'digest'
local function life(key)
  local ttl = redis.call('TTL', key)
  return ttl > 365 * 86400 and 2 or math.min(ttl, 1)
end
local keys = redis.call('KEYS', ARGV[1])
table.sort(keys)
for _, key in ipairs(keys) do
  local kind, value = redis.call('TYPE', key).ok, ''
  if kind == 'hash' and (digest or not string.find(key, ':answers$') and not string.find(key, ':steps$')) then
    local flat, fields = redis.call('HGETALL', key), {}
    for i = 1, #flat, 2 do fields[#fields + 1] = {flat[i], flat[i + 1]} end
    table.sort(fields, function(one, other) return one[1] < other[1] end)
    value = {}
    for _, field in ipairs(fields) do value[#value + 1] = field[1]; value[#value + 1] = field[2] end
  elseif kind == 'zset' then value = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'list' then value = redis.call('LRANGE', key, 0, -1)
  elseif kind == 'stream' then value = digest and redis.call('XINFO', 'STREAM', key)[8] or ''
  elseif kind == 'string' then value = redis.call('GET', key) end
  found[#found + 1] = {key, life(key), value}
end
return digest and redis.sha1hex(cjson.encode(found)) or found
"""


class Everything:
    """The keys of the stage at one moment."""

    def __init__(self, client: "redis.Redis") -> None:
        self._script = client.register_script(EVERYTHING)

    def keys(self) -> dict[str, tuple[int, object]]:
        return {key: (ttl, value) for key, ttl, value in self._script(args=[f"{TAG}*", "keys"])}

    def digest(self) -> str:
        return str(self._script(args=[f"{TAG}*", "digest"]))


def pairs(value: object) -> dict[str, str]:
    assert isinstance(value, list)
    return dict(zip(value[::2], value[1::2], strict=True))


class TwiceStore(Store):
    """Sends every script twice, as redis-py does when the first reply was lost, and sees that once was enough (6)."""

    everything: Everything

    def _carried_out(self, script: str, key: str, /, *blobs: bytes, **arguments: object) -> object:
        first = super()._carried_out(script, key, *blobs, **arguments)
        if key != TAG:
            return first
        between = self.everything.digest()
        second = super()._carried_out(script, key, *blobs, **arguments)
        if script == "submit" and isinstance(second, bytes):
            second = second.replace(b'"repeated":true,', b"")
            assert first == second or b'"repeated":true' in bytes(first)  # type: ignore[call-overload]  # (bytes too)
        else:
            assert second == first, script
        assert self.everything.digest() == between, script
        return first


@st.composite
def wishes(draw: st.DrawFn) -> Wish:
    plan = draw(st.sampled_from(sorted(PLANS)))
    steps = [step.id for step in PLANS[plan].steps]
    again = steps and draw(st.sampled_from([False, False, True]))
    return Wish(
        plan=plan,
        fail_fast=draw(st.booleans()),
        key=draw(st.sampled_from([None, None, "ci-1"])),
        timeout=draw(st.sampled_from([None, None, 5.0, LEASE + 15, PATIENCE])),
        rollback=draw(st.sampled_from([True, True, False])),
        adopt=draw(st.sampled_from([False, False, True])),
        kept=draw(st.sets(st.sampled_from(steps))) if again else (),
    )


WISHES = wishes()


class Rules(RuleBasedStateMachine):
    """Each rule is a thing that happens: to a message, a worker, Redis, the clock, or a run."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.redis = redis.Redis.from_url(self.url, decode_responses=True, protocol=2)
        self.redis.flushdb()
        self.raw = redis.Redis.from_url(self.url, protocol=2)
        self.time = 1_700_000_000.0
        self.store = TwiceStore.connect(self.url, clock=lambda: self.time)
        self.store.everything = self.everything = Everything(self.redis)
        self.model = StageModel()
        self.kept: tuple[StageModel, list[tuple[bytes | str, bytes | None]]] | None = None
        self.messages: list[Hint] = []
        self.claims: list[Claim] = []
        self.fences: list[int] = []
        self.generations: dict[RunId, int] = {}
        self.served: set[QueueName] = set(QUEUES)
        self.always_served = True
        self.over: set[RunId] = set()
        self.fell_back = False  # the stage alone did; what is outside it did not, as in a real failover it does
        self.count = 0

    def teardown(self) -> None:
        """7: with a live worker, a reconciler and no more faults all runs end within a bound."""
        try:
            self.served = set(QUEUES)
            for _ in range(200):
                if self.model.active is None and not self.model.line and self.model.undo is None:
                    break
                self.advance(SETTLE)
                if self.model.undo is not None:
                    self.roll_back(self.model.undo)
                self.reconcile(republish=True)
                while self.messages:
                    self.deliver(0, keep=False, schema=1)
                for claim in [claim for claim in self.claims if self.model.holds(claim)]:
                    self.finish(claim, "succeeded")
                self.holds_together()
            self.holds_together(everything=True)
            assert all(run.status in RUN_ENDS for run in self.model.runs.values())
        finally:
            for client in (self.redis, self.raw, self.store):
                client.close()

    # -- what the clock and the workers' registry do

    def tick(self) -> None:
        self.time = round(self.time + 0.001, 6)
        self.store._registry = _Registry(at=float("-inf"))
        for queue in self.served:
            self.store.beat(WorkerInfo(id=WorkerId(f"h:1:{queue}"), host="h", pid=1, queues=(queue,), slots=1))
        self.model.windows = dict.fromkeys(self.served, ROOM)

    @rule(seconds=st.sampled_from([0.5, 6.0, 11.0, LEASE, LEASE + 1, PATIENCE / 2 - 1, PATIENCE + 1]))
    def advance(self, seconds: float) -> None:
        self.time = round(self.time + seconds, 6)

    @rule(queue=st.sampled_from(QUEUES))
    def a_worker_leaves_or_comes(self, queue: QueueName) -> None:
        if queue in self.served:
            self.store.leave(WorkerId(f"h:1:{queue}"))
        self.served ^= {queue}
        self.always_served = False

    # -- what people do

    @initialize(wish=WISHES)
    def a_first_run(self, wish: Wish) -> None:
        self.submit(wish, "wait")

    @precondition(lambda self: self.model.runs)
    @rule(data=st.data(), wish=WISHES, conflict=st.sampled_from(["fail", "fail", "wait"]))
    def somebody_tries_a_run_again(self, data: st.DataObject, wish: Wish, conflict: Conflict) -> None:
        """One of which others may have begun since, or that never began itself; and the answer was looked up long ago."""
        runs = sorted(self.model.runs)
        self.submit(wish, conflict, after=data.draw(st.sampled_from([self.model.last or runs[0], *runs])))

    @rule(wish=WISHES, conflict=st.sampled_from(["wait", "supersede", "fail"]))
    def submit(self, wish: Wish, conflict: Conflict, after: RunId | None = None) -> None:
        run = self.next_run()
        busy = self.model.active or self.model.undo or next(iter(self.model.line), None)
        overtaken = after is not None and after != self.model.last and not self._nothing_has_begun(after)
        try:
            submitted = self.stored(run, wish, conflict, after=after)
        except RefusedError as refused:
            code, said = refused.problems[0].code, str(refused.problems[0].cause)
            assert wish.key not in self.model.keys
            assert (code == "overtaken") == overtaken  # 18
            if overtaken:
                return
            assert conflict == "fail"
            assert busy is not None
            assert busy in said
            return
        if wish.key in self.model.keys:
            assert submitted.repeated
            assert submitted.run.id == self.model.keys[wish.key or ""]
            return
        assert not overtaken  # 18
        assert conflict != "fail" or not busy
        self.receive(submitted.hints, self.model.submit(run, wish, conflict, self.time))

    def next_run(self) -> RunId:
        self.tick()
        self.count += 1
        return RunId(f"run-{self.count:03}")

    def _nothing_has_begun(self, run: RunId) -> bool:
        return self.model.last is None and self._generation_of(run) == 0

    def _generation_of(self, run: RunId) -> int:
        found = self.store.run(run)
        assert found is not None
        return found.generation

    def stored(
        self, run: RunId, wish: Wish, conflict: Conflict, undoes: RunId | None = None, after: RunId | None = None
    ) -> Submitted:
        return self.store.submit(
            run,
            PLANS[wish.plan],
            b"sealed",
            actor="eve",
            conflict=conflict,
            key=wish.key,
            fail_fast=wish.fail_fast,
            kept=dict.fromkeys(wish.kept, FACTS),
            because=BECAUSE if wish.kept else None,
            timeout=wish.timeout,
            rollback=wish.rollback,
            adopt=wish.adopt,
            undoes=undoes,
            after=None if after is None else self._generation_of(after),
        )

    @precondition(lambda self: self.model.undo)
    @rule(how=st.sampled_from(["rolled back", "rolled back", "given up"]))
    def a_stage_that_is_held_is_cared_for(self, how: str) -> None:
        assert self.model.undo is not None
        self.roll_back(self.model.undo) if how == "rolled back" else self.give_up(self.model.undo)

    @precondition(lambda self: self.model.runs)
    @rule(data=st.data(), rolls_back=st.booleans(), plan=st.sampled_from(sorted(PLANS)))
    def somebody_comes_late_to_a_rollback(self, data: st.DataObject, rolls_back: bool, plan: str) -> None:
        """Or to one that never was."""
        failed = data.draw(st.sampled_from(sorted(self.model.runs)))
        self.roll_back(failed, plan) if rolls_back else self.give_up(failed)

    def roll_back(self, failed: RunId, plan: str = "shop") -> None:
        run, wish = self.next_run(), Wish(plan=plan)
        undone = self.model.runs[failed].undone
        try:
            submitted = self.stored(run, wish, "wait", undoes=failed)
        except RefusedError:
            assert (failed == self.model.undo, undone) == (False, None)
            return
        if failed != self.model.undo:
            assert (submitted.repeated, submitted.run.id) == (True, undone)
            return
        self.receive(submitted.hints, self.model.submit(run, wish, "wait", self.time, undoes=failed))

    def give_up(self, failed: RunId) -> None:
        self.tick()
        before = self.everything.digest()
        hints = self.store.no_undo(PROJECT, STAGE, failed, NEVER)
        if failed == self.model.undo:
            self.receive(hints, self.model.no_undo(self.time))
        else:
            assert self.everything.digest() == before  # 17

    @precondition(lambda self: self.model.runs)
    @rule(which=st.integers(0, 1), at_once=st.booleans())
    def somebody_cancels(self, which: int, at_once: bool) -> None:
        self.cancel(list(self.model.runs.values())[-1 - which % len(self.model.runs)], at_once)

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(0, 99), at_once=st.sampled_from([True, True, False]))
    def somebody_cancels_what_was_just_begun(self, which: int, at_once: bool) -> None:
        before = len(self.claims)
        self.deliver(which, keep=False, schema=1)
        for claim in self.claims[before:]:
            self.cancel(self.model.runs[claim.run], at_once)

    def cancel(self, run: RunModel, at_once: bool) -> None:
        self.tick()
        hints = self.store.cancel(run.id, request=f"c{self.time}", now=at_once)
        self.receive(hints, self.model.cancel(run, self.time, at_once=at_once))

    @rule(queue=st.sampled_from(QUEUES), engine=st.sampled_from(["one", "other"]))
    def a_worker_says_where_it_deploys_to(self, queue: QueueName, engine: str) -> None:
        assert self.store.pin_engine(PROJECT, STAGE, queue, engine) == self.model.engines.setdefault(queue, engine)

    # -- what happens to messages

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(0, 99), keep=st.sampled_from([False, False, True]), schema=st.sampled_from([1, 1, 1, 0]))
    def deliver(self, which: int, keep: bool, schema: int) -> None:
        """In any order; *keep*: the message comes again. schema 0: to a worker older than the plan."""
        index = which % len(self.messages)
        hint = self.messages[index] if keep else self.messages.pop(index)
        self.claim(hint.run, hint.step, schema)

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(0, 99))
    def lose_a_message(self, which: int) -> None:
        self.messages.pop(which % len(self.messages))

    @rule(plan=st.sampled_from(["chain", "shop", "fan"]), which=st.integers(0, 99))
    def deliver_a_foreign_message(self, plan: str, which: int) -> None:
        run, steps = self.model.active or RunId("run-000"), PLANS[plan].steps
        self.claim(run, steps[which % len(steps)].id, schema=1)

    def claim(self, run: RunId, step: StepId, schema: int) -> None:
        self.tick()
        expected = self.model.refusal(run, step, schema)
        claim = self.store.claim(run, step, worker=WorkerId("h:1:w"), nonce=f"n{self.time}", schema=schema)
        if not isinstance(claim, Claim):
            assert claim == expected
            return
        assert expected is None
        assert all(claim.fence > fence for fence in self.fences)  # 1
        self.fences.append(claim.fence)
        self.claims.append(claim)
        hints = self.model.claim(claim, self.time)
        step_model = self.model.runs[run].steps[step]
        assert (claim.attempt, claim.losses) == (step_model.attempt, step_model.losses)
        found = self.store.run(run)
        assert found is not None
        assert claim.generation == found.generation
        self.receive(claim.hints, hints)

    # -- what workers do; each with any claim that it ever had, be it lost since or not

    @precondition(lambda self: self.claims)
    @rule(
        data=st.data(), how=st.sampled_from(["succeeded", "succeeded", "succeeded", "cancelled", "for good", "again"])
    )
    def a_worker_finishes(self, data: st.DataObject, how: str) -> None:
        self.finish(data.draw(st.sampled_from(self.claims)), how)

    def finish(self, claim: Claim, how: str) -> None:
        self.tick()
        held, answer, before = self.model.holds(claim), self.model.answer(claim), self.everything.digest()
        finished = self._finished(claim, how)
        if held is None:
            assert finished == answer
            assert self.everything.digest() == before  # 3
            return
        hints = self.model.end(claim, how, self.time, retry_in=5.0)
        assert finished == self.model.answer(claim)
        self.receive(finished.hints, hints)

    def _finished(self, claim: Claim, how: str) -> Finished:
        match how:
            case "succeeded":
                return self.store.finish_well(claim, Outcome(changed=True, text="started"))
            case "cancelled":
                return self.store.finish_cancelled(claim)
            case _:
                problem = Problem(code="image-not-found", message="the image `a/b:1` does not exist")
                return self.store.finish_badly(claim, problem, retry_in=5.0 if how == "again" else None)

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(0, 99), how=st.sampled_from(["succeeded", "for good", "again", "again"]))
    def a_message_is_followed_to_the_end(self, which: int, how: str) -> None:
        """What happens most of all, and so should be tried most of all."""
        before = len(self.claims)
        self.deliver(which, keep=False, schema=1)
        for claim in self.claims[before:]:
            self.finish(claim, how)

    @precondition(lambda self: self.messages)
    @rule(times=st.integers(2, 8))
    def all_goes_well_for_a_while(self, times: int) -> None:
        for _ in range(times):
            if self.messages:
                self.a_message_is_followed_to_the_end(0, "succeeded")

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def a_worker_gives_a_step_back(self, data: st.DataObject) -> None:
        self.tick()
        claim = data.draw(st.sampled_from(self.claims))
        held, answer, before = self.model.holds(claim), self.model.answer(claim), self.everything.digest()
        hints = self.store.release(claim, reason="the worker ends").hints
        if held is None:
            assert hints == answer.hints
            assert self.everything.digest() == before  # 3
            return
        self.receive(hints, self.model.end(claim, "release", self.time))

    @precondition(lambda self: self.lost())
    @rule(data=st.data(), how=st.sampled_from(["succeeded", "for good", "again"]))
    def a_worker_that_lost_its_step_wakes_up(self, data: st.DataObject, how: str) -> None:
        self.finish(data.draw(st.sampled_from(self.lost())), how)

    def lost(self) -> list[Claim]:
        """Claims to steps that another one holds by now."""
        held = {(claim.run, claim.step): claim.fence for claim in self.claims if self.model.holds(claim)}
        return [claim for claim in self.claims if held.get((claim.run, claim.step), claim.fence) != claim.fence]

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), most=st.booleans())
    def workers_renew(self, data: st.DataObject, most: bool) -> None:
        """Those that hold something, or any that ever held something."""
        some = st.lists(st.sampled_from(self.claims), max_size=3, unique_by=lambda claim: claim.step)
        self.renew([claim for claim in self.claims if self.model.holds(claim)] if most else data.draw(some))

    @precondition(lambda self: self.messages and self.model.active in self.model.deadlines)
    @rule(which=st.integers(0, 99), how=st.sampled_from(["succeeded", "cancelled", "for good", "again", "by hand"]))
    def the_time_of_a_run_is_over_while_a_step_is_under_way(self, which: int, how: str) -> None:
        self.deliver(which, keep=False, schema=1)
        self.time = max(self.time, self.model.deadlines[self.model.active or RunId("")]) + 0.5
        held = [claim for claim in self.claims if self.model.holds(claim)]
        self.renew(held)  # so that the reconciler finds them alive
        self.reconcile(republish=False)
        self.renew(held)
        for claim in held:
            if how == "by hand":
                self.cancel(self.model.runs[claim.run], at_once=False)
            self.finish(claim, "cancelled" if how == "by hand" else how)

    def renew(self, claims: Sequence[Claim]) -> None:
        self.tick()
        expected: dict[tuple[RunId, StepId], Renewal] = {}
        for claim in claims:
            step = self.model.holds(claim)
            expected[claim.run, claim.step] = "lost"
            if step is not None:
                step.lease = self.time + LEASE
                cancelled = self.model.runs[claim.run].reason in STOPS
                expected[claim.run, claim.step] = "cancelled" if cancelled else "held"
        assert self.store.renew(claims) == expected

    # -- what the reconciler and Redis do

    @rule(republish=st.booleans())
    def reconcile(self, republish: bool) -> None:
        self.tick()
        self.receive(self.store.expire(PROJECT, STAGE), self.model.expire(self.time))
        hints = self.store.due(PROJECT, STAGE, republish=QUEUES if republish else ()).hints
        self.receive(hints, self.model.due(self.time, republish, self.served))
        if not self.fell_back:
            goes_on = self.model.active or self.model.line or self.model.undo
            assert bool(goes_on) == ((PROJECT, STAGE) in self.store.active_stages())  # 7

    @rule(seconds=st.sampled_from([6.0, SETTLE + 1, LEASE + 1, PATIENCE / 2 - 1]))
    def time_passes_and_the_reconciler_comes(self, seconds: float) -> None:
        self.advance(seconds)
        self.reconcile(republish=True)

    @precondition(lambda self: self.messages)
    @rule(which=st.integers(0, 99), times=st.integers(1, MAX_LOSSES), taken=st.booleans())
    def a_step_kills_its_workers(self, which: int, times: int, taken: bool) -> None:
        """*taken*: one more takes it then, and has not died yet."""
        hint = self.messages.pop(which % len(self.messages))
        for _ in range(times):
            self.claim(hint.run, hint.step, schema=1)
            self.time_passes_and_the_reconciler_comes(LEASE + 1)
        if taken:
            self.claim(hint.run, hint.step, schema=1)

    @rule()
    def a_replica_falls_behind(self) -> None:
        dumped = [(key, self.raw.dump(key)) for key in self.raw.keys(f"{TAG}*")]
        self.kept = (copy.deepcopy(self.model), dumped)

    @precondition(lambda self: self.kept)
    @rule()
    def it_takes_over(self) -> None:
        """Failover: the stage is as it was; messages, workers and the other indexes have gone on."""
        assert self.kept is not None
        self.tick()
        self.raw.delete(*self.raw.keys(f"{TAG}*"), b"ff:nothing")
        for key, dumped in self.kept[1]:
            self.raw.restore(key, 0, dumped or b"")
        self.model = copy.deepcopy(self.kept[0])
        self.over.clear()
        self.fell_back = True
        for run in self.model.runs.values():
            if run.status in RUN_ENDS:
                self._expire(run)

    def _expire(self, run: RunModel) -> None:
        """RESTORE with TTL 0 dropped what a real replica has."""
        life = 400 * 86400 if run.id == self.model.good else 3600
        for key in map(str, self.redis.keys(f"{TAG}:run:{run.id}*")):
            self.redis.expire(key, 3600 if key.endswith(":answers") else life)
        if run.wish.key and self.model.keys.get(run.wish.key) == run.id:
            self.redis.expire(f"{TAG}:key:{run.wish.key}", life)

    def receive(self, hints: Sequence[Hint], expected: Sequence[Hint]) -> None:
        assert list(hints) == list(expected)
        self.messages += hints

    # -- and what must hold after each of them

    @invariant()
    def holds_together(self, everything: bool = False) -> None:
        keys = self.everything.keys()
        begun: list[tuple[int, RunId]] = []
        stage = pairs(keys.get(f"{TAG}:stage", (0, []))[1])
        assert stage.get("active") == self.model.active  # 1
        assert keys.get(f"{TAG}:line", (0, []))[1] == self.model.line  # 16
        assert (stage.get("undo"), stage.get("good")) == (self.model.undo, self.model.good)  # 17
        held = Undo(failed=self.model.undo, good=self.model.good) if self.model.undo else None
        assert self.store.undo(PROJECT, STAGE) == held
        engines = {key.removeprefix("engine:"): value for key, value in stage.items() if key.startswith("engine:")}
        assert engines == self.model.engines
        late = pairs(keys.get(f"{TAG}:deadlines", (0, []))[1])
        assert {run: round(float(at), 6) for run, at in late.items()} == self.model.deadlines
        ended = {run.id for run in self.model.runs.values() if run.status in RUN_ENDS}
        assert set(pairs(keys.get(f"{TAG}:ended", (0, []))[1])) == ended - {self.model.good}  # 15
        for run in self.model.runs.values():
            if run.id in self.over and not everything:
                continue  # looked at when it ended, and once more at the end of all
            begun.append((self._states(run).generation, run.id))
            self._indexes(run, keys)
            self._rules(run)
            self._lives(run, keys)
            if run.status in RUN_ENDS:
                self.over.add(run.id)
        for generation, begun_run in sorted(begun):  # more than one may have begun since
            if generation and self.model.runs[begun_run].status != "queued":
                self._generation(begun_run, generation)

    def _states(self, run: RunModel) -> Run:
        snapshot = self.store.snapshot(run.id)
        assert snapshot is not None
        assert snapshot.run.status == run.status
        assert (snapshot.run.deadline, snapshot.run.rollback) == (run.deadline, run.wish.rollback)
        assert snapshot.run.because == (BECAUSE if run.wish.kept else None)
        assert snapshot.run.whole == (WHOLE.get(run.wish.plan) == "deploy")
        assert (snapshot.run.problem.code if snapshot.run.problem else None) == run.problem
        if run.status == "queued":
            held = self.model.active is not None or self.model.undo is not None
            assert snapshot.run.ahead == self.model.line.index(run.id) + held  # 16
        assert [state.step for state in snapshot.steps] == [step.id for step in run.plan.steps]
        for state in snapshot.steps:
            model = run.steps[state.step]
            assert (state.status, state.attempt, state.losses, state.releases, state.fence) == (
                model.status,
                model.attempt,
                model.losses,
                model.releases,
                model.fence,
            )
            assert state.due == (model.due if model.status == "delayed" else None)
        events = self.store.events(run.id)
        assert isinstance(events[0], RunQueued)
        assert events[0].ahead == run.ahead
        assert snapshot.last == events[-1].id
        assert folded(run.plan, events, run.wish.kept) == (run.status, snapshot.steps)  # 12
        moves = Counter(event.step for event in events if isinstance(event, StepMoved))
        assert moves == Counter({step: model.moves for step, model in run.steps.items()})  # 12
        return snapshot.run

    def _generation(self, run: RunId, generation: int) -> None:
        """1: a run has one for ever, unless it fell back into the line and began again; then a higher one than all."""
        if self.generations.get(run) != generation:
            assert all(generation > other for other in self.generations.values())
            self.generations[run] = generation

    def _indexes(self, run: RunModel, keys: dict[str, tuple[int, object]]) -> None:
        base = f"{TAG}:run:{run.id}"

        def members(part: str) -> set[str]:
            return set(pairs(keys.get(f"{base}:{part}", (0, []))[1]))

        if run.status in RUN_ENDS:
            assert not [key for key in keys if key.startswith(base) and key.split(":")[-1] in {"leases", "delayed"}]
            return
        undone = {
            step.id: sum(run.steps[need.step].status != "succeeded" for need in step.needs) for step in run.plan.steps
        }
        remaining = pairs(keys.get(f"{base}:remaining", (0, []))[1])
        assert {step: int(count) for step, count in remaining.items()} == undone  # 4
        assert members("leases") == set(run.of("running"))
        assert members("delayed") == set(run.of("delayed"))
        for queue in {step.queue for step in run.plan.steps}:
            ours = {step for step in run.of("ready") if run.plan.step(step).queue == queue}
            hinted = {step for step in ours if run.steps[step].hinted}
            assert members(f"hinted:{queue}") == hinted
            assert members(f"ready:{queue}") == ours - hinted
            assert len(hinted) <= ROOM or not self.always_served  # 8

    def _rules(self, run: RunModel) -> None:
        for step in run.plan.steps:
            model = run.steps[step.id]
            if step.id in run.wish.kept:
                assert (model.status, model.attempt, model.moves) == ("succeeded", 0, 0)
                continue
            needs = {run.steps[need.step].status for need in step.needs}
            if model.status in {"ready", "running", "delayed", "succeeded", "failed"}:
                assert needs <= {"succeeded"}  # 2, 4, 10
            if model.status == "waiting":
                assert not needs <= {"succeeded"} or run.status == "queued"  # 4
            assert model.attempt <= step.retries + 1 + model.losses + model.releases  # 9
            assert model.losses <= MAX_LOSSES
        ended = all(model.status in STEP_ENDS for model in run.steps.values())
        assert ended == (run.status in RUN_ENDS) or len(run.wish.kept) == len(run.steps)  # 5
        if run.status == "ending":
            assert run.of("running")  # 11
            assert not run.of("waiting", "ready", "delayed")
        if run.status == "running":
            assert run.of("ready", "running", "delayed")  # 7

    def _lives(self, run: RunModel, keys: dict[str, tuple[int, object]]) -> None:
        life = 2 if run.id == self.model.good else 1 if run.status in RUN_ENDS else -1
        for key, (ttl, _) in keys.items():
            if key.startswith(f"{TAG}:run:{run.id}"):
                assert ttl == (min(life, 1) if key.endswith(":answers") else life), key  # 15
        if run.wish.key and self.model.keys.get(run.wish.key) == run.id:
            assert keys[f"{TAG}:key:{run.wish.key}"][0] == life
        if not self.fell_back:
            assert (self.redis.ttl(f"ff:run:{run.id}") > 400 * 86400) == (life == 2)


def folded(plan: Plan, events: Sequence[AnyEvent], kept: Collection[StepId]) -> tuple[RunStatus, tuple[StepState, ...]]:
    """The states that the events tell of. Each move must be one that the tables allow."""
    status: RunStatus = "queued"
    queued = events[0]
    assert isinstance(queued, RunQueued)
    states = {
        step.id: StepState(
            step=step.id,
            status="succeeded" if step.id in kept else "waiting",
            service=step.service,
            queue=step.queue,
            since=queued.at,
            outcome=KEPT if step.id in kept else None,
        )
        for step in plan.steps
    }
    last = (0, 0)
    for event in events:
        milliseconds, sequence = event.id.split("-")
        assert (int(milliseconds), int(sequence)) > last
        last = (int(milliseconds), int(sequence))
        match event:
            case RunStarted() | RunEnding() | RunEnded():
                following: RunStatus = (
                    event.status
                    if isinstance(event, RunEnded)
                    else "running"
                    if isinstance(event, RunStarted)
                    else "ending"
                )
                assert following in RUN_FOLLOWS[status] or status == following == "ending"
                status = following
            case StepMoved():
                states[event.step] = moved(states[event.step], event)
            case RunQueued() | StepProgressed() | Noted():
                pass
    return status, tuple(states.values())


def moved(state: StepState, event: StepMoved) -> StepState:
    assert event.status in FOLLOWS[state.status]
    ended = event.at if state.status == "running" else None if event.status == "running" else state.ended
    return msgspec.structs.replace(
        state,
        status=event.status,
        attempt=event.attempt,
        losses=event.losses,
        releases=event.releases,
        fence=event.fence,
        worker=event.worker,
        due=event.due,
        outcome=event.outcome,
        problem=event.problem,
        since=event.at,
        started=event.at if event.status == "running" else state.started,
        ended=ended,
    )


def test_no_order_of_events_breaks_the_rules_of_a_run(server: Server) -> None:
    class Here(Rules):
        url = server.database()

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
