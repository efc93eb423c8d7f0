# SPDX-License-Identifier: Apache-2.0
"""What the command line and the environment put into a plan, and what they may not say."""

from pathlib import Path

import pytest

from fleetflow_tasks import api
from fleetflow_tasks.errors import PlanError

TEXT = """
project "shop"
service "db" { image "postgres:16"; port container=5432 }
service "api" { image "x:1"; port container=80; depends_on "db" }
service "edge" { image "x:1"; runtime "docker" }
stage "stg" { runtime "kubernetes" { namespace "shop" }; service "db"; service "api"; service "edge" }
stage "said" { runtime "kubernetes" { wait_image "own:1" }; service "db" }
stage "local" { service "db" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "fleet.kdl").write_text(TEXT, encoding="utf-8")
    return str(tmp_path)


def options(request: api.Request) -> dict[str, str]:
    return dict(api.plan(request).plan.options.get("kubernetes", {}))


def wrong(request: api.Request) -> list[tuple[str, str]]:
    with pytest.raises(PlanError) as caught:
        api.plan(request)
    return [(problem.message, problem.fix) for problem in caught.value.problems]


def test_leave_travels_in_the_plan(folder: str) -> None:
    request = api.Request(directory=folder, stage="stg", force_conflicts=True, replaced=("db", "api", "db"))

    assert options(request) == {"namespace": "shop", "force_conflicts": "yes", "replace": "api db"}


def test_leave_that_means_nothing_is_an_error(folder: str) -> None:
    assert wrong(api.Request(directory=folder, stage="local", force_conflicts=True, replaced=("db",))) == [
        ("`--force-conflicts` means nothing: no service of stage `local` is on Kubernetes", "leave it out"),
        ("`--replace db` means nothing: service `db` is on docker", "leave it out"),
    ]
    assert wrong(api.Request(directory=folder, stage="stg", replaced=("dbb", "edge"))) == [
        ("`--replace dbb`: stage `stg` has no service `dbb`", "did you mean `db`?"),
        ("`--replace edge` means nothing: service `edge` is on docker", "leave it out"),
    ]


def test_the_environment_s_image_to_wait_with_counts_where_the_stage_says_none(folder: str) -> None:
    environ = {"FLEETFLOW_WAIT_IMAGE": "mirror/busybox:1"}

    assert options(api.Request(directory=folder, stage="stg", environ=environ))["wait_image"] == "mirror/busybox:1"
    assert options(api.Request(directory=folder, stage="said", environ=environ))["wait_image"] == "own:1"
    assert options(api.Request(directory=folder, stage="local", environ=environ)) == {}
