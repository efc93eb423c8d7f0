# SPDX-License-Identifier: Apache-2.0
"""The URLs that services are told, for who only looks."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest

from fleetflow_tasks.api.addresses import with_urls, with_urls_if_any
from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, ResolvedService
from fleetflow_tasks.runtimes.base import Runtime
from fleetflow_tasks.testing.recording import RecordingRuntime

UNKNOWN = "(known after the first deployment of edge)"


class Town(RecordingRuntime):
    """One whose services have URLs; None in their place: it does not answer."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.addresses: dict[str, str] | None = {}
        self.asked: list[str] = []

    def urls(self, plan: Plan, services: Collection[ServiceName]) -> Mapping[ServiceName, str]:
        self.asked += services
        if self.addresses is None:
            raise UnavailableError(Problem(code="away", message="the town does not answer"))
        return {name: self.addresses[name] for name in services if name in self.addresses}


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def runtimes(town: Town, tmp_path: Path) -> Callable[[RuntimeName], Runtime]:
    found: dict[str, Runtime] = {"cloudrun": town, "elsewhere": RecordingRuntime(tmp_path)}
    return found.__getitem__  # a stage that needs nobody's URL asks for no runtime


def service(name: str, runtime: str, *needs: str) -> ResolvedService:
    depends_on = tuple(ResolvedDependency(service=ServiceName(need), condition="started") for need in needs)
    return ResolvedService(name=ServiceName(name), runtime=RuntimeName(runtime), image="x:1", depends_on=depends_on)


def plan(*services: ResolvedService) -> Plan:
    return Plan(project=ProjectName("shop"), stage=StageName("stg"), root="/", services=services, steps=())


SHOP = plan(service("api", "docker", "edge"), service("edge", "cloudrun"), service("web", "docker", "edge"))


def told(made: Plan) -> dict[str, str]:
    return {each.name: each.environment["EDGE_URL"] for each in made.services if each.environment}


def test_a_url_that_is_there_is_told(town: Town, runtimes: Callable[[RuntimeName], Runtime]) -> None:
    town.addresses = {"edge": "https://edge.a.run.app"}

    assert told(with_urls(SHOP, runtimes)) == {"api": "https://edge.a.run.app", "web": "https://edge.a.run.app"}
    assert told(with_urls(SHOP, runtimes, [ServiceName("web")])) == {"web": "https://edge.a.run.app"}
    assert town.asked == ["edge", "edge"]


def test_one_that_is_not_there_yet_has_a_placeholder(runtimes: Callable[[RuntimeName], Runtime]) -> None:
    assert told(with_urls(SHOP, runtimes)) == {"api": UNKNOWN, "web": UNKNOWN}


def test_one_that_has_none_has_no_placeholder(town: Town, runtimes: Callable[[RuntimeName], Runtime]) -> None:
    town.addresses = {"edge": ""}

    assert told(with_urls(SHOP, runtimes)) == {}


def test_a_runtime_that_tells_no_urls_leaves_the_plan_as_it_is(runtimes: Callable[[RuntimeName], Runtime]) -> None:
    made = plan(service("api", "docker", "edge"), service("edge", "elsewhere"))

    assert with_urls(made, runtimes) == made


def test_nobody_is_asked_where_nobody_has_to_be_told(runtimes: Callable[[RuntimeName], Runtime], town: Town) -> None:
    on_docker = plan(service("api", "docker", "db"), service("db", "docker"))
    alone = plan(service("api", "docker"), service("edge", "cloudrun"))

    assert with_urls(on_docker, runtimes) is on_docker
    assert with_urls(alone, runtimes) == alone
    assert town.asked == []


def test_who_needs_no_platform_has_placeholders_where_one_does_not_answer(
    town: Town, runtimes: Callable[[RuntimeName], Runtime]
) -> None:
    town.addresses = None

    assert told(with_urls_if_any(SHOP, runtimes)) == {"api": UNKNOWN, "web": UNKNOWN}
    with pytest.raises(UnavailableError):
        with_urls(SHOP, runtimes)
    town.addresses = {"edge": "https://edge.a.run.app"}
    assert told(with_urls_if_any(SHOP, runtimes))["api"] == "https://edge.a.run.app"
