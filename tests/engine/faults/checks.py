# SPDX-License-Identifier: Apache-2.0
"""The invariants, read off a Redis and a recorded world from outside, while runs go on or when they are over.

Each stage is read by one script, so that what is compared is of one moment; the journal is read before and after it, so
that nothing is called missing that was still to come. What is wrong is told in words, beginning with the number that the
rule has in tests/engine/test_invariants.py:

     1  one active run per stage; generation and fence only grow
     2  a step runs only if its needs are done in this run
     4  remaining = needs not done; ready <=> none remains and it is not taken, delayed or ended
     5  ends never change; a run is ended <=> all its steps are
     7  an active run has something that drives it on, and somebody who looks after it
     8  hints out per run and queue <= window
     9  attempts <= retries + 1 + losses (3 at most) + releases
    10  what waits for a failed step is skipped, nothing else is (unless fail-fast)
    11  after a cancel nothing is claimed
    12  folding the events gives the states; ids grow; one event for each move; each move is in FOLLOWS
    13  nobody changes what a later run made, and no live thing is of a later generation than its stage
    14  no secret anywhere: not in Redis, not in a log
    15  keys of a live run have no TTL, of an ended one always
    16  queued runs start in order

and of the effects, which a `RecordingRuntime` writes down:

    lost       a deploy step succeeded, and its run changed nothing and found nothing done
    doubled    a run changed the same thing twice
    late       an attempt changed something after the next one had begun, though it had just asked whether it may

3 and 6 are about calls, and cannot be seen here: what breaks them breaks 12.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import redis

from fleetflow_tasks.engine import keys
from fleetflow_tasks.engine.model import LEASE, RUN_ENDS, STEP_ENDS, RunId, RunStatus
from fleetflow_tasks.plan.model import StepId
from tests.engine.faults.journal import EFFECTS, Journal
from tests.engine.faults.rules import RUN_CHECKS, STAGE_CHECKS, lives
from tests.engine.faults.seen import SeenRun, Stage, stage_at

MARGIN = 0.1  # of a lease: who asked for leave so long ago may find that it is over (lease.MARGIN)


def held(
    url: str,
    folder: Path | None = None,
    *,
    settled: bool = False,
    lost_writes: bool = False,
    window: int = 128,
    lease: float = LEASE,
    secrets: Collection[str] = (),
) -> None:
    """Fail, in words, unless all rules hold on the Redis at *url* and in the world that was recorded in *folder*.

    settled: nothing is under way any more, so every run must have ended. lost_writes: Redis fell back to an older state,
    so a world that is ahead of it is no mistake. window: hints that a run may have out on a queue: two per slot.
    lease: of the workers, in seconds. secrets: texts that may be nowhere but in the memory of a process.
    """
    with closing(Witness(url, folder, lost_writes=lost_writes, window=window, lease=lease)) as witness:
        found = witness.look(settled=settled) + witness.leaks(secrets)
    assert not found, "\n".join(found)


class Witness:
    """Looks again and again, and remembers what may never change: ends, and what only grows."""

    def __init__(
        self,
        url: str,
        folder: Path | None = None,
        *,
        lost_writes: bool = False,
        window: int = 128,
        lease: float = LEASE,
    ) -> None:
        self.ended: dict[RunId, RunStatus] = {}
        self.left = 0  # steps of live runs that were not over at the last look
        self.steps: dict[RunId, int] = {}
        self.attempts: dict[RunId, int] = {}
        self.journal = Journal(folder) if folder else None
        self._redis = redis.Redis.from_url(url, protocol=2)
        self._folder = folder
        self._lost_writes = lost_writes
        self._window = window
        self._lease = lease
        self._grown: dict[tuple[str, str], int] = {}
        self._done: dict[RunId, frozenset[StepId]] = {}
        self._stages: dict[RunId, str] = {}

    def look(self, *, settled: bool = False) -> list[str]:
        """What is wrong now; each line tells of one thing."""
        before = len(self.journal.read()) if self.journal else 0
        self.left = 0
        found: list[str] = []
        generations: dict[str, int] = {}
        for name in self._names():
            stage = stage_at(self._redis, name, [run for run in self.ended if self._stages[run] == name])
            generations[name] = stage.number("generation")
            found += self._wrong(stage, settled=settled)
        if self.journal is not None:
            self.journal.read()
            found += self._wrong_effects(self.journal, before, generations)
        return found

    def leaks(self, secrets: Collection[str]) -> list[str]:
        """Where one of *secrets* can be read: in any key of Redis, or in a file beside the world."""
        wanted = [secret.encode() for secret in secrets]
        found = [
            f"invariant 14: a secret in the key {key.decode()}"
            for key in (self._redis.scan_iter(count=1000) if wanted else ())
            if any(secret in text for secret in wanted for text in self._texts(key))
        ]
        for file in sorted(self._folder.glob("*.log")) if self._folder else ():
            text = file.read_bytes()
            found += [f"invariant 14: a secret in {file.name}" for secret in wanted if secret in text]
        return found

    def is_busy(self) -> bool:
        """Whether a run is under way or in line, or a stage is held for one."""
        tags = [keys.tag(name) for name in self._names()]
        return any(
            any(self._redis.hmget(f"{tag}:stage", ["active", "undo"])) or self._redis.exists(f"{tag}:line")
            for tag in tags
        )

    def close(self) -> None:
        self._redis.close()

    def _names(self) -> list[str]:
        tags = {
            key.decode().partition("{")[2].partition("}")[0]
            for key in self._redis.scan_iter("ff:{*}:stage", count=1000)
        }
        listed = {name.decode() for name in cast("list[bytes]", self._redis.zrange(keys.STAGES, 0, -1))}
        return sorted(tags | listed)

    def _wrong(self, stage: Stage, *, settled: bool) -> Iterator[str]:
        for check in STAGE_CHECKS:
            yield from (f"{text} (stage {stage.name})" for text in check(stage))
        yield from self._shrunk(stage)
        for _, run in sorted(stage.runs.items()):
            yield from self._wrong_run(run, stage, settled=settled)

    def _wrong_run(self, run: SeenRun, stage: Stage, *, settled: bool) -> Iterator[str]:
        where = f"run {run.id} of {stage.name}"
        if run.id in self.ended:
            if run.status != self.ended[run.id] and not self._lost_writes:
                yield f"invariant 5: {where} ended {self.ended[run.id]} and is {run.status} now"
            yield from (f"{text} ({where})" for text in lives(run))
            return
        for check in RUN_CHECKS:
            yield from (f"{text} ({where})" for text in check(run))
        for queue, hinted in run.hinted.items():
            if len(hinted) > self._window:
                yield f"invariant 8: {len(hinted)} hints out on queue {queue}, {self._window} may be ({where})"
        if settled and run.status not in RUN_ENDS:
            yield f"invariant 7: nothing is under way, and it is {run.status}: {run.told()} ({where})"
        self._keep(run, stage)

    def _keep(self, run: SeenRun, stage: Stage) -> None:
        self._stages[run.id] = stage.name
        self._done[run.id] = frozenset(
            step.id
            for step in run.plan.values()
            if step.action == "deploy" and run.steps[step.id].status == "succeeded" and step.id not in run.kept
        )
        self.left += sum(state.status not in STEP_ENDS for state in run.steps.values())
        self.steps[run.id] = len(run.steps)
        self.attempts[run.id] = sum(state.attempt for state in run.steps.values())
        if run.status in RUN_ENDS:
            self.ended[run.id] = run.status

    def _shrunk(self, stage: Stage) -> Iterator[str]:
        for what in ("generation", "fence"):
            now, before = stage.number(what), self._grown.get((stage.name, what), 0)
            if now < before and not self._lost_writes:
                yield f"invariant 1: the {what} of {stage.name} was {before} and is {now}"
            self._grown[stage.name, what] = now

    def _wrong_effects(self, journal: Journal, before: int, generations: Mapping[str, int]) -> Iterator[str]:
        yield from journal.doubled()
        yield from journal.late(self._lease * MARGIN)
        for run, steps in self._done.items():
            for step in sorted(steps - journal.done(run)):
                yield f"lost: {step} of run {run} succeeded, and nobody changed or found anything"
        if self._lost_writes:
            return
        for entry in journal.entries[:before]:
            generation = generations.get(self._stages.get(entry.run, ""), entry.generation)
            if entry.word in EFFECTS and entry.generation > generation:
                yield f"invariant 13: {entry.told()} is of a later generation than its stage, {generation}"

    def _texts(self, key: bytes) -> list[bytes]:
        """Everything that is in a key, its name too."""
        ask: Any = self._redis
        match ask.type(key):
            case b"string":
                texts = [ask.get(key) or b""]
            case b"hash":
                texts = [text for pair in ask.hgetall(key).items() for text in pair]
            case b"list":
                texts = ask.lrange(key, 0, -1)
            case b"set":
                texts = list(ask.smembers(key))
            case b"zset":
                texts = ask.zrange(key, 0, -1)
            case b"stream":
                texts = [text for _, entry in ask.xrange(key) for pair in entry.items() for text in pair]
            case _:
                texts = []  # it is gone by now
        return [key, *texts]
