# SPDX-License-Identifier: Apache-2.0
import json

from fleetflow_tasks.config.model import ServiceName, StageName
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Change
from fleetflow_tasks.view import promoted

DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGES = {ServiceName("web"): f"ghcr.io/shop/web:2@{DIGEST}", ServiceName("api"): DIGEST}
RUNS = ("01m86d5ba4s0f73yft3c0qqyjc",)


def test_a_promotion_says_from_where_to_where_and_which_images(plan: Plan) -> None:
    assert promoted.text(StageName("dev"), plan, IMAGES, RUNS).splitlines() == [
        "from shop/dev, made by 3c0qqyjc, to shop/stg:",
        "  api  sha256:0123456789ab",
        "  web  ghcr.io/shop/web:2@sha256:0123456789ab",
    ]
    assert promoted.text(StageName("dev"), plan, IMAGES, ()).startswith("from shop/dev, to shop/stg:")


def test_a_promotion_as_json_holds_the_digests_in_full(plan: Plan) -> None:
    found = {StepId("web:deploy"): Change(kind="create"), StepId("api:deploy"): Change(kind="none")}

    told = json.loads(promoted.as_json(StageName("dev"), plan, IMAGES, RUNS, found))

    assert (told["type"], told["from"], told["to"], told["runs"]) == ("promotion", "dev", "stg", list(RUNS))
    assert list(told["images"].values()) == [DIGEST, f"ghcr.io/shop/web:2@{DIGEST}"]
    assert [each["step"] for each in told["changes"]] == [
        "db:deploy",
        "migrate:deploy",
        "api:deploy",
        "web:deploy",
    ]
    assert told["total"] == {"none": 3, "create": 1}
