# SPDX-License-Identifier: Apache-2.0
"""The way between a worker and Redis: cut, cut for long, swallowing, slow; and cut after the request went through.

Whose reply is lost asks again, and gets the same answer: a claim is known by its nonce, an end by its fence, a submit by its
run, a pass by its request. So nothing is done twice, and nothing waits for a lease.
"""

import uuid

import pytest

from fleetflow_tasks.engine.model import Hint
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.faults.bed import MARGIN, PAIR, WEB, Bed, Everywhere, killed
from tests.engine.faults.proxy import Proxy

LONG = "lease=20"
ONCE = dict.fromkeys(("after", "call", "claim", "done", "told", "wait"), "once")
AGAIN = "ready running ready running succeeded"
RUNNING = ("call:deploy", "claim:deploy", "done:deploy")

# What only the request of one script holds.
CLAIM, FINISH, RENEW, RELEASE, SUBMIT, CANCEL, EXPIRE, DUE = (
    *(b"nonce", b"outcome", b"claims", b"reason", b"fail_fast", b"request", b"settle", b"patience"),
)


def test_a_worker_cut_off_for_longer_than_a_lease_changes_nothing_more_and_others_go_on(bed: Bed, proxy: Proxy) -> None:
    at = Everywhere.on(bed, url=proxy.before(bed.url), call=Behaviour(seconds=4))

    proxy.refuse()
    bed.unpause_all()
    bed.worker()
    bed.logged(at.worker, "hint.unsent")
    bed.wait_for_lease_end(at.run, *RUNNING)
    bed.logged(at.worker, "step.lost")
    taken = bed.passes.make()
    assert bed.ends(at.run) == "succeeded"
    proxy.accept()
    bed.logged(at.worker, "step.lost", times=3)

    assert set(RUNNING) <= set(taken.split())
    assert bed.all_moves(at.run) == ONCE | dict.fromkeys(("call", "claim", "done"), AGAIN)
    assert "made call:deploy" not in bed.by(at.worker)
    bed.passes.make(at=bed.server_now() + bed.store.settle)
    assert bed.ends(at.queued) == "succeeded"


def test_connections_that_are_cut_are_made_anew(bed: Bed, proxy: Proxy) -> None:
    at = Everywhere.on(bed, LONG, url=proxy.before(bed.url), call=Behaviour(deaf=1))

    proxy.cut()
    bed.unpause_all()
    proxy.cut()

    assert [bed.ends(at.run), bed.ends(at.queued)] == ["succeeded", "succeeded"]
    assert [bed.all_moves(at.run), bed.all_moves(at.queued)] == [ONCE, ONCE]


def test_a_way_that_swallows_everything_costs_its_time_and_nothing_else(bed: Bed, proxy: Proxy) -> None:
    at = Everywhere.on(bed, LONG, url=proxy.before(bed.url), call=Behaviour(deaf=1))

    proxy.stop()
    bed.unpause_all()
    bed.logged(at.worker, "lease.unrenewed")
    proxy.go_on()

    assert [bed.ends(at.run), bed.ends(at.queued)] == ["succeeded", "succeeded"]
    assert [bed.all_moves(at.run), bed.all_moves(at.queued)] == [ONCE, ONCE]


def test_a_slow_way_is_slow_and_nothing_else(bed: Bed, proxy: Proxy) -> None:
    at = Everywhere.on(bed, LONG, url=proxy.before(bed.url), call=Behaviour(deaf=1))

    proxy.delay = 0.05
    bed.unpause_all()

    assert [bed.ends(at.run), bed.ends(at.queued)] == ["succeeded", "succeeded"]
    assert [bed.all_moves(at.run), bed.all_moves(at.queued)] == [ONCE, ONCE]


@pytest.mark.parametrize("request_", [CLAIM, FINISH, RENEW], ids=["claim", "finish", "renew"])
def test_a_worker_whose_reply_was_lost_asks_again_and_gets_the_same_answer(
    bed: Bed, proxy: Proxy, request_: bytes
) -> None:
    bed.load_scripts()
    bed.world.behave(db__deploy=Behaviour(seconds=1))
    bed.worker(url=proxy.before(bed.url))

    proxy.lose_reply(request_)
    run = bed.submit(PAIR)

    assert bed.ended(run) == "succeeded", "no pass was needed"
    assert proxy.lost == 1
    assert [bed.moves(run, step.id) for step in PAIR.steps] == ["ready running succeeded"] * 2
    assert [bed.counts(step.id) for step in PAIR.steps] == ["begin 1, end 1, made 1"] * 2


