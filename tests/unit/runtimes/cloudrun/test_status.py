# SPDX-License-Identifier: Apache-2.0
"""The lines of `flow ps`."""

from collections.abc import Mapping
from typing import Any

import pytest

from fleetflow_tasks.runtimes.base import ServiceStatus
from fleetflow_tasks.runtimes.cloudrun.canary import BEFORE, HELD
from fleetflow_tasks.runtimes.cloudrun.executions import EXECUTION, note
from fleetflow_tasks.runtimes.cloudrun.status import told, unread

from . import made
from .live import JOB, NEW, OLD, condition, failed, revision, service, serving

LABELS = {"fleetflow-project": "shop", "fleetflow-stage": "prd", "fleetflow-run": "01abc"}
PINNED = "eu.example/shop/api:2@sha256:" + "a" * 64


def ours(found: Mapping[str, Any], name: str = "api") -> dict[str, Any]:
    return {**found, "labels": {**LABELS, "fleetflow-service": name}}


def job(status: str = "", **fields: Any) -> dict[str, Any]:
    latest = {
        "name": "shop-prd-migrate-abc",
        "completionStatus": status,
        "createTime": "1970-01-01T00:00:01Z",
        "completionTime": "1970-01-01T00:00:02Z",
    }
    template = {"template": {"containers": [{"image": PINNED}]}}
    live = {"name": JOB, "template": template, "latestCreatedExecution": latest if status else {}, **fields}
    return ours(live, "migrate")


def line(found: Mapping[str, Any], *revisions: Mapping[str, Any]) -> ServiceStatus:
    (only,) = told((), [found], {each["name"]: each for each in revisions}, ())
    return only


def shown(status: ServiceStatus) -> str:
    return f"{status.state}: {status.text}"


def test_a_service_that_serves_is_running_however_few_instances_it_has() -> None:
    ready = condition("Ready", "SUCCEEDED", lastTransitionTime="1970-01-01T00:01:00Z")
    found = ours(
        service(
            ready,
            uri="https://shop-prd-api-x.a.run.app",
            trafficStatuses=[{"tag": "next", "uri": "https://next---shop-prd-api-x.a.run.app"}, {"percent": 100}],
            template={"containers": [{"image": PINNED}]},
        )
    )

    assert told((made.service("api"),), [found], {}, ()) == (
        ServiceStatus(
            service="api",  # type: ignore[arg-type]
            state="running",
            runtime="cloudrun",  # type: ignore[arg-type]
            image=PINNED,
            digest=PINNED,
            ports=("https://shop-prd-api-x.a.run.app", "https://next---shop-prd-api-x.a.run.app"),
            since=60.0,
            run="01abc",
        ),
    )


def test_a_service_that_is_not_there_is_missing_and_one_that_the_plan_lacks_has_drifted() -> None:
    lines = told((made.service("web"),), [ours(serving()), {"name": "somebody else's"}], {}, ())

    assert [(each.service, each.state, each.drift) for each in lines] == [
        ("api", "running", True),
        ("web", "missing", False),
    ]


def test_what_is_not_as_the_plan_says_has_drifted() -> None:
    (only,) = told((made.service("api"),), [ours(serving())], {}, {made.service("api").name})

    assert only.drift


def test_how_requests_are_shared_is_told() -> None:
    traffic = [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "old", "percent": 90},
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "new", "percent": 10},
    ]

    assert shown(line(ours(serving(traffic=traffic)))) == "running: 90 % old, 10 % new"


@pytest.mark.parametrize(("count", "state"), [(None, "stopped"), (2, "running")])
def test_a_service_that_was_scaled_to_nothing_by_hand_is_stopped(count: int | None, state: str) -> None:
    scaling = {"scalingMode": "MANUAL", **({"manualInstanceCount": count} if count else {})}

    assert line(ours(serving(scaling=scaling))).state == state


def test_an_update_that_failed_leaves_the_old_revision_serving_and_says_why() -> None:
    found = ours(failed("REVISION_FAILED", "it failed", template={"containers": [{"image": "new:1"}]}))
    newest = revision(condition("Ready", "FAILED", message="Image 'new:1' not found."))
    old = revision(name=OLD, containers=[{"image": PINNED}])

    status = line(found, newest, old)

    assert unread([found]) == (OLD, NEW)
    assert shown(status) == (
        "running: shop-prd-api-00001-old goes on serving: the image `new:1` does not exist, or cannot be seen"
    )
    assert (status.image, status.digest) == ("new:1", PINNED)


def test_a_service_that_never_served_is_failed_or_starting() -> None:
    assert shown(line(ours(failed("NOVEL", latestReadyRevision="")))) == "failed: Cloud Run says no more than NOVEL"
    assert shown(line(ours(serving(reconciling=True, latestReadyRevision="")))) == "starting: starting"
    assert line(ours(failed(latestReadyRevision=""))).since is None


@pytest.mark.parametrize(
    ("notes", "image"),
    [
        ({BEFORE: "shop-prd-api-00001-old - - 10"}, "eu.example/shop/api:2"),
        ({HELD: "shop-prd-api-00001-old"}, PINNED),
    ],
)
def test_what_serves_is_not_the_newest_while_that_is_on_trial_or_was_given_up(
    notes: dict[str, str], image: str
) -> None:
    found = ours(serving(annotations=notes))

    status = line(found, revision(name=OLD, containers=[{"image": PINNED}]))

    assert unread([found]) == (OLD,)
    assert (status.image, status.digest) == (image, PINNED)
    assert (line(found).image, line(found).digest) == ("eu.example/shop/api:2", "")


def test_one_that_is_being_changed_goes_on_serving() -> None:
    assert shown(line(ours(serving(reconciling=True)))) == "running: updating: starting"


@pytest.mark.parametrize("image", ["eu.example/shop/api:2", "No Image"])
def test_of_an_image_that_only_a_tag_names_nobody_can_say_which_it_is(image: str) -> None:
    assert line(ours(serving(template={"containers": [{"image": image}]}))).digest == ""


def test_nothing_has_to_be_read_of_a_service_that_is_ready_or_a_job() -> None:
    assert unread([serving(), job("EXECUTION_FAILED")]) == ()
    assert unread([failed(latestReadyRevision="")]) == (NEW,)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (job("EXECUTION_SUCCEEDED"), ("completed: ", 2.0)),
        (job("EXECUTION_FAILED"), ("failed: execution shop-prd-migrate-abc failed", 2.0)),
        (job("EXECUTION_CANCELLED"), ("failed: execution shop-prd-migrate-abc was cancelled", 2.0)),
        (job("EXECUTION_RUNNING"), ("running: ", 1.0)),
        (job("EXECUTION_PENDING"), ("starting: ", 1.0)),
        (job("NOVEL"), ("starting: ", 1.0)),
        (job(), ("stopped: never run", None)),
        (job(reconciling=True), ("starting: ", None)),
        (
            job(terminalCondition=condition("Ready", "FAILED", "CONTAINER_MISSING")),
            (f"failed: the image `{PINNED}` does not exist, or cannot be seen", None),
        ),
    ],
)
def test_a_job_is_as_its_last_execution_is(found: dict[str, Any], expected: tuple[str, float | None]) -> None:
    status = line(found)

    assert (shown(status), status.since) == expected
    assert (status.image, status.digest) == (PINNED, PINNED)


def test_a_job_names_the_run_that_began_its_execution() -> None:
    assert line(job("EXECUTION_SUCCEEDED", annotations={EXECUTION: note("abc", "01RUN")})).run == "01RUN"
    assert line(job("EXECUTION_SUCCEEDED")).run == "01abc"
