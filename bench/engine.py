# SPDX-License-Identifier: Apache-2.0
"""What a step costs, beside what carries it: `python bench/engine.py [--quick]`.

On one Redis, through real workers of one pool:

    raw       Celery alone: N messages by its own `send_task`, consumed by one worker with FleetFlow's settings (threads
              pool, prefetch off, events on), but with the acknowledgements that Celery keeps by default
    fleet     FleetFlow: one run of N steps that do nothing, submitted, claimed, carried out, finished
    canvas    Celery's canvas: the same layers as a chain of groups (chords), with a Redis result backend
    edge      a chain of steps: what lies between one step's end and the next one's
    size      runs from 100 to 20,000 steps: whether a step costs more in a larger run
    makespan  services that take a known time, on 16 slots: beside what no scheduler can beat, and beside what a scheduler
              without any cost of its own makes of the same order
    submit    a run of 1,000 services: what its one script costs Redis

Messages of raw and fleet go through the same consumer, so their ratio says what the rules of a run cost, less what FleetFlow
saves by not acknowledging hints and by writing its messages itself. Every figure is the median of its rounds; the rounds of all
ways alternate, so that a busy machine is busy for all of them. The canvas takes a minute a round, so it has fewer.
"""

import argparse
import gc
import heapq
import random
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import redis
from celery import Celery, chain, group

from bench import rig
from bench.rig import Counters, Desk, Target, median, said
from fleetflow_tasks.engine.app import app, broker_url, queue
from fleetflow_tasks.plan.model import Plan, QueueName, StepId

RAW = QueueName("raw")
CANVAS = QueueName("canvas")
COUNT, MARK = "bench:raw", "bench:canvas"  # how many raw tasks are done; set by the last task of a canvas
SLOTS = 16
SEED = 4  # of the services whose times are known

# The targets. Throughput: of raw Celery's. Canvas: times as fast. Flat: dearest over cheapest. Makespan: of the bound.
THROUGHPUT, EDGE, FASTER, FLAT, MAKESPAN, SUBMIT = 0.8, 4.0, 20.0, 1.2, 1.05, 50.0


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How much is measured. canvas: rounds of it. sizes: of runs; the smaller are repeated until they are some thousand steps."""

    rounds: int
    canvas: int
    steps: int
    chain: int
    layers: int
    width: int
    sizes: tuple[int, ...]
    repeat: int
    services: int
    large: int


FULL = Shape(
    rounds=5,
    canvas=3,
    steps=2000,
    chain=200,
    layers=20,
    width=50,
    sizes=(100, 1000, 5000, 20_000),
    repeat=2000,
    services=800,
    large=1000,
)
QUICK = Shape(
    rounds=1,
    canvas=1,
    steps=300,
    chain=50,
    layers=10,
    width=20,
    sizes=(100, 1000),
    repeat=200,
    services=160,
    large=1000,
)


# ----------------------------------------------------------------------------------------------------- the two peers


def raw_worker(url: str) -> None:
    """The same app and settings, and a task that does nothing but count."""
    celery = app(url, (RAW,))
    celery.conf.broker_transport_options = celery.conf.broker_transport_options | {"ack_emulation": True}
    client = redis.Redis.from_url(url)
    done = _Counter(lambda count: client.set(COUNT, count))

    def raw(run: str, step: str) -> None:
        done.one()

    celery.task(name="raw", shared=False)(raw)
    _consume(celery, RAW)


def canvas_worker(url: str) -> None:
    _consume(canvas_app(url), CANVAS)


def canvas_app(url: str) -> Celery:
    celery = app(url, (CANVAS,))
    celery.conf.update(result_backend=broker_url(url), task_ignore_result=False, task_default_queue=CANVAS)

    def noop() -> None: ...

    def mark() -> None:
        redis.Redis.from_url(url).set(MARK, 1)

    celery.task(name="noop", shared=False)(noop)
    celery.task(name="mark", shared=False)(mark)
    return celery


def _consume(celery: Celery, name: QueueName) -> None:
    from celery.app import trace
    from celery.worker import WorkController

    trace.setup_worker_optimizations(celery, f"{name}@bench")
    WorkController(
        app=celery,
        hostname=f"{name}@bench",
        pool="threads",
        concurrency=SLOTS,
        queues=[name],
        without_mingle=True,
        without_gossip=True,
    ).start()


class _Counter:
    """Tells how many are done, at most every 20 ms: the counting must not be what is measured."""

    def __init__(self, tell: Callable[[int], object]) -> None:
        self._tell = tell
        self._count = self._told = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._run, daemon=True).start()

    def one(self) -> None:
        with self._lock:
            self._count += 1

    def _run(self) -> None:
        while True:
            time.sleep(0.02)
            if self._count != self._told:
                self._told = self._count
                self._tell(self._told)


class Peers:
    """Celery's own ways to have work done."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._celery = app(url, ())
        self._canvas = canvas_app(url)

    def raw(self, count: int) -> float:
        """Seconds for *count* messages, from the first publish to the last end."""
        goal = self._done() + count
        began = time.perf_counter()
        for number in range(count):
            self._celery.send_task("raw", args=("r" * 26, f"s{number:05}:deploy"), queue=queue(RAW), ignore_result=True)
        while self._done() < goal:
            time.sleep(rig.LOOK)
        return time.perf_counter() - began

    def layered(self, layers: int, width: int) -> float:
        """Seconds for the canvas' layers: each a group, all of it a chain, which Celery turns into chords."""
        noop, mark = self._canvas.tasks["noop"], self._canvas.tasks["mark"]
        self._client.delete(MARK)
        began = time.perf_counter()
        chain(*(group(noop.si() for _ in range(width)) for _ in range(layers)), mark.si()).apply_async()
        while not self._client.exists(MARK):
            time.sleep(rig.LOOK)
        return time.perf_counter() - began

    def _done(self) -> int:
        return int(self._client.get(COUNT) or 0)


