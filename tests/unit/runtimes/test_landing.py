# SPDX-License-Identifier: Apache-2.0
"""How long a call of a worker that lost its step may still be on its way, against how long the engine waits for it."""

from fleetflow_tasks.engine.lease import MARGIN
from fleetflow_tasks.engine.model import LEASE, SETTLE
from fleetflow_tasks.runtimes.docker.client import GRACE, TIMEOUT


def test_the_longest_call_to_docker_has_landed_before_the_stages_next_run_begins() -> None:
    last_begun = LEASE * (1 - MARGIN)
    longest = TIMEOUT + GRACE

    assert last_begun + longest <= LEASE + SETTLE
    assert longest <= SETTLE, "though the clocks of worker and Redis were a whole margin apart"


def test_a_worker_that_cannot_renew_knows_how_its_last_call_ended_while_nobody_else_has_the_step() -> None:
    assert TIMEOUT + GRACE < LEASE * (1 - MARGIN)
