# SPDX-License-Identifier: Apache-2.0
"""A plan as a picture: a text tree of services, and the steps as Graphviz dot, Mermaid or JSON.

The tree stands on what nobody waits for, and hangs below each service what it waits for. What has been drawn already
is named with `…`, so that the text stays as long as the graph, however often its paths meet.
"""

from collections.abc import Iterator, Sequence

from msgspec.structs import asdict

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan import graph
from fleetflow_tasks.plan.build import ALL_DEPLOYED, ALL_REMOVED, DECLARED, NETWORK
from fleetflow_tasks.plan.describe import describe
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.plan.waits import Waits
from fleetflow_tasks.view.ink import counted
from fleetflow_tasks.view.jsonl import document

_PLAIN = {DECLARED, NETWORK, ALL_DEPLOYED, ALL_REMOVED}  # causes that the shape of the graph says already
_BRANCHES = {True: ("├─ ", "└─ ", "│  ", "   "), False: ("|- ", "`- ", "|  ", "   ")}


def tree(plan: Plan, *, unicode: bool = True) -> str:
    """Services, each above what it waits for, and how long the longest chain of steps is."""
    waits = {service.name: service.depends_on for service in plan.services}
    followers = graph.turned({name: tuple(each.service for each in found) for name, found in waits.items()})
    drawn: set[ServiceName] = set()
    lines = [_head(plan)]
    for name in waits:
        if not followers[name]:
            lines.append(name)
            lines += _below(waits, name, drawn, _BRANCHES[unicode])
    return "\n".join(lines)


def steps(plan: Plan) -> str:
    """One line per step: what it needs, and why."""
    return "\n".join(describe(plan))


def dot(plan: Plan) -> str:
    """Steps and needs for Graphviz: `flow graph --format=dot | dot -Tsvg`. The longest chain is drawn heavier."""
    heavy = set(critical_path(plan))
    nodes = [f"  {_quoted(step.id)}{' [penwidth=3]' if step.id in heavy else ''};" for step in plan.steps]
    edges = [f"  {_quoted(need)} -> {_quoted(step)}{_dot_label(cause)};" for need, step, cause in _edges(plan)]
    title = _quoted(f"{plan.project}/{plan.stage}")
    return "\n".join([f"digraph {title} {{", "  rankdir=LR;", "  node [shape=box];", *nodes, *edges, "}"])


def mermaid(plan: Plan) -> str:
    """The same for Markdown that draws Mermaid. Ids are numbered: Mermaid's may hold no colon, and be no word of its own."""
    number = {step.id: f"s{index}" for index, step in enumerate(plan.steps)}
    nodes = [f"  {number[step.id]}[{_entitled(step.id)}]" for step in plan.steps]
    edges = [f"  {number[need]} -->{_mermaid_label(cause)} {number[step]}" for need, step, cause in _edges(plan)]
    heavy = ",".join(number[step] for step in critical_path(plan))
    longest = ["  classDef longest stroke-width:3px", f"  class {heavy} longest"] if heavy else []
    return "\n".join(["flowchart LR", *nodes, *edges, *longest])


def as_json(plan: Plan, warnings: Sequence[Problem] = ()) -> str:
    """One object: the steps as they stand in the plan, without any service's values, and the longest chain."""
    place = {"project": plan.project, "stage": plan.stage}
    steps = [{**asdict(step), "step": step.id} for step in plan.steps]
    return document("graph", {**place, "steps": steps, "critical_path": critical_path(plan), "warnings": warnings})


def critical_path(plan: Plan) -> tuple[StepId, ...]:
    """The longest chain of steps: no number of workers makes the run shorter than this."""
    return graph.critical_path({step.id: tuple(need.step for need in step.needs) for step in plan.steps})


def _head(plan: Plan) -> str:
    size = f"{counted(len(plan.services), 'service')}, {counted(len(plan.steps), 'step')}"
    chain = len(critical_path(plan))
    return f"{plan.project}/{plan.stage} on {' and '.join(plan.runtimes)}: {size}, {chain} one after the other"


def _below(waits: Waits, start: ServiceName, drawn: set[ServiceName], branches: tuple[str, str, str, str]) -> list[str]:
    """Depth first with a stack of our own: a chain may be longer than Python recurses."""
    fork, last, through, blank = branches
    lines: list[str] = []
    open_ = [("", waits[start])]
    while open_:
        indent, rest = open_.pop()
        if not rest:
            continue
        one, others = rest[0], rest[1:]
        below = waits[one.service]
        again = bool(below) and one.service in drawn
        lines.append(f"{indent}{fork if others else last}{one.service} ({one.condition}){' …' if again else ''}")
        open_.append((indent, others))
        if not again:
            drawn.add(one.service)
            open_.append((indent + (through if others else blank), below))
    return lines


def _edges(plan: Plan) -> Iterator[tuple[StepId, StepId, str]]:
    for step in plan.steps:
        for need in step.needs:
            yield need.step, step.id, "" if need.cause in _PLAIN else need.cause


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _dot_label(cause: str) -> str:
    return f" [label={_quoted(cause)}]" if cause else ""


def _mermaid_label(cause: str) -> str:
    return f"|{_entitled(cause)}|" if cause else ""


def _entitled(text: str) -> str:
    """Mermaid's quotes; it knows no backslash, but entities."""
    escaped = text.replace("#", "#35;").replace('"', "#quot;")
    return f'"{escaped}"'
