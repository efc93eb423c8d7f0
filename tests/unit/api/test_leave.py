# SPDX-License-Identifier: Apache-2.0
"""What the command line and the environment put into a plan, and what they may not say."""

from pathlib import Path

import pytest

from fleetflow_tasks import api
from fleetflow_tasks.api.leave import moving
from fleetflow_tasks.errors import PlanError
from fleetflow_tasks.plan.leave import at_once, without

TEXT = """
project "shop"
service "db" { image "postgres:16"; port container=5432 }
service "api" { image "x:1"; port container=80; depends_on "db" }
service "edge" { image "x:1"; runtime "docker" }
stage "stg" { runtime "kubernetes" { namespace "shop" }; service "db"; service "api"; service "edge" }
stage "said" { runtime "kubernetes" { wait_image "own:1" }; service "db" }
stage "local" { service "db" }
stage "prd" { runtime "cloudrun" { project "example-shop"; region "europe-west1" }; service "api" { depends_on } }
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


def test_a_share_of_the_requests_travels_in_the_plan_and_no_further(folder: str) -> None:
    made = api.plan(api.Request(directory=folder, stage="prd", canary=0)).plan

    assert made.options["cloudrun"] == {"project": "example-shop", "region": "europe-west1", "canary": "0"}
    assert without(made) == api.plan(api.Request(directory=folder, stage="prd")).plan


def test_a_share_means_nothing_where_nothing_shares_requests_out(folder: str) -> None:
    with pytest.raises(PlanError) as caught:
        api.plan(api.Request(directory=folder, stage="stg", canary=10))

    (problem,) = caught.value.problems
    assert problem.message == "`--canary 10` means nothing: no service of stage `stg` is on Cloud Run"
    assert (problem.fix, problem.more) == (
        "leave it out, or put the service on runtime `cloudrun`",
        "docs/cloudrun.md",
    )


def test_who_goes_back_goes_at_once_and_moves_no_trial(folder: str) -> None:
    made = api.plan(api.Request(directory=folder, stage="prd")).plan
    elsewhere = api.plan(api.Request(directory=folder, stage="stg")).plan

    assert at_once(made).options["cloudrun"]["canary"] == "100"
    assert "promote" not in at_once(made).options["cloudrun"]
    assert at_once(elsewhere) == elsewhere
    assert moving(made, 50).options["cloudrun"]["promote"] == "yes"
