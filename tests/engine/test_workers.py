# SPDX-License-Identifier: Apache-2.0
"""Runs carried out by real Celery workers in processes of their own, and what happens to a run when those die."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from fleetflow_tasks.engine.dispatch import submit
from fleetflow_tasks.engine.model import RUN_ENDS, Hint, Publish, RunId, StepState, Submitted, new_run_id
from fleetflow_tasks.engine.publish import publisher
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import RefusedError, UnavailableError
from fleetflow_tasks.plan.codec import Keys, parse_key
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour, RecordingRuntime
from tests.engine.conftest import BINARIES, Server, plan_of, running
from tests.engine.faults.proxy import CHUNK, Proxy, _Pair
from tests.engine.test_local import Here

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("worker_process.py")
KEY = "a key of the tests, long enough to be one"
QUICK = ("lease=3", "renew=0.5", "beat=0.3", "grace=10")
LEASE = 3.0

SHOP = plan_of(
    "stage:prepare",
    "db:prepare",
    "api:prepare",
    "db:deploy <- db:prepare, stage:prepare",
    "api:deploy <- api:prepare, db:deploy",
    "stage:prune <- api:deploy",
)


class Bed:
    """Workers on one Redis, one recording world, and a submitter."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.world = RecordingRuntime(folder)
        self.store = Store.connect(url, client_name="ff-test", lease=LEASE)
        self.keys = Keys(current=parse_key(KEY))
        self.publish: Publish = publisher(self.store)
        self.processes: list[subprocess.Popen[bytes]] = []

    def worker(
        self, *options: str, key: str = KEY, url: str | None = None, pause: str = ""
    ) -> "subprocess.Popen[bytes]":
        """A worker that is there and can be seen. pause: see worker_process.py."""
        with (self.folder / f"worker-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(SCRIPT), url or self.url, str(self.folder), key, *QUICK, *options],
                env=os.environ | {"PYTHONPATH": str(ROOT), "FLEETFLOW_TEST_PAUSE": pause},
                stderr=log,
            )
        self.processes.append(process)
        eventually(lambda: process.poll() is not None or self.knows(process.pid), within=60)
        assert process.poll() is None, self.logs()
        return process

    def knows(self, pid: int) -> bool:
        return any(worker.pid == pid for worker in self.store.workers())

    def submit(self, plan: Plan = SHOP) -> RunId:
        return self.submitted(plan).run.id

    def submitted(
        self,
        plan: Plan = SHOP,
        *,
        publish: Publish | None = None,
        wait_workers: bool = False,
        rollback: bool = False,
        adopt: bool = False,
    ) -> Submitted:
        return submit(
            plan,
            run=new_run_id(),
            store=self.store,
            keys=self.keys,
            publish=publish or self.publish,
            actor="tests",
            wait_workers=wait_workers,
            rollback=rollback,
            adopt=adopt,
        )

    def ended(self, run: RunId, within: float = 60) -> str:
        """How the run ended."""
        eventually(lambda: (found := self.store.run(run)) and found.status in RUN_ENDS, within)
        found = self.store.run(run)
        assert found is not None
        return found.status

    def statuses(self, run: RunId) -> dict[str, str]:
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return {step.step: step.status for step in snapshot.steps}

    def state(self, run: RunId, step: str) -> StepState:
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return next(each for each in snapshot.steps if each.step == step)

    def problem(self, run: RunId, step: str) -> str:
        found = self.state(run, step).problem
        assert found is not None
        return found.message

    def began(self, step: str) -> Callable[[], bool]:
        return lambda: self.world.count("begin", step) > 0

    def logs(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self.folder.glob("worker-*.log")))

    def events(self) -> list[dict[str, Any]]:
        """The lines of the workers' logs."""
        return [json.loads(line) for line in self.logs().splitlines() if line]

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.store.close()


@pytest.fixture
def bed(url: str, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(url, tmp_path)) as bed:
        yield bed


