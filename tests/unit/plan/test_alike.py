# SPDX-License-Identifier: Apache-2.0
"""One image for all stages: where it is another one, that is told."""

from fleetflow_tasks.config.model import RuntimeChoice, RuntimeName, Service, ServiceName, Stage, StageName
from fleetflow_tasks.errors import Place
from fleetflow_tasks.plan.alike import unlike
from fleetflow_tasks.view.problems import render_all


def stage(name: str, image: str | None = "api:1", *, line: int = 0, version: str | None = None) -> Stage:
    places = {"image": Place(file="fleet.kdl", line=line, column=5)} if line else {}
    service = Service(name=ServiceName("api"), image=image, version=version, places=places)
    return Stage(name=StageName(name), runtime=RuntimeChoice(name=RuntimeName("docker")), services=(service,))


def told(about: str, *stages: Stage) -> str:
    return render_all(list(unlike(stages, StageName(about))))


def test_the_same_image_everywhere_is_not_spoken_of() -> None:
    assert told("prd", stage("local"), stage("stg", "api", version="1"), stage("prd")) == ""
    assert told("prd", stage("prd")) == ""


def test_another_image_is_told_with_all_stages_and_the_same_for_each_of_them() -> None:
    stages = stage("local", "api:1", line=3), stage("staging", "api:2"), stage("prd", "ghcr.io/shop/api:1", line=9)

    assert told("prd", *stages) == told("local", *stages)
    assert told("prd", *stages) == (
        "warning: service `api` is not the same image in all stages\n"
        "  local    api:1                fleet.kdl:3:5\n"
        "  staging  api:2\n"
        "  prd      ghcr.io/shop/api:1   fleet.kdl:9:5\n"
        "  fix: name one version for all; `flow promote --from staging --to prd` takes along what runs"
    )


def test_what_floats_on_ones_own_machine_is_not_compared_a_version_is() -> None:
    assert told("prd", stage("local", "api:latest"), stage("prd")) == ""
    assert told("prd", stage("local", "api:2"), stage("prd")) != ""
    assert told("prd", stage("stg", "api:latest"), stage("prd")) != ""


def test_what_is_no_image_and_what_another_stage_holds_is_not_told_here() -> None:
    assert told("prd", stage("stg", "API:1"), stage("prd")) == ""
    assert told("other", stage("stg"), stage("prd", "api:2")) == ""
