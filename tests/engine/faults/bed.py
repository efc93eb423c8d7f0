# SPDX-License-Identifier: Apache-2.0
"""What a fault is tried on: real workers on a real server, one recording world, and a reconciler that a test counts.

Every worker carries a reconciler, and would repair things whenever its second comes. So the bed takes the right to
reconcile for itself, for good, and a test makes each pass by hand: "sent again by the second pass" is then a fact, and not
a guess about time. Where a worker's own reconciler is the thing under test, `workers_reconcile` gives the right back.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar, cast

import redis

from fleetflow_tasks.engine.execute import Point
from fleetflow_tasks.engine.model import RUN_ENDS, Hint, Publish, RunId, StepMoved, WorkerId, WorkerInfo
from fleetflow_tasks.engine.publish import publisher
from fleetflow_tasks.engine.reconcile import EVERY, Memory, look_around, tick
from fleetflow_tasks.engine.store import _SCRIPTS, Store, _Registry, _text
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import QueueName
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.conftest import plan_of
from tests.engine.faults import checks
from tests.engine.test_workers import KEY, LEASE, QUICK, ROOT, SCRIPT
from tests.engine.test_workers import Bed as WorkerBed

MARGIN = 0.05  # seconds around the end of a lease: a pass before it, a pass after it
PAIR = plan_of("db:deploy", "api:deploy <- db:deploy")
WEB = plan_of("web:deploy", stage="dev")  # of another stage, so that it waits for nobody
Worker = subprocess.Popen[bytes]


class Bed(WorkerBed):
    """direct: past whatever is made bad between *url* and the server; None: *url* itself."""

    def __init__(self, url: str, folder: Path, *, direct: str | None = None) -> None:
        super().__init__(url, folder)
        (folder / "engine").write_text("one")  # each step then asks whether its stage is on this one
        self.direct = direct or url
        self.raw = redis.Redis.from_url(self.direct, decode_responses=True, protocol=2)
        self.passes = Passes(self)
        self.reserve()

    def sees(self, direct: str) -> None:
        """Another server has taken the place of the one that was looked at."""
        self.raw.close()
        self.direct = direct
        self.raw = redis.Redis.from_url(direct, decode_responses=True, protocol=2)
        self.reserve()

    # ---- workers

    def worker(self, *options: str, key: str = KEY, url: str | None = None, pause: str = "", **environ: str) -> Worker:
        """A worker that is there and can be seen. pause: `after_claim:db:deploy`, several with a space between."""
        with (self.folder / f"worker-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), url or self.url, str(self.folder), key, *QUICK, *options],
                env=os.environ | {"PYTHONPATH": str(ROOT), "FLEETFLOW_TEST_PAUSE": pause} | environ,
                stderr=log,
            )
        self.processes.append(process)
        eventually(lambda: process.poll() is not None or self.knows(process.pid), within=60)
        assert process.poll() is None, self.logs()
        return process

    def log_of(self, worker: Worker) -> str:
        return (self.folder / f"worker-{self.processes.index(worker)}.log").read_text()

    def paused(self, worker: Worker, point: Point, step: str = "db:deploy") -> None:
        """Wait until *worker* is held at *point*."""
        eventually(self._mark(worker, point, step).exists, within=60)

    def unpause(self, worker: Worker, point: Point, step: str = "db:deploy") -> None:
        self._mark(worker, point, step).unlink()

    def unpause_all(self) -> None:
        for mark in self.folder.glob("paused.*"):
            mark.unlink()

    def _mark(self, worker: Worker, point: Point, step: str) -> Path:
        return self.folder / f"paused.{worker.pid}.{point}.{step}"

    # ---- the right to reconcile

    def reserve(self) -> None:
        """No worker reconciles from now on: the right is taken, and never given up."""
        self.raw.set("ff:reconciler", "the test")

    def workers_reconcile(self) -> None:
        self.raw.delete("ff:reconciler")

    # ---- what is

    def lease_end(self, run: RunId, step: str = "db:deploy") -> float:
        """On Redis's clock; 0 where nobody holds the step. Of runs of `shop/local`."""
        return self.raw.zscore(f"ff:{{shop/local}}:run:{run}:leases", step) or 0.0

    def wait_for_lease_end(self, run: RunId, *steps: str) -> None:
        """Until the server's own clock has passed those of all *steps*; of `db:deploy`, if none is named."""
        ends = partial(self._lease_ends, run, steps or ("db:deploy",))
        eventually(lambda: all(self.server_now() > end > 0 for end in ends()), within=60)

    def _lease_ends(self, run: RunId, steps: Sequence[str]) -> list[float]:
        return [self.lease_end(run, step) for step in steps]

    def server_now(self) -> float:
        seconds, micros = self.raw.time()
        return seconds + micros / 1_000_000

    def moves(self, run: RunId, step: str = "db:deploy") -> str:
        """What became of a step, in the order in which it did: `ready running ready running succeeded`."""
        events = self.store.events(run)
        return " ".join(event.status for event in events if isinstance(event, StepMoved) and event.step == step)

    def all_moves(self, run: RunId) -> dict[str, str]:
        """Of each step; `once` where it was begun once, and succeeded."""
        moves = {step: self.moves(run, step) for step in self.statuses(run)}
        return {
            step.partition(":")[0]: told.replace("ready running succeeded", "once", told.count(" ") == 2)
            for step, told in moves.items()
        }

    def fences(self, run: RunId, step: str = "db:deploy") -> list[int]:
        """Those given to *step*, one for each claim."""
        events = self.store.events(run)
        return [
            event.fence
            for event in events
            if isinstance(event, StepMoved) and event.status == "running" and event.step == step
        ]

    def counts(self, step: str = "db:deploy") -> str:
        """`begin 2, made 1, found 1`: how often each was written about *step*, in the order of the first time."""
        words = [line.split()[0] for line in self.world.journal() if line.split()[1] == step]
        return ", ".join(f"{word} {words.count(word)}" for word in dict.fromkeys(words))

    def by(self, worker: Worker) -> str:
        """What *worker* wrote in the journal: `begin db:deploy, stopped db:deploy`."""
        told = [line.split() for line in self.world.journal() if line.endswith(f" pid={worker.pid}")]
        return ", ".join(f"{words[0]} {words[1]}" for words in told)

    def ends(self, run: RunId, within: float = 60) -> str:
        """How the run ended, with passes made as often as a reconciler makes them, and their hints sent."""
        self.passes.until(lambda: (found := self.store.run(run)) is not None and found.status in RUN_ENDS, within)
        return self.ended(run, within=1)

    def logged(self, worker: Worker, event: str, times: int = 1) -> None:
        """Wait until *worker* has logged *event* so often."""
        eventually(lambda: self.log_of(worker).count(f'"event":"{event}"') >= times, within=60)

    @contextmanager
    def much_room(self) -> Iterator[None]:
        """What is submitted meanwhile gets a hint for each ready step, as if there were many slots."""
        guest = WorkerInfo(
            id=WorkerId("guest"), host="tests", pid=1, queues=(QueueName("docker"),), slots=64, keys=self.keys.ids
        )
        self.store.beat(guest)
        self.store._registry = _Registry(at=float("-inf"))
        try:
            yield
        finally:
            self.store.leave(guest.id)
            self.store._registry = _Registry(at=float("-inf"))

    def load_scripts(self) -> None:
        """So that the first reply to a script is its answer, and not that the server does not know it yet."""
        for script in _SCRIPTS:
            self.raw.script_load(_text(script))

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
        super().close()
        self.passes.close()
        self.raw.close()


