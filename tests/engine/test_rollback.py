# SPDX-License-Identifier: Apache-2.0
"""An earlier plan comes again: by itself after a run that was to be rolled back, or because somebody asks for it."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import redis

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.engine.dispatch import submit
from fleetflow_tasks.engine.model import (
    PATIENCE,
    TELL,
    Because,
    Claim,
    Hint,
    Noted,
    Run,
    RunId,
    StepState,
    Submitted,
    Undo,
    WorkerId,
    WorkerInfo,
    new_run_id,
)
from fleetflow_tasks.engine.publish import publisher
from fleetflow_tasks.engine.reconcile import Memory, tick
from fleetflow_tasks.engine.retrying import again, only_restarts, retry, roll_back_to
from fleetflow_tasks.engine.rollback import UNDO, first, follow_undo, for_workers, pass_on, reopened, roll_back
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.codec import Keys, header, parse_key, seal
from fleetflow_tasks.plan.leave import given
from fleetflow_tasks.plan.model import SCHEMA, Plan, QueueName, StepId
from fleetflow_tasks.runtimes.base import Outcome
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.conftest import BINARIES, Server, plan_of, running
from tests.engine.test_local import Here
from tests.engine.test_workers import Bed as WorkerBed
from tests.engine.test_workers import nobody

OLD = plan_of("db:deploy", "api:deploy <- db:deploy", "stage:prune <- api:deploy")
NEW = plan_of("db:deploy", "web:deploy <- db:deploy", "stage:prune <- web:deploy")
OTHER = Keys(current=parse_key("another key, as long as the first one is"))
PROJECT, STAGE = OLD.project, OLD.stage


class Bed(WorkerBed):
    def good(self) -> RunId:
        """A run that went well; from now on `web` fails."""
        self.world.behave(web__deploy=Behaviour(fail=-1, transient=False))
        run = self.submit(OLD)
        assert self.ended(run) == "succeeded", self.logs()
        return run

    def failing(self) -> RunId:
        return self.submitted(NEW, rollback=True).run.id

    def held(self) -> Undo:
        """What the stage is held for, with nobody there to see to it."""
        undo = self.store.undo(PROJECT, STAGE)
        assert undo is not None
        return undo

    def held_after(self, good: Plan = OLD, *, keys: Keys | None = None) -> tuple[RunId, RunId]:
        """A good run, and a failed one that the stage is held for: written by hand, with no worker there."""
        well, ill = new_run_id(), new_run_id()
        for run, plan in ((well, good), (ill, NEW)):
            sealed = seal(plan, keys or self.keys, run)
            self.store.submit(run, plan, sealed, actor="eve", rollback=plan is NEW)
            self.finish(run, fails="web:deploy")
        return well, ill

    def finish(self, run: RunId, *, fails: str = "") -> None:
        while ready := [step for step, status in self.statuses(run).items() if status == "ready"]:
            claim = self.store.claim(run, StepId(ready[0]), worker=WorkerId("w"), nonce=ready[0], schema=SCHEMA)
            assert isinstance(claim, Claim)
            if claim.step == fails:
                self.store.finish_badly(claim, Problem(code="broken", message="it broke"), retry_in=None)
            else:
                self.store.finish_well(claim, Outcome(changed=True, text="started"))

    def leave(self) -> None:
        """The worker of `present` is gone."""
        self.store.leave(WorkerId("w"))

    def present(self, keys: Keys, *, schema: int = SCHEMA) -> None:
        """A worker says that it lives."""
        info = WorkerInfo(
            id=WorkerId("w"), host="here", pid=1, queues=(QueueName("docker"),), slots=8, keys=keys.ids, schema=schema
        )
        self.store.beat(info)

    def back(self, undo: Undo, *, keys: Keys | None = None, after: float = 0.0) -> Submitted | None:
        """after: seconds from now, or a little more; a store whose clock says so is asked."""
        with closing(Store.connect(self.url, client_name="ff-test", clock=lambda: self.store.now() + after)) as later:
            return roll_back(undo, PROJECT, STAGE, store=later, keys=keys or self.keys, publish=self.publish)

    def undoing(self, failed: RunId) -> Run:
        """The run that undoes *failed*."""
        eventually(lambda: self._undoing(failed), within=30)
        run = self._undoing(failed)
        assert run is not None
        return run

    def _undoing(self, failed: RunId) -> Run | None:
        runs = self.store.runs(PROJECT, STAGE)
        return next((run for run in runs if run.because is not None and run.because.run == failed), None)

    def begun(self, run: RunId) -> list[str]:
        """The steps that were begun for *run*, in order."""
        lines = [line.split() for line in self.world.journal()]
        return [words[1] for words in lines if words[0] == "begin" and f"run={run}" in words]

    def steps(self, run: RunId) -> tuple[StepState, ...]:
        snapshot = self.store.snapshot(run)
        assert snapshot is not None
        return snapshot.steps

    def told(self, run: RunId) -> list[str]:
        return [event.problem.message for event in self.store.events(run) if isinstance(event, Noted)]

    def of(self, run: RunId) -> Run:
        found = self.store.run(run)
        assert found is not None
        return found


@pytest.fixture
def bed(redis_server: Server, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(redis_server.database(), tmp_path)) as bed:
        yield bed


# ---------------------------------------------------------------------------------------------- by itself


def test_after_a_failed_run_the_good_one_s_plan_is_carried_out_again_before_any_other(bed: Bed) -> None:
    bed.worker()
    good = bed.good()
    failed, waiting = bed.failing(), bed.submit(OLD)

    assert bed.ended(failed) == "failed"
    back = bed.undoing(failed)

    assert bed.ended(back.id) == "succeeded", bed.logs()
    assert bed.ended(waiting) == "succeeded", bed.logs()
    assert bed.begun(back.id) == ["db:deploy", "api:deploy", "stage:prune"]
    assert back.because == Because(kind="rollback", run=failed, plan=good)
    assert (back.actor, back.rollback) == ("rollback of tests", False)
    assert (bed.of(waiting).started or 0) >= (bed.of(back.id).ended or 0)
    assert bed.store.undo(PROJECT, STAGE) is None


def test_where_nothing_ever_went_well_the_failed_run_says_so_and_the_next_begins(bed: Bed) -> None:
    bed.world.behave(web__deploy=Behaviour(fail=-1, transient=False))
    bed.worker()
    failed, waiting = bed.failing(), bed.submit(OLD)

    assert bed.ended(failed) == "failed"
    assert bed.ended(waiting) == "succeeded", bed.logs()

    assert bed.told(failed) == [
        "not rolled back: no run of stage `shop/local` as a whole has succeeded yet, so there is nothing to go back to"
    ]
    assert [run.because for run in bed.store.runs(PROJECT, STAGE)] == [None, None]


def test_a_rollback_that_fails_is_not_rolled_back(bed: Bed) -> None:
    bed.worker()
    bed.good()
    bed.world.behave(web__deploy=Behaviour(fail=-1, transient=False), api__deploy=Behaviour(fail=-1, transient=False))
    failed = bed.failing()

    back = bed.undoing(failed)

    assert bed.ended(back.id) == "failed"
    assert bed.store.undo(PROJECT, STAGE) is None
    assert len(bed.store.runs(PROJECT, STAGE)) == 3


def test_a_good_run_of_a_flow_up_is_brought_back_by_workers(bed: Bed) -> None:
    with Here(bed.url, bed.folder) as here:
        good = here.up(OLD)
    bed.world.behave(web__deploy=Behaviour(fail=-1, transient=False))
    bed.worker()

    failed = bed.failing()

    back = bed.undoing(failed)
    assert bed.ended(back.id) == "succeeded", bed.logs()
    assert back.because == Because(kind="rollback", run=failed, plan=good.id)


def test_what_comes_back_on_cloud_run_gets_all_requests_whatever_its_text_says_of_a_share(bed: Bed) -> None:
    cloudrun = RuntimeName("cloudrun")
    steps = [msgspec.structs.replace(step, runtime=cloudrun) for step in OLD.steps]
    gradual = msgspec.structs.replace(OLD, steps=tuple(steps), options={cloudrun: {"project": "p", "region": "r"}})
    bed.held_after(gradual)

    back = bed.back(bed.held())

    assert back is not None
    plan = reopened(back.run.id, PROJECT, STAGE, store=bed.store, keys=bed.keys)
    assert plan.options == {cloudrun: {"project": "p", "region": "r", "canary": "100"}}


def test_a_worker_killed_when_its_step_ended_the_run_leaves_the_rollback_to_the_next(bed: Bed) -> None:
    first = bed.worker()
    bed.good()
    first.kill()
    first.wait()
    paused = bed.worker(pause="after_finish:web:deploy")
    failed = bed.failing()
    eventually(lambda: list(bed.folder.glob("paused.*")), within=60)
    paused.kill()

    bed.worker()

    assert bed.ended(bed.undoing(failed).id) == "succeeded", bed.logs()
    assert len(bed.store.runs(PROJECT, STAGE)) == 3


def test_a_rollback_whose_hints_were_lost_goes_on_by_itself(bed: Bed) -> None:
    _, failed = bed.held_after()
    submitted = roll_back(bed.held(), PROJECT, STAGE, store=bed.store, keys=bed.keys, publish=nobody)
    assert submitted is not None

    bed.worker()

    assert bed.ended(submitted.run.id) == "succeeded", bed.logs()
    assert bed.undoing(failed).id == submitted.run.id


def test_two_that_roll_back_at_once_bring_one_run_about(bed: Bed) -> None:
    _, failed = bed.held_after()
    undo = bed.held()

    first, second = bed.back(undo), bed.back(undo)

    assert first is not None
    assert second is not None
    assert (first.run.id, second.repeated) == (second.run.id, True)
    assert first.run.status == "running"
    assert bed.undoing(failed).id == first.run.id


def test_who_comes_after_the_hold_was_lifted_brings_nothing_back(bed: Bed) -> None:
    bed.held_after()
    undo = bed.held()
    bed.store.submit(new_run_id(), OLD, b"sealed", actor="eve", conflict="supersede")

    assert bed.back(undo) is None
    assert len(bed.store.runs(PROJECT, STAGE)) == 3


def test_a_submitter_brings_back_what_is_due_before_its_own_run(bed: Bed) -> None:
    _, failed = bed.held_after()

    submitted = bed.submitted(OLD, wait_workers=True).run

    assert bed.undoing(failed).status == "running"
    assert (submitted.status, submitted.ahead) == ("queued", 1)


def test_who_supersedes_does_not_wait_for_a_rollback(bed: Bed) -> None:
    bed.held_after()

    submitted = submit(
        OLD,
        run=new_run_id(),
        store=bed.store,
        keys=bed.keys,
        publish=bed.publish,
        actor="tests",
        conflict="supersede",
        wait_workers=True,
    )

    assert submitted.run.status == "running"
    assert [run.because for run in bed.store.runs(PROJECT, STAGE)] == [None, None, None]


def test_a_plan_sealed_with_a_key_that_nobody_has_is_waited_for_and_then_given_up_in_words(bed: Bed) -> None:
    well, failed = bed.held_after(keys=OTHER)
    waits = f"not rolled back yet: no worker is there that has key {OTHER.current.id}"

    told = []
    for after in (0.0, TELL, TELL, PATIENCE - 60, PATIENCE):
        assert bed.back(bed.held(), after=after) is None
        told.append(bed.told(failed))

    assert told[:-1] == [[], [waits], [waits], [waits]]
    assert told[-1] == [waits, f"not rolled back: the plan of run {well} was sealed with another key"]
    assert bed.store.undo(PROJECT, STAGE) is None


def test_a_rollback_outlives_the_restart_of_the_only_worker_that_can_open_the_plan(bed: Bed) -> None:
    """Two teams on one Redis: the other one's reconciler looks in the very moment in which nobody of this one is there."""
    good, failed = bed.held_after()
    bed.present(bed.keys)
    bed.leave()
    memory = Memory()
    for _ in range(3):
        memory = tick(memory, store=bed.store, publish=bed.publish, keys=OTHER)

    bed.worker()

    back = bed.undoing(failed)
    assert bed.ended(back.id) == "succeeded", bed.logs()
    assert back.because == Because(kind="rollback", run=failed, plan=good)


