# SPDX-License-Identifier: Apache-2.0
"""How `check` says what is wrong: feature, service and runtime named, and where the text says it."""

from typing import Literal

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.cloudrun.source import CLOUDRUN

Severity = Literal["error", "warning", "note"]

BLOCK = "options"  # the field that `cloudrun { … }` fills


def wrong(service: ResolvedService, field: str, text: str, fix: str, *, cause: str = "") -> Problem:
    return _problem(service, field, text, fix, cause, "error")


def warned(service: ResolvedService, field: str, text: str, fix: str, *, cause: str = "") -> Problem:
    return _problem(service, field, text, fix, cause, "warning")


def note(service: ResolvedService, field: str, text: str, fix: str = "", *, cause: str = "") -> Problem:
    return _problem(service, field, text, fix, cause, "note")


def _problem(service: ResolvedService, field: str, text: str, fix: str, cause: str, severity: Severity) -> Problem:
    feature = field.partition(".")[0].replace("_", "-") or "service"
    return Problem(
        code=f"{CLOUDRUN}-{feature}",
        message=f"service `{service.name}`: runtime `{CLOUDRUN}` {text}",
        cause=(cause,) if cause else (),
        fix=fix,
        place=service.place(field),
        severity=severity,
    )
