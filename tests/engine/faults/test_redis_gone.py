# SPDX-License-Identifier: Apache-2.0
"""Redis killed, away, asleep, full and emptied, while a run has a step in each state and another run waits in line."""

import threading

import pytest

from fleetflow_tasks.api.following import Following
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.faults.bed import WEB, Bed, Everywhere, asleep, awake
from tests.engine.faults.proxy import Proxy
from tests.engine.faults.servers import Own

LONG = "lease=20"  # longer than an outage takes here, on a machine that is busy with other things
ONCE = dict.fromkeys(("after", "call", "claim", "done", "told", "wait"), "once")
AGAIN = "ready running ready running succeeded"
RUNNING = ("call:deploy", "claim:deploy", "done:deploy")


def test_redis_killed_and_restarted_costs_no_step_a_second_begin(own_bed: Bed, own_server: Own) -> None:
    bed = own_bed
    at = Everywhere.on(bed, LONG, call=Behaviour(deaf=2))

    own_server.kill()
    bed.unpause_all()
    bed.logged(at.worker, "hint.unsent")
    bed.logged(at.worker, "lease.unrenewed")
    own_server.start()

    assert [bed.ends(at.run), bed.ends(at.queued)] == ["succeeded", "succeeded"]
    assert [bed.all_moves(at.run), bed.all_moves(at.queued)] == [ONCE, ONCE]


def test_redis_away_for_longer_than_a_lease_takes_no_step_from_who_still_holds_it(
    proxied_bed: Bed, proxy: Proxy
) -> None:
    bed = proxied_bed
    at = Everywhere.on(bed, call=Behaviour(seconds=4))

    proxy.refuse()
    bed.wait_for_lease_end(at.run, *RUNNING)
    bed.unpause_all()
    bed.logged(at.worker, "step.lost")
    tried = bed.log_of(at.worker).count("lease.unrenewed")
    bed.logged(at.worker, "lease.unrenewed", tried + 2)
    changed = bed.world.world()
    blind = bed.passes.make()
    asleep(at.worker)
    proxy.accept()
    first = bed.passes.make()
    awake(at.worker)
    eventually(lambda: {"call", "claim"} <= set(bed.world.world()), within=60)

    assert changed == ["done", "told"], "who cannot know whether it still holds a step changes nothing"
    assert (blind, first) == ("", ""), "nothing is taken for a lease, though all leases are over"
    assert bed.ends(at.run) == "succeeded"
    bed.passes.make(at=bed.server_now() + bed.store.settle)
    assert bed.ends(at.queued) == "succeeded"
    assert bed.all_moves(at.run) == ONCE | {"done": AGAIN}, "its word was tried until the lease was over"
    assert bed.all_moves(at.queued) == ONCE


def test_redis_that_sleeps_is_waited_for(own_bed: Bed, own_server: Own) -> None:
    bed = own_bed
    at = Everywhere.on(bed, LONG, call=Behaviour(deaf=1))
    sleep = threading.Thread(target=own_server.ask, args=("DEBUG", "SLEEP", "2"))

    sleep.start()
    bed.unpause_all()
    sleep.join()

    assert [bed.ends(at.run), bed.ends(at.queued)] == ["succeeded", "succeeded"]
    assert [bed.all_moves(at.run), bed.all_moves(at.queued)] == [ONCE, ONCE]


def test_a_full_redis_begins_nothing_and_lets_everything_end(own_bed: Bed, own_server: Own) -> None:
    bed = own_bed
    at = Everywhere.on(bed, LONG, call=Behaviour(deaf=1))
    before = bed.lease_end(at.run, "claim:deploy")

    own_server.ask("CONFIG", "SET", "maxmemory", "1")
    with pytest.raises(UnavailableError) as refused:
        bed.submit(WEB)
    eventually(lambda: bed.lease_end(at.run, "claim:deploy") > before, within=60)
    bed.unpause_all()
    bed.logged(at.worker, "hint.unsent")
    bed.logged(at.worker, "hint.dropped")
    eventually(lambda: bed.lease_end(at.run, "call:deploy") == 0, within=60)
    eventually(lambda: bed.lease_end(at.run, "claim:deploy") == 0, within=60)
    full = bed.statuses(at.run)
    own_server.ask("CONFIG", "SET", "maxmemory", "0")

    assert refused.value.problems[0].code == "redis-full"
    assert full == dict.fromkeys(("call:deploy", "claim:deploy", "done:deploy", "told:deploy"), "succeeded") | {
        "after:deploy": "ready",
        "wait:deploy": "ready",
    }
    assert [bed.ends(at.run), bed.ends(at.queued)] == ["succeeded", "succeeded"]
    assert [bed.all_moves(at.run), bed.all_moves(at.queued)] == [ONCE, ONCE]


def test_an_emptied_redis_ends_its_runs_in_words_and_the_next_run_finds_what_is_there(
    own_bed: Bed, own_server: Own
) -> None:
    bed = own_bed
    at = Everywhere.on(bed, LONG, call=Behaviour(seconds=60))
    watched = Following(bed.store, at.run, Everywhere.PLAN.steps).updates()
    next(watched)

    own_server.ask("FLUSHALL")
    bed.reserve()
    with pytest.raises(UnavailableError) as lost:
        list(watched)
    eventually(lambda: bed.world.count("stopped", "call:deploy") == 1, within=60)
    bed.unpause_all()
    bed.logged(at.worker, "step.lost", times=3)
    left = bed.world.world()
    eventually(lambda: bed.knows(at.worker.pid), within=60)
    following = bed.submit(Everywhere.PLAN)

    assert lost.value.problems[0].code == "run-lost"
    assert left == ["done", "told"]
    assert bed.ends(following) == "succeeded"
    assert [bed.counts(f"{step}:deploy").rpartition(", ")[2] for step in left] == ["found 1", "found 1"]
    assert bed.all_moves(following) == ONCE
