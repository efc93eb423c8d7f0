# SPDX-License-Identifier: Apache-2.0
import json
import re

from msgspec.structs import replace

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
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.view import graph
from tests.golden import golden


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


# Names that Graphviz and Mermaid would read as something else: words of theirs, dots, dashes.
ODD = {"end": "", "graph": "end", "node-1": "end graph", "class": "node-1", "my.db_x": "class"}


def test_what_is_drawn(plan: Plan) -> None:
    golden("graph-tree", graph.tree(plan))
    golden("graph-tree-ascii", graph.tree(plan, unicode=False))
    golden("graph-steps", graph.steps(plan))
    golden("graph-dot", graph.dot(plan))
    golden("graph-mermaid", graph.mermaid(plan))


_DOT = re.compile(
    r'digraph "[^"]+" \{|  (rankdir=LR|node \[shape=box\]);|  "[^"]+"( \[penwidth=3\])?;'
    r'|  "[^"]+" -> "[^"]+"( \[label="[^"]+"\])?;|\}'
)
_MERMAID = re.compile(
    r'flowchart LR|  s\d+\["[^"]+"\]|  s\d+ -->(\|"[^"]+"\|)? s\d+|  classDef longest stroke-width:3px|  class (s\d+,?)+ longest'
)


def test_each_name_can_be_drawn() -> None:
    odd = services(**ODD)

    assert [line for line in graph.dot(odd).splitlines() if not _DOT.fullmatch(line)] == []
    assert [line for line in graph.mermaid(odd).splitlines() if not _MERMAID.fullmatch(line)] == []


def test_each_step_and_each_need_is_drawn_once(plan: Plan) -> None:
    needs = sum(len(step.needs) for step in plan.steps)

    assert graph.dot(plan).count(" -> ") == graph.mermaid(plan).count(" -->") == needs


def test_quotes_are_written_as_each_of_them_reads_it(plan: Plan) -> None:
    steps = tuple(replace(step, id=StepId(f'say "#1" \\ {step.id}'), needs=()) for step in plan.steps[:1])
    quoted = replace(plan, steps=steps)

    assert graph.dot(quoted).splitlines()[3] == r'  "say \"#1\" \\ stage:prepare" [penwidth=3];'
    assert graph.mermaid(quoted).splitlines()[1] == r'  s0["say #quot;#35;1#quot; \ stage:prepare"]'


def test_of_a_plan_without_steps_nothing_is_drawn(plan: Plan) -> None:
    assert graph.mermaid(replace(plan, steps=())) == "flowchart LR"


def test_json_holds_the_steps_and_the_longest_chain() -> None:
    told = json.loads(graph.as_json(services(a="")))

    assert (told["type"], told["project"], told["stage"]) == ("graph", "shop", "stg")
    assert told["critical_path"] == ["stage:prepare", "a:prepare", "a:deploy", "stage:prune"]
    assert told["steps"][2] == {
        "step": "a:deploy",
        "action": "deploy",
        "runtime": "docker",
        "queue": "docker",
        "service": "a",
        "needs": [{"step": "a:prepare", "cause": "declared"}],
        "weight": 1,
        "timeout": 300.0,
        "retries": 2,
    }
