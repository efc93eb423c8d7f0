# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.engine.model import Because, Run, RunId
from fleetflow_tasks.view.because import because, rolled_back, rolling_back, rolling_back_json, undoing

FAILED = RunId("01k4failed000000000abcdefgh")
GOOD = RunId("01k4good00000000000ijkmnpqr")


def run(name: str = "01k4this00000000000stvwxyz0", **fields: object) -> Run:
    given = {"status": "succeeded", "generation": 1, **fields}
    return Run(id=RunId(name), project=ProjectName("shop"), stage=StageName("stg"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (None, ""),
        (Because(kind="retry", run=FAILED), "retry of abcdefgh"),
        (Because(kind="promote", run=GOOD), "promoted from ijkmnpqr"),
        (Because(kind="rollback", run=FAILED, plan=GOOD), "rollback to ijkmnpqr after abcdefgh"),
        (Because(kind="rollback", run=FAILED), "undoes abcdefgh"),
    ],
)
def test_why_a_run_was_made_is_said_with_the_ends_of_ids(cause: Because | None, words: str) -> None:
    assert because(run(because=cause)) == words


def test_the_run_that_takes_another_back_is_found_among_many() -> None:
    retry = run("r3", because=Because(kind="retry", run=FAILED))
    rollback = run("r2", because=Because(kind="rollback", run=FAILED, plan=GOOD))

    assert undoing(FAILED, [retry, rollback, run("r1")]) == rollback
    assert undoing(FAILED, [retry, run("r1")]) is None


def test_a_rollback_is_announced_and_its_end_is_told() -> None:
    failed = run(FAILED, status="failed")
    rollback = run("r2", because=Because(kind="rollback", run=FAILED, plan=GOOD))

    assert rolling_back(rollback) == f"rolled back by run r2, to the plan of run {GOOD}"
    assert rolled_back(failed, rollback) == f"run {FAILED} failed, and was rolled back to the plan of run {GOOD}"
    assert json.loads(rolling_back_json(FAILED, rollback)) == {
        "v": 1,
        "type": "rollback",
        "run": FAILED,
        "by": "r2",
        "to": GOOD,
    }


def test_a_rollback_that_goes_wrong_says_that_the_stage_has_to_be_looked_at() -> None:
    failed = run(FAILED, status="failed")

    assert rolled_back(failed, run("r2", status="failed")) == (
        f"run {FAILED} failed, and its rollback failed: look at the stage with `flow ps`"
    )


def test_a_rollback_that_does_not_say_to_what_leaves_it_out() -> None:
    assert rolling_back(run("r2")) == "rolled back by run r2"
    assert rolled_back(run("r1", status="failed"), run("r2")) == "run r1 failed, and was rolled back"
    assert json.loads(rolling_back_json(FAILED, run("r2")))["to"] is None
