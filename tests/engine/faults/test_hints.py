# SPDX-License-Identifier: Apache-2.0
"""Hints that are lost, come twice, in another order, ten minutes late, or are no hints at all.

A hint is an order to nobody, so a wrong one costs a look at the store, and one line in the log at most.
"""

import base64
import json
from itertools import permutations

import pytest

from fleetflow_tasks.engine.model import Hint, RunId
from fleetflow_tasks.engine.publish import message
from fleetflow_tasks.plan.model import QueueName, StepId
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.conftest import plan_of
from tests.engine.faults.bed import PAIR, WEB, Bed

DOCKER = QueueName("docker")
ONCE = "ready running succeeded"


def hint(run: RunId, step: str) -> Hint:
    return Hint(run=run, step=StepId(step), queue=DOCKER)


def test_a_lost_hint_is_sent_again_by_the_second_pass(bed: Bed) -> None:
    bed.worker()
    lost: list[Hint] = []

    run = bed.submitted(PAIR, publish=lost.append).run.id

    assert [each.step for each in lost] == ["db:deploy"]
    assert [bed.passes.make(), bed.passes.make()] == ["", "db:deploy"]
    assert bed.ended(run) == "succeeded"


def test_a_hint_that_comes_ten_times_is_one_claim(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(deaf=0.5))
    bed.worker()
    bed.worker()

    run = bed.submit(PAIR)
    for _ in range(10):
        bed.publish(hint(run, "db:deploy"))

    assert bed.ended(run) == "succeeded"
    assert bed.moves(run) == ONCE
    assert silent(bed)


def test_hints_in_any_order_carry_steps_out_in_theirs(bed: Bed) -> None:
    chain = plan_of("a:deploy", "b:deploy <- a:deploy", "c:deploy <- b:deploy")
    bed.worker()

    run = bed.submitted(chain, publish=lambda _: None).run.id
    for order in permutations(("c:deploy", "b:deploy", "a:deploy")):
        for step in order:
            bed.publish(hint(run, step))

    assert bed.ended(run) == "succeeded"
    begun = [line.split()[1] for line in bed.world.journal() if line.startswith("begin")]
    assert begun == ["a:deploy", "b:deploy", "c:deploy"]
    assert silent(bed)


def test_a_hint_that_comes_when_its_step_is_under_way_changes_nothing(bed: Bed) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    bed.worker()
    run = bed.submit(PAIR)
    bed.passes.until(bed.began("db:deploy"))
    before = bed.store.snapshot(run)

    bed.publish(hint(run, "db:deploy"))
    follows(bed)

    after = bed.store.snapshot(run)
    assert before is not None
    assert after is not None
    assert after.steps == before.steps
    assert bed.counts() == "begin 1"
    assert silent(bed)


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_a_hint_that_comes_long_after_its_run_has_ended_changes_nothing(bed: Bed, end: str) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=-1, transient=False) if end == "failed" else Behaviour())
    kept: list[Hint] = []
    run = bed.submitted(PAIR, publish=kept.append, wait_workers=True).run.id
    if end == "cancelled":
        bed.store.cancel(run, request="test")
    bed.worker()
    if end != "cancelled":
        bed.publish(kept[0])
    assert bed.ended(run) == end
    before = bed.store.snapshot(run), bed.world.world()

    bed.publish(kept[0])
    bed.publish(hint(run, "api:deploy"))
    follows(bed)

    assert (bed.store.snapshot(run), [name for name in bed.world.world() if name != "web"]) == before
    assert silent(bed)


def celery(task: str, *arguments: object, **changes: object) -> bytes:
    """A message as another application's Celery writes it."""
    told = json.loads(message(hint(RunId("0" * 26), "db:deploy")))
    told["headers"]["task"] = task
    body = [list(arguments), {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    told["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    return json.dumps(told | changes).encode()


FOREIGN = {
    "an unknown run": message(hint(RunId("0" * 26), "db:deploy")),
    "an unknown task": celery("billing.send_invoice", 7),
    "too few arguments": celery("fleetflow.step", "one"),
    "arguments that are no text": celery("fleetflow.step", 7, None),
    "a pickle": celery("fleetflow.step", "one", "two", **{"content-type": "application/x-python-serialize"}),
    "a body that is no base64": celery("fleetflow.step", body="!"),
    "a body that is no JSON": celery("fleetflow.step", body=base64.b64encode(b"{").decode()),
    "a message without headers": json.dumps({"body": "e30="}).encode(),
    "broken JSON": b'{"body": ',
    "JSON that is no message": b'"hello"',
    "bytes that are no text": b"\xff\xfe\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_what_is_no_hint_of_ours_costs_one_line_at_most(bed: Bed, foreign: str) -> None:
    worker = bed.worker()

    bed.raw.lpush(DOCKER, FOREIGN[foreign])
    follows(bed)

    assert worker.poll() is None
    assert silent(bed, lines=1)


def follows(bed: Bed) -> None:
    """Wait until the worker has dealt with all that lay in its queue: a hint that came last is followed."""
    run = bed.submit(WEB)
    assert bed.ended(run) == "succeeded", bed.logs()


def silent(bed: Bed, lines: int = 0) -> bool:
    """No error in any log, and no more than *lines* that are not about what a worker did."""
    told = [json.loads(line) for line in bed.logs().splitlines() if line]
    strange = [line for line in told if not line["event"].startswith(("worker.", "step.", "run."))]
    assert [line for line in told if line["level"] in ("error", "critical")] == []
    assert len(strange) <= lines, strange
    return True
