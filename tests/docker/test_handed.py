# SPDX-License-Identifier: Apache-2.0
"""A service that is told the URL of another one, which nobody knows before that is deployed."""

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.plan.handed import handed, placeholders
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, ResolvedService, StepId
from fleetflow_tasks.runtimes.base import Outcome
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.contract import done

from .conftest import Stage, service

EDGE = ResolvedService(name=ServiceName("edge"), runtime=RuntimeName("cloudrun"), image="shop/edge:1")
ONE, OTHER = {EDGE.name: "https://one.a.run.app"}, {EDGE.name: "https://other.a.run.app"}
UNKNOWN = placeholders([EDGE.name])


class Told:
    """A stage whose `api` is told where `edge` is."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._generation = 0
        needs = (ResolvedDependency(service=EDGE.name, condition="started"),)
        made = stage.plan(service("api", depends_on=needs))
        self._plan = replace(made, services=(*made.services, EDGE))

    def plan(self, urls: Mapping[ServiceName, str]) -> Plan:
        return handed(self._plan, urls)

    def prepare(self) -> list[Outcome]:
        self._generation += 1
        return [self._do(name, UNKNOWN) for name in ("stage:prepare", "api:prepare")]

    def deploy(self, urls: Mapping[ServiceName, str]) -> Outcome:
        return self._do("api:deploy", urls)

    def environment(self) -> dict[str, str]:
        found = dict(each.split("=", 1) for each in self.stage.look("api")["Config"]["Env"])
        return {name: value for name, value in found.items() if name.startswith("EDGE_")}

    def _do(self, name: str, urls: Mapping[ServiceName, str]) -> Outcome:
        plan = self.plan(urls)
        return done(self.stage.runtime, plan, plan.step(StepId(name)), Trial(self._generation))


@pytest.fixture
def told(stage: Stage) -> Told:
    return Told(stage)


def test_no_container_is_made_before_the_url_is_known(told: Told) -> None:
    told.prepare()
    before = told.stage.containers()

    told.deploy(ONE)

    assert before == {}
    assert told.stage.containers() == {"api": "running"}
    assert told.environment() == {"EDGE_URL": "https://one.a.run.app", "EDGE_HOST": "one.a.run.app"}


def test_an_unchanged_url_changes_nothing(told: Told, requests: list[tuple[str, str]]) -> None:
    told.prepare()
    told.deploy(ONE)
    container = told.stage.id("api")
    requests.clear()

    again = [*told.prepare(), told.deploy(ONE)]

    assert [outcome.changed for outcome in again] == [False, False, False]
    assert told.stage.id("api") == container
    assert {method for method, _ in requests} == {"GET"}
    assert {change.kind for change in told.stage.runtime.diff(told.plan(ONE)).values()} == {"none"}


def test_another_url_is_another_container(told: Told) -> None:
    told.prepare()
    told.deploy(ONE)
    told.prepare()

    (change,) = told.stage.runtime.diff(told.plan(OTHER)).values()
    told.deploy(OTHER)

    assert [(field.field, field.new) for field in change.fields] == [
        ("environment.EDGE_HOST", "other.a.run.app"),
        ("environment.EDGE_URL", "https://other.a.run.app"),
    ]
    assert told.stage.containers() == {"api": "running"}
    assert told.environment()["EDGE_URL"] == "https://other.a.run.app"
