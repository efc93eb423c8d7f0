# SPDX-License-Identifier: Apache-2.0
"""One JSON object per line, for machines. Every object begins with `"v":1`, and `type` says what it is.

    {"v":1,"type":"snapshot","run":{…},"steps":[{…}]}       first, and again after a gap
    {"v":1,"run":"01k…","type":"step.moved","step":"api:deploy","status":"running",…}
    {"v":1,"type":"end","run":{…},"services":{"ready":6}}   last
    {"v":1,"type":"rollback","run":"01k…","by":"01k…"}      of a run that failed and is rolled back; then that run's lines

Within a version only fields are added. A field that has its default (0, null, empty) is left out. No secret can get in:
nothing here knows how to encode one.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from fleetflow_tasks.engine.model import AnyEvent, RunId, Snapshot
from fleetflow_tasks.view.fold import Picture, counts

VERSION = 1


def event(run: RunId, happened: AnyEvent) -> str:
    """Its type is the event's: `run.started`, `step.moved`, `step.progressed`, `noted`, `run.ended` …"""
    return _line({"run": run, **msgspec.to_builtins(happened)})


def snapshot(taken: Snapshot) -> str:
    return _line({"type": "snapshot", **msgspec.to_builtins(taken)})


def end(picture: Picture) -> str:
    """How many services ended how; the run as it is now."""
    return document("end", {"run": picture.run, "services": dict(counts(picture))})


def document(kind: str, fields: Mapping[str, object]) -> str:
    """Any other answer (`ps`, `runs`, `plan`, `problems`) as one object. The fields stand beside `v` and `type`."""
    return _line({"type": kind, **msgspec.to_builtins(fields, str_keys=True)})


def _line(fields: Mapping[str, Any]) -> str:
    return msgspec.json.encode({"v": VERSION, **fields}).decode()