@pytest.fixture
def one_bed(redis_server: Server, tmp_path: Path) -> Iterator[Bed]:
    """For what does not depend on the make of the server."""
    with closing(Bed(redis_server.database(), tmp_path)) as bed:
        yield bed


def nobody(hint: Hint) -> None:
    """A hint that is lost on its way."""


def test_two_workers_carry_a_run_to_its_end_each_step_once_and_in_order(bed: Bed) -> None:
    bed.worker()
    bed.worker()

    run = bed.submit()

    assert bed.ended(run) == "succeeded", bed.logs()
    order = [line.split()[1] for line in bed.world.journal() if line.startswith("end")]
    assert sorted(order) == sorted(step.id for step in SHOP.steps)
    for step in SHOP.steps:
        assert all(order.index(need.step) < order.index(step.id) for need in step.needs)
    assert bed.world.world() == ["api", "db"]


def test_a_worker_killed_while_deploying_hands_its_step_to_the_next(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=1.5))
    first = bed.worker()
    run = bed.submit()
    eventually(bed.began("db:deploy"), 30)

    first.kill()
    bed.worker()

    assert bed.ended(run) == "succeeded", bed.logs()
    assert bed.world.count("begin", "db:deploy") == 2
    assert [bed.world.count("made", step) for step in ("db:deploy", "api:deploy")] == [1, 1]
    state = bed.state(run, "db:deploy")
    assert (state.attempt, state.losses) == (2, 1)


def test_a_worker_killed_after_its_effect_and_before_its_word_lets_the_next_find_the_work_done(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(kill=1))
    first = bed.worker()
    run = bed.submit()
    (bed.folder / "world" / "db").write_text("1")
    assert first.wait(20) == 9

    bed.worker()

    assert bed.ended(run) == "succeeded", bed.logs()
    assert (bed.world.count("made", "db:deploy"), bed.world.count("found", "db:deploy")) == (0, 1)


def test_a_step_that_kills_three_workers_fails_and_says_so(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(kill=3))
    victims = [bed.worker(), bed.worker(), bed.worker()]
    run = bed.submit()
    for victim in victims:
        victim.wait(30)

    bed.worker()

    assert bed.ended(run) == "failed"
    assert bed.problem(run, "db:deploy") == "its worker died 3 times"
    assert bed.statuses(run)["api:deploy"] == "skipped"


def test_a_worker_told_to_stop_gives_back_what_only_waits_and_leaves(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=30))
    first = bed.worker()
    run = bed.submit()
    eventually(bed.began("db:deploy"), 30)
    eventually(lambda: bed.store.queue_length(SHOP.steps[0].queue) == 0)
    bed.world.behave()
    bed.worker()

    told = time.monotonic()
    first.terminate()

    assert first.wait(30) == 0
    assert time.monotonic() - told < 8
    assert bed.ended(run) == "succeeded", bed.logs()
    assert bed.world.count("stopped", "db:deploy") == 1
    state = bed.state(run, "db:deploy")
    assert (state.attempt, state.losses, state.releases) == (2, 0, 1)
    assert not bed.knows(first.pid)


def test_a_worker_told_to_stop_lets_a_step_amid_its_changes_come_to_its_end(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__prepare=Behaviour(deaf=1.5))
    first = bed.worker()
    run = bed.submit(plan_of("db:prepare"))
    eventually(bed.began("db:prepare"), 30)

    first.terminate()

    assert first.wait(30) == 0
    assert bed.ended(run) == "succeeded"
    assert bed.world.count("begin", "db:prepare") == 1


def test_a_worker_whose_grace_ends_gives_back_what_it_cannot_stop(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__prepare=Behaviour(deaf=60))
    first = bed.worker("grace=1.5")
    run = bed.submit(plan_of("db:prepare"))
    eventually(bed.began("db:prepare"), 30)

    told = time.monotonic()
    first.send_signal(signal.SIGTERM)

    assert first.wait(30) == 0
    assert time.monotonic() - told < 8
    bed.world.behave()
    bed.worker()
    assert bed.ended(run) == "succeeded"


