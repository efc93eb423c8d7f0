# SPDX-License-Identifier: Apache-2.0
"""A cancel reaches a step that runs with the next renewal of its lease; one that cannot wait takes the step away at once."""

import uuid

from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.faults.bed import MARGIN, PAIR, Bed
from tests.engine.faults.proxy import Proxy
from tests.engine.faults.test_connection import RENEW


def test_a_cancel_is_seen_at_the_first_renewal_after_it(bed: Bed, proxy: Proxy) -> None:
    bed.load_scripts()
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    bed.worker("lease=20", "renew=2", url=proxy.before(bed.url))
    run = bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))

    bed.store.cancel(run, request=uuid.uuid4().hex)
    proxy.counting = RENEW
    eventually(lambda: bed.world.count("stopped", "db:deploy") == 1, within=60)
    renewals = proxy.counted

    assert renewals <= 2, "one of them may have been on its way"
    assert bed.ended(run) == "cancelled"
    assert bed.statuses(run) == {"db:deploy": "cancelled", "api:deploy": "cancelled"}


def test_a_cancel_that_cannot_wait_takes_the_step_away_and_leaves_its_last_call_the_time_to_land(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(landing=2))
    first = bed.worker()
    run = bed.submit(PAIR)
    bed.passes.until(lambda: bed.world.count("sent", "db:deploy"))
    end = bed.lease_end(run)

    bed.store.cancel(run, request=uuid.uuid4().hex, now=True)
    at_once = bed.statuses(run)
    bed.world.behave()
    following = bed.submit(PAIR)
    bed.logged(first, "step.lost")

    assert at_once == {"db:deploy": "cancelled", "api:deploy": "cancelled"}
    assert bed.passes.make(at=end + bed.store.settle - MARGIN - 1) == ""
    bed.passes.make(at=bed.server_now() + 2 * bed.store.settle)
    assert bed.ends(following) == "succeeded"
    assert bed.world.count("made", "db:deploy") == 1
