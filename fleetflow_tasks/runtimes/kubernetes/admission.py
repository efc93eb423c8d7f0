# SPDX-License-Identifier: Apache-2.0
"""A cluster's own rules, and what they say no to: quotas, limits, PodSecurity, policies, webhooks. Pure.

The same words come on two ways: in the API server's answer to what we send (`explain`), and from a controller that makes
pods of it (`unmade`). They are read here for both, so that one rule has one name and one way out.
"""

import re
from collections.abc import Callable, Sequence

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.kubernetes.diagnosis import one_line


class Denial(Data, frozen=True, kw_only=True):
    """code: of a Problem. why: a sentence without its subject's name. field: of the service, "" where none is to blame.

    passing: whether it may be over in a moment.
    """

    code: str
    why: str
    fix: str
    field: str = ""
    passing: bool = False


def denied(words: str) -> Denial | None:
    """None where *words* speak of no such rule."""
    for pattern, made in _RULES:
        if found := pattern.search(words):
            return made(found)
    return None


def _quota(found: re.Match[str]) -> Denial:
    return Denial(
        code="quota",
        why=f"quota `{found['name']}` is used up: it asks for {found['asked']}, used are {found['used']} "
        f"of {found['most']}",
        fix="ask for less in `resources`, or raise the quota"
        if _OF_ONE_POD.match(found["asked"])
        else "raise the quota, or remove what is not needed",
        field="resources",
    )


def _unsaid(found: re.Match[str]) -> Denial:
    why = f"quota `{found['name']}` wants to be told {found['what']}"
    return Denial(code="quota", why=why, fix="say it in `resources`", field="resources")


def _security(found: re.Match[str]) -> Denial:
    level = found["level"].partition(":")[0]
    return Denial(
        code="pod-security",
        why=f"the namespace allows only `{level}` pods: {one_line(_DETAIL.sub('', found['what']))}",
        fix="say `restricted #true` in `kubernetes`, or label the namespace otherwise"
        if level == "restricted"
        else "take away what it asks for, or label the namespace otherwise",
        field="options",
    )


def _limits(found: re.Match[str]) -> Denial:
    field = "volumes" if "PersistentVolumeClaim" in found["what"] else "resources"
    fix = f"ask for what the namespace's LimitRange allows, in `{field}`"
    return Denial(code="limit-range", why=f"the namespace sets limits: {found['what']}", fix=fix, field=field)


def _webhook(found: re.Match[str]) -> Denial:
    return _by("webhook", found)


def _policy(found: re.Match[str]) -> Denial:
    return _by("policy", found)


def _by(who: str, found: re.Match[str]) -> Denial:
    return Denial(
        code="admission-denied",
        why=f"{who} `{found['name']}` denies it: {one_line(found['what']) or 'without a word'}",
        fix=f"do as it says, or ask whoever runs `{found['name']}`",
    )


def _silent(found: re.Match[str]) -> Denial:
    return Denial(
        code="webhook-broken",
        why=f"webhook `{found['name']}` does not answer: {one_line(found['what'])}",
        fix="see to the webhook: the cluster lets nothing of this kind through without it",
        passing=True,
    )


_OF_ONE_POD = re.compile(r"(?:requests\.|limits\.)?(?:cpu|memory|storage|ephemeral-storage)=")  # what is not counted
_DETAIL = re.compile(r" \([^()]*\)")  # which container must set what

_RULES: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Denial]]] = (
    (
        re.compile(
            r"exceeded quota: (?P<name>[^,]+), requested: (?P<asked>.+), used: (?P<used>.+), limited: (?P<most>.+)"
        ),
        _quota,
    ),
    (re.compile(r"failed quota: (?P<name>[^:]+): must specify (?P<what>.+)"), _unsaid),
    (re.compile(r'violates PodSecurity "(?P<level>[^"]+)": (?P<what>.+)', re.DOTALL), _security),
    (re.compile(r'admission webhook "(?P<name>[^"]+)" denied the request:? ?(?P<what>.*)', re.DOTALL), _webhook),
    (
        re.compile(r"ValidatingAdmissionPolicy '(?P<name>[^']+)'.* denied request: ?(?P<what>.*)", re.DOTALL),
        _policy,
    ),
    (re.compile(r'failed calling webhook "(?P<name>[^"]+)": (?P<what>.+)', re.DOTALL), _silent),
    (re.compile(r"is forbidden: \[?(?P<what>(?:minimum|maximum) \S+ usage per .+?)\]?$"), _limits),
)
