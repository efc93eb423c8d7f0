# SPDX-License-Identifier: Apache-2.0
"""Whether a job has run, so that it never runs twice; and how an execution went."""

from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.executions import (
    EXECUTION,
    Ran,
    asked,
    failed,
    following,
    judged,
    note,
    noted,
    ran,
    token,
    under_way,
)
from fleetflow_tasks.runtimes.cloudrun.names import LONGEST, TEMPLATE
from fleetflow_tasks.runtimes.ready import Verdict

from .live import JOB, condition, execution

T1, T2 = "v1-aaa", "v1-bbb"
OURS = f"{JOB}/executions/shop-prd-migrate-abc"


def job(latest: str = "abc", status: str = "", *, template: str = T1, **fields: Any) -> dict[str, Any]:
    """One whose content we began as execution `abc`, in run R1. latest: the execution that was made last."""
    reference = {"name": f"shop-prd-migrate-{latest}", "completionStatus": status} if latest else {}
    return {
        "name": JOB,
        "annotations": {TEMPLATE: template, EXECUTION: note("abc", "R1")},
        "latestCreatedExecution": reference,
        **fields,
    }


def said(verdict: Verdict) -> str:
    return f"{type(verdict).__name__}: {verdict.text}"


@pytest.mark.parametrize(
    ("status", "became"),
    [
        ("EXECUTION_SUCCEEDED", "succeeded"),
        ("EXECUTION_FAILED", "failed"),
        ("EXECUTION_CANCELLED", "failed"),
        ("EXECUTION_RUNNING", "going"),
        ("EXECUTION_PENDING", "going"),
    ],
)
def test_how_our_execution_is_stands_on_the_job_itself(status: str, became: str) -> None:
    live = job(status=status)

    assert asked(live, T1) == ""
    assert ran(live, T1) == Ran(became=became, name="shop-prd-migrate-abc", run="R1")  # type: ignore[arg-type]


def test_a_job_that_is_not_there_or_is_not_ours_has_never_run() -> None:
    for live, run in ((None, ""), ({"name": JOB}, ""), (job(template=T2), "R1")):
        assert asked(live, T1) == ""
        assert ran(live, T1) == Ran(became="never", run=run)


def test_an_execution_that_somebody_began_by_hand_hides_ours_which_is_then_asked_for() -> None:
    live = job(latest="by-hand", status="EXECUTION_FAILED")

    assert asked(live, T1) == "shop-prd-migrate-abc"
    assert ran(live, T1, execution("SUCCEEDED")).became == "succeeded"
    assert ran(live, T1, execution("FAILED")).became == "failed"
    assert ran(live, T1, execution("RECONCILING")).became == "going"


@pytest.mark.parametrize(
    ("fields", "became"),
    [
        ({"reconciling": True}, "going"),
        ({}, "going"),
        ({"terminalCondition": condition("Ready", "SUCCEEDED")}, "succeeded"),
        ({"terminalCondition": condition("Ready", "FAILED", "CONTAINER_MISSING")}, "failed"),
    ],
    ids=["being-made", "nothing-known", "ended-well-and-removed", "could-not-begin"],
)
def test_of_an_execution_that_is_not_there_the_job_tells(fields: dict[str, Any], became: str) -> None:
    assert ran(job(latest="", **fields), T1).became == became


def test_a_status_that_nobody_knows_leaves_it_to_the_execution() -> None:
    assert ran(job(status="NOVEL"), T1, execution("SUCCEEDED")).became == "succeeded"


@pytest.mark.parametrize(
    ("became", "always", "mine", "other"),
    [
        ("never", False, "start", "start"),
        ("going", False, "wait", "wait"),
        ("succeeded", False, "done", "done"),
        ("failed", False, "failed", "start"),
        ("never", True, "start", "start"),
        ("going", True, "wait", "start"),
        ("succeeded", True, "done", "start"),
        ("failed", True, "failed", "start"),
    ],
)
def test_what_a_run_does_about_it_and_what_another_one_does(became: Any, always: bool, mine: str, other: str) -> None:
    before = Ran(became=became, name="x", run="R1")

    assert (following(before, "R1", always=always), following(before, "R2", always=always)) == (mine, other)


def test_an_execution_that_goes_on_is_known_whatever_it_is_of() -> None:
    never, going = Ran(became="never"), Ran(became="going", name="shop-prd-migrate-abc")

    assert under_way(job(latest="by-hand", status="EXECUTION_RUNNING"), never) == "shop-prd-migrate-by-hand"
    assert under_way(job(latest="by-hand", status="EXECUTION_FAILED"), going) == "shop-prd-migrate-abc"
    assert under_way(None, never) == under_way(job(status="EXECUTION_SUCCEEDED"), never) == ""


