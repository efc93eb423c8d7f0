# SPDX-License-Identifier: Apache-2.0
"""Somebody writes to Redis who should not. What comes of it is refused in words or does no harm: never is anything else
carried out than was sealed, no worker falls over it, and no other stage feels it."""

import itertools
import json
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fleetflow_tasks.engine.execute import Plans, execute
from fleetflow_tasks.engine.lease import Leases
from fleetflow_tasks.engine.model import RUN_ENDS, Claim, Hint, RunId, WorkerId, WorkerInfo
from fleetflow_tasks.engine.pin import Pins
from fleetflow_tasks.engine.reconcile import Memory, Reconciler
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.engine.trouble import DamagedError
from fleetflow_tasks.errors import Bug, FleetFlowError
from fleetflow_tasks.plan.codec import Keys, parse_key, seal
from fleetflow_tasks.plan.model import Plan, QueueName, Step, StepId
from fleetflow_tasks.runtimes.base import Attempt, Outcome
from fleetflow_tasks.testing.recording import RecordingRuntime
from tests.engine.conftest import Clock, Server, plan_of
from tests.engine.security.conftest import KEY, Raw, raw

SHOP = plan_of("db:prepare", "db:deploy <- db:prepare", "api:deploy <- db:deploy", "web:deploy <- db:deploy")
OTHER = plan_of("x:deploy", "y:deploy <- x:deploy", project="other")
KEYS = Keys(current=parse_key(KEY))
ROUNDS = 60
WORKER = WorkerId("here:1:a")


