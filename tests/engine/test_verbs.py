# SPDX-License-Identifier: Apache-2.0
"""What operators ask and order, through the front door and a real store: which version comes back, what a run was, who waits."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetflow_tasks import api
from fleetflow_tasks.cli.follow import _cancels, told_or_followed
from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.engine.model import LEASE, SETTLE, Because, Noted, Run, RunId, WorkerId, WorkerInfo, new_run_id
from fleetflow_tasks.engine.settings import from_environ
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan import compare
from fleetflow_tasks.plan.codec import seal
from fleetflow_tasks.plan.leave import given
from fleetflow_tasks.plan.model import Plan, QueueName, Step, StepId
from fleetflow_tasks.runtimes.base import Outcome
from tests.engine.conftest import Server, plan_of

KEY = "0123456789abcdef0123456789abcdef"
OTHER_KEY = "fedcba9876543210fedcba9876543210"


class Desk:
    """A user with a Redis, and a worker's hands for what is submitted there."""

    def __init__(self, request: api.Request, store: Store) -> None:
        self.request = request
        self.store = store
        self.keys = from_environ(request.environ).keys

    def submit(self, plan: Plan, *, actor: str = "ann@host", rollback: bool = False) -> Run:
        run = new_run_id()
        return self.store.submit(run, plan, seal(plan, self.keys, run), actor=actor, rollback=rollback).run

    def deploy(self, plan: Plan, *, well: bool = True, actor: str = "ann@host", rollback: bool = False) -> Run:
        """Submitted and carried out; not *well*: the first step fails for good."""
        run = self.submit(plan, actor=actor, rollback=rollback)
        return self.carry_out(run, plan.steps, well=well)

    def carry_out(self, run: Run, steps: tuple[Step, ...], *, well: bool = True) -> Run:
        for step in steps:
            claim = self.store.claim(run.id, step.id, worker=WorkerId("host1:1:a"), nonce=step.id, schema=1)
            assert not isinstance(claim, str), claim
            if not well:
                self.store.finish_badly(claim, Problem(code="x", message="it broke"), retry_in=None)
                break
            self.store.finish_well(claim, Outcome(changed=True, text="started"))
        found = self.store.run(run.id)
        assert found is not None
        return found

    def roll_back(self, **given: str) -> Run:
        found = api.version_before(self.request, **given)
        with api.rolled_back(self.request, found, wait_workers=True) as following:
            run = following.snapshot().run
        return self.carry_out(run, version(1).steps)

    def refused(self, **given: str) -> Problem:
        with pytest.raises(RefusedError) as caught:
            api.version_before(self.request, **given)
        return caught.value.problems[0]


@pytest.fixture
def desk(valkey_server: Server, tmp_path: Path) -> Iterator[Desk]:
    url = valkey_server.database()
    environ = {"FLEETFLOW_REDIS_URL": url, "FLEETFLOW_KEY": KEY, "FLEETFLOW_STATE_DIR": str(tmp_path), "USER": "ann"}
    with closing(Store.connect(url)) as store:
        yield Desk(api.Request(environ=environ, directory=str(tmp_path)), store)


def version(number: int, *, stage: str = "local") -> Plan:
    """A stage of one service, whose image carries *number*."""
    plan = plan_of("api:prepare", "api:deploy <- api:prepare", "stage:prune <- api:deploy", stage=stage)
    return replace(plan, services=tuple(replace(each, image=f"shop/api:{number}") for each in plan.services))


# ---------------------------------------------------------------------------------------------- which version comes back


def test_a_rollback_goes_to_the_newest_good_run_whose_plan_is_another(desk: Desk) -> None:
    first = desk.deploy(version(1))
    desk.deploy(version(2))
    last = desk.deploy(version(2))

    found = api.version_before(desk.request)

    assert (found.run.id, found.last.id) == (first.id, last.id)
    assert compare.text(found.differences or ()) == ["~ api", "    image: shop/api:2 -> shop/api:1"]


