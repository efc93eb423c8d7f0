# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from fleetflow_tasks.config.model import (
    Condition,
    Healthcheck,
    Port,
    ProjectName,
    Readiness,
    RuntimeName,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.errors import Place
from fleetflow_tasks.plan.check import check, fitting
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, ResolvedService
from fleetflow_tasks.view.problems import render_all


def service(name: str, *, runtime: str = "docker", image: str = "x:1", **fields: Any) -> ResolvedService:
    return ResolvedService(name=ServiceName(name), runtime=RuntimeName(runtime), image=image, **fields)


def on(name: str, condition: Condition) -> tuple[ResolvedDependency, ...]:
    return (ResolvedDependency(service=ServiceName(name), condition=condition),)


def told(*services: ResolvedService, stage: str = "stg", project: str = "shop") -> str:
    plan = Plan(project=ProjectName(project), stage=StageName(stage), root="/", services=services, steps=())
    return render_all(check(plan))


def at(line: int) -> Place:
    return Place(file="fleet.kdl", line=line, column=5)


def test_a_sound_plan_has_nothing_to_tell() -> None:
    db = service("db", healthcheck=Healthcheck(test=("CMD", "true")), ports=(Port(container=1, host=1),))
    job = service("migrate", job=True, depends_on=on("db", "healthy"), restart="on-failure")
    api = service(
        "api",
        depends_on=on("migrate", "completed"),
        ports=(Port(container=80, host=8080), Port(container=81)),
        readiness=Readiness(port=80),
        volumes=(Volume(source="a", target="/a"), Volume(source="b", target="/b")),
    )

    assert told(db, job, api) == ""


def test_two_services_cannot_publish_one_port() -> None:
    api = service("api", ports=(Port(container=80, host=8080),), places={"ports": at(4)})
    adminer = service("adminer", ports=(Port(container=1, host=8080, host_ip="127.0.0.1"),))

    assert told(adminer, api) == (
        "services `adminer` and `api` both publish host port 8080/tcp\n"
        "  adminer publishes it\n"
        "  api publishes it       fleet.kdl:4:5\n"
        "  fix: give one of them another host port, or leave it out: a free one is taken then"
    )


def test_one_service_cannot_publish_a_port_twice() -> None:
    ports = (Port(container=80, host=8080), Port(container=81, host=8080))

    assert told(service("api", ports=ports, places={"": at(2)})) == (
        "fleet.kdl:2:5: service `api` publishes host port 8080/tcp twice\n"
        "  fix: give one of them another host port, or leave it out: a free one is taken then"
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Port(container=1, host=53), Port(container=1, host=53, protocol="udp")),
        (Port(container=1, host=53, host_ip="127.0.0.1"), Port(container=1, host=53, host_ip="127.0.0.2")),
        (Port(container=1), Port(container=1)),
    ],
)
def test_ports_that_do_not_meet_may_be_alike(one: Port, other: Port) -> None:
    assert told(service("a", ports=(one,)), service("b", ports=(other,))) == ""


def test_where_each_service_has_an_address_of_its_own_ports_do_not_meet() -> None:
    ports = (Port(container=80, host=80),)

    assert told(service("a", runtime="kubernetes", ports=ports), service("b", runtime="kubernetes", ports=ports)) == ""


def test_nothing_checks_a_service_that_is_waited_for_until_it_is_healthy() -> None:
    db = service("db", runtime="kubernetes")
    api = service("api", runtime="kubernetes", depends_on=on("db", "healthy"), places={"depends_on.db": at(7)})

    assert told(db, api) == (
        "fleet.kdl:7:5: service `api` waits for healthy `db`, which declares no check\n"
        '  fix: give `db` a `healthcheck` or `readiness`, or wait with `condition="started"`'
    )


def test_on_docker_the_image_may_bring_the_check() -> None:
    db = service("db")
    api = service("api", depends_on=on("db", "healthy"), places={"depends_on": at(7)})

    assert told(db, api) == (
        "fleet.kdl:7:5: warning: service `api` waits for healthy `db`, which declares no check\n"
        "  it means something only where the image brings a check of its own\n"
        '  fix: give `db` a `healthcheck` or `readiness`, or wait with `condition="started"`'
    )