def test_a_worker_with_a_step_that_hangs_past_its_deadline_ends_and_asks_to_be_started_again(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__prepare=Behaviour(deaf=300), api__prepare=Behaviour(seconds=300))
    first = bed.worker("overstay=0.5")
    hanging = bed.submit(_with_timeout(plan_of("db:prepare"), 0.5))
    waiting = bed.submit(plan_of("api:prepare", stage="dev"))

    assert first.wait(30) == 75
    bed.world.behave()
    bed.worker()

    assert [bed.ended(hanging), bed.ended(waiting)] == ["succeeded", "succeeded"]
    assert (bed.state(hanging, "db:prepare").losses, bed.state(waiting, "api:prepare").releases) == (1, 1)


def test_a_worker_that_is_old_and_idle_makes_way_for_a_new_one(one_bed: Bed) -> None:
    bed = one_bed
    first = bed.worker("recycle=3")

    assert first.wait(30) == 0
    bed.worker()
    assert bed.ended(bed.submit()) == "succeeded"
    assert [line["event"] for line in bed.events() if line["event"].startswith("worker.")] == [
        "worker.ready",
        "worker.old",
        "worker.draining",
        "worker.ended",
        "worker.ready",
    ]


def test_a_worker_that_is_old_ends_what_it_has_begun_first(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(seconds=4))
    first = bed.worker("recycle=3")
    run = bed.submit(plan_of("db:deploy"))

    assert bed.ended(run) == "succeeded", bed.logs()
    assert first.wait(30) == 0
    assert bed.world.count("begin", "db:deploy") == 1


class Swallowing(Proxy):
    """A network in which the connection that asks for hints is dead, and nobody was told."""

    swallows = False

    def _requests(self, pair: _Pair) -> None:
        while data := pair.client.recv(CHUNK):
            if not (self.swallows and b"BRPOP" in data):
                pair.server.sendall(data)


def test_a_worker_whose_hints_do_not_reach_it_any_more_ends_and_asks_to_be_started_again(
    redis_server: Server, tmp_path: Path
) -> None:
    url = redis_server.database()
    with Swallowing(redis_server.socket) as network, closing(Bed(url, tmp_path)) as bed:
        deaf = bed.worker("deaf=2", url=network.before(url))
        assert bed.ended(bed.submit()) == "succeeded", bed.logs()
        network.swallows = True
        run = bed.submit()

        assert deaf.wait(60) == 75
        assert "worker.deaf" in [line["event"] for line in bed.events()]
        bed.worker()
        assert bed.ended(run) == "succeeded", bed.logs()


def test_a_worker_that_has_nothing_to_do_is_not_taken_for_deaf(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(seconds=3))
    bed.worker("deaf=0.5", "slots=1")

    first, second = bed.submit(plan_of("db:deploy")), bed.submit(plan_of("db:deploy", stage="dev"))

    assert [bed.ended(first), bed.ended(second)] == ["succeeded", "succeeded"]
    assert bed.processes[0].poll() is None, "a hint waited in its queue for as long as its only slot was taken"


def test_a_worker_that_was_stopped_for_long_is_not_taken_for_deaf(one_bed: Bed) -> None:
    bed = one_bed
    process = bed.worker("deaf=1")
    process.send_signal(signal.SIGSTOP)
    eventually(lambda: not bed.knows(process.pid), within=60)

    run = bed.submitted(wait_workers=True).run.id
    process.send_signal(signal.SIGCONT)

    assert bed.ended(run) == "succeeded"
    assert process.poll() is None


def test_what_a_cancelled_run_leaves_behind_is_seen_to_though_no_step_of_it_was_under_way(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(fail=-1, retry_after=300))
    bed.worker()
    run = bed.submit(plan_of("db:prepare", "db:deploy <- db:prepare"))
    eventually(lambda: bed.statuses(run)["db:deploy"] == "delayed", within=30)

    for hint in bed.store.cancel(run, request="test"):
        bed.publish(hint)

    assert bed.ended(run) == "cancelled"
    eventually(lambda: f"tidy {run}" in bed.world.journal(), within=30)


