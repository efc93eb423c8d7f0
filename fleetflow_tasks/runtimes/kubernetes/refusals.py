# SPDX-License-Identifier: Apache-2.0
"""Why a cluster refuses to make a pod: the words of quotas, admission and webhooks, in ours. Pure.

The controllers hand on what the API told them ("Error creating: pods "api-x" is forbidden: …"), in a condition, in an
event, or in both. No pod exists then, so nothing else could tell.
"""

import re
from datetime import datetime

from fleetflow_tasks.runtimes.kubernetes.diagnosis import Diagnosis, graced, one_line

_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.+), used: (?P<used>.+), limited: (?P<most>.+)"
)
_UNSAID = re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<what>.+)")
_SECURITY = re.compile(r'violates PodSecurity "(?P<level>[^"]+)": (?P<what>.+)', re.DOTALL)
_WEBHOOK = re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request: ?(?P<what>.*)', re.DOTALL)
_BROKEN_WEBHOOK = re.compile(r'failed calling webhook "(?P<name>[^"]+)": (?P<what>.+)', re.DOTALL)
_ACCOUNT = re.compile(r'serviceaccount "(?P<name>[^"]+)" not found')
_LIMITS = re.compile(r"\[?(?P<what>(?:minimum|maximum) \S+ usage per .+?)\]?$")
_PRIORITY = re.compile(r"no PriorityClass with name (?P<name>\S+) was found")
_DETAIL = re.compile(r" \([^()]*\)")  # which container must set what
_FORBIDDEN = re.compile(r'^.*?(?:pods|persistentvolumeclaims) "[^"]*" is forbidden: ', re.DOTALL)

_PASSING = ("etcdserver", "timeout", "timed out", "connection refused", "try again", "the object has been modified")
ARRIVES = 10.0  # seconds: a new namespace gets its default service account a moment after it was made
GRACE = 30.0  # of what may pass: a webhook's own pods may be on their way


def refused(words: str, *, since: datetime | None, now: datetime) -> Diagnosis:
    """words: "Error creating: …" of a condition or an event. since: when it was first said."""
    code, message, fix, field, grace = _explained(words)
    found = Diagnosis(
        code=code,
        reason="FailedCreate",
        message=message,
        cause=(f"the cluster says: {one_line(words, 1000)}",),
        fix=fix,
        field=field,
    )
    return graced(found, since=since, grace=grace, now=now)


def _explained(words: str) -> tuple[str, str, str, str, float]:
    """(code, message, fix, field, grace)"""
    if found := _QUOTA.search(words):
        why = f"asks for {found['asked']}, used are {found['used']} of {found['most']}"
        return "quota", f"quota `{found['name']}` is used up: it {why}", _less(found["asked"]), "resources", 0
    if found := _UNSAID.search(words):
        what, name = found["what"], found["name"]
        return "quota", f"quota `{name}` wants to be told {what}", "say it in `resources`", "resources", 0
    if found := _SECURITY.search(words):
        level = found["level"].partition(":")[0]
        asks = one_line(_DETAIL.sub("", found["what"]))
        return "pod-security", f"the namespace allows only `{level}` pods: {asks}", _secured(level), "options", 0
    if found := _WEBHOOK.search(words):
        what = one_line(found["what"]) or "without a word"
        return "webhook", f"webhook `{found['name']}` denies its pods: {what}", "", "", 0
    if found := _BROKEN_WEBHOOK.search(words):
        message = f"webhook `{found['name']}` does not answer: {one_line(found['what'])}"
        return "webhook-broken", message, "see to the webhook; every new pod of the cluster waits for it", "", GRACE
    if found := _ACCOUNT.search(words):
        fix = "make it, or correct `service_account`"
        return "service-account", f"service account `{found['name']}` does not exist", fix, "options", ARRIVES
    if found := _PRIORITY.search(words):
        return (
            "priority-class",
            f"priority class `{found['name']}` does not exist",
            "make it, or correct it",
            "options",
            0,
        )
    rest = _FORBIDDEN.sub("", words).removeprefix("Error creating: ")
    if found := _LIMITS.search(rest):
        message = f"a limit range of the namespace forbids it: {found['what']}"
        return "limit-range", message, "change `resources`", "resources", 0
    passing = any(word in words for word in _PASSING)
    return "pods-refused", f"the cluster refuses its pods: {one_line(rest)}", "", "", GRACE if passing else 0


def _secured(level: str) -> str:
    if level == "restricted":
        return "say `restricted #true` in `kubernetes`, or label the namespace otherwise"
    return "take away what it asks for, or label the namespace otherwise"


def _less(asked: str) -> str:
    """Where pods are counted, no service's figures help."""
    return (
        "raise the quota, or remove what is not needed"
        if asked.startswith("pods=")
        else "ask for less in `resources`, or raise the quota"
    )