def test_a_failed_last_run_is_gone_back_from_to_what_was_good_before_it(desk: Desk) -> None:
    desk.deploy(version(1))
    good = desk.deploy(version(2))
    desk.deploy(version(3), well=False)

    assert api.version_before(desk.request, stage="local").run.id == good.id


def test_what_a_run_was_allowed_and_how_much_of_its_stage_it_deployed_makes_no_other_version(desk: Desk) -> None:
    first = desk.deploy(version(1))
    desk.deploy(given(version(2), RuntimeName("docker"), canary="10"))
    part = given(version(2), RuntimeName("docker"), canary="100", promote="yes")
    desk.deploy(replace(part, steps=part.steps[:2]))

    assert api.version_before(desk.request).run.id == first.id


def test_a_second_rollback_goes_further_back_and_never_to_what_was_rolled_back_from(desk: Desk) -> None:
    first, second, third = (desk.deploy(version(number)) for number in (1, 2, 3))

    once = desk.roll_back()
    twice = desk.roll_back()
    nowhere = desk.refused()

    assert once.because == Because(kind="rollback", run=third.id, plan=second.id)
    assert twice.because == Because(kind="rollback", run=once.id, plan=first.id)
    assert nowhere.message == "stage `shop/local` has no other version to go back to: nothing older succeeded"
    assert (nowhere.cause, nowhere.fix) == (
        (f"run {second.id} was rolled back from",),
        f"if it is meant all the same, name it: --to={second.id}",
    )


def test_a_version_that_was_named_or_deployed_again_is_wanted_after_all(desk: Desk) -> None:
    first, second, third = (desk.deploy(version(number)) for number in (1, 2, 3))
    desk.roll_back()
    desk.roll_back(to=third.id)

    assert api.version_before(desk.request).run.id == first.id
    again = desk.deploy(version(2))
    desk.deploy(version(4))
    assert api.version_before(desk.request).run.id == again.id != second.id


def test_a_run_in_line_is_not_what_the_stage_is_at(desk: Desk) -> None:
    first, second = desk.deploy(version(1)), desk.deploy(version(2))
    active = desk.submit(version(2))
    desk.submit(version(3))

    found = api.version_before(desk.request)

    assert (found.run.id, found.last.id) == (first.id, active.id)
    assert second.whole


def test_a_run_can_be_named_and_says_where_it_belongs(desk: Desk) -> None:
    first = desk.deploy(version(1))
    desk.deploy(version(2))
    desk.deploy(version(7, stage="prd"))

    assert api.version_before(desk.request, to=first.id[-7:]).run.id == first.id
    elsewhere = desk.refused(to=first.id, stage="prd")
    assert (elsewhere.code, elsewhere.message) == ("run-elsewhere", f"run {first.id} is of stage `local`, not `prd`")


def test_a_run_is_named_by_its_beginning_or_its_end_but_not_by_a_letter_or_two(desk: Desk) -> None:
    run = desk.deploy(version(1))

    def named(part: str) -> RunId:
        with api.followed(desk.request, part) as following:
            return following.run

    assert {named(part) for part in (run.id, run.id[:4], run.id[-4:].upper())} == {run.id}
    with pytest.raises(RefusedError, match=f"there is no run `{run.id[1:5]}`"):
        named(run.id[1:5])
    for short in ("", run.id[-1], run.id[:3]):
        with pytest.raises(RefusedError, match=f"^`{short}` is too short for a run; write at least 4 letters"):
            named(short)


def test_letters_that_several_runs_begin_with_name_none_of_them(desk: Desk) -> None:
    runs = [desk.deploy(version(number)).id for number in (1, 2)]

    with pytest.raises(RefusedError) as refused, api.followed(desk.request, runs[0][:4]):
        pass

    problem = refused.value.problems[0]
    assert (problem.code, sorted(problem.cause)) == ("which-run", sorted(runs))


def test_where_no_version_is_another_it_is_said_what_there_would_have_to_be(desk: Desk) -> None:
    desk.deploy(version(1))
    desk.deploy(version(1))

    assert desk.refused().message == "stage `shop/local` has no other version to go back to"