def test_what_a_failed_run_leaves_behind_is_seen_to_on_each_of_its_queues(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False))
    bed.worker("queues=docker.web1")
    bed.worker("queues=docker.web2")

    run = bed.submit(plan_of("db:deploy queue=docker.web1", "api:deploy queue=docker.web2"))

    assert bed.ended(run) == "failed"
    eventually(lambda: bed.world.journal().count(f"tidy {run}") == 2, within=30)


def test_a_worker_on_another_engine_changes_nothing_of_a_stage(one_bed: Bed, tmp_path: Path) -> None:
    bed = one_bed
    (bed.folder / "engine").write_text("one")
    first = bed.worker()
    assert bed.ended(bed.submit()) == "succeeded"
    first.kill()
    first.wait()
    (bed.folder / "engine").write_text("two")
    before = bed.world.journal()
    bed.worker()

    refused = bed.submit()
    assert bed.ended(refused) == "failed"
    untouched = [line for line in bed.world.journal() if not line.startswith("tidy ")] == before
    adopted = bed.submitted(adopt=True).run.id

    assert untouched
    assert bed.problem(refused, "db:prepare") == "stage `shop/local` is on another engine: `one`, and here is `two`"
    assert bed.ended(adopted) == "succeeded", bed.logs()


def test_a_health_check_knows_whether_a_worker_of_this_host_speaks_to_redis(one_bed: Bed) -> None:
    bed = one_bed
    environ = os.environ | {"PYTHONPATH": str(ROOT), "FLEETFLOW_REDIS_URL": bed.url}
    command = [sys.executable, str(ROOT / "workers" / "health.py")]

    without = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    bed.worker()
    healthy = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    assert (without.returncode, without.stderr.endswith("has spoken within 15 s\n")) == (1, True)
    assert (healthy.returncode, healthy.stderr) == (0, "")


def test_a_worker_that_cannot_begin_says_why_in_two_lines(tmp_path: Path) -> None:
    environ = os.environ | {
        "PYTHONPATH": str(ROOT),
        "FLEETFLOW_REDIS_URL": f"unix://{tmp_path}/nobody.sock",
        "FLEETFLOW_STATE_DIR": str(tmp_path),
    }

    ended = subprocess.run(
        [sys.executable, str(ROOT / "workers" / "docker.py")], env=environ, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 4
    assert ended.stderr.splitlines()[-2].startswith(f"Redis at unix://{tmp_path}/nobody.sock does not answer")
    assert ended.stderr.splitlines()[-1].startswith("  fix: start it")


def test_a_worker_s_log_is_json_and_holds_no_secret(one_bed: Bed) -> None:
    bed = one_bed
    worker = bed.worker()
    bed.ended(bed.submit())
    worker.terminate()
    worker.wait(30)

    lines = [json.loads(line) for line in bed.logs().splitlines()]

    assert [line["event"] for line in lines if "worker" in line["event"]] == [
        "worker.ready",
        "worker.draining",
        "worker.ended",
    ]
    assert sorted(line["step"] for line in lines if line["event"] == "step.ended") == sorted(
        step.id for step in SHOP.steps
    )
    assert KEY not in bed.logs()


def test_a_lost_hint_is_sent_again_within_seconds(bed: Bed) -> None:
    bed.worker()

    run = bed.submitted(publish=nobody).run.id

    assert bed.ended(run, within=30) == "succeeded", bed.logs()


def test_a_doubled_and_a_foreign_hint_change_nothing(one_bed: Bed) -> None:
    bed = one_bed
    bed.worker()
    bed.world.behave(db__deploy=Behaviour(seconds=0.5))

    run = bed.submit()
    for step in ("db:deploy", "db:prepare", "api:deploy", "nobody:deploy"):
        for _ in range(5):
            bed.publish(Hint(run=run, step=StepId(step), queue=SHOP.steps[0].queue))
    bed.publish(Hint(run=RunId("0" * 26), step=StepId("db:deploy"), queue=SHOP.steps[0].queue))

    assert bed.ended(run) == "succeeded"
    assert [bed.world.count("begin", step.id) for step in SHOP.steps] == [1] * len(SHOP.steps)
    assert '"level": "error"' not in bed.logs()


def test_redis_killed_and_restarted_in_the_middle_costs_no_step_a_second_begin(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    lasting = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(data))
    with running(BINARIES["redis"](), *lasting) as server, closing(Bed(f"unix://{server.socket}", tmp_path)) as bed:
        bed.world.behave(db__deploy=Behaviour(seconds=5))
        bed.worker()
        run = bed.submit()
        eventually(bed.began("db:deploy"), 30)

        os.kill(server.pid, signal.SIGKILL)
        time.sleep(LEASE + 0.5)
        again = subprocess.Popen(
            [BINARIES["redis"](), "--port", "0", "--unixsocket", str(server.socket), "--save", "", *lasting],
            stdout=subprocess.DEVNULL,
        )
        try:
            assert bed.ended(run, within=90) == "succeeded", bed.logs()
            assert bed.world.count("begin", "db:deploy") == 1
            assert bed.world.world() == ["api", "db"]
        finally:
            again.kill()
            again.wait()


def test_a_step_that_fails_skips_what_waits_for_it_and_nothing_else(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False))
    bed.worker()

    run = bed.submit(plan_of("db:deploy", "api:deploy <- db:deploy", "web:deploy <- api:deploy", "docs:deploy"))

    assert bed.ended(run) == "failed"
    assert bed.statuses(run) == {
        "db:deploy": "failed",
        "api:deploy": "skipped",
        "web:deploy": "skipped",
        "docs:deploy": "succeeded",
    }
    assert bed.problem(run, "db:deploy") == "`db:deploy` was told to fail"


