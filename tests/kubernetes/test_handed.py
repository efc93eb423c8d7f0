# SPDX-License-Identifier: Apache-2.0
"""A service that is told the URL of another one, which nobody knows before that is deployed."""

from collections.abc import Iterator, Mapping

import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName
from fleetflow_tasks.plan.handed import handed, placeholders
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, ResolvedService, StepId
from fleetflow_tasks.runtimes.base import Outcome
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, DEPLOYMENT
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.contract import done

from .conftest import Cluster
from .stage import Stage, service, swept

EDGE = ResolvedService(name=ServiceName("edge"), runtime=RuntimeName("cloudrun"), image="shop/edge:1")
ONE, OTHER = {EDGE.name: "https://one.a.run.app"}, {EDGE.name: "https://other.a.run.app"}
UNKNOWN = placeholders([EDGE.name])


class Told:
    """A stage whose `api` is told where `edge` is."""

    def __init__(self, runtime: KubernetesRuntime, plane: Cluster, name: str) -> None:
        self.stage = Stage(runtime, plane, ProjectName(name))
        self._generation = 0
        needs = (ResolvedDependency(service=EDGE.name, condition="started"),)
        made = self.stage.plan(service("api", depends_on=needs, environment={"LOG": "info"}))
        self._plan = replace(made, services=(*made.services, EDGE))

    def plan(self, urls: Mapping[ServiceName, str]) -> Plan:
        return handed(self._plan, urls)

    def prepare(self) -> list[Outcome]:
        self._generation += 1
        return [self._do(name, UNKNOWN) for name in ("stage:prepare", "api:prepare")]

    def deploy(self, urls: Mapping[ServiceName, str]) -> list[Outcome]:
        """The stage is pruned by a plan that says nothing of URLs, as in a run."""
        return [self._do("api:deploy", urls), self._do("stage:prune", {})]

    def variables(self) -> dict[str, str]:
        return self.stage.variables("api")

    def _do(self, name: str, urls: Mapping[ServiceName, str]) -> Outcome:
        plan = self.plan(urls)
        attempt = Trial(self._generation, run=f"run-{self._generation}")
        return done(self.stage.runtime, plan, plan.step(StepId(name)), attempt)


@pytest.fixture
def requests() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def told(plane: Cluster, name: str, requests: list[tuple[str, str]]) -> Iterator[Told]:
    runtime = KubernetesRuntime(plane.environ, trace=lambda method, path: requests.append((method, path)))
    yield Told(runtime, plane, name)
    runtime.close()
    swept(plane, name)


def test_nothing_is_made_before_the_url_is_known(told: Told) -> None:
    prepared = told.prepare()[-1]
    before = told.stage.names(CONFIG_MAP)

    told.deploy(ONE)

    assert (prepared.changed, prepared.text) == (False, "waits for the URL of edge")
    assert before in ([], ["kube-root-ca.crt"])
    assert told.variables() == {"EDGE_HOST": "one.a.run.app", "EDGE_URL": "https://one.a.run.app", "LOG": "info"}


def test_an_unchanged_url_changes_nothing(told: Told, requests: list[tuple[str, str]]) -> None:
    told.prepare()
    told.deploy(ONE)
    before = told.stage.get(DEPLOYMENT, "api")["metadata"]["resourceVersion"]
    requests.clear()

    again = [*told.prepare(), *told.deploy(ONE)]

    assert [outcome.changed for outcome in again] == [False] * 4
    assert told.stage.get(DEPLOYMENT, "api")["metadata"]["resourceVersion"] == before
    assert {method for method, _ in requests} == {"GET"}
    assert {change.kind for change in told.stage.runtime.diff(told.plan(ONE)).values()} == {"none"}
    assert [line.drift for line in told.stage.runtime.status(told.plan(ONE))] == [False]


def test_another_url_rolls_the_pods(told: Told) -> None:
    told.prepare()
    told.deploy(ONE)
    told.prepare()

    changes = told.stage.runtime.diff(told.plan(OTHER))
    told.deploy(OTHER)

    assert [field.field for field in changes[StepId("api:deploy")].fields] == [
        "environment.EDGE_HOST",
        "environment.EDGE_URL",
    ]
    assert told.variables()["EDGE_URL"] == "https://other.a.run.app"