def test_which_stage_is_meant_has_to_be_clear(desk: Desk) -> None:
    assert desk.refused().message == "there is no run yet"
    desk.deploy(version(1))
    desk.deploy(version(1, stage="prd"))

    both = desk.refused(project="shop")
    unknown = desk.refused(project="shop", stage="locl")

    assert (both.message, both.cause) == ("2 stages could be meant by `shop`", ("shop/local", "shop/prd"))
    assert (unknown.message, unknown.fix) == ("no run of stage `shop/locl` is known here", "did you mean `shop/local`?")


def test_a_stage_whose_runs_never_began_has_nothing_to_go_back_from(desk: Desk) -> None:
    run = desk.submit(version(1))
    queued = desk.submit(version(2))
    desk.store.cancel(queued.id, request="r1")

    with pytest.raises(RefusedError):
        api.version_before(desk.request, to="nobody")
    assert run.generation
    assert desk.refused().code == "no-version-before"


# ---------------------------------------------------------------------------------------------- a run again


def test_a_retry_keeps_what_was_done_and_is_told_as_one(desk: Desk) -> None:
    plan = plan_of("db:deploy", "api:deploy <- db:deploy  retries=0")
    run = desk.submit(plan)
    desk.carry_out(run, plan.steps[:1])
    failed = desk.carry_out(run, plan.steps[1:], well=False)

    with api.retried(desk.request, failed.id[-8:], wait_workers=True) as following:
        again = following.snapshot()

    assert [(state.step, state.status) for state in again.steps] == [
        ("db:deploy", "succeeded"),
        ("api:deploy", "ready"),
    ]
    assert again.run.because == Because(kind="retry", run=failed.id, plan=failed.id)
    assert again.run.actor.startswith("ann@")


def test_a_failed_run_that_is_rolled_back_leads_to_the_run_that_does_it(desk: Desk) -> None:
    good = desk.deploy(version(1))
    failed = desk.deploy(version(2), well=False, rollback=True)

    with api.submitted(desk.request, version(3), wait_workers=True), api.followed(desk.request, failed.id) as following:
        undoing = following.undoing()
        assert undoing is not None
        assert undoing.snapshot().run.because == Because(kind="rollback", run=failed.id, plan=good.id)


def test_a_failed_run_that_nobody_rolls_back_is_not_waited_for_longer_than_one_likes(desk: Desk) -> None:
    desk.deploy(version(1))
    held = desk.deploy(version(2), well=False, rollback=True)

    with api.followed(desk.request, held.id) as following:
        assert following.undoing(patience=0.0) is None


def test_a_run_that_needs_no_rollback_has_none(desk: Desk) -> None:
    desk.deploy(version(1))

    with api.followed(desk.request) as following:
        assert following.undoing() is None


# ---------------------------------------------------------------------------------------------- cancel


def test_a_run_that_has_ended_cannot_be_cancelled_and_one_that_was_is_found_so(desk: Desk) -> None:
    done = desk.deploy(version(1))
    failed = desk.deploy(version(2), well=False)
    running = desk.submit(version(2))

    with api.followed(desk.request, done.id) as following, pytest.raises(RefusedError) as caught:
        following.stoppable()
    with api.followed(desk.request, failed.id) as following, pytest.raises(RefusedError) as in_vain:
        following.stoppable()
    with api.followed(desk.request, running.id) as following:
        following.stoppable()
        following.cancel()
        again = following.stoppable()

    assert caught.value.problems[0].message == f"run {done.id} has ended already: it succeeded"
    assert caught.value.problems[0].fix == "to take back what it deployed: flow rollback shop/local"
    assert in_vain.value.problems[0].fix == ""  # its first step failed: nothing was deployed
    assert again.run.status == "cancelled"


def test_a_step_taken_from_its_worker_keeps_the_stage_quiet_as_long_as_a_call_may_land(desk: Desk) -> None:
    running = desk.submit(version(1))
    desk.store.claim(running.id, StepId("api:prepare"), worker=WorkerId("host1:1:a"), nonce="n", schema=1)

    with api.followed(desk.request, running.id) as following:
        following.cancel(now=True)
        after = following.snapshot().run
    queued = desk.submit(version(2))
    seen = api.queue(desk.request)

    assert (after.status, queued.status) == ("cancelled", "queued")
    assert [run.id for run in seen.stages[0].line] == [queued.id]
    assert seen.stages[0].quiet is not None
    assert 0 < seen.stages[0].quiet - seen.now <= LEASE + SETTLE