def test_a_failure_that_may_pass_is_tried_again_until_its_retries_are_used_up(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(fail=2, retry_after=0.1), api__deploy=Behaviour(fail=-1, retry_after=0.1))
    bed.worker()

    run = bed.submit(plan_of("db:deploy retries=2", "api:deploy retries=1"))

    assert bed.ended(run) == "failed"
    assert bed.statuses(run) == {"db:deploy": "succeeded", "api:deploy": "failed"}
    assert [bed.world.count("begin", step) for step in ("db:deploy", "api:deploy")] == [3, 2]


def test_what_nobody_foresaw_fails_the_step_and_not_the_worker(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(crash=True))
    bed.worker()

    first = bed.submit(plan_of("db:deploy"))
    assert bed.ended(first) == "failed"
    second = bed.submit(plan_of("api:deploy"))

    assert bed.ended(second) == "succeeded"
    assert bed.problem(first, "db:deploy") == "a mistake in FleetFlow: ZeroDivisionError: nobody foresaw this"
    assert "nobody foresaw this" in bed.logs()


def test_a_step_that_takes_too_long_is_stopped_and_says_what_it_waited_for(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(seconds=30))
    bed.worker()

    run = bed.submit(_with_timeout(plan_of("db:deploy"), 0.5))

    assert bed.ended(run) == "failed"
    assert bed.problem(run, "db:deploy") == "not done after 0.5 s"


def test_a_cancel_stops_what_runs_and_begins_nothing_new(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=30))
    bed.worker()
    run = bed.submit()
    eventually(bed.began("db:deploy"), 30)

    bed.store.cancel(run, request="test")

    assert bed.ended(run, within=20) == "cancelled", bed.logs()
    assert bed.statuses(run)["api:deploy"] == "cancelled"
    assert bed.world.count("begin", "api:deploy") == 0


