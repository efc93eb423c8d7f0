# SPDX-License-Identifier: Apache-2.0
"""What is done to a service, by what it should be and what it is."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import FieldChange
from fleetflow_tasks.runtimes.cloudrun.canary import Before
from fleetflow_tasks.runtimes.cloudrun.decide import Decision, decide, foreign, newer, outside
from fleetflow_tasks.runtimes.cloudrun.desired import Desired
from fleetflow_tasks.runtimes.cloudrun.shares import LATEST, REVISION

NAME = "projects/p/locations/r/services/shop-prd-api"


def wanted(**fields: Any) -> Desired:
    usual: dict[str, Any] = {
        "service": ServiceName("api"),
        "kind": "service",
        "name": NAME,
        "body": {"template": {"containers": [{"image": "api:2"}]}},
        "template": "t2",
        "hash": "h2",
    }
    return Desired(**{**usual, **fields})


def found(content: str = "h2", made_from: str = "t2", **fields: Any) -> dict[str, Any]:
    """A service of ours that is well."""
    return {
        "name": NAME,
        "client": "fleetflow",
        "generation": "3",
        "observedGeneration": "3",
        "labels": {
            "fleetflow-project": "shop",
            "fleetflow-stage": "prd",
            "fleetflow-service": "api",
            "fleetflow-generation": "7",
        },
        "annotations": {"fleetflow.io/hash": content, "fleetflow.io/template": made_from},
        "template": {"containers": [{"image": "api:1"}]},
        "traffic": [{"type": LATEST, "percent": 100}],
        "terminalCondition": {"type": "Ready", "state": "CONDITION_SUCCEEDED"},
        "latestCreatedRevision": f"{NAME}/revisions/api-2",
        "latestReadyRevision": f"{NAME}/revisions/api-2",
        **fields,
    }


def told(decision: Decision) -> str:
    """`replace: image changed (straight, sent)`."""
    marks = [decision.way.kind, "sent" if decision.writes else "not sent", *(["anew"] if decision.anew else [])]
    return f"{decision.change.kind}: {decision.change.cause} ({', '.join(marks)})"


BROKEN: dict[str, Any] = {
    "terminalCondition": {"type": "Ready", "state": "CONDITION_FAILED", "message": "no access to secret `key`"},
    "observedGeneration": "2",
    "latestReadyRevision": f"{NAME}/revisions/api-1",
}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (None, "create:  (straight, sent)"),
        (found(), "none:  (none, not sent)"),
        (found("h1", "t1"), "replace: image changed: api:1 -> api:2 (straight, sent)"),
        (
            found("h1", "t1", template={"containers": [{"image": "api:2"}]}),
            "replace: configuration changed (straight, sent)",
        ),
        (found("h1"), "update: configuration changed (none, sent)"),
        (found("", ""), "replace: it was made by an earlier tool (straight, sent)"),
        (found(reconciling=True), "start: not ready yet: starting (none, not sent)"),
        (found(**BROKEN), "start: it failed: no access to secret `key` (straight, sent, anew)"),
        (found(client="gcloud"), "replace: changed outside, by `gcloud` (straight, sent)"),
        (
            found(client="gcloud", traffic=[{"type": REVISION, "revision": "api-1", "percent": 100}]),
            "replace: somebody moved the requests: 100 % api-1 (straight, sent)",
        ),
        (
            found(traffic=[{"type": REVISION, "revision": "api-1", "percent": 100}]),
            "update: somebody moved the requests: 100 % api-1 (restate, sent)",
        ),
    ],
)
def test_a_service_is_changed_for_a_reason(there: dict[str, Any] | None, said: str) -> None:
    assert told(decide(wanted(), there)) == said


def test_a_trial_is_moved_on_when_somebody_asks_for_it() -> None:
    trial = found(
        annotations={
            "fleetflow.io/hash": "h2",
            "fleetflow.io/template": "t2",
            **Before(revision="api-1", template="t1", hash="h1", goal=10).mark,
        },
        traffic=[
            {"type": REVISION, "revision": "api-1", "percent": 90},
            {"type": REVISION, "revision": "api-2", "percent": 10, "tag": "next"},
        ],
    )

    assert told(decide(wanted(share=50), trial)) == "none:  (none, not sent)"
    assert told(decide(wanted(share=50), trial, said=True)) == (
        "update: the requests go to 50 % api-1, 50 % api-2 (move, sent)"
    )
    assert told(decide(wanted(), trial, said=True)) == "update: the requests go to the newest (move, sent)"
    assert told(decide(wanted(), {**trial, "client": "gcloud"})) == (
        "replace: changed outside, by `gcloud` (gradual, sent)"
    )
    assert told(decide(wanted(hash="h1", template="t1"), trial)) == (
        "update: the requests go back to revision api-1 (back, sent)"
    )


def test_a_change_of_the_requests_alone_is_told_as_one() -> None:
    moved = found(traffic=[{"type": REVISION, "revision": "api-1", "percent": 100}])

    assert decide(wanted(), moved).change.fields == (
        FieldChange(field="traffic", old="100 % api-1", new="100 % the newest"),
    )


def test_a_new_version_that_gets_a_share_says_so() -> None:
    decision = decide(wanted(share=10), found("h1", "t1"), attempt="1")

    assert decision.change.cause == "image changed: api:1 -> api:2; it gets 10 % of the requests"
    assert decision.way.kind == "gradual"


def test_what_was_changed_outside_is_sent_with_its_template() -> None:
    assert not decide(wanted(), found(client="gcloud")).way.keep
    assert decide(wanted(), found()).way.keep


def test_what_was_changed_outside_is_sent_too_where_something_beside_the_template_changes() -> None:
    assert not decide(wanted(hash="h3"), found(client="gcloud")).way.keep
    assert decide(wanted(hash="h3"), found()).way.keep


def test_what_gcloud_made_of_our_own_file_is_as_it_should_be() -> None:
    ours = {name: value for name, value in found()["labels"].items() if name != "fleetflow-generation"}

    assert outside(found(client="gcloud", labels=ours)) == ""
    assert outside(found(client="")) == "somebody"


@pytest.mark.parametrize("label", ["fleetflow-project", "fleetflow-stage", "fleetflow-service"])
def test_what_is_not_of_this_service_of_this_stage_is_foreign(label: str) -> None:
    labels = found()["labels"]

    assert not foreign(wanted(), found(), project="shop", stage="prd")
    assert foreign(wanted(), found(labels={**labels, label: "other"}), project="shop", stage="prd")
    assert foreign(wanted(), found(labels={}), project="shop", stage="prd")


def test_what_a_newer_run_made_is_told_by_its_generation() -> None:
    late = newer(found(), 6)

    assert late is not None
    assert late.generation == 7
    assert newer(found(), 7) is None
    assert newer(found(labels={}), 1) is None
    assert newer(None, 1) is None