class Witness(RecordingRuntime):
    """Holds every plan and step that it is handed against what was sealed."""

    def __init__(self, folder: Path, sealed: Sequence[Plan]) -> None:
        super().__init__(folder)
        self._sealed = {(plan.project, plan.stage): plan for plan in sealed}

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self._hold(plan, step)
        return super().prepare(plan, step, attempt)

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self._hold(plan, step)
        return super().deploy(plan, step, attempt)

    def remove(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self._hold(plan, step)
        return super().remove(plan, step, attempt)

    def _hold(self, plan: Plan, step: Step) -> None:
        assert plan == self._sealed[plan.project, plan.stage]
        assert step in plan.steps


@contextmanager
def in_words() -> Iterator[None]:
    """As a worker takes what goes wrong: a line in its log. A bug of ours it must not be."""
    try:
        yield
    except Bug:
        raise
    except FleetFlowError:
        return


class House:
    """A worker and its reconciler without their threads and without Celery: hints are followed as they come."""

    def __init__(self, url: str, folder: Path) -> None:
        self.clock = Clock()
        self.store = Store.connect(url, client_name="ff-test", clock=self.clock)
        self.world = Witness(folder, [SHOP, OTHER])
        self.hints: list[Hint] = []
        self.memory = Memory()
        self._plans, self._pins, self._leases = Plans(self.store, KEYS), Pins(self.store), Leases(self.store)
        self._reconciler = Reconciler(self.store, self.hints.append, keys=KEYS, worker=WORKER)
        self.beat()

    def beat(self) -> None:
        info = WorkerInfo(id=WORKER, host="here", pid=1, queues=(QueueName("docker"),), slots=8, keys=KEYS.ids)
        with in_words():
            self.store.beat(info)

    def submit(self, plan: Plan) -> RunId:
        run = RunId(f"run-of-{plan.project}")
        submitted = self.store.submit(run, plan, seal(plan, KEYS, run), actor="tests")
        self.hints += submitted.hints
        return run

    def follow(self) -> None:
        """One hint, as a worker does."""
        hint = self.hints.pop(0)
        with in_words():
            execute(
                hint.run,
                hint.step,
                store=self.store,
                plans=self._plans,
                runtimes=lambda _: self.world,
                pins=self._pins,
                publish=self.hints.append,
                worker=WORKER,
                leases=self._leases,
            )

    def turn(self) -> None:
        """All hints, a beat, a pass of the reconciler, and time goes on."""
        for _ in range(len(self.hints)):
            self.follow()
        self.clock.advance(20)
        self.beat()
        self.memory = self._reconciler._pass(self.memory)

    def ended(self, run: RunId) -> bool:
        try:
            found = self.store.run(run)
        except FleetFlowError:
            return False
        return found is not None and found.status in RUN_ENDS


T = TypeVar("T")
Tamper = Callable[[Raw, bytes, int, bytes], None]


def _flipped(value: bytes, at: int) -> bytes:
    """*value* with one bit turned."""
    place = at % (len(value) * 8)
    changed = bytearray(value)
    changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def flip(client: Raw, key: bytes, at: int, foreign: bytes) -> None:
    """A bit of what the key holds: of the text, of a field's value, of a member."""
    match client.type(key):
        case b"string":
            client.set(key, _flipped(client.get(key), at))
        case b"hash":
            field = _one(sorted(client.hkeys(key)), at)
            client.hset(key, field, _flipped(client.hget(key, field) or b"0", at))
        case b"zset":
            member = _one(client.zrange(key, 0, -1), at)
            client.zrem(key, member)
            client.zadd(key, {_flipped(member, at): at})
        case b"list":
            client.lset(key, at % client.llen(key), _flipped(client.lindex(key, at % client.llen(key)), at))
        case _:
            client.xadd(key, {"e": _flipped(client.xrange(key)[0][1][b"e"], at)})


def replace(client: Raw, key: bytes, at: int, foreign: bytes) -> None:
    """Something else in place of a value, a member, an entry."""
    match client.type(key):
        case b"string":
            client.set(key, foreign)
        case b"hash":
            client.hset(key, _one(sorted(client.hkeys(key)), at), foreign)
        case b"zset":
            client.zadd(key, {foreign: at % 100 - 50})
        case b"list":
            client.lpush(key, foreign)
        case _:
            client.xadd(key, {"e": foreign})


def swap(client: Raw, key: bytes, at: int, foreign: bytes) -> None:
    """One field's value in place of another's; of a sorted set, another score."""
    match client.type(key):
        case b"hash":
            fields = sorted(client.hkeys(key))
            client.hset(key, _one(fields, at), client.hget(key, _one(fields, at // 7 + 1)) or b"")
        case b"zset":
            client.zadd(key, {_one(client.zrange(key, 0, -1), at): float("inf") if at % 2 else float("-inf")})
        case _:
            replace(client, key, at, foreign)


def restate(client: Raw, key: bytes, at: int, foreign: bytes) -> None:
    """A step's state, or whatever JSON there is, with one member changed: it still reads well, and says something else."""
    if client.type(key) != b"hash":
        return flip(client, key, at, foreign)
    field = _one(sorted(client.hkeys(key)), at)
    state = _json(client.hget(key, field))
    others = ["succeeded", "ready", "running", "evil:deploy", "../x", 0, -1, 2**60, 10**30, None, [], {"a": 1}]
    if isinstance(state, dict) and state:
        state = {**state, _one(sorted(state), at // 3): _one(others, at // 11)}
    else:
        state = _one(others, at // 11)
    client.hset(key, field, msgspec.json.encode(state))
    return None


def _json(text: bytes) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def delete(client: Raw, key: bytes, at: int, foreign: bytes) -> None:
    """A field, a member, an entry, or all of it."""
    match client.type(key):
        case b"hash" if at % 4:
            client.hdel(key, _one(sorted(client.hkeys(key)), at))
        case b"zset" if at % 4:
            client.zrem(key, _one(client.zrange(key, 0, -1), at))
        case b"stream" if at % 4:
            client.xtrim(key, maxlen=0)
        case _:
            client.delete(key)


def retype(client: Raw, key: bytes, at: int, foreign: bytes) -> None:
    """A key of another kind."""
    was = client.type(key)
    client.delete(key)
    if was == b"string":
        client.hset(key, "a", foreign)
    else:
        client.set(key, foreign)


def _one(items: Sequence[T], at: int) -> T:
    return items[at % len(items)]


WAYS: Mapping[str, Tamper] = {way.__name__: way for way in (flip, replace, swap, restate, delete, retype)}


@pytest.fixture
def bases(redis_server: Server) -> Iterator[str]:
    """One database for all examples of a test: each empties it first."""
    return itertools.repeat(redis_server.database())


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    way=st.sampled_from(sorted(WAYS)),
    key=st.integers(0, 999),
    at=st.integers(0, 9_999),
    foreign=st.one_of(st.binary(max_size=40), st.sampled_from([b"{}", b"[]", b"null", b'"', b"-1", b"\xff\xfe", b"1e999", b"1" + b"0" * 30])),
    begun=st.integers(0, 4),
)  # fmt: skip
@example(way="retype", key=0, at=0, foreign=b"", begun=1)
def test_whatever_is_written_into_a_key_is_refused_or_harmless(
    bases: Iterator[str], way: str, key: int, at: int, foreign: bytes, begun: int, caplog: pytest.LogCaptureFixture
) -> None:
    url = next(bases)
    caplog.clear()
    caplog.set_level(logging.WARNING)
    with closing(raw(url)) as client, tempfile.TemporaryDirectory() as folder:
        client.flushdb()
        house = House(url, Path(folder))
        with closing(house.store):
            shop, other = house.submit(SHOP), house.submit(OTHER)
            for _ in range(begun):
                house.follow()
            tampered = _one(sorted(client.keys()), key)

            WAYS[way](client, tampered, at, foreign)

            for _ in range(ROUNDS):
                house.turn()
                if house.ended(shop) and house.ended(other):
                    break
            assert not tampered.startswith(b"ff:{shop/") or house.ended(other), tampered
            counts = [house.world.count("begin", step.id) for step in (*SHOP.steps, *OTHER.steps)]
            assert max(counts) <= 8, (tampered, house.world.journal())
            assert not any(record.exc_info for record in caplog.records), caplog.text


@pytest.mark.parametrize(
    ("told", "ahead"),
    [
        ({"slots": 10**30}, 0),
        ({"slots": 10**30}, 1e6),
        ({"slots": 10_000}, 1e6),
        ({"queues": []}, 0),
        ({"queues": ["ff:workers"]}, 0),
        ({"queues": ["docker.elsewhere"]}, 0),
        ({"pid": 10**30, "queues": ["local.run-of-shop"]}, 0),
        ({"schema": 10**30}, 0),
    ],
)
def test_a_worker_that_is_none_disturbs_nobody(
    redis_server: Server, tmp_path: Path, told: Mapping[str, object], ahead: float
) -> None:
    url = redis_server.database()
    house = House(url, tmp_path)
    with closing(raw(url)) as client, closing(house.store):
        client.set("docker.elsewhere", "no list")
        entry = {"id": "evil", "host": "h", "pid": 1, "queues": ["docker"], "slots": 1, **told}
        client.hset("ff:workers:info", "evil", json.dumps(entry))
        shop = house.submit(SHOP)
        house.hints.clear()  # lost, so that it is the reconciler who brings the run to its end
        for _ in range(ROUNDS):
            client.zadd("ff:workers", {"evil": house.clock() + 20 + ahead})  # as it will be when the reconciler comes
            house.turn()
            if house.ended(shop):
                break

        assert house.ended(shop)


def test_a_fence_that_no_script_gives_is_refused_in_words(redis_server: Server, tmp_path: Path) -> None:
    url = redis_server.database()
    house = House(url, tmp_path)
    with closing(raw(url)) as client, closing(house.store):
        shop = house.submit(SHOP)
        client.hset("ff:{shop/local}:stage", "fence", str(10**30))

        claim = house.store.claim(shop, StepId("db:prepare"), worker=WORKER, nonce="1", schema=1)

        assert isinstance(claim, Claim)
        for change in (house.store.finish_cancelled, lambda claim: house.store.renew([claim])):
            with pytest.raises(DamagedError):
                change(claim)
