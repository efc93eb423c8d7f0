# SPDX-License-Identifier: Apache-2.0
"""Why a run was made, and what a run was undone by, in words.

A run that came from another names it by the end of its id: that is what `flow show` and the others take, and what finds
room in a table.
"""

from collections.abc import Iterable

from fleetflow_tasks.engine.model import Run, RunId
from fleetflow_tasks.engine.record import undoes
from fleetflow_tasks.view.jsonl import document

_END = 8  # characters of an id: a thousand runs of which two end alike are a matter of chance in millions


def short(run: RunId) -> str:
    return run[-_END:]


def because(run: Run) -> str:
    """`retry of 4mvmmpgx`, `rollback to 1k3xw0p9 after 4mvmmpgx`; "" for a run that was made for its plan's own sake."""
    why = run.because
    if why is None:
        return ""
    match why.kind:
        case "retry":
            return f"retry of {short(why.run)}"
        case "promote":
            return f"promoted from {short(why.run)}"
        case "rollback":  # pragma: no branch  (there is no other, as mypy knows)
            return f"rollback to {short(why.plan)} after {short(why.run)}" if why.plan else f"undoes {short(why.run)}"


def undoing(failed: RunId, runs: Iterable[Run]) -> Run | None:
    """The one of *runs* that takes *failed* back."""
    return next((run for run in runs if undoes(run, failed)), None)


def rolling_back(run: Run) -> str:
    """Between the end of a failed run and its rollback's first line."""
    to = f", to the plan of run {run.because.plan}" if run.because and run.because.plan else ""
    return f"rolled back by run {run.id}{to}"


def rolling_back_json(failed: RunId, run: Run) -> str:
    """One line: `{"v":1,"type":"rollback","run":failed,"by":…,"to":…}`."""
    return document("rollback", {"run": failed, "by": run.id, "to": run.because.plan if run.because else None})


def rolled_back(failed: Run, run: Run) -> str:
    """The last line of all: what stands now."""
    if run.status == "succeeded":
        to = f" to the plan of run {run.because.plan}" if run.because and run.because.plan else ""
        return f"run {failed.id} failed, and was rolled back{to}"
    return f"run {failed.id} failed, and its rollback {run.status}: look at the stage with `flow ps`"
