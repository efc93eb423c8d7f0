# SPDX-License-Identifier: Apache-2.0
"""Who we are, and what we may: the refusals that somebody mends who grants roles in the project. Pure."""

import re

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.cloudrun import grants, rights
from fleetflow_tasks.runtimes.cloudrun.answer import Answer
from fleetflow_tasks.runtimes.cloudrun.trouble import CloudRunError

API = "run.googleapis.com"

_DISABLED = re.compile(r"has not been used in project \S+ before or it is disabled|API .{0,40}is not enabled")
_ACT_AS = re.compile(r"iam\.serviceaccounts\.actAs'? denied on (?:service account|resource) '?(?P<account>[^\s'(]+)", re.IGNORECASE)  # fmt: skip
_PERMISSION = re.compile(r"[Pp]ermission '?(?P<permission>[a-z]\w+\.[\w.]+?)'?(?: was)? denied")  # fmt: skip
_AGENT_DENIED = re.compile(r"does not have permission to get access tokens for the service account (?P<account>\S+?)\.?(?=\s|$)")  # fmt: skip
_UNREAD = re.compile(r"does not have access to image|must have permission to read the image")
_NO_LOCATION = re.compile(r"[Ll]ocation \S+ is not found")


def is_disabled(error: CloudRunError) -> bool:
    """Whether the API itself, whichever of Google's, is not enabled in the project."""
    return error.reason == "SERVICE_DISABLED" or _DISABLED.search(error.answer) is not None


def unknown(answer: Answer) -> Problem:
    return answer.problem(
        "expired-credentials",
        "Google does not accept our credentials: they are wrong, or they have expired",
        fix="log in anew: `gcloud auth application-default login`",
    )


def disabled(answer: Answer) -> Problem:
    """Another API than Cloud Run's may be meant; the answer's facts name it."""
    api = answer.error.facts.get("service", API)
    project = answer.where.project or answer.error.facts.get("consumer", "").removeprefix("projects/")
    name = "the Cloud Run API" if api == API else f"the API `{api}`"
    return answer.problem(
        "api-disabled",
        f"{name} is not enabled in project `{project}`",
        fix=f"enable it: `gcloud services enable {api} --project={project}`; it takes a minute",
    )


def denied(answer: Answer) -> Problem:
    if found := _ACT_AS.search(answer.said):
        return _not_as(answer, found["account"].rpartition("/")[2].rstrip("."))
    if _UNREAD.search(answer.said):
        return _unread(answer)
    if found := _AGENT_DENIED.search(answer.said):
        return _agent_denied(answer, found["account"])
    found = _PERMISSION.search(answer.said)
    permission = found["permission"] if found else answer.error.facts.get("permission", "")
    if not permission:
        return no_such_place(answer) if _NO_LOCATION.search(answer.said) else _may_not(answer)
    return _lacks(answer, permission)


def no_such_place(answer: Answer) -> Problem:
    return answer.problem(
        "no-such-place",
        f"project `{answer.where.project}` does not exist, or Cloud Run has no region `{answer.where.region}`",
        fix="correct `project` or `region`; `gcloud run regions list` shows what there is",
    )


def _not_as(answer: Answer, account: str) -> Problem:
    who = f"`{answer.account}`" if answer.account else "we"
    return answer.problem(
        "actas-denied",
        f"{who} may not let it run as `{account}`: permission `iam.serviceAccounts.actAs` is missing there",
        fix=f"grant `{rights.ACTOR}` on it: {grants.actor(account, answer.account)}",
        field="options",
    )


def _unread(answer: Answer) -> Problem:
    who = grants.agent(answer.said) or answer.account
    image = answer.service.image if answer.service else ""
    return answer.problem(
        "image-denied",
        f"{f'`{who}`' if who else 'our account'} may not read the image `{image}`",
        fix=grants.reader(image, who),
        field="image",
    )


def _agent_denied(answer: Answer, account: str) -> Problem:
    agent = grants.agent(answer.said)
    who = f"`{agent}`" if agent else "Cloud Run's service agent"
    return answer.problem(
        "agent-denied",
        f"{who} may not run containers as `{account}`",
        fix=f"give it `roles/run.serviceAgent` in project `{answer.where.project}`",
    )


def _lacks(answer: Answer, permission: str) -> Problem:
    role = rights.role(permission)
    who = f"`{answer.account}`" if answer.account else "our account"
    fix = grants.project_role(answer.where.project, role, answer.account) if role else f"have `{permission}` granted"
    there = f"; or project `{answer.where.project}` or region `{answer.where.region}` does not exist"
    return answer.problem(
        "forbidden",
        f"{who} lacks permission `{permission}` in project `{answer.where.project}`",
        fix=f"grant {f'`{role}`' if role else 'a role'} that has it: {fix}" + (there if "may not exist" in answer.said else ""),
    )  # fmt: skip


def _may_not(answer: Answer) -> Problem:
    who = f"`{answer.account}`" if answer.account else "our account"
    return answer.problem(
        "forbidden",
        f"{who} has no right to it in project `{answer.where.project}`",
        fix=f"see that `project` and `region` are right, then grant `{rights.DEVELOPER}`: "
        + grants.project_role(answer.where.project, rights.DEVELOPER, answer.account),
    )
