# SPDX-License-Identifier: Apache-2.0
"""The checks themselves: they find nothing in a sound state, and each finds what is broken by hand."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from fleetflow_tasks.engine.model import Claim, RunId, WorkerId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.codec import Keys, parse_key, seal
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Outcome
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.recording import RecordingRuntime
from tests.engine.conftest import BROKEN, Server, plan_of
from tests.engine.faults.checks import Witness, held

PLAN = plan_of(
    "db:deploy retries=0",
    "api:deploy <- db:deploy retries=1",
    "web:deploy <- db:deploy",
    "job:deploy <- db:deploy retries=1",
    "end:deploy <- api:deploy, web:deploy, job:deploy",
)
DONE, NOW, NEXT, LAST = RunId("r-done"), RunId("r-now"), RunId("r-next"), RunId("r-last")
TAG = "ff:{shop/local}"
LEASE = 30.0


class Hand:
    """A stage with one run done, one under way, two in line, and a hand that can break it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.world = RecordingRuntime(folder)
        self.store = Store.connect(url)
        self.raw = redis.Redis.from_url(url, decode_responses=True, protocol=2)
        self.keys = Keys(current=parse_key("a key of the tests, long enough to be one"))
        self.claims: dict[StepId, Claim] = {}
        self.submit(DONE, plan_of("db:deploy", "api:deploy <- db:deploy"))
        self.do(DONE, "db:deploy", "api:deploy")
        self.submit(NOW, PLAN)
        self.do(NOW, "db:deploy")
        self.claim(NOW, "api:deploy")
        self.store.finish_badly(self.claim(NOW, "job:deploy"), BROKEN, retry_in=60)
        self.submit(NEXT, PLAN)
        self.submit(LAST, PLAN, key="ci")

    def submit(self, run: RunId, plan: Plan, key: str | None = None) -> None:
        self.store.submit(run, plan, seal(plan, self.keys, run), actor="eve", key=key)

    def claim(self, run: RunId, step: str) -> Claim:
        claim = self.store.claim(run, StepId(step), worker=WorkerId("h:1:a"), nonce=f"{run} {step}", schema=1)
        assert isinstance(claim, Claim), claim
        self.claims[StepId(step)] = claim
        return claim

    def do(self, run: RunId, *steps: str) -> None:
        for step in steps:
            claim = self.claim(run, step)
            self.deploy(run, step, claim.attempt)
            self.store.finish_well(claim, Outcome(changed=True, text="made"))

    def deploy(self, run: RunId, step: str, attempt: int = 1) -> None:
        found = self.store.run(run)
        assert found is not None
        trial = Trial(found.generation, run=run)
        trial.number = attempt
        self.world.deploy(PLAN, PLAN.step(StepId(step)), trial)

    def journal(self, line: str) -> None:
        with (self.folder / "journal").open("a") as journal:
            journal.write(line + "\n")

    def part(self, run: RunId, part: str = "") -> str:
        return f"{TAG}:run:{run}" + (f":{part}" if part else "")

    def state(self, run: RunId, step: str, **changed: object) -> None:
        """Overwrite what a step's state says."""
        told = json.loads(self.raw.hget(self.part(run, "steps"), step) or "")
        self.raw.hset(self.part(run, "steps"), step, json.dumps(told | changed))

    def event(self, run: RunId, **members: object) -> None:
        self.raw.xadd(self.part(run, "events"), {"e": json.dumps({"at": 1.0} | members)})

    def wrong(self, *, settled: bool = False) -> list[str]:
        with closing(Witness(self.url, self.folder, window=2)) as witness:
            return witness.look(settled=settled)

    def close(self) -> None:
        self.store.close()
        self.raw.close()


@pytest.fixture
def hand(redis_server: Server, tmp_path: Path) -> Iterator[Hand]:
    with closing(Hand(redis_server.database(), tmp_path)) as hand:
        yield hand


def effect(word: str, run: RunId, *, attempt: int = 1, generation: int = 1, at: float = 1.0, after: float = 0.0) -> str:
    return f"{word} api:deploy after={after} run={run} attempt={attempt} generation={generation} at={at} pid=1"


