# SPDX-License-Identifier: Apache-2.0
"""A run as it was (`flow show`): its plan, who began it and from where, each step's times, what it changed.

Times of a step are sums over all of its attempts, read from the events: *waited* while it was ready and nobody had it, *ran*
while a worker had it. Where its events are gone, the last attempt's times must do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import asdict, replace

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.engine.model import Run, StepMoved, StepState, StepStatus, WorkerId
from fleetflow_tasks.engine.record import Record
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan import compare
from fleetflow_tasks.plan.model import Step, StepId
from fleetflow_tasks.view.because import because
from fleetflow_tasks.view.columns import Give, table
from fleetflow_tasks.view.fold import Picture, action_of, service_of, start, tries
from fleetflow_tasks.view.ink import (
    Colour,
    ago,
    clean,
    counted,
    duration,
    listed,
    moment,
    paint,
    queued,
    wrapped,
)
from fleetflow_tasks.view.jsonl import document, of_run
from fleetflow_tasks.view.problems import details, lines
from fleetflow_tasks.view.summary import failure, told

_STATUS: Mapping[str, Colour] = {"succeeded": "bold green", "failed": "bold red", "cancelled": "bold yellow"}
_STEP: Mapping[StepStatus, Colour] = {
    "waiting": "dim",
    "ready": "yellow",
    "running": "cyan",
    "delayed": "yellow",
    "succeeded": "green",
    "failed": "red",
    "skipped": "dim",
    "cancelled": "yellow",
}
_GIVE = (  # in a window that is too narrow
    Give(column="WORKER", least=8),
    Give(column="", least=16),
    Give(column="AFTER", least=12),
    Give(column="WORKER"),
    Give(column="WAITED"),
    Give(column=""),
)


class Spent(Data, frozen=True, kw_only=True):
    """Seconds; None where the step never came that far, or nothing is known of it."""

    waited: float | None = None
    ran: float | None = None


def screen(record: Record, *, colour: bool = False, columns: int | None = None) -> str:
    """The whole story, parted by blank lines. columns: tables are cut there; None: never."""
    picture = start(record.snapshot, _needs(record), steps=record.readable.steps)
    parts = [
        [_headline(record, picture, colour=colour)],
        _facts(record, colour=colour),
        _services(record, colour=colour, columns=columns),
        _steps(record, colour=colour, columns=columns),
        *_troubles(picture, colour=colour, columns=columns),
        _changes(record, colour=colour, columns=columns),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part)


def as_json(record: Record) -> str:
    """One object: the run, its services, each step's state with times and needs, and what differs from `before`."""
    times, needs = spent(record), _needs(record)
    services = {service.name: service.image for service in record.plan.services} if record.plan else {}
    return document(
        "show",
        {
            **of_run(record.snapshot.run),
            "undone_by": record.undone.id if record.undone else None,
            "services": [{"service": name, "image": services.get(name)} for name in record.readable.services],
            "steps": [
                {**asdict(state), **asdict(times[state.step]), "needs": needs.get(state.step, ())}
                for state in record.snapshot.steps
            ],
            "closed": record.closed,
            "before": record.before.id if record.before else None,
            "differences": record.differences,
        },
    )


def spent(record: Record) -> Mapping[StepId, Spent]:
    """Of every step of the run."""
    moves: dict[StepId, list[StepMoved]] = {}
    for event in record.events:
        if isinstance(event, StepMoved):
            moves.setdefault(event.step, []).append(event)
    until = record.snapshot.run.ended or record.now
    return {state.step: _spent(state, moves.get(state.step, []), until) for state in record.snapshot.steps}


def _spent(state: StepState, moves: Sequence[StepMoved], until: float) -> Spent:
    if not moves:
        ended = state.ended if state.ended is not None else until
        return Spent(ran=ended - state.started if state.started is not None else None)
    ends = [*(move.at for move in moves[1:]), until]
    lasted = [(move.status, max(0.0, end - move.at)) for move, end in zip(moves, ends, strict=True)]
    return Spent(waited=_total(lasted, "ready"), ran=_total(lasted, "running"))


def _total(lasted: Iterable[tuple[StepStatus, float]], wanted: StepStatus) -> float | None:
    found = [seconds for status, seconds in lasted if status == wanted]
    return sum(found) if found else None


def _needs(record: Record) -> Mapping[StepId, tuple[StepId, ...]]:
    return {step.id: tuple(need.step for need in step.needs) for step in record.readable.steps}


def _headline(record: Record, picture: Picture, *, colour: bool) -> str:
    run = record.snapshot.run
    status = paint(run.status, _STATUS.get(run.status, "bold"), on=colour)
    head = paint(f"run {run.id} of {run.project}/{run.stage}", "bold", on=colour)
    if run.status == "queued":
        return f"{head}: {queued(run.ahead)}"
    when = f", {ago(record.now - run.ended)}" if run.ended is not None else ""
    took = duration(picture.elapsed(record.now))
    return f"{head}: {status} {'in' if picture.ended else 'for'} {took}{when}\n{told(picture)}"


def _facts(record: Record, *, colour: bool) -> list[str]:
    """What is known of its origin, a line each."""
    return [f"{paint(f'{name:<9}', 'dim', on=colour)}  {text}" for name, text in _known(record) if text]


def _known(record: Record) -> Iterator[tuple[str, str]]:
    run = record.snapshot.run
    yield "by", clean(run.actor)
    yield "from", clean(run.note)
    yield "because", because(run)
    yield "submitted", moment(run.submitted) + _line(run)
    yield "ends by", moment(run.deadline) if run.deadline is not None and run.ended is None else ""
    yield "undone by", _undone(record)
    yield "plan", _size(record)