def test_a_rollback_that_is_refused_for_another_reason_than_that_somebody_was_faster_is_logged(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    _, failed = bed.held_after()
    undo = bed.held()
    with closing(redis.Redis.from_url(bed.url)) as client:
        client.delete("ff:{shop/local}:line")
        client.set("ff:{shop/local}:line", "somebody else's")

    assert bed.back(undo) is None

    assert [(record.message, vars(record)["run"]) for record in caplog.records] == [("rollback.refused", failed)]
    assert "not what FleetFlow wrote there" in vars(caplog.records[0])["problem"]


def test_who_was_slower_than_another_says_nothing(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    bed.held_after()
    undo = bed.held()
    bed.store.submit(new_run_id(), OLD, b"sealed", actor="eve", conflict="supersede")
    caplog.set_level(logging.DEBUG)

    assert bed.back(undo) is None

    told = [record.message for record in caplog.records if record.name.startswith("fleetflow_tasks")]
    assert set(told) == {"redis.asked"}  # the requests themselves, which are told to who asks for them


@pytest.mark.parametrize("lines", [("stage:prune",), ("db:deploy",)])
def test_only_a_plan_that_deploys_the_whole_stage_comes_back_by_itself(bed: Bed, lines: tuple[str, ...]) -> None:
    """A teardown or a part of the stage, which somebody who can write to Redis gives out as what was good."""
    forged = new_run_id()
    plan = plan_of(*lines)
    bed.store.submit(forged, plan, seal(plan, bed.keys, forged), actor="eve")
    bed.finish(forged)
    _, failed = bed.held_after()
    with closing(redis.Redis.from_url(bed.url)) as client:
        client.hset("ff:{shop/local}:stage", "good", forged)
    bed.submitted(OLD, wait_workers=True, publish=nobody)
    runs = len(bed.store.runs(PROJECT, STAGE))

    assert bed.told(failed) == [f"not rolled back: the plan of run {forged} does not deploy its stage as a whole"]
    assert runs == 4, "the forged one, the good one, the failed one, the one that was submitted"


def test_a_plan_from_before_the_key_was_changed_comes_back_sealed_with_the_new_one(bed: Bed) -> None:
    bed.held_after(keys=OTHER)
    both = Keys(current=bed.keys.current, previous=OTHER.current)

    submitted = bed.back(bed.held(), keys=both)

    assert submitted is not None
    assert header(bed.store.plan_head(submitted.run.id)).key == bed.keys.current.id


def test_while_a_plan_is_waited_for_only_its_head_is_read(bed: Bed) -> None:
    large = plan_of(*(f"s{number}:deploy" for number in range(2000)), "stage:prune")
    bed.held_after(large, keys=OTHER)
    bed.present(OTHER)
    undo = bed.held()
    with closing(redis.Redis.from_url(bed.url)) as client:
        before = client.info("stats")["total_net_output_bytes"]

        for _ in range(3):
            assert bed.back(undo) is None
            pass_on(PROJECT, STAGE, store=bed.store, keys=bed.keys, publish=nobody)

        read = client.info("stats")["total_net_output_bytes"] - before
    sealed = bed.store.sealed_plan(undo.good or RunId(""))
    assert sealed is not None
    assert len(sealed) > 20_000
    assert read < len(sealed) + 100_000, "a few small answers"


def test_the_run_that_first_had_a_plan_is_found_behind_all_rollbacks_to_it(bed: Bed) -> None:
    def run(number: int, plan: str | None) -> Run:
        because = Because(kind="rollback", run=RunId("failed"), plan=RunId(plan)) if plan is not None else None
        return Run(
            id=RunId(f"r{number}"),
            project=PROJECT,
            stage=STAGE,
            status="succeeded",
            generation=1,
            submitted=number,
            because=because,
        )

    chain = {each.id: each for each in (run(1, None), run(2, "r1"), run(3, "r2"), run(4, "gone"))}
    loop = {each.id: each for each in (run(1, "r2"), run(2, "r1"))}

    assert [first(each, chain.get).id for each in chain.values()] == ["r1", "r1", "r1", "r4"]
    assert [first(each, loop.get).id for each in loop.values()] == ["r1", "r1"]


def test_a_plan_that_is_gone_ends_the_wait_in_words(bed: Bed) -> None:
    well, failed = bed.held_after()
    with closing(redis.Redis.from_url(bed.url)) as client:
        client.delete(f"ff:{{shop/local}}:run:{well}:sealed")

    assert bed.back(bed.held()) is None

    assert bed.told(failed) == [f"not rolled back: the plan of run {well} is not there any more"]


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        (lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]), "the plan of run {run} was altered after it was sealed"),
        (lambda sealed: b"no plan", "what should be a plan is none, or is not sealed"),
    ],
)
def test_a_plan_that_was_altered_ends_the_wait_in_words(bed: Bed, spoiled: object, words: str) -> None:
    assert callable(spoiled)
    well, failed = bed.held_after()
    with closing(redis.Redis.from_url(bed.url)) as client:
        key = f"ff:{{shop/local}}:run:{well}:sealed"
        client.set(key, spoiled(client.get(key)))

    assert bed.back(bed.held()) is None

    assert bed.told(failed) == ["not rolled back: " + words.format(run=well)]


