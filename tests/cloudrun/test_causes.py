# SPDX-License-Identifier: Apache-2.0
"""What a person is told when a service does not come up: from the server's own conditions, through a whole deployment."""

from collections.abc import Callable
from typing import Any

import pytest

from fleetflow_tasks.config.model import Port
from fleetflow_tasks.testing.cloudrun import Server
from fleetflow_tasks.testing.cloudrun.world import World

from .stage import Stage, service, told

IMAGE = "europe-west1-docker.pkg.dev/shop-prd/images/api:1"


def broken(world: World, **facts: str) -> None:
    for name, value in facts.items():
        getattr(world, name).add(value)


CASES: dict[str, tuple[dict[str, Any], Callable[[World], None], str, str]] = {
    "image-not-found": (
        {"image": IMAGE},
        lambda world: broken(world, missing_images=IMAGE),
        f"cannot deploy `api`: the image `{IMAGE}` does not exist, or cannot be seen",
        "push it, or change `image` or `version`",
    ),
    "image-denied": (
        {"image": IMAGE},
        lambda world: broken(world, denied_images=IMAGE),
        f"@serverless-robot-prod.iam.gserviceaccount.com` may not read the image `{IMAGE}`",
        "`gcloud artifacts repositories add-iam-policy-binding images --location=europe-west1 --project=shop-prd",
    ),
    "secret-denied": (
        {"secret_refs": {"TOKEN": "token:3"}},
        lambda world: broken(world, denied_secrets="token"),
        "-compute@developer.gserviceaccount.com` may not read the secret `token`",
        "`gcloud secrets add-iam-policy-binding token --project=shop-prd --member=serviceAccount:",
    ),
    "secret-not-found": (
        {"secret_refs": {"TOKEN": "token:3"}},
        lambda world: broken(world, missing_secrets="token"),
        "cannot deploy `api`: there is no secret `token`, or not this version of it",
        "make it: `gcloud secrets versions add token --data-file=-`, or change its `ref`",
    ),
    "network-not-found": (
        {"options": {"vpc": {"network": "inside", "subnet": "run"}}},
        lambda world: broken(world, missing_networks="inside"),
        "cannot deploy `api`: the VPC network, subnet or connector that it wants does not exist in this region",
        "correct `vpc`",
    ),
    "not-listening": (
        {"image": "scripted/never-listens:50ms", "ports": (Port(container=9090),)},
        lambda _: None,
        "cannot deploy `api`: its container did not start and listen on port 9090 in time",
        "see its log: it crashed, is slow to start, or does not listen on 0.0.0.0:9090",
    ),
    "not-healthy": (
        {"image": "scripted/unhealthy"},
        lambda _: None,
        "cannot deploy `api`: its container does not pass its startup check",
        "see its log",
    ),
    "not-ready-in-time": (
        {"image": "scripted/too-late"},
        lambda _: None,
        "cannot deploy `api`: it was not ready in the time that Cloud Run allows",
        "make the image smaller",
    ),
}


@pytest.mark.parametrize("code", CASES)
def test_a_service_that_does_not_come_up_says_why(stage: Stage, server: Server, code: str) -> None:
    fields, happens, message, fix = CASES[code]
    happens(server.world)

    failure = stage.fails(service("api", **fields))

    assert failure.problem.code == code
    assert message in failure.problem.message
    assert failure.problem.fix.startswith(fix)
    assert not failure.transient


def test_what_its_container_printed_is_told_with_it(stage: Stage) -> None:
    failure = stage.fails(service("api", "scripted/crash:3"))

    assert failure.problem.code == "not-listening"
    assert any("Container called exit(3)." in line for line in told(failure))


def test_an_api_that_is_not_enabled_gives_the_line_that_enables_it(stage: Stage, server: Server) -> None:
    server.world.disabled.add("shop-prd")

    failure = stage.fails(service("api"))

    assert failure.problem.code == "api-disabled"
    assert "`gcloud services enable run.googleapis.com --project=shop-prd`" in failure.problem.fix


def test_more_instances_than_the_region_allows_are_told_at_scaling(stage: Stage, server: Server) -> None:
    server.world.cpu_quota = 1.0

    failure = stage.fails(service("api"))

    assert failure.problem.code in {"region-quota", "quota"}


def test_a_quota_that_is_used_up_may_pass(stage: Stage, server: Server) -> None:
    server.faults.refuse("Services.GetService|Services.ListServices", "RESOURCE_EXHAUSTED", "Quota exceeded", times=50)

    failure = stage.fails(service("api"))

    assert (failure.problem.code, failure.transient) == ("quota", True)
