# SPDX-License-Identifier: Apache-2.0
import json

from fleetflow_tasks.config.model import (
    Dependency,
    Project,
    ProjectName,
    RuntimeChoice,
    RuntimeName,
    Service,
    ServiceName,
    Stage,
    StageName,
)
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.view import graph


def test_the_tree_stands_on_what_nobody_waits_for_and_names_twice_what_is_drawn(plan: Plan) -> None:
    assert graph.tree(plan).splitlines() == [
        "shop/stg on docker: 4 services, 10 steps, 7 one after the other",
        "web",
        "└─ api (started)",
        "   ├─ db (healthy)",
        "   └─ migrate (completed)",
        "      └─ db (healthy)",
    ]


def test_a_terminal_that_cannot_gets_plain_branches(plan: Plan) -> None:
    assert graph.tree(plan, unicode=False).splitlines()[2:4] == ["`- api (started)", "   |- db (healthy)"]


def services(**needs: str) -> Plan:
    parts = tuple(
        Service(
            name=ServiceName(name),
            image="x:1",
            depends_on=tuple(Dependency(service=ServiceName(need)) for need in said.split()),
        )
        for name, said in needs.items()
    )
    stage = Stage(name=StageName("stg"), runtime=RuntimeChoice(name=RuntimeName("docker")), services=parts)
    return build(Project(name=ProjectName("shop"), root="/", stages=(stage,)), stage.name)


def test_what_was_drawn_is_not_drawn_again() -> None:
    assert graph.tree(services(a="", b="a", c="b", d="b c", e="c")).splitlines()[1:] == [
        "d",
        "├─ b (started)",
        "│  └─ a (started)",
        "└─ c (started)",
        "   └─ b (started) …",
        "e",
        "└─ c (started) …",
    ]


def test_a_long_chain_is_not_too_deep() -> None:
    names = [f"s{number:04}" for number in range(1500)]
    plan = services(**dict(zip(names, ["", *names], strict=False)))

    assert len(graph.tree(plan).splitlines()) == 1501


def test_steps_are_listed_with_needs_and_causes(plan: Plan) -> None:
    assert graph.steps(plan).splitlines()[-2] == (
        "web:deploy      <- api:deploy, web:prepare                           (waits for started api)"
    )


def test_dot_holds_every_step_and_need_with_its_cause() -> None:
    assert graph.dot(services(a="", b="a")).splitlines() == [
        'digraph "shop/stg" {',
        "  rankdir=LR;",
        "  node [shape=box];",
        '  "stage:prepare";',
        '  "a:prepare";',
        '  "b:prepare";',
        '  "a:deploy";',
        '  "b:deploy";',
        '  "stage:prune";',
        '  "stage:prepare" -> "a:prepare";',
        '  "stage:prepare" -> "b:prepare";',
        '  "a:prepare" -> "a:deploy";',
        '  "a:deploy" -> "b:deploy" [label="waits for started a"];',
        '  "b:prepare" -> "b:deploy";',
        '  "a:deploy" -> "stage:prune";',
        '  "b:deploy" -> "stage:prune";',
        "}",
    ]


def test_mermaid_numbers_its_nodes() -> None:
    assert graph.mermaid(services(a="", b="a")).splitlines() == [
        "flowchart LR",
        '  s0["stage:prepare"]',
        '  s1["a:prepare"]',
        '  s2["b:prepare"]',
        '  s3["a:deploy"]',
        '  s4["b:deploy"]',
        '  s5["stage:prune"]',
        "  s0 --> s1",
        "  s0 --> s2",
        "  s1 --> s3",
        '  s3 -->|"waits for started a"| s4',
        "  s2 --> s4",
        "  s3 --> s5",
        "  s4 --> s5",
    ]


def test_json_holds_the_steps_and_the_longest_chain() -> None:
    told = json.loads(graph.as_json(services(a="")))

    assert (told["type"], told["project"], told["stage"]) == ("graph", "shop", "stg")
    assert told["critical_path"] == ["stage:prepare", "a:prepare", "a:deploy", "stage:prune"]
    assert told["steps"][2] == {
        "id": "a:deploy",
        "action": "deploy",
        "runtime": "docker",
        "queue": "docker",
        "service": "a",
        "needs": [{"step": "a:prepare", "cause": "declared"}],
        "weight": 1,
        "timeout": 300.0,
    }