def test_a_worker_with_another_key_leaves_the_rollback_to_one_that_can_open_the_plan(bed: Bed) -> None:
    """Two teams on one Redis; the right to reconcile is with the one that does not own the run, and stays there."""
    bed.worker("queues=docker.elsewhere", key="another key, as long as the first one is")
    with closing(redis.Redis.from_url(bed.url, decode_responses=True)) as client:
        eventually(lambda: client.get("ff:reconciler") is not None, within=30)
        holder = client.get("ff:reconciler")
        bed.worker()
        bed.good()

        failed = bed.failing()

        assert bed.ended(bed.undoing(failed).id) == "succeeded", bed.logs()
        assert client.get("ff:reconciler") == holder
    assert bed.told(failed) == []


def test_a_hint_to_roll_back_goes_to_whoever_can_open_the_plan_and_not_twice(bed: Bed) -> None:
    _, failed = bed.held_after()
    bed.present(bed.keys)
    sent: list[Hint] = []

    def publish(hint: Hint) -> None:
        sent.append(hint)
        publisher(bed.store)(hint)

    assert bed.back(bed.held(), keys=OTHER) is None
    for _ in range(3):
        pass_on(PROJECT, STAGE, store=bed.store, keys=OTHER, publish=publish)

    assert [(hint.run, hint.step, hint.queue) for hint in sent] == [(failed, UNDO, "docker")]
    assert bed.told(failed) == []


