# SPDX-License-Identifier: Apache-2.0
"""Answers as tables or JSON: what runs (`flow ps`), which runs there were, what a plan would change.

now: Unix seconds on the clock of the answer, so that nothing here reads one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.engine.model import Run, RunStatus
from fleetflow_tasks.plan.image import short as short_image
from fleetflow_tasks.plan.model import STAGE, Plan, StepId
from fleetflow_tasks.runtimes.base import Change, ChangeKind, ServiceState, ServiceStatus
from fleetflow_tasks.view.because import because, short, undoing
from fleetflow_tasks.view.ink import Colour, ago, aligned, clean, counted, duration, fitted, paint, width
from fleetflow_tasks.view.jsonl import document

_LISTED = 10  # unchanged services that are named; more are counted

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


def services(statuses: Sequence[ServiceStatus], *, now: float, colour: bool = False) -> str:
    """One line per service, by name. The runtime stands there only where there are several."""
    if not statuses:
        return "nothing runs here; `flow up` brings the stage up"
    several = len({status.runtime for status in statuses}) > 1
    rows = [
        _service_row(status, now, several=several) for status in sorted(statuses, key=lambda status: status.service)
    ]
    head = ("SERVICE", "STATE", *(("RUNTIME",) if several else ()), "SINCE", "PORTS", "IMAGE", "")
    colours: dict[str, Colour] = {str(state): word for state, word in _STATE_COLOURS.items()}
    return _table(head, rows, colours=colours, colour=colour)


def services_json(statuses: Sequence[ServiceStatus]) -> str:
    """One object: `{"v":1,"type":"ps","services":[…]}`."""
    return document("ps", {"services": sorted(statuses, key=lambda status: status.service)})


def runs(listed: Sequence[Run], *, now: float, colour: bool = False, columns: int | None = None) -> str:
    """One line per run, in the order given. Where that is wider than *columns*, ids are shortened, then lines cut."""
    if not listed:
        return no_runs()
    rows = [_run_row(run, listed, now) for run in listed]
    head = ("RUN", "STATUS", "STAGE", "WHEN", "TOOK", "BY", "NOTE")
    if columns is not None and max(map(width, aligned([head, *rows]))) > columns:
        rows = [(short(run.id), *row[1:]) for run, row in zip(listed, rows, strict=True)]
    colours: dict[str, Colour] = {str(status): word for status, word in _RUN_COLOURS.items()}
    return _table(head, rows, colours=colours, colour=colour, columns=columns)


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
    return document("runs", {"runs": listed})


def changes(plan: Plan, found: Mapping[StepId, Change], *, colour: bool = False, unicode: bool = True) -> str:
    """The plan screen: a line per service with sign, verb, cause and downtime, fields below it, and the sum at the end."""
    all_ = told(plan, found)
    same = [entry for entry in all_ if entry[1].kind == "none"]
    shown = [entry for entry in all_ if entry[1].kind != "none"]
    shown += same if len(same) <= _LISTED else []
    lines = list(_change_lines(shown, colour=colour, unicode=unicode))
    if len(same) > _LISTED:
        lines.append(paint(f"= {len(same)} services unchanged", "dim", on=colour))
    return "\n".join([*lines, *([""] if lines else []), f"plan: {total(change for _, change in all_)}"])


def told(plan: Plan, found: Mapping[StepId, Change]) -> list[tuple[str, Change]]:
    """Whose change each is, in the order of the steps; of what stays as it is too."""
    return [(_service(step), change) for step, change in _in_order(plan, found)]


def changes_json(plan: Plan, found: Mapping[StepId, Change]) -> str:
    """One object: `{"v":1,"type":"plan","changes":[{"step":…,"service":…,"change":{"kind":…}}],"total":{"create":2}}`."""
    changed = list(_in_order(plan, found))
    return document(
        "plan",
        {
            "project": plan.project,
            "stage": plan.stage,
            "changes": [{"step": step, "service": _service(step), "change": change} for step, change in changed],
            "total": dict(Counter(change.kind for _, change in changed)),
        },
    )


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
_SIGNS: Mapping[ChangeKind, tuple[str, str, Colour]] = {  # on a terminal that can, on one that cannot
    "create": ("+", "+", "green"),
    "update": ("~", "~", "yellow"),
    "replace": ("±", "!", "yellow"),
    "start": (">", ">", "green"),
    "run": (">", ">", "cyan"),
    "remove": ("-", "-", "red"),
    "none": ("=", "=", "dim"),
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


def _table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    colours: Mapping[str, Colour],
    colour: bool,
    columns: int | None = None,
) -> str:
    """*rows* under *head*; the words of the second column get their colours after all is aligned and cut."""
    first, *rest = fitted(aligned([head, *rows]), columns)
    start = max(len(row[0]) for row in (head, *rows)) + 2
    lines = [paint(first, "bold", on=colour)]
    for row, line in zip(rows, rest, strict=True):
        end = start + len(row[1])
        lines.append(line[:start] + paint(line[start:end], colours[row[1]], on=colour) + line[end:])
    return "\n".join(lines)


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


def _change_lines(told: Sequence[tuple[str, Change]], *, colour: bool, unicode: bool) -> Iterator[str]:
    heads = aligned((f"{_VERBS[change.kind]}", name, why(change)) for name, change in told)
    for head, (_, change) in zip(heads, told, strict=True):
        fine, plain, ink = _SIGNS[change.kind]
        yield paint(f"{fine if unicode else plain} {head}", ink, on=colour)
        for each in change.fields:
            yield f"    {each.field}: {_value(each.old)} -> {_value(each.new)}"


def verb(change: Change) -> str:
    return _VERBS[change.kind]


def why(change: Change) -> str:
    """Its cause and what it costs; "" where there is neither."""
    downtime = f"downtime {change.downtime}" if change.downtime not in {"", "none"} else ""
    return "; ".join(text for text in (clean(change.cause), clean(downtime)) if text)


def _value(value: str | None) -> str:
    return "-" if value is None else clean(value) or '""'
