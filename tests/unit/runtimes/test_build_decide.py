# SPDX-License-Identifier: Apache-2.0
"""What is decided of a service whose image is built: seen from the hash of its files, which the image bears."""

import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.plan.model import Plan, ResolvedBuild, ResolvedService
from fleetflow_tasks.runtimes.docker.decide import decide
from fleetflow_tasks.runtimes.docker.desired import Definition, definition, hashed
from fleetflow_tasks.runtimes.docker.observe import Container
from fleetflow_tasks.runtimes.labels import Mark

IMAGE = "sha256:1"


def wanted(content: str = "f00", *, image: str = "shop-api:bf00", pull: str = "missing") -> Definition:
    service = ResolvedService(
        name=ServiceName("api"),
        runtime=RuntimeName("docker"),
        image=image,
        build=ResolvedBuild(hash=content),
        pull=pull,  # type: ignore[arg-type]  # one of three words
    )
    plan = Plan(project=ProjectName("shop"), stage=StageName("local"), root="/shop", services=(service,), steps=())
    return definition(plan, service)


def runs(desired: Definition, *, build: str) -> Container:
    mark = Mark(
        project=ProjectName("shop"),
        stage=StageName("local"),
        service=ServiceName("api"),
        generation=1,
        hash=hashed(desired, IMAGE),
    )
    return Container(
        id="1",
        name="shop-local-api",
        mark=mark,
        state="running",
        reference=desired.image,
        shown=desired.image,
        image=IMAGE,
        build=build,
        networks={"shop-local": "n1"},
        text="Up 5 minutes",
    )


def cause(desired: Definition, image: str, *containers: Container) -> str:
    return decide(desired, image, containers).change.cause


def test_what_is_not_built_yet_is_told() -> None:
    assert cause(wanted(), "") == "not there, build: no such image yet"
    assert cause(wanted(), IMAGE) == "not there"


@pytest.mark.parametrize("image", ["shop-api:bbaa", "shop-api:bf00"])
def test_other_files_than_those_of_what_runs_are_told(image: str) -> None:
    old = wanted("baa", image=image)

    assert cause(wanted(), "", runs(old, build="baa")) == "build: the context changed"


def test_an_image_that_is_gone_though_it_runs_is_built_again() -> None:
    assert cause(wanted(), "", runs(wanted(), build="f00")) == "build: no such image yet"


def test_an_image_that_was_pulled_before_is_built_now() -> None:
    assert cause(wanted(), "", runs(wanted(), build="")) == "build: no such image yet"


def test_other_files_that_are_built_already_are_another_image() -> None:
    old = wanted("baa", image="shop-api:bbaa")

    assert cause(wanted(), "sha256:2", runs(old, build="baa")) == "image changed: shop-api:bbaa -> shop-api:bf00"


def test_no_registry_is_asked_for_what_its_content_names() -> None:
    assert not wanted(pull="always").asks