def test_a_hint_to_roll_back_that_comes_late_changes_nothing(bed: Bed) -> None:
    well, failed = bed.held_after()

    for run in (failed, failed, well, new_run_id()):
        follow_undo(run, store=bed.store, keys=bed.keys, publish=bed.publish)

    assert bed.undoing(failed).status == "running"
    assert len(bed.store.runs(PROJECT, STAGE)) == 3


def test_a_newer_plan_is_left_to_a_newer_worker_while_there_is_one(bed: Bed) -> None:
    well, failed = bed.held_after()
    with closing(redis.Redis.from_url(bed.url)) as client:
        client.set(f"ff:{{shop/local}}:run:{well}:sealed", b'{"schema":9}\n')
    bed.present(bed.keys, schema=9)

    left = bed.back(bed.held(), after=TELL) is None and bed.told(failed) == []
    bed.present(bed.keys, schema=1)
    for after in (TELL, PATIENCE):
        assert bed.back(bed.held(), after=after) is None

    assert left
    assert bed.told(failed) == [
        "not rolled back yet: no worker is there that reads plans of schema 9",
        f"not rolled back: the plan has schema 9, this FleetFlow knows up to {SCHEMA}",
    ]


def test_a_redis_with_no_room_for_the_rollback_is_no_reason_to_leave_other_stages_alone(tmp_path: Path) -> None:
    with (
        running(BINARIES["redis"]()) as server,
        closing(Bed(server.database(), tmp_path)) as bed,
        closing(redis.Redis.from_url(bed.url)) as client,
    ):
        bed.held_after()
        bed.submitted(plan_of("db:deploy", stage="zero"), wait_workers=True, publish=nobody)
        bed.present(bed.keys)
        client.config_set("maxmemory", int(client.info("memory")["used_memory"] / 0.9))
        sent: list[Hint] = []
        memory = Memory()
        for _ in range(2):
            memory = tick(memory, store=bed.store, publish=sent.append, keys=bed.keys)

        still_held = bed.held()
        client.config_set("maxmemory", 0)
        tick(memory, store=bed.store, publish=sent.append, keys=bed.keys)

    assert still_held.good is not None
    assert [hint.step for hint in sent] == ["db:deploy", "db:deploy"]