def held(bed: Bed, *, lost_writes: bool = False) -> None:
    """Fail unless the rules hold on what *bed* leaves. lost_writes: its server fell back to an older state."""
    checks.held(bed.direct, bed.folder, lost_writes=lost_writes, lease=LEASE, secrets=(KEY,))


@dataclass(frozen=True)
class Everywhere:
    """A run with a step in each state, all in the hands of one worker, and another run of the stage in line.

    call: in a call. claim: claimed, nothing done yet. done: done, and nobody told. told: finished, and the hint of its
    successor not sent. wait: its hint is in the queue. There is no slot left for it.
    """

    worker: Worker
    run: RunId
    queued: RunId

    STEPS: ClassVar = ("call:deploy", "claim:deploy", "done:deploy", "told:deploy", "wait:deploy", "after:deploy")
    PLAN: ClassVar = plan_of(*STEPS[:-1], "after:deploy <- told:deploy")
    HELD: ClassVar = (
        "after_claim:claim:deploy",
        "before_finish:done:deploy",
        "before_finish:told:deploy",
        "after_finish:told:deploy",
    )

    @classmethod
    def on(
        cls,
        bed: Bed,
        *options: str,
        call: Behaviour,
        url: str | None = None,
        environ: Mapping[str, str] = {},
        hold: Callable[[], object] = bool,
    ) -> "Everywhere":
        """options, url, environ: of the worker. call: how the step goes that is in a call. hold: done before the first hint goes out."""
        bed.world.behave(call__deploy=call)
        worker = bed.worker("slots=4", *options, pause=" ".join(cls.HELD), url=url, **environ)
        hints: list[Hint] = []
        with bed.much_room():  # so that every hint is the test's to send, and no claim sends the next one
            run = bed.submitted(cls.PLAN, publish=hints.append).run.id
        queued = bed.submit(cls.PLAN)
        hold()
        first, last = _parted(hints, "wait:deploy")
        for hint in first:
            bed.publish(hint)
        for each in cls.HELD[:-1]:
            bed.paused(worker, *_where(each))
        eventually(bed.began("call:deploy"), within=60)
        bed.publish(last)
        # It ends last, when only one other hint is out: so its successor's is in the answer, and not for others to send.
        bed.unpause(worker, "before_finish", "told:deploy")
        bed.paused(worker, "after_finish", "told:deploy")
        bed.world.behave()
        return cls(worker, run, queued)


