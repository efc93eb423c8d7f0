# SPDX-License-Identifier: Apache-2.0
"""One JSON object per line, for machines. Every object begins with `"v":1`, and `type` says what it is.

    {"v":1,"type":"snapshot","run":"01k…","steps":[{…}],…}  first, and again after a gap
    {"v":1,"type":"step.moved","run":"01k…","step":"api:deploy","status":"running",…}
    {"v":1,"type":"end","run":"01k…","services":{"ready":6},…}  last
    {"v":1,"type":"rollback","run":"01k…","by":"01k…",…}    of a run that failed and is rolled back; then that run's lines

Which types there are and what is in them says `contract`. No secret can get in: no type there could hold one.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import asdict

from fleetflow_tasks.engine.model import AnyEvent, Run, RunId, Snapshot
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.view import contract
from fleetflow_tasks.view.fold import Picture, counts


def event(run: RunId, happened: AnyEvent) -> str:
    """Its type is the event's: `run.started`, `step.moved`, `step.progressed`, `noted`, `run.ended` …"""
    return document(str(happened.__struct_config__.tag), {"run": run, **asdict(happened)})


def snapshot(taken: Snapshot) -> str:
    return document("snapshot", {**of_run(taken.run), "steps": taken.steps, "last": taken.last})


def end(picture: Picture) -> str:
    """How many services ended how; the run as it is now."""
    return document("end", {**of_run(picture.run), "services": dict(counts(picture))})


def problems(found: Iterable[Problem], exit_code: int | None = None) -> str:
    """exit_code: that a command ends with for them; None: it goes on."""
    return document("problems", {"exit_code": exit_code, "problems": tuple(found)})


def document(kind: str, fields: Mapping[str, object]) -> str:
    """Any other answer (`ps`, `runs`, `plan`) as one object. The fields stand beside `v` and `type`."""
    return contract.line(contract.made(kind, fields))


def of_run(run: Run) -> Mapping[str, Any]:
    """The fields of a run, whose id is `run` wherever it is printed."""
    return {**asdict(run), "run": run.id}