def test_steps_of_a_flow_up_go_to_the_queues_of_workers() -> None:
    plan = msgspec.structs.replace(
        plan_of("db:deploy queue=local.01abc", "api:deploy queue=docker.web2"), options={"docker": {"host": "web1"}}
    )

    assert [step.queue for step in for_workers(plan).steps] == ["docker.web1", "docker.web2"]


# ---------------------------------------------------------------------------------------------- asked for


def test_a_retry_keeps_what_was_deployed_and_does_the_rest(bed: Bed) -> None:
    bed.worker()
    bed.world.behave(web__deploy=Behaviour(fail=-1, transient=False))
    failed = bed.submit(NEW)
    assert bed.ended(failed) == "failed"
    bed.world.behave()

    submitted = retry(failed, store=bed.store, keys=bed.keys, publish=bed.publish, actor="ann")

    run = submitted.run
    assert bed.ended(run.id) == "succeeded", bed.logs()
    assert bed.begun(run.id) == ["web:deploy", "stage:prune"]
    assert (run.because, run.actor) == (Because(kind="retry", run=failed, plan=failed), "ann")
    assert bed.state(run.id, "db:deploy").outcome is not None
    assert bed.store.good_run(PROJECT, STAGE) == run.id


def test_a_run_of_a_flow_up_is_retried_by_workers(bed: Bed) -> None:
    bed.world.behave(web__deploy=Behaviour(fail=-1, transient=False))
    with Here(bed.url, bed.folder) as here:
        failed = here.up(NEW)
    bed.world.behave()
    bed.worker()

    run = retry(failed.id, store=bed.store, keys=bed.keys, publish=bed.publish, actor="ann").run

    assert bed.ended(run.id) == "succeeded", bed.logs()
    assert {step.queue for step in bed.steps(run.id)} == {"docker"}


