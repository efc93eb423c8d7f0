# SPDX-License-Identifier: Apache-2.0
"""One pass of the reconciler: what it gives back, what it sends again, and when it keeps its hands off."""

import json
import os
import subprocess
import sys
import time
from contextlib import closing

import pytest
import redis

from fleetflow_tasks.engine.abandoned import birth, give_up_abandoned, local_queue
from fleetflow_tasks.engine.model import Claim, Hint, RunId, WorkerId, WorkerInfo, new_run_id
from fleetflow_tasks.engine.publish import publisher
from fleetflow_tasks.engine.reconcile import STAGES, Memory, Reconciler, look_around, tick
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.codec import Keys, parse_key, seal
from fleetflow_tasks.plan.model import SCHEMA, QueueName, StepId
from fleetflow_tasks.testing import eventually
from tests.engine.conftest import BINARIES, Clock, plan_of, running

DOCKER = QueueName("docker")
SHOP = plan_of("db:deploy", "api:deploy <- db:deploy")
NOBODY = 2**22 + 1  # no process has this number
KEYS = Keys(current=parse_key("a key of the tests, long enough to be one"))


class Bed:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.sent: list[Hint] = []
        self.memory = look_around(Memory(), store=store, lease=0)
        store.beat(info("one"))

    def tick(self, times: int = 1) -> list[str]:
        """The steps that were hinted at."""
        self.sent.clear()
        for _ in range(times):
            self.memory = tick(self.memory, store=self.store, publish=self.sent.append, keys=KEYS, lease=30)
        return [hint.step for hint in self.sent]

    def submit(self) -> RunId:
        return self.store.submit(new_run_id(), SHOP, b"sealed", actor="tests").run.id

    def claim(self, run: RunId, step: str = "db:deploy", worker: str = "one") -> Claim:
        claim = self.store.claim(run, StepId(step), worker=WorkerId(worker), nonce=worker, schema=SCHEMA)
        assert isinstance(claim, Claim)
        return claim


def info(name: str, queue: QueueName = DOCKER, *, pid: int = 1, birth: str = "") -> WorkerInfo:
    return WorkerInfo(id=WorkerId(name), host="somewhere", pid=pid, birth=birth, queues=(queue,), slots=8)


@pytest.fixture
def bed(store: Store) -> Bed:
    return Bed(store)


def test_hints_are_sent_again_when_their_queue_was_empty_twice(bed: Bed) -> None:
    bed.submit()

    assert bed.tick() == []
    assert bed.tick() == ["db:deploy"]
    assert bed.tick() == [], "what was just sent gets its time"
    assert bed.tick() == ["db:deploy"]


def test_nothing_is_sent_again_while_messages_wait(bed: Bed, store: Store) -> None:
    submitted = store.submit(new_run_id(), SHOP, b"sealed", actor="tests")
    for hint in submitted.hints:
        publisher(store)(hint)

    assert bed.tick(times=5) == []


@pytest.mark.parametrize("count", [STAGES, STAGES + 1])
def test_lost_hints_of_every_stage_are_sent_again_where_one_pass_cannot_look_at_all(bed: Bed, count: int) -> None:
    runs = {
        bed.store.submit(new_run_id(), plan_of("db:deploy", stage=f"s{number}"), b"sealed", actor="tests").run.id
        for number in range(count)
    }

    assert bed.tick(times=4) != []
    assert {hint.run for hint in bed.sent} == runs


def test_nothing_is_sent_again_for_what_somebody_holds(bed: Bed) -> None:
    bed.claim(bed.submit())

    assert bed.tick(times=5) == []


def test_a_lease_that_ended_gives_the_step_back(bed: Bed, clock: Clock) -> None:
    bed.claim(bed.submit())
    clock.advance(31)
    bed.store.beat(info("one"))

    assert bed.tick() == ["db:deploy"]


def test_a_queue_that_somebody_made_something_else_of_hides_no_lost_lease(
    bed: Bed, clock: Clock, raw: redis.Redis
) -> None:
    bed.claim(bed.submit())
    clock.advance(31)
    bed.store.beat(info("one"))
    raw.set("docker", "no list")

    assert bed.tick() == ["db:deploy"]


