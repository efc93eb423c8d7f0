# SPDX-License-Identifier: Apache-2.0
"""Nobody is there who could do it: no worker, or only older ones; and a submitter that died when it had hardly begun.

The passes of a minute and of ten are made by a clock that a test puts forward.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fleetflow_tasks.engine.model import PATIENCE, TELL, Noted, RunId, WorkerId, WorkerInfo, new_run_id
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import SCHEMA, Plan, QueueName
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.conftest import plan_of
from tests.engine.faults.bed import PAIR, Bed
from tests.engine.test_workers import KEY, ROOT

OLDER = WorkerInfo(id=WorkerId("old"), host="there", pid=1, queues=(QueueName("docker"),), slots=8, schema=SCHEMA)
NEWER = plan_of("db:deploy", schema=SCHEMA + 1)

SUBMITTER = """
import os, signal, sys
from fleetflow_tasks.engine.dispatch import submit
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.codec import Keys, parse_key
from tests.engine.faults.bed import PAIR

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

url, run, key = sys.argv[1:]
submit(
    PAIR,
    run=run,
    store=Store.connect(url),
    keys=Keys(current=parse_key(key)),
    publish=die,
    actor="tests",
    wait_workers=True,
)
die()  # in line, there is nothing to hint at yet
"""


@pytest.fixture
def unread_bed(url: str, tmp_path: Path) -> Iterator[Bed]:
    """What it leaves is not looked at: a newer plan cannot be read here either."""
    with closing(Bed(url, tmp_path)) as bed:
        yield bed


@pytest.mark.parametrize(
    ("plan", "serves", "told"),
    [
        (PAIR, False, "no worker serves the queue `docker`"),
        (NEWER, True, "the workers of queue `docker` are too old for this plan"),
    ],
    ids=["no worker", "older workers"],
)
def test_what_nobody_can_do_is_told_at_submit_and_after_seconds_and_fails_after_minutes(
    unread_bed: Bed, plan: Plan, told: str, *, serves: bool
) -> None:
    bed = unread_bed
    if serves:
        bed.store.beat(OLDER)

    with pytest.raises(UnavailableError) as refused:
        bed.submit(plan)
    run = bed.submitted(plan, wait_workers=True).run.id
    begun = bed.server_now() + 1
    at_first = notes(bed, run)
    seen = {}
    for after in (0, TELL - 0.1, TELL, 0.4 * PATIENCE, 0.8 * PATIENCE, PATIENCE - 0.1):
        pass_with(bed, begun + after, OLDER if serves else None)
        seen[after] = len(notes(bed, run)) - len(at_first), bed.statuses(run)["db:deploy"]
    pass_with(bed, begun + PATIENCE, OLDER if serves else None)

    assert refused.value.problems[0].message == told
    assert at_first == [told]
    assert seen == {
        0: (0, "ready"),
        TELL - 0.1: (0, "ready"),
        TELL: (1, "ready"),
        0.4 * PATIENCE: (1, "ready"),
        0.8 * PATIENCE: (1, "ready"),
        PATIENCE - 0.1: (1, "ready"),
    }
    assert notes(bed, run) == [told, told]
    assert bed.ended(run) == "failed"
    assert bed.problem(run, "db:deploy") == told


def test_a_plan_newer_than_its_workers_is_not_begun_by_them_and_they_live_on(unread_bed: Bed) -> None:
    bed = unread_bed
    bed.worker()
    newer = bed.submitted(NEWER, wait_workers=True).run.id

    following = bed.submit(plan_of("web:deploy", stage="dev"))

    assert bed.ended(following) == "succeeded"
    assert bed.moves(newer) == "ready"
    assert '"level":"error"' not in bed.logs()


def test_a_run_whose_submitter_was_killed_before_it_said_a_word_goes_on_by_the_second_pass(bed: Bed) -> None:
    bed.worker()

    run = killed_submitter(bed)

    assert bed.moves(run) == "ready"
    assert [bed.passes.make(), bed.passes.make()] == ["", "db:deploy"]
    assert bed.ended(run) == "succeeded"


def test_runs_in_line_keep_their_order_though_a_submitter_was_killed(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(deaf=1))
    bed.worker()

    runs = [bed.submit(PAIR), killed_submitter(bed), bed.submit(PAIR)]

    assert [bed.ends(run) for run in runs] == ["succeeded"] * 3
    assert [run.id for run in sorted(bed.store.runs(), key=lambda run: run.generation)] == runs


def pass_with(bed: Bed, at: float, worker: WorkerInfo | None) -> None:
    if worker is not None:
        bed.passes.hear(worker, at)
    bed.passes.make(at=at)


def notes(bed: Bed, run: RunId) -> list[str]:
    return [event.problem.message for event in bed.store.events(run) if isinstance(event, Noted)]


def killed_submitter(bed: Bed) -> RunId:
    """A run that was stored by a process that died before its first hint."""
    run = new_run_id()
    done = subprocess.run(
        [sys.executable, "-c", SUBMITTER, bed.url, run, KEY],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=Path(ROOT),
        check=False,
    )
    assert done.returncode == -9
    return run