def test_a_retry_is_refused_in_words(bed: Bed) -> None:
    well, failed = bed.held_after()
    bed.back(bed.held())
    goes_on = bed.undoing(failed).id

    def refused(run: RunId) -> str:
        with pytest.raises(RefusedError) as raised:
            retry(run, store=bed.store, keys=bed.keys, publish=bed.publish, actor="ann", wait_workers=True)
        assert raised.value.problems[0].fix
        return raised.value.problems[0].message

    assert refused(well) == f"run {well} succeeded, so nothing of it is left to be done again"
    assert refused(failed) == f"run {failed} is not the newest of stage `shop/local` any more"
    assert refused(goes_on) == f"run {goes_on} is not over: it is running"
    assert refused(RunId("nobody")).startswith("there is no run `nobody`")


def test_an_earlier_run_s_plan_is_carried_out_again(bed: Bed) -> None:
    bed.worker()
    first, second = bed.submit(OLD), bed.submit(NEW)
    assert [bed.ended(first), bed.ended(second)] == ["succeeded", "succeeded"]

    run = roll_back_to(first, store=bed.store, keys=bed.keys, publish=bed.publish, actor="ann").run

    assert bed.ended(run.id) == "succeeded", bed.logs()
    assert bed.begun(run.id) == ["db:deploy", "api:deploy", "stage:prune"]
    assert run.because == Because(kind="rollback", run=second, plan=first)


