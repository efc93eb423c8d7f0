# SPDX-License-Identifier: Apache-2.0
"""`flow up`: a run carried out in this process, beside others that do the same, and after some that were killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest
import redis

from fleetflow_tasks.engine.local import Follow, run_here
from fleetflow_tasks.engine.model import RUN_ENDS, EventId, Run, RunId, Submitted, new_run_id
from fleetflow_tasks.engine.settings import Settings
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.engine.trouble import DamagedError
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.plan.codec import Keys, parse_key
from fleetflow_tasks.plan.model import Plan, QueueName
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour, RecordingRuntime
from tests.engine.conftest import Server, plan_of

ROOT = Path(__file__).parents[2]
KEY = "a key of the tests, long enough to be one"
LEASE = 30.0  # as it is: nothing here may wait for one to end

SHOP = plan_of("stage:prepare", "db:deploy <- stage:prepare", "api:deploy <- db:deploy", "stage:prune <- api:deploy")

UP = """
import sys
sys.path.insert(0, sys.argv[5])
from pathlib import Path
from tests.engine.test_local import Here
with Here(sys.argv[1], Path(sys.argv[2])) as here:
    print(here.up(run=sys.argv[3], only=sys.argv[4]).status, flush=True)
"""


def until_ended(store: Store) -> Follow:
    """A follower that shows nothing."""

    def follow(submitted: Submitted) -> None:
        last = EventId("0-0")
        while (found := store.run(submitted.run.id)) is not None and found.status not in RUN_ENDS:
            for event in store.events(submitted.run.id, after=last, block=0.5):
                last = event.id

    return follow


class Here:
    """What `flow up` needs."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.world = RecordingRuntime(folder)
        self.store = Store.connect(url, client_name="ff-test", lease=LEASE)
        self.settings = Settings(
            redis_url=url, keys=Keys(current=parse_key(KEY)), state=folder, lease=LEASE, renew=0.3, beat=0.3
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()

    def up(self, plan: Plan = SHOP, *, run: str = "", only: str = "", **options: object) -> Run:
        plan = plan_of(only) if only else plan
        return run_here(
            plan,
            run=RunId(run) if run else new_run_id(),
            store=self.store,
            settings=self.settings,
            runtimes=lambda _: self.world,
            actor="tests",
            **{"follow": until_ended(self.store)} | options,  # type: ignore[arg-type]  # the options of one call
        )

    def tidied(self) -> list[str]:
        """The runs whose leftovers were seen to."""
        return [line.removeprefix("tidy ") for line in self.world.journal() if line.startswith("tidy ")]

    def status(self, run: RunId) -> str:
        found = self.store.run(run)
        assert found is not None
        return found.status

    def process(self, run: RunId, step: str = "db:deploy") -> "subprocess.Popen[str]":
        """The same in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-c", UP, self.url, str(self.folder), run, step, str(ROOT)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )

    def statuses(self, run: RunId) -> dict[str, str]:
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return {step.step: step.status for step in snapshot.steps}


@pytest.fixture
def here(url: str, tmp_path: Path) -> Iterator[Here]:
    with Here(url, tmp_path) as here:
        yield here


@pytest.fixture
def one(redis_server: Server, tmp_path: Path) -> Iterator[Here]:
    with Here(redis_server.database(), tmp_path) as here:
        yield here


def test_a_stage_is_deployed_without_a_worker(here: Here) -> None:
    began = time.monotonic()

    run = here.up()

    assert run.status == "succeeded"
    assert here.world.world() == ["api", "db"]
    assert time.monotonic() - began < 15
    assert list(here.store.workers()) == []
    assert [thread.name for thread in threading.enumerate() if thread.name == "ff-renewer"] == []


def test_no_message_goes_to_any_queue_of_the_workers(one: Here) -> None:
    seen: list[int] = []

    def follow(submitted: Submitted) -> None:
        until_ended(one.store)(submitted)
        seen.extend(one.store.queue_length(QueueName(name)) for name in ("docker", f"local.{submitted.run.id}"))

    one.up(follow=follow)

    assert seen == [0, 0]


def test_a_step_that_fails_ends_the_run_as_failed(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(fail=-1, transient=False))

    run = one.up()

    assert run.status == "failed"
    assert one.statuses(run.id)["api:deploy"] == "skipped"


def test_what_may_pass_is_tried_again(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(fail=1, retry_after=0.1))

    assert one.up().status == "succeeded"
    assert one.world.count("begin", "db:deploy") == 2


def test_a_run_waits_for_the_one_before_it_and_then_goes_on_by_itself(here: Here) -> None:
    here.world.behave(db__deploy=Behaviour(seconds=1.5))
    first = new_run_id()
    with here.process(first) as other:
        eventually(lambda: here.world.count("begin", "db:deploy") > 0, 30)

        second = here.up()

        assert other.communicate(timeout=60)[0] == "succeeded\n"
    before = here.store.run(first)
    assert before is not None
    assert second.status == "succeeded"
    assert (second.started or 0) >= (before.ended or 0)
    assert here.world.count("begin", "api:deploy") == 1


def test_two_stages_are_deployed_at_once_each_by_its_own_process(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(seconds=1), web__deploy=Behaviour(seconds=1))
    plans = [plan_of("db:deploy"), plan_of("web:deploy", stage="dev")]
    ended: list[Run] = []
    threads = [threading.Thread(target=lambda plan=plan: ended.append(one.up(plan))) for plan in plans]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [run.status for run in ended] == ["succeeded", "succeeded"]
    assert max(run.started or 0 for run in ended) < min(run.ended or 0 for run in ended), "at the same time"


def test_a_busy_stage_refuses_who_does_not_want_to_wait(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(seconds=2))
    with one.process(new_run_id()) as other:
        eventually(lambda: one.world.count("begin", "db:deploy") > 0, 30)

        with pytest.raises(RefusedError):
            one.up(conflict="fail")

        assert other.communicate(timeout=60)[0] == "succeeded\n"
    assert list(one.store.workers()) == []


def test_a_process_killed_in_the_middle_does_not_hold_up_the_next_one(here: Here) -> None:
    here.world.behave(db__deploy=Behaviour(seconds=60))
    killed = new_run_id()
    with here.process(killed) as other:
        eventually(lambda: here.world.count("begin", "db:deploy") > 0, 30)
        other.kill()
    here.world.behave()

    began = time.monotonic()
    run = here.up()

    assert run.status == "succeeded"
    assert time.monotonic() - began < 25, "it waited for the lease of the dead"
    before = here.store.run(killed)
    assert before is not None
    assert before.status == "cancelled"


def test_a_process_killed_while_another_waits_behind_it_does_not_hold_that_one_up(here: Here) -> None:
    here.world.behave(db__deploy=Behaviour(seconds=60))
    killed, waiting = new_run_id(), new_run_id()
    ended: list[Run] = []
    second = threading.Thread(target=lambda: ended.append(here.up(run=waiting)))
    with here.process(killed) as first:
        eventually(lambda: here.world.count("begin", "db:deploy") > 0, 30)
        second.start()
        eventually(lambda: (found := here.store.run(waiting)) and found.status == "queued")
        here.world.behave()
        first.kill()

    second.join(20)

    assert [run.status for run in ended] == ["succeeded"]
    assert here.status(killed) == "cancelled"


def test_a_process_that_is_stopped_for_a_while_keeps_its_run(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(seconds=1))
    stopped = new_run_id()
    with one.process(stopped) as first:
        eventually(lambda: one.world.count("begin", "db:deploy") > 0, 30)
        first.send_signal(signal.SIGSTOP)
        threading.Timer(3, first.send_signal, [signal.SIGCONT]).start()

        second = one.up()

        assert first.communicate(timeout=60)[0] == "succeeded\n"
    assert second.status == "succeeded"


@pytest.mark.parametrize("behaviour", [Behaviour(fail=-1, transient=False), Behaviour(crash=True)])
def test_after_a_run_that_failed_its_leftovers_are_seen_to_once(one: Here, behaviour: Behaviour) -> None:
    one.world.behave(db__deploy=behaviour)

    run = one.up()

    assert run.status == "failed"
    assert one.tidied() == [run.id]


def test_after_a_run_that_went_well_nothing_is_left_to_see_to(one: Here) -> None:
    one.up()

    assert one.tidied() == []


def test_a_run_that_ends_by_its_cancel_is_seen_to_as_well(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(seconds=2))
    with one.process(new_run_id()) as other:
        eventually(lambda: one.world.count("begin", "db:deploy") > 0, 30)

        run = one.up(follow=_interrupted(one, iter([KeyboardInterrupt()])))

        other.communicate(timeout=60)
    assert one.tidied() == [run.id]


def test_a_bug_in_a_step_is_told_with_the_file_that_holds_its_traceback(
    one: Here, capfd: pytest.CaptureFixture[str]
) -> None:
    one.world.behave(db__deploy=Behaviour(crash=True))

    run = one.up()

    snapshot = one.store.snapshot(run.id)
    assert snapshot is not None
    log = one.folder / "flow.log"
    assert [step.problem.cause for step in snapshot.steps if step.status == "failed" and step.problem] == [
        (f"the traceback is in {log}",)
    ]
    assert "ZeroDivisionError: nobody foresaw this" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    assert capfd.readouterr().err == ""


def test_a_log_that_cannot_be_written_disturbs_nothing(one: Here, capfd: pytest.CaptureFixture[str]) -> None:
    (one.folder / "flow.log").mkdir()
    one.world.behave(db__deploy=Behaviour(crash=True))

    assert one.up().status == "failed"
    assert capfd.readouterr().err == ""


def test_a_run_that_went_well_writes_no_log(one: Here) -> None:
    one.up()

    assert not (one.folder / "flow.log").exists()


@pytest.mark.parametrize("key", ["line", "run:{run}:leases", "run:{run}:answers"])
def test_a_key_that_somebody_else_wrote_to_ends_the_run_with_its_reason(one: Here, key: str) -> None:
    """A key that holds what it must not: who looks after the stage, renews or ends a step stumbles over it."""
    one.world.behave(db__deploy=Behaviour(seconds=60), api__deploy=Behaviour(seconds=1))

    def follow(submitted: Submitted) -> None:
        eventually(lambda: one.world.count("begin", "api:deploy") > 0, 30)
        with closing(redis.Redis.from_url(one.url)) as client:
            client.set(f"ff:{{shop/local}}:{key.format(run=submitted.run.id)}", "spoiled")
        until_ended(one.store)(submitted)

    began = time.monotonic()
    with pytest.raises(DamagedError, match="is not what FleetFlow wrote there") as raised:
        one.up(plan_of("db:deploy", "api:deploy"), follow=follow)

    assert time.monotonic() - began < 20
    assert "WRONGTYPE" in raised.value.problems[0].cause[0]
    assert list(one.store.workers()) == []


def test_interrupted_once_it_begins_nothing_new_and_lets_what_runs_come_to_its_end(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(seconds=1))
    interrupts = iter([KeyboardInterrupt()])

    run = one.up(follow=_interrupted(one, interrupts))

    assert run.status == "cancelled"
    assert one.statuses(run.id) == {
        "stage:prepare": "succeeded",
        "db:deploy": "succeeded",
        "api:deploy": "cancelled",
        "stage:prune": "cancelled",
    }


def test_interrupted_twice_it_leaves_at_once_and_holds_nothing(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(seconds=60))
    interrupts = iter([KeyboardInterrupt(), KeyboardInterrupt()])
    run = new_run_id()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        one.up(run=run, follow=_interrupted(one, interrupts))

    assert time.monotonic() - began < 15
    found = one.store.run(run)
    assert found is not None
    assert found.status == "cancelled"
    one.world.behave()
    assert one.up().status == "succeeded"


def test_a_stage_is_not_deployed_to_another_engine_unless_it_is_said_so(one: Here) -> None:
    (one.folder / "engine").write_text("one")
    assert one.up().status == "succeeded"
    (one.folder / "engine").write_text("two")

    refused, adopted = one.up(), one.up(adopt=True)

    assert (refused.status, adopted.status) == ("failed", "succeeded")
    assert one.statuses(refused.id)["stage:prepare"] == "failed"
    assert one.world.count("begin", "stage:prepare") == 2


def test_a_run_that_takes_too_long_is_ended(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(seconds=60))

    run = one.up(timeout=1.0)

    assert (run.status, run.problem and run.problem.code) == ("failed", "run-timeout")
    assert one.tidied() == [run.id]


def test_a_run_that_waits_in_line_is_given_up_by_one_interrupt(one: Here) -> None:
    one.world.behave(db__deploy=Behaviour(seconds=2))
    with one.process(new_run_id()) as other:
        eventually(lambda: one.world.count("begin", "db:deploy") > 0, 30)

        run = one.up(follow=_interrupted(one, iter([KeyboardInterrupt()])))

        assert run.status == "cancelled"
        assert other.communicate(timeout=60)[0] == "succeeded\n"


def _interrupted(here: Here, interrupts: Iterator[KeyboardInterrupt]) -> object:
    """As a person who presses Ctrl-C when the database is being deployed, once for each of *interrupts*."""

    def follow(submitted: Submitted) -> None:
        eventually(lambda: here.world.count("begin", "db:deploy") > 0, 30)
        for interrupt in interrupts:
            raise interrupt
        until_ended(here.store)(submitted)

    return follow