def test_an_end_that_is_written_and_not_answered_is_told_again_until_it_is(bed: Bed, proxy: Proxy) -> None:
    bed.load_scripts()
    bed.worker(LONG, url=proxy.before(bed.url))

    proxy.lose_reply(FINISH, times=2)  # the client's own second try included
    run = bed.submit(PAIR)

    assert bed.ended(run) == "succeeded", "no pass was needed"
    assert proxy.lost == 2
    assert [bed.moves(run, step.id) for step in PAIR.steps] == ["ready running succeeded"] * 2


def test_a_claim_that_its_worker_never_heard_of_is_given_to_another_at_the_end_of_its_lease(
    bed: Bed, proxy: Proxy
) -> None:
    bed.load_scripts()
    first = bed.worker(url=proxy.before(bed.url))

    proxy.lose_reply(CLAIM, times=2)
    run = bed.submit(PAIR)
    bed.logged(first, "hint.dropped")

    assert bed.passes.around(bed.lease_end(run)) == ("", "db:deploy")
    assert bed.ended(run) == "succeeded"
    assert bed.moves(run) == AGAIN
    assert bed.counts() == "begin 1, end 1, made 1"


def test_a_worker_whose_last_words_are_lost_says_them_again(bed: Bed, proxy: Proxy) -> None:
    bed.load_scripts()
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    first = bed.worker(url=proxy.before(bed.url))
    run = bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))

    proxy.lose_reply(RELEASE)
    first.terminate()

    assert first.wait(30) == 0
    assert proxy.lost == 1
    bed.world.behave()
    bed.worker()
    assert bed.ended(run) == "succeeded"
    assert bed.state(run, "db:deploy").releases == 1


def test_a_submit_whose_reply_was_lost_is_one_run(proxied_bed: Bed, proxy: Proxy) -> None:
    bed = proxied_bed
    bed.load_scripts()
    bed.worker(url=bed.direct)

    proxy.lose_reply(SUBMIT)
    submitted = bed.submitted(PAIR)

    assert proxy.lost == 1
    assert submitted.repeated
    assert bed.ended(submitted.run.id) == "succeeded", "its hints were in the second answer too"
    assert [run.id for run in bed.store.runs()] == [submitted.run.id]


def test_a_cancel_whose_reply_was_lost_is_answered_with_the_hints_of_the_next_run(
    proxied_bed: Bed, proxy: Proxy
) -> None:
    bed = proxied_bed
    bed.load_scripts()
    first = bed.submitted(PAIR, wait_workers=True).run.id
    following = bed.submitted(PAIR, wait_workers=True).run.id

    proxy.lose_reply(CANCEL)
    hints = bed.store.cancel(first, request=uuid.uuid4().hex)

    assert proxy.lost == 1
    assert [hint.step for hint in hints if hint.run == following] == ["db:deploy"]


@pytest.mark.parametrize("request_", [EXPIRE, DUE], ids=["expire", "due"])
def test_a_pass_whose_reply_was_lost_sends_the_same_hints(proxied_bed: Bed, proxy: Proxy, request_: bytes) -> None:
    bed = proxied_bed
    bed.load_scripts()
    first = bed.worker(url=bed.direct, pause="after_claim:db:deploy")
    run = bed.submit(PAIR)
    bed.paused(first, "after_claim")
    killed(first)
    lost: list[Hint] = []
    bed.submitted(WEB, publish=lost.append, wait_workers=True)
    bed.worker(url=bed.direct)
    bed.passes.make()

    proxy.lose_reply(request_)
    hinted = bed.passes.make(at=bed.lease_end(run) + MARGIN)

    assert proxy.lost == 1
    assert hinted == "db:deploy web:deploy"
    assert bed.ended(run) == "succeeded"
    assert bed.state(run, "db:deploy").losses == 1
    eventually(lambda: bed.world.count("made", "web:deploy") == 1, within=60)
