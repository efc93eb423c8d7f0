# SPDX-License-Identifier: Apache-2.0
"""What a promotion takes from one stage to another: the images, and what they change there."""

from collections.abc import Mapping, Sequence

from fleetflow_tasks.config.model import ServiceName, StageName
from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.image import short
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import Change
from fleetflow_tasks.view import because, tables
from fleetflow_tasks.view.ink import aligned, clean
from fleetflow_tasks.view.jsonl import document


def text(source: StageName, plan: Plan, images: Mapping[ServiceName, str], runs: Sequence[str]) -> str:
    """A line per image, by service, under where they come from."""
    made = f", made by {', '.join(because.short(RunId(run)) for run in runs)}" if runs else ""
    rows = aligned((f"  {name}", clean(short(images[name]))) for name in sorted(images))
    return "\n".join([f"from {plan.project}/{source}{made}, to {plan.project}/{plan.stage}:", *rows])


def as_json(
    source: StageName,
    plan: Plan,
    images: Mapping[ServiceName, str],
    runs: Sequence[str],
    found: Mapping[StepId, Change],
    warnings: Sequence[Problem] = (),
) -> str:
    """One object: `{"v":1,"type":"promotion","project":…,"from":…,"to":…,"images":{"api":"…@sha256:…"},"runs":[…],…}`."""
    return document(
        "promotion",
        {
            "project": plan.project,
            "from": source,
            "to": plan.stage,
            "images": {name: images[name] for name in sorted(images)},
            "runs": list(runs),
            **tables.changes_and_total(plan, found),
            "warnings": warnings,
        },
    )
