# SPDX-License-Identifier: Apache-2.0
"""Why Cloud Run refused a request: its answer as a Problem, with the place in the user's file and what to do. Pure.

Cloud Run says which field of its own object it dislikes, or which permission is missing, and nobody has written that
object by hand. So each answer is led back to who can mend it: to the line of the service, to whoever grants roles in the
project, to whoever else changes the same service. What an answer that never came means, the line itself has said
(`trouble`).
"""

import re

from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.cloudrun import grants, rights
from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError
from fleetflow_tasks.runtimes.cloudrun.names import LONGEST
from fleetflow_tasks.runtimes.cloudrun.settings import settings

API = "run.googleapis.com"
QUOTAS = "https://console.cloud.google.com/iam-admin/quotas"

_SHOWN = 400  # characters of an answer; some hold a whole template
_DISABLED = re.compile(r"has not been used in project \S+ before or it is disabled|API .{0,40}is not enabled")
_ACT_AS = re.compile(r"iam\.serviceaccounts\.actAs'? denied on (?:service account|resource) '?(?P<account>[^\s'(]+)", re.IGNORECASE)  # fmt: skip
_PERMISSION = re.compile(r"[Pp]ermission '?(?P<permission>[a-z]\w+\.[\w.]+?)'?(?: was)? denied(?: on (?:resource )?'?(?P<resource>[^\s'(]+))?")  # fmt: skip
_AGENT_DENIED = re.compile(r"does not have permission to get access tokens for the service account (?P<account>\S+?)\.?(?=\s|$)")  # fmt: skip
_UNREAD = re.compile(r"does not have access to image|must have permission to read the image")
_NO_ACCOUNT = re.compile(r"[Ss]ervice account \S+ (?:does not exist|was not found)|[Uu]ser \S+ does not exist")
_NO_PLACE = re.compile(r"[Ll]ocation |[Rr]egion |[Pp]roject ")
_NO_LOCATION = re.compile(r"[Ll]ocation \S+ is not found")
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
    return _Answer(error, plan, service, f"cannot {doing}", account).explained()


def is_disabled(error: CloudRunError) -> bool:
    """Whether the API itself, whichever of Google's, is not enabled in the project."""
    return error.reason == "SERVICE_DISABLED" or _DISABLED.search(error.answer) is not None


