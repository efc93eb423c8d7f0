# SPDX-License-Identifier: Apache-2.0
"""`flow plan` on the screen."""

import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.errors import Place
from fleetflow_tasks.plan.model import Plan, QueueName, ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import Change, ChangeKind, FieldChange
from fleetflow_tasks.view.changes import text
from tests.golden import golden

DOCKER = RuntimeName("docker")


def narrowed(plan: Plan, *steps: str) -> Plan:
    return replace(plan, steps=tuple(step for step in plan.steps if step.id in steps))


def stage(*services: str, prune: bool = True) -> Plan:
    """A service per line of its own in a file of its own, whose image stands in the line below it."""
    resolved = tuple(
        ResolvedService(
            name=ServiceName(name),
            runtime=DOCKER,
            image=f"shop/{name}:2",
            places={
                "": Place(file=f"services/{name}.kdl", line=2),
                "version": Place(file=f"services/{name}.kdl", line=4),
                "environment.LOG": Place(file="fleet.kdl", line=17),
                "ports": Place(file=f"services/{name}.kdl", line=6),
            },
            env_from_stage=("DEBUG",),
        )
        for name in services
    )
    ids = [*(f"{name}:deploy" for name in services), *(["stage:prune"] if prune else [])]
    steps = tuple(
        Step(
            id=StepId(each),
            action="prune" if each == "stage:prune" else "deploy",
            runtime=DOCKER,
            queue=QueueName("docker"),
        )
        for each in ids
    )
    return Plan(project=ProjectName("shop"), stage=StageName("prd"), root="/srv", services=resolved, steps=steps)


def field(name: str, old: str | None, new: str | None) -> FieldChange:
    return FieldChange(field=name, old=old, new=new)


SHOP = stage("db", "cache", "migrate", "api", "web", "mailer", "search-index-of-everything")
FOUND = {
    StepId("migrate:deploy"): Change(kind="run", cause="image changed"),
    StepId("api:deploy"): Change(
        kind="replace",
        cause="image, environment and ports changed",
        downtime="~1 s: published port",
        fields=(
            field("image", "shop/api:1", "shop/api:2"),
            field("environment.DEBUG", "true", "false"),
            field("environment.LOG", None, ""),
            field("environment.API_KEY", "[hidden]", "[hidden]"),
            field("ports.8080/tcp", "0.0.0.0:80", "0.0.0.0:8080"),
            field("command", 'sh -c "exec server --verbose"', 'sh -c "exec server --workers=4 --listen=[::]:8080"'),
        ),
    ),
    StepId("web:deploy"): Change(
        kind="update", cause="memory", fields=(field("resources.memory_limit", "64Mi", "1Gi"),)
    ),
    StepId("mailer:deploy"): Change(kind="create", cause="not there"),
    StepId("search-index-of-everything:deploy"): Change(kind="start", cause="stopped since the engine was restarted"),
    StepId("old:remove"): Change(kind="remove", cause="declared no more", downtime="until somebody misses it"),
}
HEAD = "shop/prd on docker at ssh://prod-1.example.org"


def test_a_plan_says_what_it_leaves_alone_then_what_it_does_and_what_hurts_last() -> None:
    golden("plan", text(SHOP, FOUND, head=HEAD))


@pytest.mark.parametrize(("name", "columns"), [("plan-80", 80), ("plan-200", 200), ("plan-40", 40)])
def test_causes_are_broken_where_the_terminal_ends(name: str, columns: int) -> None:
    golden(name, text(SHOP, FOUND, head=HEAD, columns=columns))


def test_a_terminal_that_cannot_gets_plain_signs() -> None:
    golden("plan-ascii", text(SHOP, FOUND, head=HEAD, columns=80, unicode=False))


def test_colours_change_nothing_but_colours() -> None:
    golden("plan-coloured", text(SHOP, FOUND, head=HEAD, columns=80, colour=True))


def test_what_comes_from_no_text_of_this_machine_has_no_place(plan: Plan) -> None:
    found = {
        StepId("db:deploy"): Change(kind="create", cause="not there"),
        StepId("api:deploy"): Change(kind="replace"),
    }

    assert text(plan, found).splitlines() == [
        "= unchanged  migrate, web",
        "+ create     db   not there",
        "± replace    api",
        "",
        "plan: 1 to create, 1 to replace, 2 unchanged",
    ]


def test_many_unchanged_services_are_counted() -> None:
    many = stage(*(f"s{number:02}" for number in range(11)))

    assert text(many, {}) == "= unchanged  11 services\n\nplan: 11 unchanged"


def test_a_plan_for_some_services_prunes_nothing(plan: Plan) -> None:
    found = {StepId("old:remove"): Change(kind="remove")}

    assert text(narrowed(plan, "db:deploy"), found).splitlines()[-1] == "plan: 1 unchanged"


def test_an_empty_plan_has_nothing_to_do(plan: Plan) -> None:
    assert text(narrowed(plan), {}) == "plan: nothing to do"


def test_the_stages_own_removals_are_named_as_such(plan: Plan) -> None:
    found = {StepId("stage:remove"): Change(kind="remove", cause="empty")}

    assert text(narrowed(plan, "stage:prune"), found).splitlines()[0] == "- remove  (stage remove)  empty"


@pytest.mark.parametrize("kind", ["create", "update", "replace", "remove", "start", "run"])
def test_the_sum_names_each_kind_that_there_is(kind: ChangeKind) -> None:
    assert text(stage("api"), {StepId("api:deploy"): Change(kind=kind)}).splitlines()[-1] == f"plan: 1 to {kind}"


def test_what_a_platform_says_cannot_take_the_terminal_over() -> None:
    found = {
        StepId("api:deploy"): Change(kind="update", cause="\x1b[2Jx", fields=(field("\x1b]0;t\x07f", "\x1b[1ma", "b"),))
    }

    assert "\x1b" not in text(stage("api"), found, head="\x1b[2Jshop")