def test_who_supersedes_is_told_whom(desk: Desk) -> None:
    running, queued = desk.submit(version(1)), desk.submit(version(2))

    with api.submitted(desk.request, version(3), conflict="supersede", wait_workers=True) as following:
        assert [run.id for run in following.superseded] == [queued.id, running.id]
        assert _cancels(following.superseded) == f"cancels run {running.id[-8:]} of ann@host, running, and 1 in line"
    with api.submitted(desk.request, version(4), wait_workers=True) as patient:
        assert not patient.superseded


# ---------------------------------------------------------------------------------------------- what could be lost


def test_who_follows_a_run_that_a_power_cut_would_lose_is_told_once(desk: Desk) -> None:
    with api.submitted(desk.request, version(1), wait_workers=True) as following:
        problem = following.unsafe()
        with following.warned():
            pass

    assert problem is not None
    assert problem.code == "not-durable"
    notes = [event.problem.code for event in desk.store.events(following.run) if isinstance(event, Noted)]
    assert notes.count("not-durable") == 1


# ---------------------------------------------------------------------------------------------- keys of CI jobs


def test_a_ci_job_that_submits_the_same_plan_twice_finds_its_run_and_another_plan_makes_another(desk: Desk) -> None:
    job = replace(desk.request, environ={**desk.request.environ, "GITHUB_RUN_ID": "77", "GITHUB_JOB": "deploy"})

    with (
        api.submitted(job, version(1), wait_workers=True) as first,
        api.submitted(job, version(1), wait_workers=True) as again,
    ):
        assert (again.run, again.repeated, again.key) == (first.run, True, first.key)
    with api.submitted(job, version(2), wait_workers=True) as other:
        assert (other.run == first.run, other.repeated) == (False, False)
    with api.submitted(job, version(2), key="", wait_workers=True) as unkeyed:
        assert (unkeyed.run == other.run, unkeyed.key) == (False, None)