def two_active(hand: Hand) -> None:
    hand.raw.hset(hand.part(NEXT), "status", "running")


def a_generation_twice(hand: Hand) -> None:
    hand.raw.hset(hand.part(NOW), "generation", hand.raw.hget(hand.part(DONE), "generation") or "")


def a_fence_beyond_its_stage(hand: Hand) -> None:
    hand.raw.hset(f"{TAG}:stage", "fence", 1)


def a_step_before_its_needs(hand: Hand) -> None:
    hand.state(NOW, "end:deploy", status="running")


def a_step_that_waits_for_nothing(hand: Hand) -> None:
    hand.state(NOW, "web:deploy", status="waiting")


def a_wrong_count_of_needs(hand: Hand) -> None:
    hand.raw.hset(hand.part(NOW, "remaining"), "end:deploy", 1)


def a_ready_step_that_nobody_lists(hand: Hand) -> None:
    hand.raw.delete(hand.part(NOW, "hinted:docker"))


def a_running_step_without_lease(hand: Hand) -> None:
    hand.raw.delete(hand.part(NOW, "leases"))


def a_delayed_step_without_due(hand: Hand) -> None:
    hand.raw.delete(hand.part(NOW, "delayed"))


def an_end_before_its_steps(hand: Hand) -> None:
    hand.raw.hset(hand.part(NOW), "status", "succeeded")


def steps_that_ended_alone(hand: Hand) -> None:
    for step in PLAN.steps:
        hand.state(NOW, step.id, status="succeeded")


def a_move_after_the_end(hand: Hand) -> None:
    hand.event(DONE, type="step.moved", step="db:deploy", status="running", fence=9)


def a_run_that_nothing_drives_on(hand: Hand) -> None:
    for step in ("api:deploy", "web:deploy", "job:deploy"):
        hand.state(NOW, step, status="waiting")


def a_stage_that_nobody_looks_after(hand: Hand) -> None:
    hand.raw.zrem("ff:active", "shop/local")


def more_hints_than_may_be(hand: Hand) -> None:
    hand.raw.zadd(hand.part(NOW, "hinted:docker"), {"a": 1, "b": 2, "c": 3})


def more_tries_than_retries(hand: Hand) -> None:
    hand.state(NOW, "db:deploy", attempt=2)


def more_losses_than_bearable(hand: Hand) -> None:
    hand.state(NOW, "db:deploy", attempt=5, losses=4)


def a_step_behind_a_failed_one(hand: Hand) -> None:
    hand.state(NOW, "db:deploy", status="failed")


def a_step_skipped_for_nothing(hand: Hand) -> None:
    hand.state(NOW, "end:deploy", status="skipped")


def a_claim_after_the_cancel(hand: Hand) -> None:
    hand.store.cancel(NOW, request="c")
    hand.event(NOW, type="step.moved", step="web:deploy", status="running", fence=9)


def an_event_that_is_missing(hand: Hand) -> None:
    entries = hand.raw.xrange(hand.part(NOW, "events")) or []
    hand.raw.xdel(hand.part(NOW, "events"), str(entries[-1][0]))


def a_move_that_no_table_allows(hand: Hand) -> None:
    hand.event(NOW, type="step.moved", step="end:deploy", status="succeeded")


def an_old_fence_given_again(hand: Hand) -> None:
    hand.event(NOW, type="step.moved", step="web:deploy", status="running", fence=0)


def an_end_that_stays_for_ever(hand: Hand) -> None:
    hand.raw.persist(hand.part(DONE, "steps"))


def a_live_run_that_goes(hand: Hand) -> None:
    hand.raw.expire(hand.part(NOW, "steps"), 1000)


def an_end_that_left_its_indexes(hand: Hand) -> None:
    hand.raw.zadd(hand.part(DONE, "leases"), {"db:deploy": 1})
    hand.raw.expire(hand.part(DONE, "leases"), 1000)


def a_key_that_goes_before_its_run(hand: Hand) -> None:
    hand.raw.expire(f"{TAG}:key:ci", 1000)


