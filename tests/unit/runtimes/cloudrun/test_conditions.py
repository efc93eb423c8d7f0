# SPDX-License-Identifier: Apache-2.0
"""Whether a service serves: what its conditions say, and what they do not."""

from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.conditions import GOING_ON, failures, judged, named, served
from fleetflow_tasks.runtimes.ready import Verdict

from .live import NEW, OLD, condition, failed, revision, service, serving

SUCCEEDED = condition("Ready", "SUCCEEDED")


def said(verdict: Verdict) -> str:
    return f"{type(verdict).__name__}: {verdict.text}"


def test_a_service_whose_newest_revision_is_ready_serves() -> None:
    assert said(judged(serving())) == "Ready: revision shop-prd-api-00002-new serves"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reconciling": True}, "Waiting: starting"),
        ({"observedGeneration": "1"}, "Waiting: waiting for Cloud Run to look at it"),
        ({"latestReadyRevision": OLD}, "Waiting: revision shop-prd-api-00002-new is not ready yet"),
        ({"latestReadyRevision": ""}, "Waiting: revision shop-prd-api-00002-new is not ready yet"),
        ({"terminalCondition": {}}, "Waiting: starting"),
        ({"deleteTime": "2026-11-24T00:00:00Z"}, "Broken: somebody removed it"),
    ],
    ids=["reconciling", "not-looked-at", "old-one-ready", "none-ready", "no-condition", "removed"],
)
def test_that_an_operation_went_well_is_not_enough(fields: dict[str, Any], expected: str) -> None:
    assert said(judged(serving(**fields))) == expected


def test_a_failed_service_is_not_waited_for_although_it_was_never_observed() -> None:
    found = failed("REVISION_FAILED", "Revision 'x' is not ready and\ncannot serve traffic.")

    assert said(judged(found)) == "Broken: Revision 'x' is not ready and cannot serve traffic."


def test_what_the_revision_says_is_told_before_what_the_service_makes_of_it() -> None:
    newest = revision(
        condition("Ready", "FAILED", message="see ContainerReady"),
        condition("ContainerReady", "FAILED", "CONTAINER_MISSING", "Image 'x' not found."),
    )

    assert said(judged(failed("REVISION_FAILED", "it failed"), newest)) == "Broken: Image 'x' not found."


@pytest.mark.parametrize("reason", sorted(GOING_ON))
def test_reasons_that_sound_like_a_failure_and_are_none_are_waited_for(reason: str) -> None:
    kind = "revisionReason" if reason.startswith("MIN_") else "reason"
    found = service(condition("Ready", "FAILED", message="still at it", **{kind: reason}))

    assert said(judged(found)) == "Waiting: still at it"


@pytest.mark.parametrize("severity", ["WARNING", "INFO"])
def test_a_condition_that_only_warns_is_no_failure(severity: str) -> None:
    found = serving(conditions=[condition("Active", "FAILED", severity=severity)])

    assert list(failures(found)) == []
    assert said(judged(found)).startswith("Ready")


def test_a_failure_without_any_words_is_told_by_its_reason_or_as_what_it_is() -> None:
    assert said(judged(failed("INTERNAL"))) == "Broken: INTERNAL"
    assert said(judged(failed())) == "Broken: it failed, and Cloud Run does not say why"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ContainerReady", "Waiting: fetching the image"),
        ("ContainerHealthy", "Waiting: waiting until the container listens"),
        ("Novel", "Waiting: starting"),
    ],
)
def test_what_the_revision_is_at_is_what_is_waited_for(kind: str, expected: str) -> None:
    newest = revision(SUCCEEDED, condition(kind, "RECONCILING"))

    assert said(judged(serving(reconciling=True), newest)) == expected


def test_cloud_runs_own_words_for_what_it_is_at_come_first() -> None:
    found = service(
        condition("Ready", "RECONCILING", message="Deploying."), condition("RoutesReady", "PENDING", message="Routing.")
    )

    assert said(judged(found)) == "Waiting: Routing."
    assert said(judged({**found, "conditions": []})) == "Waiting: Deploying."


def test_a_revision_that_fails_under_a_service_that_says_all_is_well_breaks_it() -> None:
    newest = revision(condition("Ready", "FAILED", message="no container listens"))

    assert said(judged(serving(latestReadyRevision=OLD), newest)) == "Broken: no container listens"


def test_another_revision_than_the_newest_says_nothing_of_it() -> None:
    older = revision(condition("Ready", "FAILED", message="old"), name=OLD)

    found = judged(serving(latestReadyRevision=OLD), older)

    assert said(found) == "Waiting: revision shop-prd-api-00002-new is not ready yet"


def test_a_revision_is_judged_by_itself_whether_or_not_requests_go_to_it() -> None:
    reserved = condition("Ready", "FAILED", revisionReason="MIN_INSTANCES_NOT_PROVISIONED")
    warming = condition("Ready", "RECONCILING", revisionReason="MIN_INSTANCES_WARMING")

    assert said(served(revision(SUCCEEDED))) == f"Ready: revision {NEW.rpartition('/')[2]} is ready"
    assert said(served(revision(reserved))) == f"Ready: revision {NEW.rpartition('/')[2]} is ready"
    assert said(served(revision(warming))) == "Waiting: starting the least number of instances"
    assert said(served(revision(condition("Ready", "FAILED", "INTERNAL")))) == "Broken: INTERNAL"


def test_a_condition_is_found_by_its_type_wherever_it_stands() -> None:
    found = serving(conditions=[condition("RoutesReady", "PENDING")])

    assert named(found, "RoutesReady")["state"] == "CONDITION_PENDING"
    assert named(found, "Ready")["state"] == "CONDITION_SUCCEEDED"
    assert named(found, "Other") == {}