def test_a_plan_sealed_with_another_key_is_refused_in_words(one_bed: Bed) -> None:
    bed = one_bed
    bed.worker(key="another key, as long as the first one is")

    with pytest.raises(RefusedError) as refused:
        bed.submit(plan_of("db:deploy"))
    run = bed.submitted(plan_of("db:deploy"), wait_workers=True).run.id

    told = refused.value.problems[0]
    assert told.message == "workers of queue `docker` hold another key: they could not open this plan"
    assert bed.ended(run) == "failed"
    assert bed.problem(run, "db:deploy") == f"the plan of run {run} was sealed with another key"
    assert bed.world.world() == []


def test_the_next_run_of_a_stage_begins_when_the_one_before_ended(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(seconds=0.5))
    bed.worker()

    first, second = bed.submit(), bed.submit()

    waiting = bed.store.run(second)
    assert waiting is not None
    assert (waiting.status, waiting.ahead) == ("queued", 1)
    assert [bed.ended(first), bed.ended(second)] == ["succeeded", "succeeded"]
    begun, over = bed.store.run(second), bed.store.run(first)
    assert begun is not None
    assert over is not None
    assert (begun.started or 0) >= (over.ended or 0)


def test_a_submit_that_no_worker_serves_is_refused_before_anything_is_stored(one_bed: Bed) -> None:
    bed = one_bed

    with pytest.raises(UnavailableError) as refused:
        bed.submit(plan_of("db:deploy queue=docker.web1"))

    problem = refused.value.problems[0]
    assert problem.message == "no worker serves the queue `docker.web1`"
    assert problem.cause == ("none was ever seen on this Redis",)
    assert "flow worker docker.web1" in problem.fix
    assert bed.store.runs() == []


def test_a_submit_tells_when_the_last_worker_was_seen(one_bed: Bed) -> None:
    bed = one_bed
    process = bed.worker()
    process.terminate()
    process.wait(10)

    with pytest.raises(UnavailableError) as refused:
        bed.submit()

    assert refused.value.problems[0].cause[0].startswith("the last one was seen ")


def test_a_run_stored_without_a_worker_is_carried_out_when_one_comes(one_bed: Bed) -> None:
    bed = one_bed

    run = bed.submitted(wait_workers=True).run.id
    bed.worker()

    assert bed.ended(run) == "succeeded"


def test_a_run_behind_a_killed_flow_up_begins_when_that_is_gone(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    bed.worker()
    killed = new_run_id()
    with Here(bed.url, bed.folder) as here, here.process(killed) as up:
        eventually(bed.began("db:deploy"), 30)
        waiting = bed.submit()
        assert bed.store.run(waiting) is not None
        bed.world.behave()
        up.kill()

    assert bed.ended(waiting, within=20) == "succeeded"
    assert bed.ended(killed) == "cancelled"


def test_a_newer_plan_is_left_to_newer_workers(one_bed: Bed) -> None:
    bed = one_bed
    bed.worker()

    with pytest.raises(UnavailableError) as refused:
        bed.submit(plan_of("db:deploy", schema=2))

    assert refused.value.problems[0].message == "the workers of queue `docker` are too old for this plan"


def test_a_busy_stage_refuses_who_does_not_want_to_wait(one_bed: Bed) -> None:
    bed = one_bed
    bed.world.behave(db__deploy=Behaviour(seconds=2))
    bed.worker()
    bed.submit()

    with pytest.raises(RefusedError):
        submit(
            SHOP,
            run=new_run_id(),
            store=bed.store,
            keys=bed.keys,
            publish=bed.publish,
            actor="tests",
            conflict="fail",
        )


def test_messages_hold_two_ids_and_nothing_of_the_plan(one_bed: Bed) -> None:
    bed = one_bed

    run = bed.submitted(wait_workers=True).run.id

    with closing(redis.Redis.from_url(bed.url)) as client:
        messages = client.lrange("docker", 0, -1)
    assert len(messages) == 3
    assert all(run.encode() in message and b"/srv/shop" not in message for message in messages)


def _with_timeout(plan: Plan, seconds: float) -> Plan:
    return msgspec.structs.replace(
        plan, steps=tuple(msgspec.structs.replace(step, timeout=seconds) for step in plan.steps)
    )
