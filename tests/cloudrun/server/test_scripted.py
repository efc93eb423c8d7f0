# SPDX-License-Identifier: Apache-2.0
"""What an image's name asks of a container that is only played, as a service and as a job."""

import pytest

from fleetflow_tasks.testing.cloudrun.scripted import duration, script

from .conftest import Cloud, conditions

NOT_LISTENING = "failed HEALTH_CHECK_CONTAINER_ERROR"

SERVICES = {
    "scripted/ready": "succeeded",
    "scripted/ready:500ms": "succeeded",
    "scripted/slow:1m": "reconciling",
    "docker.io/a/scripted/ready:5s": "succeeded",
    "scripted/never-listens:2s": NOT_LISTENING,
    "scripted/never-listens": "reconciling",
    "scripted/unhealthy": NOT_LISTENING,
    "scripted/crash:3": NOT_LISTENING,
    "scripted/crash": NOT_LISTENING,
    "scripted/job:0": NOT_LISTENING,
    "scripted/job:0-after-20s": "reconciling",
    "scripted/flaky:2": NOT_LISTENING,
    "scripted/hangs": "reconciling",
    "scripted/not-found": "failed CONTAINER_MISSING",
    "scripted/denied": "failed CONTAINER_PERMISSION_DENIED",
    "scripted/too-late": "failed PROGRESS_DEADLINE_EXCEEDED",
    "scripted/unsettled": "reconciling",
    "shop/api:1": "succeeded",
}

JOBS = {
    "scripted/ready:2s": "succeeded",
    "scripted/job:3": "failed NON_ZERO_EXIT_CODE",
    "scripted/job:0-after-20s": "reconciling",
    "scripted/crash": "failed NON_ZERO_EXIT_CODE",
    "scripted/flaky:2": "failed NON_ZERO_EXIT_CODE",
    "scripted/flaky:1": "succeeded",
    "scripted/never-listens": "reconciling",
    "scripted/hangs": "reconciling",
    "scripted/unhealthy": "failed NON_ZERO_EXIT_CODE",
    "scripted/not-found": "failed CONTAINER_MISSING",
    "scripted/denied": "failed CONTAINER_PERMISSION_DENIED",
    "scripted/too-late": "failed PROGRESS_DEADLINE_EXCEEDED",
    "scripted/unsettled": "succeeded",
    "shop/migrate:1": "succeeded",
}


@pytest.mark.parametrize("image", SERVICES)
def test_a_service_fares_as_its_image_says(cloud: Cloud, image: str) -> None:
    cloud.make(image)
    (revision,) = cloud.client.revisions(cloud.service)

    assert conditions(revision)["Ready"] == SERVICES[image].replace("reconciling", conditions(revision)["Ready"])
    assert conditions(cloud.get())["Ready"].split()[0] == SERVICES[image].split()[0]


@pytest.mark.parametrize("image", JOBS)
def test_a_job_fares_as_its_image_says(cloud: Cloud, image: str) -> None:
    template = {"template": {"containers": [{"image": image}], "maxRetries": 1}}
    cloud.client.update_job({"name": cloud.job, "template": template, "runExecutionToken": "a"}, allow_missing=True)
    cloud.clock.advance(10)

    (execution,) = cloud.client.executions(cloud.job)

    assert conditions(execution)["Completed"] == JOBS[image]


def test_an_image_may_be_named_by_its_digest_too() -> None:
    assert script(f"shop/scripted/ready:2s@sha256:{'0' * 64}") == ("ready", "2s")
    assert script("scripted-ready:2s") == ("", "")
    assert [duration(each) for each in ("500ms", "1.5s", "2m", "", "soon")] == [0.5, 1.5, 120.0, 0.0, 0.0]
