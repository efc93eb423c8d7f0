# SPDX-License-Identifier: Apache-2.0
"""A soak from its beginning to its end, and what it found.

Customers ask, workers work, faults come; every few seconds all invariants are looked at. When the time is over nothing
more breaks and nothing more is asked, and every run must come to its end within a bound. One thing that is wrong ends
it: what Redis, journal and logs say is then as near to it as can be.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleetflow_tasks.engine.model import settling
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.codec import Keys, parse_key
from fleetflow_tasks.testing import eventually
from tests.engine.faults.checks import Witness
from tests.engine.faults.proxy import Proxy
from tests.engine.soak.customers import Customers
from tests.engine.soak.faults import Faults
from tests.engine.soak.machines import Server, Worker
from tests.engine.soak.orders import CANARY, QUEUES
from tests.engine.soak.schedule import schedule
from tests.engine.soak.worker import SLOTS
from tests.engine.soak.world import FORESEEN, doubled, effects

KEY = "a key of the soak, long enough to be one"
LEASE = 2.5  # seconds: short, so that a fault of some seconds outlasts it
TICK = 0.05  # seconds between two looks at the clock
LOOK = 10.0  # seconds between two looks at the invariants
TELL = 30.0  # seconds between two lines about how it goes
STEP = 0.1  # seconds that a step may take in the end, with all the others beside it


@dataclass
class Found:
    """What a soak did, and what was wrong. lost, doubled: lines of their own; they are among `wrong` too."""

    seed: str
    seconds: float = 0.0
    runs: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    attempts: int = 0
    effects: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def counted(self, word: str) -> int:
        return sum(line.startswith(f"{word}:") for line in self.wrong)

    def told(self) -> str:
        unfinished = sum(line.startswith("invariant 7") for line in self.wrong)
        return "\n".join(
            (
                f"seed        {self.seed}",
                f"duration    {self.seconds:.0f} s",
                f"asked       {_each(self.asked)}",
                f"runs        {_each(self.runs)}",
                f"steps       {self.steps:,} in {self.attempts:,} attempts, {self.effects:,} effects",
                f"faults      {_each(self.faults)}",
                f"lost        {self.counted('lost') + unfinished}",
                f"doubled     {self.counted('doubled')}",
                f"violations  {len(self.wrong)}",
                *self.wrong,
            )
        )


def soak(
    folder: Path,
    seed: str,
    *,
    seconds: float = 600.0,
    stages: int = 30,
    workers: int = 4,
    binary: str = "redis-server",
    tell: Callable[[str], None] = print,
) -> Found:
    """Break things for *seconds* seconds, then let all come to its end. *folder* keeps everything; its path must be short."""
    found = Found(seed)
    with _bed(folder, seed, seconds=seconds, stages=stages, workers=workers, binary=binary) as bed:
        began = time.monotonic()
        _break(bed, found, began, seconds, tell)
        bed.faults.heal()
        bed.customers.close()
        _settle(bed, found, tell)
        found.seconds = time.monotonic() - began
        _count(bed, found)
    return found


@dataclass
class Bed:
    folder: Path
    server: Server
    workers: list[Worker]
    faults: Faults
    customers: Customers
    witness: Witness

    def tend(self) -> Iterator[str]:
        """Start ended workers again. Yields what no worker may do."""
        for worker in self.workers:
            if self.server.is_up and (wrong := worker.tend()):
                yield wrong
        yield from self.customers.surprises
        if self.customers.failure is not None:
            yield f"a customer met {type(self.customers.failure).__name__}: {self.customers.failure}"


@contextmanager
def _bed(folder: Path, seed: str, *, seconds: float, stages: int, workers: int, binary: str) -> Iterator[Bed]:
    with ExitStack() as stack:
        server = Server(folder, binary)
        stack.callback(server.kill)
        proxy = stack.enter_context(Proxy(server.socket))
        hands = []
        for number in range(workers):  # half of them by a way that can be made bad
            url = proxy.before(server.url) if number < workers / 2 else server.url
            hands.append(Worker(number, folder, url, str(folder), KEY, seed, str(LEASE)))
            stack.callback(hands[-1].close)
        with closing(Store.connect(server.url)) as store:
            eventually(lambda: len(store.workers()) == workers, within=120)
        customers = Customers(proxy.before(server.url), Keys(current=parse_key(KEY)), seed=seed, stages=stages)
        plan = schedule(seed, seconds=seconds, workers=workers, lease=LEASE)
        yield Bed(
            folder=folder,
            server=server,
            workers=hands,
            faults=Faults(plan, server=server, workers=hands, proxy=proxy, queues=QUEUES, seed=seed),
            customers=customers,
            witness=stack.enter_context(
                closing(Witness(server.url, folder, window=2 * SLOTS * 4 * workers, lease=LEASE))
            ),
        )


def _break(bed: Bed, found: Found, began: float, seconds: float, tell: Callable[[str], None]) -> None:
    looked = told = 0.0
    while (now := time.monotonic() - began) < seconds and not found.wrong:
        bed.faults.tick(now)
        found.wrong += bed.tend()
        if now - looked > LOOK and bed.server.is_up:
            found.wrong += bed.witness.look()
            looked = now
        if now - told > TELL:
            tell(f"{now:5.0f} s  {len(bed.witness.ended)} runs ended, {bed.faults.did.total()} faults")
            told = now
        time.sleep(TICK)


def _settle(bed: Bed, found: Found, tell: Callable[[str], None]) -> None:
    """No more faults, no more runs: all must end, each in its turn."""
    if not found.wrong:
        found.wrong += bed.witness.look()
    if found.wrong:
        return
    bound = 60 + settling(LEASE) + STEP * bed.witness.left
    tell(f"no more faults; {bed.witness.left} steps are to end within {bound:.0f} s")
    end = time.monotonic() + bound
    while bed.witness.is_busy() and time.monotonic() < end and not found.wrong:
        found.wrong += bed.tend()
        time.sleep(TICK)
    found.wrong += bed.witness.look(settled=True)
    found.wrong += bed.witness.leaks([CANARY, KEY])
    found.wrong += unforeseen(bed.folder)


def unforeseen(folder: Path) -> Iterator[str]:
    """Tracebacks in the workers' logs, but for those that a step was told to cause."""
    for file in sorted(folder.glob("worker-*.log")):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if "Traceback" in line and FORESEEN not in line:
                yield f"a traceback in {file.name}: {line[:500]}"


def _count(bed: Bed, found: Found) -> None:
    found.wrong += doubled(bed.folder)
    found.effects = sum(map(len, effects(bed.folder).values()))
    found.runs = Counter(bed.witness.ended.values())
    found.steps = sum(bed.witness.steps.values())
    found.attempts = sum(bed.witness.attempts.values())
    found.faults = bed.faults.did.copy()
    if poisoned := sum(worker.poisoned for worker in bed.workers):
        found.faults["worker poisoned by a step"] = poisoned
    found.asked = bed.customers.did


def _each(counts: Counter[str]) -> str:
    """`3: 2 failed, 1 succeeded`."""
    return f"{counts.total():,}: " + ", ".join(f"{count:,} {what}" for what, count in counts.most_common())
