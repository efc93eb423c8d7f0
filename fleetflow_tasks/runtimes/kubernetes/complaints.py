# SPDX-License-Identifier: Apache-2.0
"""How `check` says what is wrong: feature, service and runtime named, and where the text says it."""

from typing import Literal

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import ResolvedService

Severity = Literal["error", "warning", "note"]

LABEL_RULE = "it takes up to 63 lower-case letters, digits and, inside, `-`"
KEY_RULE = "use up to 63 letters, digits, `-`, `_` and `.`, before them a domain and `/` if need be"
VALUE_RULE = "use up to 63 letters, digits and, inside, `-`, `_` and `.`"


def wrong(service: ResolvedService, field: str, text: str, fix: str) -> Problem:
    return _problem(service, field, text, fix, "error")


def warned(service: ResolvedService, field: str, text: str, fix: str) -> Problem:
    return _problem(service, field, text, fix, "warning")


def note(service: ResolvedService, field: str, text: str, fix: str) -> Problem:
    return _problem(service, field, text, fix, "note")


def _problem(service: ResolvedService, field: str, text: str, fix: str, severity: Severity) -> Problem:
    feature = field.partition(".")[0].replace("_", "-") or "service"
    return Problem(
        code=f"kubernetes-{feature}",
        message=f"service `{service.name}`: runtime `kubernetes` {text}",
        fix=fix,
        place=service.place(field),
        severity=severity,
    )
