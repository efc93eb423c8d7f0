# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest

from fleetflow_tasks.config.model import Ingress, ProjectName, RuntimeName, Secret, ServiceName, StageName
from fleetflow_tasks.plan.check import check
from fleetflow_tasks.plan.handed import asked, awaited, handed, placeholders, variables
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, ResolvedService
from fleetflow_tasks.view.problems import render_all

EDGE = ServiceName("edge")
API = ServiceName("api")
URL = "https://edge-xyz.a.run.app"


def service(name: str, runtime: str, *needs: str, **fields: Any) -> ResolvedService:
    depends_on = tuple(ResolvedDependency(service=ServiceName(need), condition="started") for need in needs)
    return ResolvedService(
        name=ServiceName(name), runtime=RuntimeName(runtime), image="x:1", depends_on=depends_on, **fields
    )


def plan(*services: ResolvedService) -> Plan:
    return Plan(project=ProjectName("shop"), stage=StageName("stg"), root="/", services=services, steps=())


def environment(made: Plan, name: str = "api") -> str:
    return "\n".join(f"{key}={value}" for key, value in made.service(ServiceName(name)).environment.items())


@pytest.mark.parametrize("runtime", ["docker", "kubernetes", "cloudrun", "elsewhere"])
def test_a_dependant_is_told_the_url_of_a_service_on_cloud_run_wherever_it_runs_itself(runtime: str) -> None:
    made = plan(service("api", runtime, "edge", environment={"A": "1", "Z": "2"}), service("edge", "cloudrun"))

    assert asked(made, [API]) == {"edge": "cloudrun"}
    assert environment(handed(made, {EDGE: URL})) == f"A=1\nEDGE_HOST=edge-xyz.a.run.app\nEDGE_URL={URL}\nZ=2"


def test_who_does_not_depend_on_it_is_told_nothing() -> None:
    made = plan(service("api", "docker"), service("edge", "cloudrun"))

    assert asked(made, [API, EDGE]) == {}
    assert handed(made, {EDGE: URL}) == made


@pytest.mark.parametrize("runtime", ["docker", "kubernetes"])
def test_what_is_reached_by_its_name_hands_nothing_over(runtime: str) -> None:
    ingress = (Ingress(host="db.example.org"),)
    made = plan(service("api", runtime, "db"), service("db", runtime, ingress=ingress))

    assert asked(made, [API]) == {}
    assert handed(made, {ServiceName("db"): URL}) is made


def test_only_those_that_are_named_are_told() -> None:
    made = plan(service("api", "docker", "edge"), service("web", "docker", "edge"), service("edge", "cloudrun"))

    told = handed(made, {EDGE: URL}, [API])

    assert environment(told) == f"EDGE_HOST=edge-xyz.a.run.app\nEDGE_URL={URL}"
    assert environment(told, "web") == ""


def test_what_a_service_sets_itself_stays() -> None:
    made = plan(
        service("api", "docker", "edge", environment={"EDGE_URL": "http://mine"}),
        service("web", "docker", "edge", secrets={"EDGE_URL": Secret("s")}, secret_refs={"EDGE_HOST": "a/b"}),
        service("edge", "cloudrun"),
    )

    told = handed(made, {EDGE: URL})

    assert environment(told) == "EDGE_HOST=edge-xyz.a.run.app\nEDGE_URL=http://mine"
    assert told.service(ServiceName("web")) is made.service(ServiceName("web"))


def test_a_name_becomes_that_of_a_variable() -> None:
    assert variables(ServiceName("edge-proxy.v2")) == ("EDGE_PROXY_V2_URL", "EDGE_PROXY_V2_HOST")


def test_the_same_url_makes_the_same_plan() -> None:
    made = plan(service("api", "kubernetes", "edge"), service("edge", "cloudrun"))

    once = handed(made, {EDGE: URL})

    assert once == handed(made, {EDGE: URL})
    assert handed(once, {EDGE: URL}) == once
    assert once != handed(made, {EDGE: "https://other.run.app"})


def test_what_has_no_url_and_what_nobody_named_hand_nothing_over() -> None:
    made = plan(service("api", "docker", "edge"), service("edge", "cloudrun"))

    assert handed(made, {EDGE: ""}) == made
    assert handed(made, {}) == made


def test_a_job_has_no_url() -> None:
    made = plan(service("api", "docker", "edge"), service("edge", "cloudrun", job=True))

    assert asked(made, [API]) == {}
    assert handed(made, {EDGE: URL}) == made


@pytest.mark.parametrize(
    ("ingress", "url", "host"),
    [
        ([Ingress(host="db.example.org")], "http://db.example.org", "db.example.org"),
        ([Ingress(host="db.example.org", tls="cert", path="/v1/")], "https://db.example.org/v1", "db.example.org"),
        ([Ingress(host="*.example.org"), Ingress(host="b.org")], "http://b.org", "b.org"),
        ([Ingress(host="a.org", path="/x(/|$)(.*)"), Ingress(host="b.org")], "http://b.org", "b.org"),
    ],
)
def test_an_ingress_says_where_a_kubernetes_service_is_reached_from_another_runtime(
    ingress: list[Ingress], url: str, host: str
) -> None:
    made = plan(service("api", "cloudrun", "db"), service("db", "kubernetes", ingress=tuple(ingress)))

    assert asked(made, [API]) == {}
    assert environment(handed(made, {})) == f"DB_HOST={host}\nDB_URL={url}"
    assert render_all(check(made)) == ""


def test_a_placeholder_stands_for_what_nobody_knows_yet() -> None:
    made = plan(service("api", "docker", "edge", "other"), service("edge", "cloudrun"), service("other", "cloudrun"))

    told = handed(made, {**placeholders([EDGE]), ServiceName("other"): "https://o.run.app"})

    assert environment(told) == (
        "EDGE_HOST=(known after the first deployment of edge)\n"
        "EDGE_URL=(known after the first deployment of edge)\n"
        "OTHER_HOST=o.run.app\n"
        "OTHER_URL=https://o.run.app"
    )
    assert awaited(told.service(API)) == ("edge",)
    assert awaited(handed(made, {EDGE: URL}).service(API)) == ()


def test_a_dependency_that_has_no_url_for_another_runtime_is_an_order_and_no_more() -> None:
    db, cache = service("db", "docker"), service("cache", "kubernetes")
    api = service("api", "cloudrun", "db", "cache")

    assert render_all(check(plan(api, db, cache))) == (
        "warning: service `api` on cloudrun depends on `db` on docker, and is not told where that is\n"
        "  `db` has no URL that could be handed over, so the dependency is an order and no more\n"
        "  fix: say it in the `environment` of `api`, as `DB_URL` or `DB_HOST`\n"
        "\n"
        "warning: service `api` on cloudrun depends on `cache` on kubernetes, and is not told where that is\n"
        "  `cache` has no URL that could be handed over, so the dependency is an order and no more\n"
        "  fix: say it in the `environment` of `api`, as `CACHE_URL` or `CACHE_HOST`, or give `cache` an `ingress`\n"
        "\n"
        "2 warnings"
    )


def test_who_says_it_himself_is_not_warned() -> None:
    api = service("api", "cloudrun", "db", environment={"DB_HOST": "10.0.0.7"})

    assert render_all(check(plan(api, service("db", "docker")))) == ""


def test_a_job_on_another_runtime_is_waited_for_and_nothing_is_missing() -> None:
    api = service("api", "cloudrun", "migrate")

    assert render_all(check(plan(api, service("migrate", "docker", job=True)))) == ""