def a_line_out_of_order(hand: Hand) -> None:
    hand.raw.lmove(f"{TAG}:line", f"{TAG}:line", "LEFT", "RIGHT")


def a_run_that_overtook(hand: Hand) -> None:
    hand.raw.zadd(f"{TAG}:runs", {DONE: 9e9})


def a_world_ahead_of_its_stage(hand: Hand) -> None:
    hand.journal(effect("made", NOW, generation=10**15))


def a_newer_world_met_in_good_time(hand: Hand) -> None:
    hand.journal(effect("stale", DONE, after=0.5))


def a_success_without_effect(hand: Hand) -> None:
    hand.store.finish_well(hand.claims[StepId("api:deploy")], Outcome(changed=True, text="made"))


def an_effect_twice(hand: Hand) -> None:
    hand.journal(effect("made", NOW))
    hand.journal(effect("made", NOW, attempt=2, at=2))


def an_effect_of_one_who_was_followed(hand: Hand) -> None:
    hand.journal(effect("begin", NOW, attempt=2))
    hand.journal(effect("found", NOW, attempt=1, at=2))


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (two_active, "invariant 1: the stage is held by r-now, under way are r-next, r-now (stage shop/local)"),
        (a_generation_twice, "invariant 1: 2 runs have generation"),
        (a_fence_beyond_its_stage, "invariant 1: run r-now has fence"),
        (an_old_fence_given_again, "invariant 1: step web:deploy got fence 0 after 0"),
        (
            a_step_before_its_needs,
            "invariant 2: step end:deploy is running, of its needs some are delayed, ready, running",
        ),
        (a_step_that_waits_for_nothing, "invariant 4: step web:deploy waits, and all its needs are done"),
        (a_wrong_count_of_needs, "invariant 4: step end:deploy has 3 needs undone, 1 are counted"),
        (a_ready_step_that_nobody_lists, "invariant 4: ready are web:deploy, listed as such none"),
        (a_running_step_without_lease, "invariant 4: running are api:deploy, listed as such none"),
        (a_delayed_step_without_due, "invariant 4: delayed are job:deploy, listed as such none"),
        (an_end_before_its_steps, "invariant 5: it is succeeded, its steps are 1 delayed, 1 ready, 1 running"),
        (steps_that_ended_alone, "invariant 5: it is running, its steps are 5 succeeded"),
        (a_move_after_the_end, "invariant 5: step db:deploy became running after the run had ended"),
        (a_run_that_nothing_drives_on, "invariant 7: nothing drives it on: 1 succeeded, 4 waiting"),
        (a_stage_that_nobody_looks_after, "invariant 7: runs are under way or in line"),
        (more_hints_than_may_be, "invariant 8: 4 hints out on queue docker, 2 may be"),
        (more_tries_than_retries, "invariant 9: step db:deploy: 2 tries of its own, 0 retries"),
        (more_losses_than_bearable, "invariant 9: step db:deploy: 4 losses, 3 at most"),
        (a_step_behind_a_failed_one, "invariant 10: step api:deploy is running, of its needs some are failed"),
        (a_step_skipped_for_nothing, "invariant 10: step end:deploy is skipped, and nothing that it needs ended badly"),
        (a_claim_after_the_cancel, "invariant 11: step web:deploy became running after the run began to end"),
        (an_event_that_is_missing, "invariant 12: step job:deploy is delayed, attempt 1"),
        (a_move_that_no_table_allows, "invariant 12: step end:deploy became succeeded out of waiting"),
        (
            a_world_ahead_of_its_stage,
            "invariant 13: `made api:deploy` of run r-now, attempt 1, process 1 is of a later",
        ),
        (a_newer_world_met_in_good_time, "invariant 13: `stale api:deploy` of run r-done, attempt 1, process 1, 0.5 s"),
        (an_end_that_stays_for_ever, "invariant 15: it is succeeded, and steps stays (run r-done of shop/local)"),
        (a_live_run_that_goes, "invariant 15: it is running, and steps goes (run r-now of shop/local)"),
        (an_end_that_left_its_indexes, "invariant 15: it is over, and there is still leases"),
        (a_key_that_goes_before_its_run, "invariant 15: run r-last is queued, and its key `ci` goes"),
        (a_line_out_of_order, "invariant 16: the line is not in the order of the submits: r-last, r-next"),
        (a_run_that_overtook, "invariant 16: run r-done began before r-now, which was submitted earlier"),
        (a_success_without_effect, "lost: api:deploy of run r-now succeeded, and nobody changed or found anything"),
        (an_effect_twice, "doubled: `made api:deploy` of run r-now, attempt 2, process 1, made before by attempt 1"),
        (an_effect_of_one_who_was_followed, "late: `found api:deploy` of run r-now, attempt 1, process 1, 0 s after"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_broken_by_hand_is_found(hand: Hand, broken: Callable[[Hand], None], told: str) -> None:
    assert hand.wrong() == []

    broken(hand)

    wrong = hand.wrong()
    assert any(line.startswith(told) for line in wrong), "\n".join(wrong)


def test_a_run_that_goes_on_is_wrong_only_where_nothing_is_under_way(hand: Hand) -> None:
    under_way = "1 delayed, 1 ready, 1 running, 1 succeeded, 1 waiting"

    assert hand.wrong(settled=True) == [
        "invariant 7: nothing is under way, and it is queued: 5 waiting (run r-last of shop/local)",
        "invariant 7: nothing is under way, and it is queued: 5 waiting (run r-next of shop/local)",
        f"invariant 7: nothing is under way, and it is running: {under_way} (run r-now of shop/local)",
    ]


def test_what_may_only_grow_and_what_may_not_change_is_remembered(hand: Hand) -> None:
    with closing(Witness(hand.url, hand.folder)) as witness:
        assert witness.look() == []

        fence = str(hand.raw.hget(f"{TAG}:stage", "fence"))
        hand.raw.hset(hand.part(DONE), "status", "failed")
        hand.raw.hset(f"{TAG}:stage", "fence", 1)

        wrong = witness.look()
        assert f"invariant 1: the fence of shop/local was {fence} and is 1" in wrong
        assert "invariant 5: run r-done of shop/local ended succeeded and is failed now" in wrong


def test_an_older_redis_is_no_mistake_where_its_last_writes_were_lost(hand: Hand) -> None:
    hand.journal(effect("made", NOW, generation=10**15))

    held(hand.url, hand.folder, lost_writes=True)


def test_who_was_stopped_after_asking_may_come_late(hand: Hand) -> None:
    hand.journal(effect("begin", NOW, attempt=2))
    hand.journal(effect("found", NOW, attempt=1, at=2, after=LEASE))
    hand.journal(effect("stale", DONE, after=LEASE))

    held(hand.url, hand.folder)


def test_a_secret_is_found_wherever_it_lies(hand: Hand) -> None:
    held(hand.url, hand.folder, secrets=["hunter2"])
    hand.raw.set("ff:s", "my hunter2")
    hand.raw.hset("ff:h", "hunter2", "x")
    hand.raw.lpush("ff:l", "hunter2")
    hand.raw.sadd("ff:m", "hunter2")
    hand.raw.zadd("ff:z", {"hunter2": 1})
    hand.raw.xadd("ff:x", {"e": "hunter2"})
    hand.raw.set("ff:hunter2", 1)
    (hand.folder / "worker.log").write_text("hunter2")

    with pytest.raises(AssertionError) as raised:
        held(hand.url, hand.folder, secrets=["hunter2"])

    assert sorted(str(raised.value).splitlines()) == [
        "invariant 14: a secret in the key ff:h",
        "invariant 14: a secret in the key ff:hunter2",
        "invariant 14: a secret in the key ff:l",
        "invariant 14: a secret in the key ff:m",
        "invariant 14: a secret in the key ff:s",
        "invariant 14: a secret in the key ff:x",
        "invariant 14: a secret in the key ff:z",
        "invariant 14: a secret in worker.log",
    ]