# -------------------------------------------------------------------------------------- services of a known duration


@dataclass(frozen=True, kw_only=True)
class Work:
    """Services with their needs and seconds, in an order in which each stands behind its needs."""

    needs: Mapping[str, Sequence[str]]
    seconds: Mapping[str, float]
    plan: Plan = field(repr=False)

    @property
    def bound(self) -> float:
        """No scheduler is done sooner: the longest way through, or all the work spread over all slots."""
        ends: dict[str, float] = {}
        for name, before in self.needs.items():
            ends[name] = self.seconds[name] + max((ends[each] for each in before), default=0.0)
        return max(*ends.values(), sum(self.seconds.values()) / SLOTS)

    @property
    def listed(self) -> float:
        """What a scheduler makes of it that costs nothing, and gives each free slot the ready step of the highest rank."""
        ranks = {step.id: (-step.weight, step.id) for step in self.plan.steps}
        after = defaultdict(list)
        for name, before in self.needs.items():
            for each in before:
                after[each].append(name)
        left = {name: len(before) for name, before in self.needs.items()}
        ready = [(ranks[StepId(f"{name}:deploy")], name) for name, count in left.items() if count == 0]
        heapq.heapify(ready)
        running: list[tuple[float, str]] = []
        now = 0.0
        while ready or running:
            while ready and len(running) < SLOTS:
                _, name = heapq.heappop(ready)
                heapq.heappush(running, (now + self.seconds[name], name))
            now, ended = heapq.heappop(running)
            for name in after[ended]:
                left[name] -= 1
                if left[name] == 0:
                    heapq.heappush(ready, (ranks[StepId(f"{name}:deploy")], name))
        return now


