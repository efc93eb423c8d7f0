# SPDX-License-Identifier: Apache-2.0
"""Why Cloud Run refused a request: its answer as a Problem, with the place in the user's file and what to do. Pure.

Cloud Run says which field of its own object it dislikes, or which permission is missing, and nobody has written that
object by hand. So each answer is led back to who can mend it: to the line of the service, to whoever grants roles in the
project, to whoever else changes the same service. What an answer that never came means, the line itself has said
(`trouble`).
"""

import re

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.cloudrun.answer import Answer, short
from fleetflow_tasks.runtimes.cloudrun.denials import denied, disabled, is_disabled, no_such_place, unknown
from fleetflow_tasks.runtimes.cloudrun.names import LONGEST
from fleetflow_tasks.runtimes.cloudrun.trouble import CloudRunError

QUOTAS = "https://console.cloud.google.com/iam-admin/quotas"

_NO_ACCOUNT = re.compile(r"[Ss]ervice account \S+ (?:does not exist|was not found)|[Uu]ser \S+ does not exist")
_NO_PLACE = re.compile(r"[Ll]ocation |[Rr]egion |[Pp]roject ")
_RESERVED = re.compile(r"reserved env names? (?:were|was) provided: (?P<names>[^.]+)")
_DOMAIN = re.compile(r"permitted customer|organization policy|allowedPolicyMemberDomains|requireInvokerIam")
_REGION_QUOTA = re.compile(r"[Mm]ax instances must be set to|PerProjectRegion|maxScale")

# A word of Cloud Run's answer -> the field of the service that it comes from. The first that fits counts.
_FIELDS: tuple[tuple[str, str], ...] = (
    (r"concurrency", "options"),
    (r"max(?:imum)? instances|maxInstanceCount|max_instance|maxScale|CpuAllocPerProjectRegion|min instances", "scaling"),
    (r"[Ss]ecret", "secrets"),
    (r"\benv\b|environment variable|\.env\[", "environment"),
    (r"[Pp]robe|health ?check", "healthcheck"),
    (r"[Vv]olume|[Mm]ount|cloud_?sql|[Bb]ucket", "volumes"),
    (r"\.?\b(?:containerPort|ports?)\b", "ports"),
    (r"\b(?:cpu|memory|limits|resources)\b", "resources"),
    (r"[Ii]ngress|[Vv]pc|[Nn]etwork|service_?account|service account|timeout|invoker", "options"),
    (r"\blabels?\b", "labels"),
    (r"\bimage\b", "image"),
    (r"\bargs\b", "command"),
    (r"\bcommand\b", "entrypoint"),
)  # fmt: skip


def problem_of(
    error: CloudRunError, plan: Plan, service: ResolvedService | None, doing: str, *, account: str = ""
) -> Problem:
    """What stands in the way of *service*, or of the whole stage. doing: as in "cannot …": "deploy `api`".

    account: as whom we come, "" where our credentials do not say it.
    """
    return _explained(Answer(error, plan, service, f"cannot {doing}", account))


def _explained(answer: Answer) -> Problem:
    if not answer.error.answered:
        return answer.error.problem
    if is_disabled(answer.error):
        return disabled(answer)
    match answer.error.code:
        case "UNAUTHENTICATED":
            return unknown(answer)
        case "PERMISSION_DENIED":
            return denied(answer)
        case "NOT_FOUND":
            return _not_found(answer)
        case "RESOURCE_EXHAUSTED":
            return _too_much(answer)
        case "ABORTED":
            return _other(answer)
        case "INVALID_ARGUMENT" | "FAILED_PRECONDITION":
            return _unfit(answer)
        case _:
            return _refused(answer)


def _not_found(answer: Answer) -> Problem:
    if _NO_ACCOUNT.search(answer.said):
        return _no_account(answer)
    if answer.error.method.startswith("List") or _NO_PLACE.search(answer.said):
        return no_such_place(answer)
    name = answer.error.name.rpartition("/")[2]
    return answer.problem(
        "object-gone", f"`{name}` is not there any more: somebody removed it", fix="run it again: it is made anew"
    )


def _too_much(answer: Answer) -> Problem:
    if _REGION_QUOTA.search(answer.said):
        return _beyond(answer)
    return answer.problem(
        "quota",
        f"Google's quota for project `{answer.where.project}` in `{answer.where.region}` is used up",
        fix=f"try it later, do less at a time, or ask for more: {QUOTAS}",
    )


def _beyond(answer: Answer) -> Problem:
    return answer.problem(
        "region-quota",
        f"it may grow beyond what project `{answer.where.project}` may use in `{answer.where.region}`: instances times cpu",
        fix=f"lower `max` in `scaling`, or ask for more: {QUOTAS}",
        field="scaling",
    )


def _other(answer: Answer) -> Problem:
    return answer.problem(
        "changed-meanwhile", "somebody else changes it at the same time", fix="let them end, then run it again"
    )


def _unfit(answer: Answer) -> Problem:
    said = " ".join((answer.said, *answer.error.details))
    if found := _RESERVED.search(said):
        return _reserved(answer, found["names"].strip())
    if _REGION_QUOTA.search(said):
        return _beyond(answer)
    if _DOMAIN.search(said):
        return _closed(answer)
    if _NO_ACCOUNT.search(said):
        return _no_account(answer)
    if "service_id" in said or "serviceId" in said or "job_id" in said:
        return _misnamed(answer)
    field = next((field for pattern, field in _FIELDS if re.search(pattern, said)), "")
    return answer.problem("field-refused", short(answer.said), field=field, cause=answer.error.details)


def _reserved(answer: Answer, names: str) -> Problem:
    return answer.problem(
        "reserved-variable",
        f"Cloud Run sets {', '.join(f'`{each.strip()}`' for each in names.split(','))} itself",
        fix="take it out of `environment`; `port` says where the container listens",
        field="environment",
    )


def _closed(answer: Answer) -> Problem:
    return answer.problem(
        "organization-policy",
        "a policy of the organization does not let it be called like this",
        fix="take `public` or `invoker` away, or have the policy changed "
        "(`run.managed.requireInvokerIam`, `iam.allowedPolicyMemberDomains`)",
        field="options",
    )


def _no_account(answer: Answer) -> Problem:
    return answer.problem(
        "no-account",
        "an account that it names does not exist",
        fix="make it (`gcloud iam service-accounts create`), or correct `service_account` or `invoker`",
        field="options",
    )


def _misnamed(answer: Answer) -> Problem:
    return answer.problem(
        "unfit-name",
        f"Cloud Run does not take its name: lower case, digits and `-`, {LONGEST} characters at most",
        fix="give the project, the stage or the service a shorter name",
    )


def _refused(answer: Answer) -> Problem:
    return answer.problem("api-refused", short(answer.said) or answer.error.code, cause=(f"code {answer.error.code}",))
