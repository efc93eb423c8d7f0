# SPDX-License-Identifier: Apache-2.0
"""What a rollback brings back, before it does: which run, whose, and what is different then."""

from fleetflow_tasks.engine.record import Version
from fleetflow_tasks.view.ink import ago, clean, paint
from fleetflow_tasks.view.jsonl import document, of_run
from fleetflow_tasks.view.show import differences


def text(version: Version, *, colour: bool = False) -> str:
    run, last = version.run, version.last
    of = f" of {clean(run.actor)}" if run.actor else ""
    head = paint(f"{run.project}/{run.stage} goes back to run {run.id}", "bold", on=colour)
    note = f", {clean(run.note)}" if run.note else ""
    lines = [f"{head}{of}, {ago(version.now - run.submitted)}{note}"]
    if version.differences is None:
        return "\n".join([*lines, f"what changes is not known: the plan of run {last.id} cannot be opened here"])
    return "\n".join([*lines, *differences(version.differences)])


def as_json(version: Version) -> str:
    """One object: `{"v":1,"type":"rollback-plan","to":…,"from":…,"differences":[…]}`."""
    both = {"to": of_run(version.run), "from": of_run(version.last)}
    return document("rollback-plan", {**both, "differences": version.differences})
