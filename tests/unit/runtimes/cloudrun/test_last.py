# SPDX-License-Identifier: Apache-2.0
"""The version before, and how it is put back."""

from collections.abc import Mapping
from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.canary import Before
from fleetflow_tasks.runtimes.cloudrun.last import LAST, Last, as_read, last, rebuilt, unnamed

NAME = "projects/p/locations/r/services/shop-prd-api"
MARKS = {"fleetflow.io/hash": "h1", "fleetflow.io/template": "t1", "fleetflow.io/run": "R1"}
LABELS = {"fleetflow-project": "shop", "fleetflow-stage": "prd", "fleetflow-generation": "3"}


def found(
    made: str = "api-1", ready: str = "api-1", marks: Mapping[str, str] = {}, *, well: bool = True
) -> dict[str, Any]:
    state = "CONDITION_SUCCEEDED" if well else "CONDITION_FAILED"
    return {
        "name": NAME,
        "uid": "u",
        "etag": "e1",
        "uri": "https://api",
        "client": "fleetflow",
        "labels": LABELS,
        "annotations": {**MARKS, **marks},
        "ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY",
        "template": {"containers": [{"image": "api:1"}]},
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
        "latestCreatedRevision": f"{NAME}/revisions/{made}",
        "latestReadyRevision": f"{NAME}/revisions/{ready}",
        "terminalCondition": {"type": "Ready", "state": state},
    }


@pytest.mark.parametrize(
    ("there", "known"),
    [
        (None, None),
        (found(), Last(revision="api-1", template="t1", run="R1")),
        (found(marks=Before(revision="api-0", template="t0").mark), Last(revision="api-0", template="t0", run="R1")),
        (found(marks={"fleetflow.io/held": "api-0"}), Last(revision="api-0", template="t1", run="R1")),
        (found("api-2", well=False), None),
        (found("api-2", well=False, marks={LAST: "api-1 t1 R1"}), Last(revision="api-1", template="t1", run="R1")),
        (found("api-2", well=False, marks={LAST: "api-1 - -"}), Last(revision="api-1")),
        (found("api-2", well=False, marks={LAST: "somebody's own"}), None),
    ],
)
def test_what_served_last_is_what_is_well_or_what_the_service_remembers(
    there: dict[str, Any] | None, known: Last | None
) -> None:
    assert last(there) == known


def test_what_it_remembers_is_read_as_it_was_written() -> None:
    for each in (Last(revision="api-1", template="t1", run="R1"), Last(revision="api-1")):
        assert last(found("api-2", well=False, marks=each.mark)) == each


def test_it_is_put_back_as_it_was_read_under_its_revisions_name_and_guarded_by_the_newer_run() -> None:
    assert as_read(found(), 9) == {
        "name": NAME,
        "client": "fleetflow",
        "labels": {**LABELS, "fleetflow-generation": "9"},
        "annotations": MARKS,
        "ingress": "INGRESS_TRAFFIC_INTERNAL_ONLY",
        "template": {"containers": [{"image": "api:1"}], "revision": "api-1"},
        "traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}],
    }


def test_after_a_lost_worker_it_is_rebuilt_from_its_revision_and_does_not_claim_to_be_all_of_it() -> None:
    revision = {"name": f"{NAME}/revisions/api-1", "containers": [{"image": "api:1"}], "timeout": "60s", "uid": "x"}
    there = found("api-2", well=False, marks={"fleetflow.io/hash": "h2", "example.org/owner": "core"})

    body = rebuilt(there, Last(revision="api-1", template="t1", run="R1"), revision, 9)

    assert body["template"] == {"containers": [{"image": "api:1"}], "timeout": "60s", "revision": "api-1"}
    assert body["annotations"] == {
        "example.org/owner": "core",
        "fleetflow.io/template": "t1",
        "fleetflow.io/run": "R1",
    }
    assert "etag" not in body


def test_where_the_name_is_refused_a_revision_is_made_of_the_old_content() -> None:
    assert unnamed(as_read(found(), 9))["template"] == {"containers": [{"image": "api:1"}]}