def test_what_is_damaged_is_no_outage_and_puts_nothing_off(store: Store, raw: redis.Redis) -> None:
    memory = Memory(epoch="a server")
    raw.set("ff:workers", "no set")

    with_damage = Reconciler(store, publisher(store), keys=KEYS, worker=WorkerId("one"))._pass(memory)

    assert with_damage == memory


def test_a_run_that_was_abandoned_with_a_damaged_step_does_not_keep_the_other_stages_from_their_care(
    bed: Bed, clock: Clock, raw: redis.Redis
) -> None:
    gone = _local_run(bed.store, pid=NOBODY, stage="dev")
    bed.claim(gone, worker="gone")
    bed.store.finish_badly(bed.claim(bed.submit()), Problem(code="later", message="not yet"), retry_in=10)
    steps = f"ff:{{shop/dev}}:run:{gone}:steps"
    state = json.loads(raw.hget(steps, "db:deploy") or "")
    raw.hset(steps, "db:deploy", json.dumps({name: value for name, value in state.items() if name != "worker"}))

    clock.advance(11)
    bed.store.beat(info("one"))

    assert bed.tick() == ["db:deploy"]


def test_a_delayed_step_is_ready_when_its_time_has_come(bed: Bed, clock: Clock) -> None:
    problem = Problem(code="later", message="not yet")
    bed.store.finish_badly(bed.claim(bed.submit()), problem, retry_in=10)

    assert bed.tick() == []
    clock.advance(11)
    bed.store.beat(info("one"))
    assert bed.tick() == ["db:deploy"]


def test_after_an_outage_no_lease_is_taken_for_as_long_as_a_lease_lasts(bed: Bed, clock: Clock) -> None:
    bed.claim(bed.submit())
    clock.advance(31)
    bed.store.beat(info("one"))

    bed.memory = bed.memory.after_outage(lease=0.5)

    assert bed.tick() == []
    time.sleep(0.6)
    assert bed.tick() == ["db:deploy"]


def test_another_server_at_the_same_address_is_an_outage_that_was_not_seen(bed: Bed) -> None:
    before = Memory(epoch="another:server")

    after = look_around(before, store=bed.store, lease=30)

    assert after.epoch != before.epoch
    assert 29 < after.quiet_until - time.monotonic() <= 30


def test_a_server_that_is_young_is_left_alone_until_it_is_a_lease_old() -> None:
    with running(BINARIES["redis"]()) as server, closing(Store.connect(server.database())) as store:
        seen = look_around(Memory(), store=store, lease=30)
        again = look_around(seen, store=store, lease=30)

    assert 20 < seen.quiet_until - time.monotonic() <= 30
    assert again == seen


def test_hints_of_a_process_that_serves_itself_are_left_to_it(bed: Bed, store: Store) -> None:
    run = new_run_id()
    store.beat(info("flow up", local_queue(run)))
    store.submit(run, plan_of(f"db:deploy queue={local_queue(run)}"), b"sealed", actor="tests")

    assert bed.tick(times=4) == []


def test_one_of_two_reconcilers_acts_and_the_other_takes_over_when_it_ends(url: str) -> None:
    with closing(Store.connect(url)) as store, closing(redis.Redis.from_url(url, decode_responses=True)) as client:
        first, second = (
            Reconciler(store, publisher(store), keys=KEYS, worker=WorkerId(name), every=0.1)
            for name in ("first", "second")
        )
        first.start()
        eventually(lambda: client.get("ff:reconciler") == "first")
        second.start()

        first.stop()

        eventually(lambda: client.get("ff:reconciler") == "second", 20)
        second.stop()