def test_a_run_that_is_found_again_after_its_end_is_not_told_as_one_of_now(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    def again(number: int, *, well: bool) -> tuple[RunId, int, str]:
        with api.submitted(desk.request, version(number), key=f"job-{number}", wait_workers=True) as first:
            desk.carry_out(first.snapshot().run, version(number).steps, well=well)
        with api.submitted(desk.request, version(number), key=f"job-{number}", wait_workers=True) as second:
            code = told_or_followed(second, wait=True, as_json=False, quiet=False)
        return first.run, code, capsys.readouterr().err

    good, done, said = again(1, well=True)
    bad, failed, warned = again(2, well=False)

    assert (done, failed) == (0, 1)
    assert said.startswith(f"run {good} was found again by its key `job-1`: it ended ")
    assert said.endswith(" s ago; nothing was done now\n")
    assert f"run {bad} was found again by its key `job-2`: it failed then; nothing was tried now" in warned
    assert f"flow retry {bad}, or submit with --idempotency-key=''" in warned
    assert "not-durable" not in said + warned


# ---------------------------------------------------------------------------------------------- what is told


def test_runs_are_listed_by_whose_they_are_how_they_ended_and_where(desk: Desk) -> None:
    ours = desk.deploy(version(1), actor="ann@host")
    theirs = desk.deploy(version(1, stage="prd"), actor="annette@host", well=False)
    other = desk.deploy(version(1, stage="prd"), actor="ann@build7")

    def listed(**given: object) -> list[RunId]:
        return [run.id for run in api.runs(desk.request, **given)[0]]  # type: ignore[arg-type]

    assert listed() == [other.id, theirs.id, ours.id]
    assert listed(actor="ann") == [other.id, ours.id]
    assert listed(actor="ann@host") == [ours.id]
    assert listed(statuses=["failed"]) == [theirs.id]
    assert listed(project="shop", stage="prd", limit=1) == [other.id]
    assert listed(since=3600.0) == [other.id, theirs.id, ours.id]
    assert listed(project="nobody") == []


def test_a_run_is_shown_with_what_it_changed_and_what_undid_it(desk: Desk) -> None:
    first, second = desk.deploy(version(1)), desk.deploy(version(2))
    with api.rolled_back(desk.request, api.version_before(desk.request), wait_workers=True) as following:
        back = following.run

    told = api.shown(desk.request, second.id[-7:])

    assert told.before is not None
    assert (told.before.id, told.undone and told.undone.id) == (first.id, back)
    assert compare.text(told.differences or ()) == ["~ api", "    image: shop/api:1 -> shop/api:2"]
    assert [step.id for step in told.readable.steps] == ["api:prepare", "api:deploy", "stage:prune"]
    assert len(told.events) == 12
    assert api.shown(desk.request, first.id).before is None


def test_a_run_is_compared_with_the_last_one_that_had_succeeded_when_it_began(desk: Desk) -> None:
    first = desk.deploy(version(1))
    failed = desk.deploy(version(2), well=False)
    active = desk.submit(version(3))
    in_line, left = desk.submit(version(4)), desk.submit(version(5))
    with api.followed(desk.request, left.id) as following:
        following.cancel()

    def before(run: Run) -> RunId | None:
        found = api.shown(desk.request, run.id).before
        return found.id if found else None

    assert [before(run) for run in (failed, active, in_line, left)] == [first.id] * 4
    desk.carry_out(active, version(3).steps)
    assert [before(run) for run in (in_line, left)] == [active.id, first.id]


def test_a_part_of_a_stage_says_nothing_of_the_other_services(desk: Desk) -> None:
    desk.deploy(plan_of("db:deploy", "api:deploy <- db:deploy", "stage:prune <- api:deploy"))
    part = desk.deploy(plan_of("api:deploy"))

    told = api.shown(desk.request, part.id)

    assert compare.text(told.differences or ()) == ["= 1 unchanged"]


def test_who_has_another_key_sees_the_run_without_its_values(desk: Desk) -> None:
    run = desk.deploy(version(1))
    stranger = replace(desk.request, environ={**desk.request.environ, "FLEETFLOW_KEY": OTHER_KEY})

    told = api.shown(stranger, run.id)

    assert told.plan is None
    assert told.closed is not None
    assert told.closed.code == "plan-other-key"
    assert [state.status for state in told.snapshot.steps] == ["succeeded"] * 3


def test_a_key_that_opens_the_new_plan_alone_cannot_say_what_changed(desk: Desk) -> None:
    desk.deploy(version(1))
    rotated = replace(desk.request, environ={**desk.request.environ, "FLEETFLOW_KEY": OTHER_KEY})
    second = Desk(rotated, desk.store).deploy(version(2))

    told = api.shown(rotated, second.id)

    assert told.plan is not None
    assert told.differences is None
    assert told.closed is not None
    assert api.version_before(rotated, to=second.id).differences is not None


def test_the_queue_is_told_with_who_serves_what_and_since_when_nobody_does(desk: Desk) -> None:
    run = desk.submit(plan_of("api:deploy", "web:deploy queue=docker.web1"))
    desk.submit(version(2))
    worker = WorkerInfo(id=WorkerId("host1:1:a"), host="host1", pid=1, queues=(QueueName("docker"),), slots=4)
    desk.store.beat(worker)
    desk.store.push(QueueName("docker"), b"a hint")
    desk.store.beat(replace(worker, id=WorkerId("host2:1:b"), queues=(QueueName("docker.web1"),)))
    desk.store.leave(WorkerId("host2:1:b"))

    seen = api.queue(desk.request)

    (stage,) = seen.stages
    assert stage.active is not None
    assert (stage.active.run.id, [each.ahead for each in stage.line], stage.key) == (run.id, [1], desk.keys.current.id)
    assert seen.lengths == {"docker": 1, "docker.web1": 0}
    assert [each.id for each in seen.workers] == ["host1:1:a"]
    assert list(seen.seen) == ["docker.web1"]
