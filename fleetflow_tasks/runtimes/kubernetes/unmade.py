# SPDX-License-Identifier: Apache-2.0
"""Why a cluster refuses to make a pod: its rules (`admission`), or something that the pod names. Pure.

The controllers hand on what the API told them ("Error creating: pods "api-x" is forbidden: …"), in a condition, in an
event, or in both. No pod exists then, so nothing else could tell.
"""

import re
from datetime import datetime

from fleetflow_tasks.runtimes.kubernetes.admission import Denial, denied
from fleetflow_tasks.runtimes.kubernetes.diagnosis import Diagnosis, graced, one_line

_ACCOUNT = re.compile(r'serviceaccount "(?P<name>[^"]+)" not found')
_PRIORITY = re.compile(r"no PriorityClass with name (?P<name>\S+) was found")
_FORBIDDEN = re.compile(r'^.*?(?:pods|persistentvolumeclaims) "[^"]*" is forbidden: ', re.DOTALL)

_LEAD = "Error creating: "  # in an event, and not in a condition
_PASSING = ("etcdserver", "timeout", "timed out", "connection refused", "try again", "the object has been modified")
ARRIVES = 10.0  # seconds: a new namespace gets its default service account a moment after it was made
GRACE = 30.0  # of what may pass: a webhook's own pods may be on their way


def refused(words: str, *, since: datetime | None, now: datetime) -> Diagnosis:
    """words: of a condition or an event. since: when it was first said."""
    words = words.removeprefix(_LEAD)
    found, grace = _found(words)
    why = Diagnosis(
        code=found.code,
        reason="FailedCreate",
        message=found.why,
        cause=(f"the cluster says: {one_line(words, 1000)}",),
        fix=found.fix,
        field=found.field,
    )
    return graced(why, since=since, grace=grace, now=now)


def _found(words: str) -> tuple[Denial, float]:
    """(why, seconds in which it may pass)."""
    if denial := denied(words):
        return denial, GRACE if denial.passing else 0
    if found := _ACCOUNT.search(words):
        return _absent("service account", found["name"], "make it, or correct `service_account`"), ARRIVES
    if found := _PRIORITY.search(words):
        return _absent("priority class", found["name"], "make it, or correct `priority_class`"), 0
    why = f"the cluster refuses its pods: {one_line(_FORBIDDEN.sub('', words))}"
    passing = any(word in words for word in _PASSING)
    return Denial(code="pods-refused", why=why, fix=""), GRACE if passing else 0


def _absent(what: str, name: str, fix: str) -> Denial:
    return Denial(
        code=f"{what.replace(' ', '-')}-missing", why=f"{what} `{name}` does not exist", fix=fix, field="options"
    )