def test_a_run_whose_process_is_gone_is_cancelled_and_the_next_one_begins(store: Store) -> None:
    gone = _local_run(store, pid=NOBODY)
    claim = store.claim(gone, StepId("db:deploy"), worker=WorkerId("gone"), nonce="1", schema=SCHEMA)
    assert isinstance(claim, Claim)
    waiting = store.submit(new_run_id(), SHOP, b"sealed", actor="tests").run

    hints = give_up_abandoned(store, SHOP.project, SHOP.stage)

    assert waiting.status == "queued"
    assert [(hint.run, hint.step) for hint in hints] == [(waiting.id, "db:deploy")]
    ended, begun = store.run(gone), store.run(waiting.id)
    assert ended is not None
    assert begun is not None
    assert (ended.status, begun.status) == ("cancelled", "running")


def test_a_run_whose_process_lives_is_left_alone(store: Store) -> None:
    run = _local_run(store, pid=os.getpid())

    assert give_up_abandoned(store, SHOP.project, SHOP.stage) == ()
    found = store.run(run)
    assert found is not None
    assert found.status == "running"


def test_a_run_of_workers_is_never_abandoned(store: Store) -> None:
    run = new_run_id()
    store.submit(run, SHOP, seal(SHOP, KEYS, run), actor="tests")

    assert give_up_abandoned(store, SHOP.project, SHOP.stage) == ()


def test_a_run_whose_process_has_left_is_given_up(store: Store) -> None:
    run = _local_run(store, pid=os.getpid())
    store.leave(WorkerId(f"up {run}"))

    give_up_abandoned(store, SHOP.project, SHOP.stage)

    assert _status(store, run) == "cancelled"


def test_another_process_that_got_the_number_of_the_dead_one_does_not_stand_for_it(store: Store) -> None:
    run = _local_run(store, pid=os.getpid(), born=birth(os.getpid()) + "0")

    give_up_abandoned(store, SHOP.project, SHOP.stage)

    assert _status(store, run) == "cancelled"


def test_a_process_here_that_lives_is_believed_however_long_it_is_silent(store: Store, clock: Clock) -> None:
    run = _local_run(store, pid=os.getpid())
    clock.advance(600)

    give_up_abandoned(store, SHOP.project, SHOP.stage)

    assert _status(store, run) == "running"


def test_a_process_elsewhere_is_given_up_when_it_was_silent_for_long(store: Store, clock: Clock) -> None:
    """Its number may be that of nobody here: a container counts its own."""
    run = _local_run(store, pid=NOBODY, born="another machine 1")

    clock.advance(50)
    give_up_abandoned(store, SHOP.project, SHOP.stage)
    assert _status(store, run) == "running"
    clock.advance(20)
    give_up_abandoned(store, SHOP.project, SHOP.stage)
    assert _status(store, run) == "cancelled"


def test_after_an_outage_silence_proves_nothing_and_a_dead_number_does(bed: Bed, clock: Clock) -> None:
    here, elsewhere = (
        _local_run(bed.store, pid=NOBODY, stage="local"),
        _local_run(bed.store, pid=NOBODY, stage="dev", born="another machine 1"),
    )
    clock.advance(600)
    bed.memory = bed.memory.after_outage(lease=30)

    bed.tick()

    assert (_status(bed.store, here), _status(bed.store, elsewhere)) == ("cancelled", "running")


def test_a_run_of_workers_behind_one_whose_process_was_killed_begins_within_a_pass(bed: Bed) -> None:
    gone = _local_run(bed.store, pid=NOBODY)
    waiting = bed.submit()

    assert bed.tick() == ["db:deploy"]

    assert (_status(bed.store, gone), _status(bed.store, waiting)) == ("cancelled", "running")


def test_a_zombie_does_not_live() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    eventually(lambda: birth(process.pid) == "")
    process.wait()

    assert birth(process.pid) == ""
    assert birth(os.getpid()) == birth(os.getpid()) != ""


def _status(store: Store, run: RunId) -> str:
    found = store.run(run)
    assert found is not None
    return found.status


def _local_run(store: Store, *, pid: int, born: str = birth(os.getpid()), stage: str = "local") -> RunId:
    run = new_run_id()
    store.beat(info(f"up {run}", local_queue(run), pid=pid, birth=born))
    plan = plan_of(f"db:deploy queue={local_queue(run)}", stage=stage)
    store.submit(run, plan, seal(plan, KEYS, run), actor="tests")
    return run