def _parted(hints: Sequence[Hint], step: str) -> tuple[list[Hint], Hint]:
    """All but that of *step*, and that one."""
    return [hint for hint in hints if hint.step != step], next(hint for hint in hints if hint.step == step)


def _where(told: str) -> tuple[Point, str]:
    point, _, step = told.partition(":")
    return cast("Point", point), step


def killed(worker: Worker) -> None:
    worker.kill()
    worker.wait()


def asleep(worker: Worker) -> None:
    """Stopped in the middle of whatever it does, as a machine that sleeps, swaps, or is moved."""
    worker.send_signal(signal.SIGSTOP)
    eventually(lambda: Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")


def awake(worker: Worker) -> None:
    worker.send_signal(signal.SIGCONT)


class Passes:
    """The reconciler, a pass at a time.

    A pass has a clock of its own, which may be put before or behind the end of a lease; what it finds is then what a
    reconciler finds at that moment. Workers and their claims go by the server's clock as ever.
    """

    def __init__(self, bed: Bed) -> None:
        self.at: float | None = None
        self._bed = bed
        self._server = Store.connect(bed.url, client_name="ff-test", lease=LEASE)
        self._store = Store.connect(bed.url, client_name="ff-test", lease=LEASE, clock=self._now)
        self._publish = publisher(self._store)
        self.memory = look_around(Memory(), store=self._store, lease=0)

    def make(self, *, at: float | None = None, publish: Publish | None = None) -> str:
        """One pass. The steps that it hinted at, as `db:deploy api:deploy`. at: the moment on the server's clock; None: now."""
        sent: list[Hint] = []

        def noted(hint: Hint) -> None:
            (publish or self._publish)(hint)
            sent.append(hint)

        self.at = at
        try:
            self.memory = tick(self.memory, store=self._store, publish=noted, keys=self._bed.keys, lease=LEASE)
        except UnavailableError:
            self.memory = self.memory.after_outage(lease=LEASE)
        return " ".join(sorted(hint.step for hint in sent))

    def hear(self, worker: WorkerInfo, at: float) -> None:
        """*worker* says at that moment that it lives."""
        self.at = at
        self._store.beat(worker)

    def around(self, end: float) -> tuple[str, str]:
        """What a pass hints at just before the end of a lease, and what just after it."""
        return self.make(at=end - MARGIN), self.make(at=end + MARGIN)

    def until(self, check: Callable[[], object], within: float = 60) -> None:
        """Make passes, somewhat faster than a reconciler does, until *check* answers with something true."""
        due = time.monotonic()

        def passing() -> object:
            nonlocal due
            if time.monotonic() >= due:
                self.make()
                due = time.monotonic() + EVERY / 4
            return check()

        eventually(passing, within)

    def close(self) -> None:
        self._server.close()
        self._store.close()

    def _now(self) -> float:
        return self._server.now() if self.at is None else self.at