def test_cloud_run_asks_each_service_itself_and_no_job() -> None:
    db, api = service("db", runtime="cloudrun"), service("api", depends_on=on("db", "healthy"))

    assert told(db, api) == ""
    assert "which declares no check" in told(service("db", runtime="cloudrun", job=True), api)


def test_what_is_no_job_never_completes() -> None:
    assert told(service("db"), service("api", depends_on=on("db", "completed"))) == (
        "service `api` waits until `db` has completed, which is no job\n"
        '  fix: mark `db` with `job #true`, or wait with `condition="started"`'
    )


@pytest.mark.parametrize(("count", "number"), [(0, "no"), (2, "2")])
def test_readiness_without_a_port_needs_a_service_with_just_one(count: int, number: str) -> None:
    ports = tuple(Port(container=80 + index) for index in range(count))

    assert told(service("api", readiness=Readiness(), ports=ports)) == (
        f"readiness of service `api` names no port, and the service has {number} ports\n"
        "  fix: say which: `readiness port=8080`"
    )
    assert told(service("api", readiness=Readiness(), ports=(Port(container=80),))) == ""


def test_cloud_run_has_a_port_for_a_service_that_names_none() -> None:
    assert told(service("api", runtime="cloudrun", readiness=Readiness())) == ""


def test_two_volumes_cannot_lie_at_one_path() -> None:
    volumes = (Volume(source="a", target="/data"), Volume(source="b", target="/data/"))

    assert told(service("db", volumes=volumes)) == (
        "service `db` mounts two volumes at `/data/`\n  fix: give one of them another path"
    )


def test_a_job_that_always_restarts_is_never_done() -> None:
    assert told(service("migrate", job=True, restart="always")) == (
        'job `migrate` has `restart "always"`, so it would never be done\n'
        "  fix: leave `restart` out, or take `on-failure`"
    )


def test_a_floating_image_is_warned_of_but_on_ones_own_machine() -> None:
    api = service("api", image="shop/api:latest", places={"image": at(3)})

    assert told(api) == (
        "fleet.kdl:3:5: warning: service `api`: image `shop/api:latest` may be another one tomorrow\n"
        '  fix: name a version in stage `stg`, such as `version "1.2"`'
    )
    assert told(api, stage="local") == ""


def test_a_name_that_does_not_fit_comes_with_one_that_does() -> None:
    assert told(service("Web_1", runtime="kubernetes", places={"": at(1)})) == (
        "fleet.kdl:1:5: service name `Web_1` does not fit on kubernetes\n"
        "  it takes up to 63 lower-case letters, digits and, inside, `-`, and begins with a letter\n"
        "  fix: call it `web-1`"
    )


def test_a_docker_only_name_may_hold_underscores_and_dots() -> None:
    assert told(service("web_1.a")) == ""
    assert "inside, `-`, `_` and `.`, and begins" in told(service("web_"))


def test_a_name_has_at_most_63_characters() -> None:
    assert told(service("a" * 63)) == ""
    assert f"fix: call it `{'a' * 63}`" in told(service("a" * 64))


def test_names_of_project_and_stage_stand_within_others() -> None:
    assert told(project="My Shop", stage="{x}") == (
        "project name `My Shop` cannot be part of a container's or a host's name\n"
        "  it takes lower-case letters, digits and, inside, `-`, `_` and `.`\n"
        "  fix: call it `my-shop`\n"
        "\n"
        "stage name `{x}` cannot be part of a container's or a host's name\n"
        "  it takes lower-case letters, digits and, inside, `-`, `_` and `.`\n"
        "  fix: call it `x`\n"
        "\n"
        "2 errors"
    )


@pytest.mark.parametrize(
    ("name", "fits"), [("Web_1", "web-1"), ("--x--", "x"), ("123", "service"), ("ÄÖ", "service"), ("a b  c", "a-b-c")]
)
def test_the_nearest_name_that_fits(name: str, fits: str) -> None:
    assert fitting(name) == fits