def _line(run: Run) -> str:
    """How long it stood in line, where anybody could have noticed."""
    waited = run.started - run.submitted if run.started is not None else 0.0
    return f", began {duration(waited)} later" if waited >= 1 else ""


def _undone(record: Record) -> str:
    """By which run; or that it was to be, and whether that is still to come. Why it cannot be is the run's own problem."""
    run = record.snapshot.run
    if record.undone is not None:
        return f"run {record.undone.id}, {record.undone.status}"
    if not run.rollback or run.problem is not None:
        return ""
    if run.ended is None:
        return "the stage's last good run, by itself, should it fail"
    return "no run yet: the stage waits for it" if run.status == "failed" else ""


def _size(record: Record) -> str:
    steps = record.readable.steps
    where = listed(sorted({step.runtime for step in steps}))
    services = counted(len({step.service for step in steps if step.service}), "service")
    if not record.readable.services:
        return f"takes {services} down on {where}, {counted(len(steps), 'step')}"
    part = "" if record.snapshot.run.whole else ", a part of its stage"
    return f"{services} on {where}, {counted(len(steps), 'step')}{part}"


def _services(record: Record, *, colour: bool, columns: int | None) -> list[str]:
    if record.plan is None or not record.plan.services:
        return []
    rows = [(service.name, clean(service.image)) for service in record.plan.services]
    return table(
        ("SERVICE", "IMAGE"), rows, colour=colour, columns=columns, give=[Give(column="IMAGE", least=16, tail=True)]
    )


def _steps(record: Record, *, colour: bool, columns: int | None) -> list[str]:
    if not record.snapshot.steps:
        return []
    times, steps = spent(record), {step.id: step for step in record.readable.steps}
    states = record.snapshot.steps
    names = _workers(states)
    rows = [_row(state, times[state.step], names, steps.get(state.step)) for state in states]
    head = ("STEP", "STATUS", "WAITED", "RAN", "WORKER", "AFTER", "")
    inks = [_STEP[state.status] for state in states]
    return table(head, rows, inks=inks, inked="STATUS", colour=colour, columns=columns, give=_GIVE)


def _row(state: StepState, times: Spent, workers: Mapping[WorkerId, str], step: Step | None) -> tuple[str, ...]:
    return (
        state.step,
        state.status,
        _seconds(times.waited),
        _seconds(times.ran),
        workers[state.worker] if state.worker else "-",
        _after(step) if step else "-",
        _remarks(state),
    )


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)


def _workers(states: Iterable[StepState]) -> Mapping[WorkerId, str]:
    """The machine's name; where several workers of one machine had a hand in it, the process too."""
    workers = {state.worker for state in states if state.worker}
    hosts = [_host(worker) for worker in workers]
    return {worker: _host(worker, process=hosts.count(_host(worker)) > 1) for worker in workers}


def _host(worker: WorkerId, *, process: bool = False) -> str:
    host, _, rest = worker.partition(":")
    return clean(f"{host}:{rest.partition(':')[0]}" if process else host)


def _after(step: Step) -> str:
    """What a step needs, without what stands for itself: its own service's steps, and the stage's network."""
    needs = [need.step for need in step.needs if service_of(need.step) not in {None, step.service}]
    if step.service is None and needs:
        return "all others"
    return listed(service_of(need) or need for need in needs) or "-"


def _remarks(state: StepState) -> str:
    used, outcome = tries(state), state.outcome
    said = (
        f"{used} tries" if used > 1 else "",
        counted(state.losses, "lost worker") if state.losses else "",
        f"given back {counted(state.releases, 'time')}" if state.releases else "",
        clean(outcome.text) if outcome and action_of(state.step) != "prepare" else "",
    )
    return ", ".join(text for text in said if text)


def _troubles(picture: Picture, *, colour: bool, columns: int | None) -> Iterator[list[str]]:
    for state in picture.steps.values():
        if state.status == "failed":
            yield failure(picture, state.step, colour=colour, columns=columns)
        elif state.status == "delayed" and state.problem is not None:
            yield [
                *wrapped(f"{state.step} is tried again: {clean(state.problem.message)}", columns, hang=2),
                *details(state.problem, colour=colour, columns=columns),
            ]
    if picture.run.problem is not None:
        yield _trouble(picture.run, picture.run.problem, colour=colour, columns=columns)


def _trouble(run: Run, problem: Problem, *, colour: bool, columns: int | None) -> list[str]:
    """Of the run itself, without the advice to look at this very screen."""
    this = f"flow show {run.id}"
    fix = problem.fix.partition(f", or see what took so long: {this}")[0]
    told = replace(problem, fix=fix, more="" if problem.more == this else problem.more)
    return lines(told, colour=colour, columns=columns)


def _changes(record: Record, *, colour: bool, columns: int | None) -> list[str]:
    """What this plan says otherwise than the last one that succeeded before it."""
    if record.closed is not None:
        return lines(record.closed, colour=colour, columns=columns)
    if record.before is None or record.differences is None:
        return []
    differs = any(each.kind != "same" for each in record.differences)
    head = f"{'differs from the' if differs else 'the same as the'} plan of run {record.before.id}"
    when = ago(record.now - (record.before.ended or record.before.submitted))
    return [f"{paint(head, 'bold', on=colour)}, which succeeded {when}:", *differences(record.differences)]


def differences(found: Iterable[compare.Difference]) -> list[str]:
    """Never cut: what changed may stand at the end."""
    return [clean(line) for line in compare.text(tuple(found))]
