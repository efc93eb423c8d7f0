# SPDX-License-Identifier: Apache-2.0
"""What `flow build` prints."""

import json

from fleetflow_tasks.api.building import Image
from fleetflow_tasks.config.model import ProjectName, ServiceName, StageName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.view.built import Lines, as_json, table

IMAGES = (
    Image(
        service=ServiceName("api"), image="r.example.org/api:b01", hash="01ff", anew=True, digest="sha256:" + "a" * 64
    ),
    Image(service=ServiceName("worker"), image="shop-worker:b02", hash="02ff", anew=False),
)


def test_a_line_per_image_says_what_became_of_it() -> None:
    assert table(IMAGES).splitlines() == [
        "api     r.example.org/api:b01  built, pushed as sha256:aaaaaaaaaaaa",
        "worker  shop-worker:b02        there already",
    ]


def test_what_counts_on_is_told_once() -> None:
    lines = Lines()

    said = [
        lines(*each)
        for each in (
            ("api", "step 1/2: RUN x"),
            ("api", "step 1/2: RUN x"),
            ("api", "pulling 1 of 9 MB"),
            ("web", "pulling 1 of 9 MB"),
            ("api", "pulling 2 of 9 MB"),
            ("api", "step 2/2: RUN \x1b[2Jy"),
        )
    ]

    assert [each for each in said if each] == [
        "api  step 1/2: RUN x",
        "api  pulling 1 of 9 MB",
        "web  pulling 1 of 9 MB",
        "api  step 2/2: RUN y",
    ]


def test_the_same_for_machines() -> None:
    plan = Plan(project=ProjectName("shop"), stage=StageName("stg"), root="/shop", services=(), steps=())

    assert json.loads(as_json(plan, IMAGES[1:], ())) == {
        "v": 1,
        "type": "build",
        "project": "shop",
        "stage": "stg",
        "images": [{"service": "worker", "image": "shop-worker:b02", "hash": "02ff", "anew": False, "digest": ""}],
        "warnings": [],
    }
