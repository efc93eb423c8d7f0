# SPDX-License-Identifier: Apache-2.0
from typing import Any

from fleetflow_tasks.config.model import (
    Port,
    ProjectName,
    Resources,
    RuntimeName,
    Secret,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.errors import Place
from fleetflow_tasks.plan.compare import Difference, FieldDifference, compare, text
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, ResolvedService


def service(name: str, **fields: Any) -> ResolvedService:
    return ResolvedService(name=ServiceName(name), runtime=RuntimeName("docker"), **{"image": "x:1", **fields})


def plan(*services: ResolvedService, **options: dict[str, str]) -> Plan:
    return Plan(
        project=ProjectName("shop"), stage=StageName("stg"), root="/", services=services, steps=(), options=options
    )


def test_a_first_plan_adds_all_it_holds() -> None:
    assert text(compare(None, plan(service("web"), service("api"), docker={"host": "a"}))) == ["+ api", "+ web"]


def test_what_came_went_and_changed_is_told_and_the_rest_is_counted() -> None:
    old = plan(
        service("api", environment={"LOG": "info", "OLD": ""}), service("db"), service("gone"), docker={"host": "a"}
    )
    new = plan(
        service("api", image="x:2", environment={"LOG": "debug", "NEW": "1"}),
        service("db"),
        service("new"),
        docker={"host": "b"},
    )

    assert text(compare(old, new)) == [
        "~ (stage)",
        "    docker.host: a -> b",
        "~ api",
        "    environment.LOG: info -> debug",
        "    environment.NEW: - -> 1",
        '    environment.OLD: "" -> -',
        "    image: x:1 -> x:2",
        "- gone",
        "+ new",
        "= 1 unchanged",
    ]


def test_nothing_is_told_of_two_plans_that_say_the_same() -> None:
    places = {"": Place(file="fleet.kdl", line=9)}

    assert text(compare(plan(service("api")), plan(service("api", places=places)))) == ["= 1 unchanged"]
    assert text(compare(plan(), plan())) == ["= 0 unchanged"]


def test_a_secret_is_never_shown() -> None:
    old = plan(service("api", secrets={"KEPT": Secret("same"), "CHANGED": Secret("geheim"), "GONE": Secret("x")}))
    new = plan(service("api", secrets={"KEPT": Secret("same"), "CHANGED": Secret("anders"), "NEW": Secret("y")}))

    assert text(compare(old, new)) == [
        "~ api",
        "    secrets.CHANGED: [hidden], changed",
        "    secrets.GONE: [hidden] -> -",
        "    secrets.NEW: - -> [hidden]",
    ]


def test_values_are_told_as_people_write_them() -> None:
    changed = service(
        "api",
        ports=(Port(container=80, host=8080, host_ip="127.0.0.1"), Port(container=53, protocol="udp")),
        volumes=(Volume(source="/a", target="/b", read_only=True), Volume(source="", target="/c")),
        command=("sh", "-c", "sleep 1"),
        depends_on=(
            ResolvedDependency(service=ServiceName("db"), condition="healthy"),
            ResolvedDependency(service=ServiceName("log"), condition="started", wait=False),
        ),
        resources=Resources(cpu=0.5),
        replicas=2,
        job=True,
        restart="always",
        options={"ulimits": ["a"]},
    )

    assert text(compare(plan(service("api")), plan(changed)))[1:] == [
        "    command: - -> sh -c 'sleep 1'",
        "    depends_on: - -> healthy db, started log (wait=#false)",
        "    job: - -> true",
        '    options.ulimits: - -> ["a"]',
        "    ports: - -> 127.0.0.1:8080->80/tcp, 53/udp",
        "    replicas: - -> 2",
        '    resources: - -> {"cpu":0.5}',
        "    restart: - -> always",
        "    volumes: - -> /a:/b:ro, (anonymous):/c",
    ]


def test_differences_are_data_too() -> None:
    assert compare(plan(service("a"), service("b")), plan(service("a", image="x:2"), service("b"))) == (
        Difference(
            service=ServiceName("a"),
            kind="changed",
            fields=(FieldDifference(field="image", old="x:1", new="x:2"),),
        ),
        Difference(service=ServiceName("b"), kind="same"),
    )
