# SPDX-License-Identifier: Apache-2.0
"""A service's URL: told by its deployment, found by who asks later, and part of what its dependants are made of."""

from collections.abc import Mapping

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.plan.handed import handed, placeholders
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, StepId
from fleetflow_tasks.runtimes.base import Outcome
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.contract import done

from .stage import Stage, service

EDGE, API = ServiceName("edge"), ServiceName("api")
NEEDS = (ResolvedDependency(service=EDGE, condition="started"),)


def test_each_deployment_tells_the_url_that_is_found_later(stage: Stage) -> None:
    made = [
        stage.up(service("edge")),
        stage.up(service("edge")),
        stage.up(service("edge", environment={"A": "1"})),
    ]

    plan = stage.plan(service("edge"), service("api"))
    found = stage.runtime.urls(plan, [EDGE, API])

    assert found == {EDGE: stage.get("edge")["uri"]}
    assert [outcomes["edge:deploy"].facts["url"] for outcomes in made] == [found[EDGE]] * 3
    assert [outcomes["edge:deploy"].changed for outcomes in made] == [True, False, True]


def test_only_those_that_are_asked_for_are_told(stage: Stage) -> None:
    stage.up(service("edge"), service("api"))

    assert list(stage.runtime.urls(stage.plan(service("edge"), service("api")), [API])) == [API]


def test_the_urls_and_what_follows_them_take_one_look(stage: Stage) -> None:
    stage.up(service("edge"))
    plan = stage.plan(service("edge"))
    before = len(stage.asked("ListServices"))

    stage.runtime.urls(plan, [EDGE])
    stage.runtime.diff(plan)
    once = len(stage.asked("ListServices"))
    stage.runtime.diff(plan)

    assert once == before + 1
    assert len(stage.asked("ListServices")) == once + 1


def told(stage: Stage, urls: Mapping[ServiceName, str]) -> Plan:
    return handed(stage.plan(service("edge"), service("api", depends_on=NEEDS)), urls)


def carried(stage: Stage, plan: Plan, name: str) -> Outcome:
    return done(stage.runtime, plan, plan.step(StepId(name)), Trial(stage.generation, run=f"run-{stage.generation}"))


def test_a_dependant_is_prepared_without_the_url_and_an_unchanged_one_costs_no_write(stage: Stage) -> None:
    outcomes: list[Outcome] = []
    for _ in range(2):
        stage.generation += 1
        before = len(stage.requests)
        edge = carried(stage, told(stage, {}), "edge:deploy")
        carried(stage, told(stage, placeholders([EDGE])), "api:prepare")
        outcomes.append(carried(stage, told(stage, {EDGE: edge.facts["url"]}), "api:deploy"))

    writes = [method for method, _ in stage.requests[before:] if method.startswith(("Create", "Update"))]
    variables = {each["name"]: each["value"] for each in stage.get("api")["template"]["containers"][0]["env"]}
    assert [outcome.changed for outcome in outcomes] == [True, False]
    assert writes == []
    assert variables == {"EDGE_URL": edge.facts["url"], "EDGE_HOST": edge.facts["url"].removeprefix("https://")}


def test_what_has_no_url_yet_can_be_planned_for(stage: Stage) -> None:
    changes = stage.runtime.diff(told(stage, placeholders([EDGE])))

    assert {step: change.kind for step, change in changes.items()} == {"api:deploy": "create", "edge:deploy": "create"}
