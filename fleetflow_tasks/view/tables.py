# SPDX-License-Identifier: Apache-2.0
"""Answers as tables or JSON: what runs (`flow ps`), which runs there were, what a plan would change.

now: Unix seconds on the clock of the answer, so that nothing here reads one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.engine.model import Run, RunStatus
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.image import short as short_image
from fleetflow_tasks.plan.model import STAGE, Plan, StepId
from fleetflow_tasks.runtimes.base import Change, ChangeKind, ServiceState, ServiceStatus
from fleetflow_tasks.view.because import because, short, undoing
from fleetflow_tasks.view.columns import Give, table
from fleetflow_tasks.view.ink import Colour, ago, aligned, clean, counted, duration, width
from fleetflow_tasks.view.jsonl import document, of_run

_STATE_COLOURS: Mapping[ServiceState, Colour] = {
    "running": "green",
    "completed": "green",
    "starting": "yellow",
    "restarting": "yellow",
    "unhealthy": "red",
    "failed": "red",
    "missing": "red",
    "stopped": "dim",
}
_RUN_COLOURS: Mapping[RunStatus, Colour] = {
    "queued": "yellow",
    "running": "cyan",
    "ending": "yellow",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
}


# What gives way first in a window that is too narrow: an image is known by its tag, what is wrong must stay.
_GIVE_SERVICES = (
    Give(column="IMAGE", least=12, tail=True),
    Give(column="PORTS", least=22),
    Give(column="", least=20),
    Give(column="IMAGE"),
    Give(column="RUNTIME"),
    Give(column="SINCE"),
    Give(column="PORTS"),
    Give(column="SERVICE", least=12),
)
_GIVE_RUNS = (
    Give(column="BY", least=12),
    Give(column="NOTE", least=12),
    Give(column="TOOK"),
    Give(column="BY"),
    Give(column="NOTE"),
    Give(column="WHEN"),
)


def services(
    plan: Plan, statuses: Sequence[ServiceStatus], *, now: float, colour: bool = False, columns: int | None = None
) -> str:
    """One line per service, by name. The runtime stands there only where there are several."""
    if not statuses:
        return f"nothing runs in {plan.project}/{plan.stage}; `flow up --stage={plan.stage}` brings it up"
    several = len({status.runtime for status in statuses}) > 1
    ordered = sorted(statuses, key=lambda status: status.service)
    rows = [_service_row(status, now, several=several) for status in ordered]
    head = ("SERVICE", "STATE", *(("RUNTIME",) if several else ()), "SINCE", "PORTS", "IMAGE", "")
    give = [each for each in _GIVE_SERVICES if each.column in head]
    inks = [_STATE_COLOURS[status.state] for status in ordered]
    return "\n".join(table(head, rows, inks=inks, inked="STATE", colour=colour, columns=columns, give=give))


def services_json(plan: Plan, statuses: Sequence[ServiceStatus], warnings: Sequence[Problem] = ()) -> str:
    """One object: `{"v":1,"type":"ps","project":…,"stage":…,"services":[…]}`."""
    found = sorted(statuses, key=lambda status: status.service)
    place = {"project": plan.project, "stage": plan.stage}
    return document("ps", {**place, "services": found, "warnings": warnings})


def runs(listed: Sequence[Run], *, now: float, colour: bool = False, columns: int | None = None) -> str:
    """One line per run, in the order given. Where that is wider than *columns*, ids are shortened first."""
    if not listed:
        return no_runs()
    rows = [_run_row(run, listed, now) for run in listed]
    head = ("RUN", "STATUS", "STAGE", "WHEN", "TOOK", "BY", "NOTE")
    if columns is not None and max(map(width, aligned([head, *rows]))) > columns:
        rows = [(short(run.id), *row[1:]) for run, row in zip(listed, rows, strict=True)]
    inks = [_RUN_COLOURS[run.status] for run in listed]
    return "\n".join(table(head, rows, inks=inks, inked="STATUS", colour=colour, columns=columns, give=_GIVE_RUNS))


def no_runs(project: str | None = None, stage: str | None = None, *, narrowed: bool = False) -> str:
    """project, stage: those whose runs were asked for. narrowed: by something else too."""
    if not (project or stage or narrowed):
        return "no runs yet"
    place = f" of stage `{f'{project}/' if project else ''}{stage}`" if stage else f" of project `{project}`"
    of = place if project or stage else ""
    return clean(f"no run{of}{' is like that' if narrowed else ''}; `flow runs` alone lists all")


def _run_row(run: Run, listed: Sequence[Run], now: float) -> tuple[str, ...]:
    return (
        run.id,
        run.status,
        f"{run.project}/{run.stage}",
        ago(now - run.submitted),
        _took(run, now),
        clean(run.actor) or "-",
        _about(run, listed),
    )


def _about(run: Run, listed: Sequence[Run]) -> str:
    """Why it ended so, where that is the run's own; what it came from, what undid it (where that stands in the same list),
    and the note that it was given.
    """
    undone = undoing(run.id, listed)
    said = (
        clean(run.problem.message) if run.problem else "",
        because(run),
        f"rolled back by {short(undone.id)}" if undone else "",
        clean(run.note),
    )
    return "; ".join(text for text in said if text)


def runs_json(listed: Sequence[Run]) -> str:
    """One object: `{"v":1,"type":"runs","runs":[…]}`."""
    return document("runs", {"runs": [of_run(run) for run in listed]})


def told(plan: Plan, found: Mapping[StepId, Change]) -> list[tuple[str, Change]]:
    """Whose change each is, in the order of the steps; of what stays as it is too."""
    return [(_service(step), change) for step, change in _in_order(plan, found)]


def changes_json(plan: Plan, found: Mapping[StepId, Change], warnings: Sequence[Problem] = ()) -> str:
    """One object: `{"v":1,"type":"plan",…,"changes":[{"step":…,"service":…,"kind":…}],"total":{"create":2}}`."""
    place = {"project": plan.project, "stage": plan.stage}
    return document("plan", {**place, **changes_and_total(plan, found), "warnings": warnings})


def changes_and_total(plan: Plan, found: Mapping[StepId, Change]) -> Mapping[str, object]:
    changes = changed(plan, found)
    return {"changes": changes, "total": Counter(change["kind"] for change in changes)}


def changed(plan: Plan, found: Mapping[StepId, Change]) -> list[Mapping[str, Any]]:
    """Each change with whose it is, as it is printed; what stays as it is too."""
    return [{"step": step, "service": _service(step), **asdict(change)} for step, change in _in_order(plan, found)]


def validated(plan: Plan) -> str:
    """One line that says that a stage is sound: `stg: 6 services in 14 steps on docker, nothing is wrong`."""
    size = f"{counted(len(plan.services), 'service')} in {counted(len(plan.steps), 'step')}"
    return f"{plan.stage}: {size} on {' and '.join(plan.runtimes)}, nothing is wrong"


def total(found: Iterable[Change]) -> str:
    """`2 to create, 1 to replace, 5 unchanged`."""
    number = Counter(change.kind for change in found)
    parts = [f"{number[kind]} to {_VERBS[kind]}" for kind in _VERBS if kind != "none" and number[kind]]
    if number["none"]:
        parts.append(f"{number['none']} unchanged")
    return ", ".join(parts) or "nothing to do"


_VERBS: Mapping[ChangeKind, str] = {
    "create": "create",
    "update": "update",
    "replace": "replace",
    "start": "start",
    "run": "run",
    "remove": "remove",
    "none": "unchanged",
}


def _service_row(status: ServiceStatus, now: float, *, several: bool) -> tuple[str, ...]:
    since = duration(now - status.since) if status.since is not None else "-"
    runtime: tuple[RuntimeName, ...] = (status.runtime,) if several else ()
    return (
        status.service,
        status.state,
        *runtime,
        since,
        ", ".join(status.ports) or "-",
        clean(short_image(status.image)) or "-",
        _remarks(status),
    )


def _remarks(status: ServiceStatus) -> str:
    said = (
        clean(status.text),
        counted(status.restarts, "restart") if status.restarts else "",
        "differs from the files" if status.drift else "",
    )
    return ", ".join(text for text in said if text)


def _took(run: Run, now: float) -> str:
    if run.started is None:
        return "-"
    return duration((run.ended if run.ended is not None else now) - run.started)


def _in_order(plan: Plan, found: Mapping[StepId, Change]) -> Iterator[tuple[StepId, Change]]:
    """Every deploy and remove step of the plan, then what its pruning would remove, sorted.

    A plan for some services only does not prune, whatever a runtime found.
    """
    steps = [step.id for step in plan.steps if step.action in {"deploy", "remove"}]
    for step in steps:
        yield step, found.get(step, Change(kind="none"))
    if any(step.action == "prune" for step in plan.steps):
        for step in sorted(found.keys() - set(steps)):
            yield step, found[step]


def _service(step: StepId) -> str:
    name, _, action = step.rpartition(":")
    return f"({STAGE} {action})" if name == STAGE else name


def verb(change: Change) -> str:
    return _VERBS[change.kind]


def why(change: Change) -> str:
    """Its cause and what it costs; "" where there is neither."""
    downtime = f"downtime {change.downtime}" if change.downtime not in {"", "none"} else ""
    return "; ".join(text for text in (clean(change.cause), clean(downtime)) if text)