def known(count: int) -> Work:
    """*count* services, each needing up to three of those shortly before it, for 0.1 to 0.9 s each."""
    chance = random.Random(SEED)
    names = [f"s{number:04}" for number in range(count)]
    needs = {
        name: sorted(
            chance.sample(names[max(0, place - 60) : max(0, place - 20)], chance.randint(0, min(3, place // 60 * 3)))
        )
        for place, name in enumerate(names)
    }
    seconds = {name: round(chance.uniform(0.1, 0.9), 3) for name in names}
    return Work(needs=needs, seconds=seconds, plan=rig.graph(needs, seconds=seconds))


# -------------------------------------------------------------------------------------------------------- the rounds


@dataclass(frozen=True, kw_only=True)
class Sized:
    """What a step costs in a run of some size: milliseconds from end to end, microseconds of Redis in scripts and in all."""

    whole: float
    scripts: float
    busy: float


class Bench:
    def __init__(self, url: str, shape: Shape) -> None:
        self.desk = Desk(url)
        self.peers = Peers(url)
        self.shape = shape
        self.work = known(shape.services)
        self.seen: dict[str, list[float]] = defaultdict(list)
        self.sized: dict[int, list[Sized]] = defaultdict(list)

    def warm(self) -> None:
        self.peers.raw(20)
        self.peers.layered(2, 2)
        self.fleet(rig.flat(20))

    def round(self, number: int) -> None:
        """Every way once; the one that begins changes with the round."""
        ways = list(self._ways(number))
        first = number % len(ways)
        for name, go in ways[first:] + ways[:first]:
            self.seen[name].append(go())
        for size in self.shape.sizes:
            self.sized[size].append(self._of_size(size))

    def _ways(self, number: int) -> Iterator[tuple[str, Callable[[], float]]]:
        shape = self.shape
        yield "raw", lambda: shape.steps / self.peers.raw(shape.steps)
        yield "fleet", lambda: shape.steps / self.fleet(rig.flat(shape.steps))
        yield "edge", lambda: 1000 * self._inside(rig.chained(shape.chain)) / shape.chain
        yield "layers", lambda: self.fleet(rig.layers_of(shape.layers, shape.width))
        yield "makespan", lambda: self._inside(self.work.plan)
        if number < shape.canvas:
            yield "canvas", lambda: self.peers.layered(shape.layers, shape.width)

    def fleet(self, plan: Plan) -> float:
        """Seconds for a run of *plan*, from before it is sealed to its end."""
        began = time.perf_counter()
        self.desk.carried_out(plan)
        return time.perf_counter() - began

    def _inside(self, plan: Plan) -> float:
        """Seconds from the start of a run of *plan* to its end, by Redis's clock: without the submit."""
        run = self.desk.carried_out(plan)
        return (run.ended or 0.0) - (run.started or 0.0)

    def _of_size(self, size: int) -> Sized:
        times = max(1, self.shape.repeat // size)
        counters = Counters(self.desk.client)
        seconds = sum(self._inside(rig.strands(size)) for _ in range(times))
        spent = counters.spent()
        steps = size * times
        return Sized(whole=1000 * seconds / steps, scripts=1e6 * spent.scripts / steps, busy=1e6 * spent.busy / steps)

    def submits(self) -> None:
        """Runs that nobody carries out: what comes before their first step. No worker may be up: it would be counted too."""
        names = [f"s{number:04}" for number in range(self.shape.large)]
        needs = {name: names[max(0, place - 10) : place - 8] if place > 10 else () for place, name in enumerate(names)}
        plan = rig.graph(needs, seconds=dict.fromkeys(names, 1.0), queue=rig.PARKED)
        self.desk.park()
        for _ in range(self.shape.rounds):
            counters = Counters(self.desk.client)
            began = time.perf_counter()
            run = self.desk.submit(plan)
            self.seen["submit"].append(1000 * (time.perf_counter() - began))
            self.seen["submit script"].append(1000 * counters.spent().scripts)
            self.desk.store.cancel(run, request="bench")
        self.desk.client.flushdb()


@contextmanager
def everybody(bench: Bench) -> Iterator[None]:
    """A worker of ours and one of each peer."""
    url = bench.desk.url
    peers = [(__file__, "--serve", name, url) for name in ("raw", "canvas")]
    with rig.workers(bench.desk, 1, slots=SLOTS), rig.processes(*peers):
        bench.warm()
        yield


def measure(url: str, shape: Shape) -> None:
    print(f"{rig.machine()}\nmedians of {shape.rounds} rounds, of the canvas of {shape.canvas}\n")
    if shape is QUICK:
        print("  a quick look: too few nodes and services for the targets of the canvas and the makespan\n")
    bench = Bench(url, shape)
    bench.submits()
    with everybody(bench):
        for number in range(shape.rounds):
            bench.round(number)
    tell(bench, shape)


def tell(bench: Bench, shape: Shape) -> None:
    middle = {name: median(values) for name, values in bench.seen.items()}
    _tell_peers(middle, shape)
    _tell_sizes(bench.sized)
    _tell_makespan(middle["makespan"], bench.work)
    said(f"submit of {shape.large} services, end to end", f"{middle['submit']:.0f} ms")
    said("  of that, its scripts in Redis, ms", "", Target(value=middle["submit script"], most=SUBMIT))
    print(f"\n  least to most, rounds\n{rig.spread(bench.seen)}")


def _tell_peers(middle: Mapping[str, float], shape: Shape) -> None:
    said(f"{shape.steps} no-op steps, raw Celery", f"{middle['raw']:.0f} /s")
    said(f"{shape.steps} no-op steps, FleetFlow", f"{middle['fleet']:.0f} /s")
    said("  of raw Celery's rate", "", Target(value=middle["fleet"] / middle["raw"], least=THROUGHPUT))
    said(f"an edge in a chain of {shape.chain}, ms", "", Target(value=middle["edge"], most=EDGE))
    said(f"{shape.layers} layers of {shape.width} nodes, Celery's canvas", f"{1000 * middle['canvas']:.0f} ms")
    said("  the same, FleetFlow", f"{1000 * middle['layers']:.0f} ms")
    said("  times as fast", "", Target(value=middle["canvas"] / middle["layers"], least=FASTER))


def _tell_sizes(sized: Mapping[int, Sequence[Sized]]) -> None:
    wholes: list[float] = []
    scripts: list[float] = []
    for size, seen in sized.items():
        wholes.append(median([each.whole for each in seen]))
        scripts.append(median([each.scripts for each in seen]))
        busy = median([each.busy for each in seen])
        note = f"Redis: {scripts[-1]:.0f} µs in scripts, {busy:.0f} µs in all"
        said(f"a step in a run of {size:,}", f"{wholes[-1]:.2f} ms", note)
    said("  dearest over cheapest, end to end", "", Target(value=max(wholes) / min(wholes), most=FLAT))
    said("  dearest over cheapest, in scripts", "", Target(value=max(scripts) / min(scripts), most=FLAT))


def _tell_makespan(seconds: float, work: Work) -> None:
    said(f"{len(work.needs)} services of a known duration on {SLOTS} slots", f"{seconds:.2f} s")
    said("  of what nobody can beat", f"{work.bound:.2f} s", Target(value=seconds / work.bound, most=MAKESPAN))
    said("  of what the same order takes at no cost", f"{work.listed:.2f} s", f"{seconds / work.listed:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What a step costs, beside what carries it.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and fewer steps")
    parser.add_argument("--serve", nargs=2, metavar=("NAME", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        {"raw": raw_worker, "canvas": canvas_worker}[given.serve[0]](given.serve[1])
    else:
        with rig.server() as url:
            measure(url, QUICK if given.quick else FULL)
            gc.collect()  # Celery's results unsubscribe when they go, and the server goes next


if __name__ == "__main__":
    main()