def test_what_an_earlier_run_was_given_leave_for_is_not_allowed_again_unless_somebody_says_so(bed: Bed) -> None:
    runtime = RuntimeName("recording")
    allowed = given(OLD, runtime, replace="db", force_conflicts="yes")
    good, _ = bed.held_after(allowed)

    by_itself = bed.back(bed.held())
    asked = roll_back_to(
        good,
        store=bed.store,
        keys=bed.keys,
        publish=bed.publish,
        actor="ann",
        wait_workers=True,
        allowed=lambda plan: given(plan, runtime, replace="api"),
    )

    assert by_itself is not None
    assert [options(bed, run) for run in (good, by_itself.run.id, asked.run.id)] == [
        {"recording": {"replace": "db", "force_conflicts": "yes"}},
        {},
        {"recording": {"replace": "api"}},
    ]


def options(bed: Bed, run: RunId) -> object:
    return reopened(run, PROJECT, STAGE, store=bed.store, keys=bed.keys).options


def test_only_a_run_that_deployed_its_whole_stage_well_is_one_to_go_back_to(bed: Bed) -> None:
    part = new_run_id()
    bed.store.submit(part, plan_of("db:deploy"), b"sealed", actor="eve")
    bed.finish(part)
    _, failed = bed.held_after()

    def refused(run: RunId) -> str:
        with pytest.raises(RefusedError) as raised:
            roll_back_to(run, store=bed.store, keys=bed.keys, publish=bed.publish, actor="ann")
        assert raised.value.problems[0].fix
        return raised.value.problems[0].message

    assert refused(part) == f"run {part} is none to go back to: it did not deploy the stage as a whole"
    assert refused(failed) == f"run {failed} is none to go back to: it failed"
    submitted = bed.back(bed.held())
    assert submitted is not None
    back = submitted.run.id
    assert refused(back) == f"run {back} is none to go back to: it is running"


# ---------------------------------------------------------------------------------------------- decided


def states(**steps: str) -> list[StepState]:
    return [StepState(step=StepId(step.replace("__", ":")), status=status) for step, status in steps.items()]  # type: ignore[arg-type]  # a test's words


PREPARED = plan_of(
    "stage:prepare",
    "db:prepare <- stage:prepare",
    "api:prepare <- stage:prepare",
    "web:prepare <- stage:prepare",
    "db:deploy <- db:prepare",
    "api:deploy <- api:prepare, db:deploy",
    "web:deploy <- web:prepare, api:deploy",
    "stage:prune <- web:deploy",
)


def test_what_was_prepared_and_not_deployed_is_prepared_again() -> None:
    before = states(
        stage__prepare="succeeded",
        db__prepare="succeeded",
        api__prepare="succeeded",
        web__prepare="succeeded",
        db__deploy="succeeded",
        api__deploy="failed",
        web__deploy="skipped",
        stage__prune="skipped",
    )

    assert sorted(again(PREPARED, before)) == ["db:deploy", "db:prepare"]


def test_what_was_removed_is_kept_and_what_the_stage_itself_needs_is_done_again() -> None:
    plan = plan_of("api:remove", "db:remove <- api:remove", "stage:prune <- db:remove")

    assert sorted(again(plan, states(api__remove="succeeded", db__remove="cancelled"))) == ["api:remove"]
    assert again(plan, []) == {}


def test_what_was_restarted_is_not_restarted_again() -> None:
    plan = plan_of("db:restart", "api:restart <- db:restart")

    assert sorted(again(plan, states(db__restart="succeeded", api__restart="failed"))) == ["db:restart"]


def test_a_restart_is_no_version_to_go_back_from(bed: Bed) -> None:
    bed.worker()
    good, other, restart = bed.submit(OLD), bed.submit(NEW), bed.submit(plan_of("db:restart"))
    assert [bed.ended(run) for run in (good, other, restart)] == ["succeeded"] * 3, bed.logs()

    back = roll_back_to(good, store=bed.store, keys=bed.keys, publish=bed.publish, actor="ann").run

    runs = {run: bed.store.run(run) for run in (good, other, restart)}
    assert [only_restarts(run, bed.store) for run in runs.values() if run] == [False, False, True]
    assert back.because == Because(kind="rollback", run=other, plan=good)
