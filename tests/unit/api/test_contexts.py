# SPDX-License-Identifier: Apache-2.0
"""The files that images are built of, as a plan is made: what they hash to, and what is told of them."""

import os
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.api.contexts import LARGE, contents, unread
from fleetflow_tasks.api.reading import Planned, plan
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.model import ServiceName, StageName
from fleetflow_tasks.context.content import read
from fleetflow_tasks.errors import PlanError
from fleetflow_tasks.view.problems import render

TEXT = """project "shop"
service "api" { build "app" }
service "worker" { build "app"; command "work" }
service "db" { image "postgres"; version "16" }
stage "local" { service "api"; service "worker"; service "db" }
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/Dockerfile").write_text("FROM x\n")
    (tmp_path / "fleet.kdl").write_text(TEXT)
    return tmp_path


def planned(shop: Path, **fields: Any) -> Planned:
    return plan(Request(directory=str(shop), stage="local", environ={}), **fields)


def images(made: Planned) -> dict[str, str]:
    return {service.name: service.image for service in made.plan.services}


def test_a_plan_names_what_is_built_by_its_files(shop: Path) -> None:
    project = load(shop, stage=StageName("local")).project
    build = project.stages[0].services[0].build
    assert build is not None
    content = read(shop, build).hash

    assert images(planned(shop)) == {
        "api": f"shop-api:b{content[:12]}",
        "db": "postgres:16",
        "worker": f"shop-worker:b{content[:12]}",
    }


def test_who_only_looks_reads_no_files_and_can_say_nothing_of_them(shop: Path) -> None:
    (shop / "app/Dockerfile").unlink()

    made = planned(shop, values=False)

    assert images(made)["api"] == "shop-api:b"
    assert made.blind == unread(made.plan) == {"api", "worker"}


def test_what_another_image_is_given_to_is_not_read(shop: Path) -> None:
    (shop / "app/Dockerfile").unlink()
    others = {ServiceName("api"): "x:1", ServiceName("worker"): "x:1"}

    assert images(planned(shop, images=others))["api"] == "x:1"


def test_what_cannot_be_built_is_told_of_each_service(shop: Path) -> None:
    (shop / "app/Dockerfile").rename(shop / "app/dockerfile")

    with pytest.raises(PlanError) as caught:
        planned(shop)

    assert [render(each) for each in caught.value.problems] == [
        "\n".join(
            [
                f"fleet.kdl:{line}:{column}: service `{name}`: there is no `Dockerfile` in `app`",
                f"    {line} | {TEXT.splitlines()[line - 1]}",
                f"      | {' ' * (column - 1)}^^^^^ did you mean `dockerfile`?",
            ]
        )
        for name, line, column in (("api", 2, 17), ("worker", 3, 20))
    ]


def test_what_cannot_be_sent_is_a_warning(shop: Path) -> None:
    for number in range(7):
        os.mkfifo(shop / f"app/pipe{number}")

    found = [render(each) for each in planned(shop).warnings if each.message.startswith("service `api`")]

    assert [each.splitlines() for each in found] == [
        [
            "fleet.kdl:2:23: warning: service `api`: what is no file, folder or link in `app` is not sent to the builder",
            '    2 | service "api" { build "app" }',
            "      |                       ^^^^^",
            "  pipe0, pipe1, pipe2, pipe3, pipe4 and 2 more",
            "  fix: name it in `.dockerignore`, or keep it elsewhere",
        ]
    ]


def test_a_large_context_is_a_warning_with_what_makes_it_so(shop: Path) -> None:
    (shop / "app/node_modules").mkdir()
    with (shop / "app/node_modules/big").open("wb") as file:
        file.truncate(LARGE)
    (shop / "app/a").write_text("1" * 1000)

    found = [each for each in planned(shop).warnings if each.message.startswith("service `api`")]

    assert [(each.code, each.message, each.cause, each.fix) for each in found] == [
        (
            "build-large",
            "service `api`: `app` is read for each plan and sent for each build, and has 500 MB",
            ("  500 MB  node_modules",),
            "name in `.dockerignore` what the image does not need, such as `node_modules`",
        )
    ]


def test_a_stage_that_is_not_there_builds_nothing(shop: Path) -> None:
    assert contents(load(shop).project, StageName("nowhere")) == ({}, ())