class _Answer:
    """One refusal, with all that is needed to put it into words."""

    def __init__(
        self, error: CloudRunError, plan: Plan, service: ResolvedService | None, lead: str, account: str
    ) -> None:
        self.error = error
        self.said = error.answer
        self.where = settings(plan)
        self.service = service
        self.lead = lead
        self.account = account

    def explained(self) -> Problem:
        if not self.error.answered:
            return self.error.problem
        if is_disabled(self.error):
            return self._disabled()
        match self.error.code:
            case "UNAUTHENTICATED":
                return self._unknown()
            case "PERMISSION_DENIED":
                return self._denied()
            case "NOT_FOUND":
                return self._not_found()
            case "RESOURCE_EXHAUSTED":
                return self._too_much()
            case "ABORTED":
                return self._other()
            case "INVALID_ARGUMENT" | "FAILED_PRECONDITION":
                return self._unfit()
            case _:
                return self._refused()

    # --- who we are, and what we may

    def _unknown(self) -> Problem:
        return self._problem(
            "expired-credentials",
            "Google does not accept our credentials: they are wrong, or they have expired",
            fix="log in anew: `gcloud auth application-default login`",
        )

    def _disabled(self) -> Problem:
        """Another API than Cloud Run's may be meant; the answer's facts name it."""
        api = self.error.facts.get("service", API)
        project = self.where.project or self.error.facts.get("consumer", "").removeprefix("projects/")
        name = "the Cloud Run API" if api == API else f"the API `{api}`"
        return self._problem(
            "api-disabled",
            f"{name} is not enabled in project `{project}`",
            fix=f"enable it: `gcloud services enable {api} --project={project}`; it takes a minute",
        )

    def _denied(self) -> Problem:
        if found := _ACT_AS.search(self.said):
            return self._not_as(found["account"].rpartition("/")[2].rstrip("."))
        if _UNREAD.search(self.said):
            return self._unread()
        if found := _AGENT_DENIED.search(self.said):
            return self._agent_denied(found["account"])
        found = _PERMISSION.search(self.said)
        permission = found["permission"] if found else self.error.facts.get("permission", "")
        if not permission:
            return self._no_such_place() if _NO_LOCATION.search(self.said) else self._may_not()
        return self._lacks(permission)

    def _not_as(self, account: str) -> Problem:
        who = f"`{self.account}`" if self.account else "we"
        return self._problem(
            "actas-denied",
            f"{who} may not let it run as `{account}`: permission `iam.serviceAccounts.actAs` is missing there",
            fix=f"grant `{rights.ACTOR}` on it: {grants.actor(account, self.account)}",
            field="options",
        )

    def _unread(self) -> Problem:
        agent = grants.agent(self.said)
        image = self.service.image if self.service else ""
        return self._problem(
            "image-denied",
            f"`{agent or self.account or 'our account'}` may not read the image `{image}`",
            fix=grants.reader(image, agent or self.account),
            field="image",
        )

    def _agent_denied(self, account: str) -> Problem:
        agent = grants.agent(self.said) or "Cloud Run's service agent"
        return self._problem(
            "agent-denied",
            f"`{agent}` may not run containers as `{account}`",
            fix=f"give it `roles/run.serviceAgent` in project `{self.where.project}`",
        )

    def _lacks(self, permission: str) -> Problem:
        role = rights.role(permission)
        who = f"`{self.account}`" if self.account else "our account"
        fix = grants.project_role(self.where.project, role, self.account) if role else f"have `{permission}` granted"
        there = f"; or project `{self.where.project}` or region `{self.where.region}` does not exist"
        return self._problem(
            "forbidden",
            f"{who} lacks permission `{permission}` in project `{self.where.project}`",
            fix=f"grant {f'`{role}`' if role else 'a role'} that has it: {fix}" + (there if "may not exist" in self.said else ""),
        )  # fmt: skip

    def _may_not(self) -> Problem:
        who = f"`{self.account}`" if self.account else "our account"
        return self._problem(
            "forbidden",
            f"{who} has no right to it in project `{self.where.project}`",
            fix=f"see that `project` and `region` are right, then grant `{rights.DEVELOPER}`: "
            + grants.project_role(self.where.project, rights.DEVELOPER, self.account),
        )

    # --- where it should be, and how much of it

    def _not_found(self) -> Problem:
        if _NO_ACCOUNT.search(self.said):
            return self._no_account()
        if self.error.method.startswith("List") or _NO_PLACE.search(self.said):
            return self._no_such_place()
        name = self.error.name.rpartition("/")[2]
        return self._problem(
            "gone", f"`{name}` is not there any more: somebody removed it", fix="run it again: it is made anew"
        )

    def _no_such_place(self) -> Problem:
        return self._problem(
            "no-such-place",
            f"project `{self.where.project}` does not exist, or Cloud Run has no region `{self.where.region}`",
            fix="correct `project` or `region`; `gcloud run regions list` shows what there is",
        )

    def _too_much(self) -> Problem:
        if _REGION_QUOTA.search(self.said):
            return self._beyond()
        return self._problem(
            "quota",
            f"Google's quota for project `{self.where.project}` in `{self.where.region}` is used up",
            fix=f"try it later, do less at a time, or ask for more: {QUOTAS}",
        )

    def _beyond(self) -> Problem:
        return self._problem(
            "region-quota",
            f"it may grow beyond what project `{self.where.project}` may use in `{self.where.region}`: instances times cpu",
            fix=f"lower `max` in `scaling`, or ask for more: {QUOTAS}",
            field="scaling",
        )

    def _other(self) -> Problem:
        return self._problem(
            "changed-meanwhile", "somebody else changes it at the same time", fix="let them end, then run it again"
        )

    # --- what it is

    def _unfit(self) -> Problem:
        said = " ".join((self.said, *self.error.details))
        if found := _RESERVED.search(said):
            return self._reserved(found["names"].strip())
        if _REGION_QUOTA.search(said):
            return self._beyond()
        if _DOMAIN.search(said):
            return self._closed()
        if _NO_ACCOUNT.search(said):
            return self._no_account()
        if "service_id" in said or "serviceId" in said or "job_id" in said:
            return self._misnamed()
        field = next((field for pattern, field in _FIELDS if re.search(pattern, said)), "")
        return self._problem("field-refused", _line(self.said), field=field, cause=self.error.details)

    def _reserved(self, names: str) -> Problem:
        return self._problem(
            "reserved-variable",
            f"Cloud Run sets {', '.join(f'`{each.strip()}`' for each in names.split(','))} itself",
            fix="take it out of `environment`; `port` says where the container listens",
            field="environment",
        )

    def _closed(self) -> Problem:
        return self._problem(
            "organization-policy",
            "a policy of the organization does not let it be called like this",
            fix="take `public` or `invoker` away, or have the policy changed "
            "(`run.managed.requireInvokerIam`, `iam.allowedPolicyMemberDomains`)",
            field="options",
        )

    def _no_account(self) -> Problem:
        return self._problem(
            "no-account",
            "an account that it names does not exist",
            fix="make it (`gcloud iam service-accounts create`), or correct `service_account` or `invoker`",
            field="options",
        )

    def _misnamed(self) -> Problem:
        return self._problem(
            "name",
            f"Cloud Run does not take its name: lower case, digits and `-`, {LONGEST} characters at most",
            fix="give the project, the stage or the service a shorter name",
        )

    def _refused(self) -> Problem:
        return self._problem("api-refused", _line(self.said) or self.error.code, cause=(f"code {self.error.code}",))

    # --- their common form

    def _problem(
        self, code: str, message: str, *, fix: str = "", field: str = "", cause: tuple[str, ...] | None = None
    ) -> Problem:
        """cause: instead of Cloud Run's own words."""
        words = (f"Cloud Run says: {_line(self.said)}",) if self.said else ()
        return Problem(
            code=code,
            message=f"{self.lead}: {message}",
            cause=words if cause is None else cause,
            fix=fix,
            place=self._place(field),
        )

    def _place(self, field: str) -> Place | None:
        if self.service is None:
            return None
        return self.service.places.get(field) or self.service.places.get("")


def _line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN else f"{flat[: _SHOWN // 2]} … {flat[-_SHOWN // 2 :]}"
