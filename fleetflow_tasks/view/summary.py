# SPDX-License-Identifier: Apache-2.0
"""The end of a run in words: what came of it, each failure with its cause and fix, and what was not done because of it.

api:deploy failed on docker, not tried again: the image does not exist
  ghcr.io/shop/api:9: manifest unknown
  fix: push it, or change `version` at services/api.kdl:3:5

not done: web, because api:deploy failed
failed in 4.2s: 3 services deployed, 1 failed, 1 skipped
"""

from fleetflow_tasks.engine.model import StepState
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.view.fold import Picture, RowState, action_of, blamed, counts, rows, tries
from fleetflow_tasks.view.ink import Colour, clean, counted, duration, listed, paint, wrapped
from fleetflow_tasks.view.problems import details
from fleetflow_tasks.view.problems import lines as problem_lines

_SHOWN = 10  # names in a list before the rest is counted

_WORDS: tuple[tuple[RowState, str], ...] = (
    ("ready", "deployed"),
    ("removed", "removed"),
    ("unchanged", "unchanged"),
    ("failed", "failed"),
    ("skipped", "skipped"),
    ("cancelled", "cancelled"),
)


def summary(
    picture: Picture,
    *,
    now: float | None = None,
    colour: bool = False,
    columns: int | None = None,
    above: StepId | None = None,
) -> str:
    """What ends a run's view. now: Redis's seconds, for a run that has not ended yet.

    columns: where lines are broken; None: never. above: the step whose failure stands in the line above, which is then gone on with and not said again.
    """
    lines: list[str] = []
    failed = [state.step for state in picture.steps.values() if state.status == "failed"]
    for step in sorted(failed, key=lambda step: step != above):
        lines += [*failure(picture, step, colour=colour, columns=columns, begun=step == above), ""]
    if picture.run.problem is not None:
        lines += [*problem_lines(picture.run.problem, colour=colour, columns=columns), ""]
    for line in _not_done(picture):
        lines += wrapped(line, columns, hang=2)
    return "\n".join([*lines, _verdict(picture, now, colour=colour)])


def left(picture: Picture | None) -> str:
    """What is in the middle when the process that carries a run out goes before its end."""
    halves = [] if picture is None else [step for step, state in picture.steps.items() if state.status == "running"]
    if not halves:
        return "left before the end; the same command goes on from there"
    return f"left in the middle of {listed(halves)}: what it was at may be down; the same command brings it to its end"


def failure(
    picture: Picture, step: StepId, *, colour: bool = False, columns: int | None = None, begun: bool = False
) -> list[str]:
    """Why *step* failed: one line that is complete in itself, then cause and fix, with a way to the logs.

    begun: that line stands there already.
    """
    state = picture.steps[step]
    problem = state.problem or Problem(code="unexplained", message="nobody said why")
    who = paint(f"{step} failed{_where(picture, state)}", "bold red", on=colour)
    place = [f"  at {problem.place}"] if problem.place else []
    first = [] if begun else wrapped(f"{who}: {clean(problem.message)}", columns, hang=2)
    return [*first, *place, *details(problem, colour=colour, columns=columns)]


def _where(picture: Picture, state: StepState) -> str:
    fact, used = picture.facts.get(state.step), tries(state)
    if fact is None or used < 1:
        return f" on {fact.runtime}" if fact else ""
    again = "" if used >= fact.tries else ", not tried again"
    attempt = "" if used == 1 and again else f", attempt {used} of {fact.tries}"  # that it was the first says nothing
    return f" on {fact.runtime}{attempt}{again}"


def _not_done(picture: Picture) -> list[str]:
    """Services that were skipped, put together by what they were skipped for."""
    by_cause: dict[tuple[StepId, ...], list[str]] = {}
    for row in rows(picture):
        if row.state == "skipped" and row.service is not None:
            by_cause.setdefault(blamed(picture, row.step) or _halting(picture), []).append(row.service)
    return [f"not done: {listed(names, _SHOWN)}{_because(picture, guilty)}" for guilty, names in by_cause.items()]


def _halting(picture: Picture) -> tuple[StepId, ...]:
    """What failed in a run that began nothing more for that (`--fail-fast`)."""
    if picture.run.status != "failed" or picture.run.problem is not None:
        return ()
    return tuple(sorted(state.step for state in picture.steps.values() if state.status == "failed"))


def _because(picture: Picture, guilty: tuple[StepId, ...]) -> str:
    said = [f"{step} {'failed' if picture.steps[step].status == 'failed' else 'was cancelled'}" for step in guilty]
    return f", because {' and '.join(said)}" if said else ""


_COLOURS: dict[str, Colour] = {"succeeded": "bold green", "failed": "bold red", "cancelled": "bold yellow"}


def _verdict(picture: Picture, now: float | None, *, colour: bool) -> str:
    run = picture.run
    status = paint(run.status, _COLOURS.get(run.status, "bold"), on=colour)
    return f"{status} in {duration(picture.elapsed(now))}: {told(picture)}"


def told(picture: Picture) -> str:
    """`6 services deployed, 2 unchanged`, with those that are still on their way; where it is about none, what else was done."""
    number = counts(picture)
    parts = [(number[state], _word(picture, state, word)) for state, word in _WORDS if number[state]]
    open_ = sum(number.values()) - sum(count for count, _ in parts)
    if open_:
        parts.append((open_, "not done yet"))
    texts = [f"{count} {word}" for count, word in parts]
    if parts:
        texts[0] = f"{counted(parts[0][0], 'service')} {parts[0][1]}"
    return ", ".join(texts or _beside_services(picture)) or "nothing to do"


def _word(picture: Picture, state: RowState, word: str) -> str:
    restarts = state == "ready" and any(action_of(step) == "restart" for step in picture.steps)
    return "restarted" if restarts else word


def _beside_services(picture: Picture) -> list[str]:
    """What a stage's own steps changed: its network was removed, say."""
    outcomes = (state.outcome for state in picture.steps.values())
    return [clean(outcome.text) for outcome in outcomes if outcome is not None and outcome.changed]
