# SPDX-License-Identifier: Apache-2.0
"""Images that are built, in a plan: what they are called, how long that may take, and who could get them."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import (
    Build,
    Project,
    ProjectName,
    RuntimeChoice,
    RuntimeName,
    Service,
    ServiceName,
    Stage,
    StageName,
)
from fleetflow_tasks.errors import Place, PlanError
from fleetflow_tasks.plan.alike import unlike
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.check import check
from fleetflow_tasks.plan.codec import content_hash
from fleetflow_tasks.plan.compare import compare, text
from fleetflow_tasks.plan.image import is_pushable, parse
from fleetflow_tasks.plan.model import Plan, ResolvedBuild, StepId

HASH = "0123456789abcdef" * 4
API = ServiceName("api")


def service(**fields: Any) -> Service:
    return Service(name=API, **{"build": Build(context="api", args={"B": "2", "A": "1"}), **fields})


def project(made: Service, *, runtime: str = "docker", root: str = "/srv/shop") -> Project:
    stage = Stage(name=StageName("stg"), runtime=RuntimeChoice(name=RuntimeName(runtime)), services=(made,))
    return Project(name=ProjectName("My_Shop"), root=root, stages=(stage,))


def plan(made: Service, *, content: str = HASH, **fields: Any) -> Plan:
    return build(project(made, **fields), StageName("stg"), contents={API: content})


@pytest.mark.parametrize(
    ("fields", "image"),
    [
        ({}, "my-shop-api:b0123456789ab"),
        ({"version": "1.2"}, "my-shop-api:1.2"),
        ({"image": "r:5000/shop/api"}, "r:5000/shop/api:b0123456789ab"),
        ({"image": "shop/api", "version": "1.2"}, "shop/api:1.2"),
        ({"image": "shop/api:9"}, "shop/api:9"),
    ],
)
def test_an_image_is_named_by_its_content_where_the_text_does_not(fields: dict[str, str], image: str) -> None:
    made = plan(service(**fields)).service(API)

    assert made.image == image
    assert made.build == ResolvedBuild(context="api", args={"A": "1", "B": "2"}, hash=HASH)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"image": f"x@sha256:{HASH}"},
            "service `api`: it is built, so the digest `sha256:0123456789ab` cannot be chosen",
        ),
        (
            {"version": f"sha256:{HASH}"},
            "service `api`: it is built, so the digest `sha256:0123456789ab` cannot be chosen",
        ),
        (
            {"image": "x:1", "version": "2"},
            "service `api`: image `x:1` has the tag `1`, but the version is `2`",
        ),
    ],
)
def test_what_is_built_has_no_digest_yet(fields: dict[str, str], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        plan(service(**fields))

    assert [each.message for each in caught.value.problems] == [message]


def test_an_image_that_is_given_is_not_built() -> None:
    made = build(project(service()), StageName("stg"), contents={API: HASH}, images={API: "x:1"}).service(API)

    assert (made.image, made.build) == ("x:1", None)


def test_a_build_may_take_an_hour_and_a_pull_ten_minutes() -> None:
    prepare = StepId("api:prepare")

    assert plan(service()).step(prepare).timeout == 3600
    assert plan(service(build=None)).step(prepare).timeout == 600


def test_the_same_files_make_the_same_plan_wherever_they_lie() -> None:
    assert content_hash(plan(service())) == content_hash(plan(service(), root="/home/ann/shop"))
    assert content_hash(plan(service())) != content_hash(plan(service(version="1"), content="f00"))


def test_a_changed_content_is_told_in_a_few_words() -> None:
    assert text(compare(plan(service(version="1")), plan(service(version="1"), content="f00"))) == [
        "~ api",
        "    build: api (0123456789ab) -> api (f00)",
    ]


def test_who_builds_may_have_to_push() -> None:
    place = Place(file="fleet.kdl", line=3)
    places = {"build": place}

    def told(runtime: str, **fields: Any) -> list[tuple[str, str, str, str]]:
        found = check(plan(service(places=places, **fields), runtime=runtime))
        return [(each.severity, each.code, each.message, each.fix) for each in found if each.code == "build-nowhere"]

    message = "service `api`: image `my-shop-api:b0123456789ab` names no registry that {} could get it from"
    fix = "name one in `image`, then `flow build stg --push`"
    assert told("docker") == []
    assert told("kubernetes") == [("warning", "build-nowhere", message.format("kubernetes"), fix)]
    assert told("cloudrun") == [("error", "build-nowhere", message.format("cloudrun"), fix)]
    assert told("cloudrun", image="r.example.org/api") == []


@pytest.mark.parametrize(
    ("image", "pushable"), [("api", False), ("api:1", False), ("ann/api", True), ("localhost:5000/api", True)]
)
def test_docker_hub_takes_no_image_without_a_users_name(image: str, pushable: bool) -> None:
    assert is_pushable(parse(image)) is pushable


def test_what_its_content_names_is_the_same_in_all_stages() -> None:
    def stage(name: str, made: Service) -> Stage:
        return Stage(name=StageName(name), runtime=RuntimeChoice(name=RuntimeName("docker")), services=(made,))

    assert list(unlike([stage("a", service()), stage("b", service())], StageName("a"))) == []
    found = list(unlike([stage("a", service(version="1")), stage("b", service(version="2"))], StageName("a")))
    assert [each.code for each in found] == ["image-differs"]