def test_a_token_is_the_contents_own_the_first_time_and_then_the_runs_too() -> None:
    never, bad = Ran(became="never"), Ran(became="failed", run="R1")

    first = token(T1, "R1", never, always=False)

    assert first == token(T1, "R2", never, always=False)
    assert first != token(T2, "R1", never, always=False)
    assert len({first, token(T1, "R1", bad, always=False), token(T1, "R2", bad, always=False)}) == 3
    assert token(T1, "R2", Ran(became="never", run="R1"), always=False) == token(T1, "R2", bad, always=False)
    assert token(T1, "R1", never, always=True) == token(T1, "R1", bad, always=True)


def test_the_name_of_an_execution_always_fits() -> None:
    longest = token(T1, "R1", Ran(became="never"), always=False)

    assert LONGEST + len("-") + len(longest) < 63


def test_what_we_noted_is_read_again() -> None:
    assert noted(job()) == ("shop-prd-migrate-abc", "R1")
    assert noted(None) == ("", "")


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        ("SUCCEEDED", {"succeededCount": 1}, "Ready: ended with exit code 0"),
        ("SUCCEEDED", {"taskCount": 3, "succeededCount": 3}, "Ready: 3 tasks succeeded"),
        ("PENDING", {}, "Waiting: job is starting"),
        ("RECONCILING", {"runningCount": 1}, "Waiting: job is running"),
        ("RECONCILING", {"taskCount": 0, "runningCount": 1}, "Waiting: job is running"),
        ("RECONCILING", {"taskCount": 3, "succeededCount": 1}, "Waiting: 1 of 3 tasks succeeded"),
        ("RECONCILING", {"taskCount": 3, "failedCount": 1}, "Waiting: 0 of 3 tasks succeeded, 1 failed"),
        ("RECONCILING", {"failedCount": 1}, "Waiting: 0 of 1 tasks succeeded, 1 failed"),
        ("FAILED", {"taskCount": 3, "failedCount": 2}, "Broken: 2 of 3 tasks failed"),
        ("FAILED", {"cancelledCount": 1}, "Broken: it was cancelled"),
        ("FAILED", {"taskCount": 3, "cancelledCount": 2, "failedCount": 1}, "Broken: 1 of 3 tasks failed"),
        ("FAILED", {}, "Broken: it failed"),
    ],
)
def test_how_far_an_execution_is(state: str, fields: dict[str, Any], expected: str) -> None:
    assert said(judged(execution(state, **fields))) == expected


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        ("CANCELLED", "x", "Broken: it was cancelled"),
        ("DELETED", "x", "Broken: its execution was removed"),
        ("NON_ZERO_EXIT_CODE", "Task x failed\nwith 3", "Broken: Task x failed with 3"),
        ("NON_ZERO_EXIT_CODE", "", "Broken: NON_ZERO_EXIT_CODE"),
    ],
)
def test_why_an_execution_failed(reason: str, message: str, expected: str) -> None:
    completed = condition("Completed", "FAILED", message=message, executionReason=reason)

    assert said(judged(execution("FAILED", conditions=[completed], failedCount=1))) == expected


def test_how_each_task_ended_is_told_in_order_and_only_of_those_that_failed() -> None:
    tasks: list[dict[str, Any]] = [
        {"index": 3, "lastAttemptResult": {"status": {"code": 4, "message": "The configured timeout was reached."}}},
        {"index": 1, "lastAttemptResult": {"exitCode": 3}, "retried": 2},
        {"index": 2, "lastAttemptResult": {"termSignal": 9}},
        {"index": 4, "conditions": [condition("Completed", "FAILED", message="no image")]},
        {"index": 5, "lastAttemptResult": {"status": {"code": 13}}},
        {"index": 6, "lastAttemptResult": {"status": {"code": 13, "message": "no\nroom"}}},
        {"lastAttemptResult": {}},
        {"index": 7, "conditions": [condition("Completed", "FAILED", executionReason="CANCELLED")]},
    ]

    assert list(failed(tasks)) == [
        "task 1: it ended with exit code 3, after 3 attempts",
        (
            "task 2: it ended with exit code 137: it was killed (SIGKILL): its stop grace ran out, somebody killed it, or the"
            " machine itself had no memory left"
        ),
        "task 3: it took longer than its timeout allows, and was stopped",
        "task 4: no image",
        "task 5: it failed",
        "task 6: no room",
    ]
