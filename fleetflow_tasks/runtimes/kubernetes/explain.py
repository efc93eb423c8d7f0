# SPDX-License-Identifier: Apache-2.0
"""Why the API server refused: its answer as a Problem, with the place in the user's file and what to do. Pure.

The server says which field of which object it dislikes; nobody has written that object by hand. So each answer is led
back to who can mend it: to the line of the service, to the role of the worker's account, to the namespace's quota, to
whoever else manages the object.
"""

import re
from collections.abc import Mapping

from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes.admission import denied
from fleetflow_tasks.runtimes.kubernetes.settings import settings
from fleetflow_tasks.runtimes.kubernetes.trouble import Cause, KubernetesError

_SHOWN = 400  # characters of an answer; some hold a whole pod template
_DENIED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"'
    r' in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_MANAGER = re.compile(r'conflict with "(?P<manager>[^"]+)"')
_UNDECLARED = re.compile(r"(?P<field>\.\S+): field not declared in schema")
_SLEEP = re.compile(r"preStop(?:\.sleep|: Required value)")  # 1.28 knows no such field, 1.29 takes it away
_NO_NAMESPACE = re.compile(r'namespaces "(?P<name>[^"]+)" not found')
_VALUE = re.compile(
    r'^(?:Invalid value|Unsupported value|Duplicate value): (?P<value>"(?:[^"\\]|\\.)*"|\S+): (?P<why>.+)', re.DOTALL
)

# What the API says where a field may never change, or not in this way.
_FIXED = (
    "field is immutable",
    "may not change once set",
    "is immutable after creation",
    "updates to statefulset spec for",
)

# A field of an object -> the node of the service that it comes from. The first that fits counts.
_FIELDS: tuple[tuple[str, str], ...] = (
    (r"nodePort|service_type|loadBalancer", "options"),
    (r"\.ports\b|Port$", "ports"),
    (r"\.resources\b|\.limits\b|\.requests\b", "resources"),
    (r"volumeClaimTemplates|volumeMounts|\.volumes\b|accessModes|storageClassName|storage$", "volumes"),
    (r"livenessProbe|startupProbe", "healthcheck"),
    (r"readinessProbe", "readiness"),
    (r"\.image$", "image"),
    (r"\.env\b|^data\b", "environment"),
    (r"\.command\b", "entrypoint"),
    (r"\.args\b", "command"),
    (r"spec\.rules|spec\.tls|ingressClassName", "ingress"),
    (r"metadata\.labels", "labels"),
    (r"minReplicas|maxReplicas|metrics", "scaling"),
    (r"spec\.replicas", "replicas"),
)


def problem_of(error: KubernetesError, plan: Plan, service: ResolvedService | None, doing: str) -> Problem:
    """What stands in the way of *service*, or of the whole stage. doing: as in "cannot …": "deploy `api`"."""
    return _explained(error, plan, service, f"cannot {doing}")


def role(verb: str, resource: str, group: str = "") -> str:
    """The rule that a role lacks, as it is written in YAML."""
    return f'{{apiGroups: ["{group}"], resources: ["{resource}"], verbs: ["{verb}"]}}'


def _explained(error: KubernetesError, plan: Plan, service: ResolvedService | None, lead: str) -> Problem:
    if error.status == 0:
        return error.problem
    said = error.answer
    if error.status == 401:
        return _unknown(lead, said)
    if found := _DENIED.search(said):
        return _denied(lead, said, found.groupdict(""))
    if any(cause.reason == "NamespaceTerminating" for cause in error.causes):
        return _terminating(lead, said, plan)
    if found := _NO_NAMESPACE.search(said):
        return _no_namespace(lead, said, found["name"])
    if any(cause.reason == "FieldManagerConflict" for cause in error.causes):
        return _conflict(lead, error, service)
    if any(words in said for words in _FIXED):
        return _immutable(lead, error, plan, service)
    return _admission(lead, error, service) or _unfit(lead, error, service)


def _unknown(lead: str, said: str) -> Problem:
    return Problem(
        code="expired-credentials",
        message=f"{lead}: the API server does not accept our credentials: they are wrong, or they have expired",
        cause=_answer(said),
        fix="log in anew, or have the kubeconfig written anew",
    )


def _denied(lead: str, said: str, found: Mapping[str, str]) -> Problem:
    user, verb, resource = found["user"], found["verb"], found["resource"]
    where = f"in namespace `{found['namespace']}`" if found["namespace"] else "in the whole cluster"
    if user == "system:anonymous":
        return Problem(
            code="anonymous",
            message=f"{lead}: the API server knows nobody of us, and lets nobody {verb} {resource} {where}",
            cause=_answer(said),
            fix="see that the kubeconfig's context names a user with credentials",
        )
    kind = "Role" if found["namespace"] else "ClusterRole"
    return Problem(
        code="forbidden",
        message=f"{lead}: `{user}` may not {verb} {resource} {where}",
        cause=_answer(said),
        fix=f"add a rule to its {kind}: {role(verb, resource, found['group'])}",
    )


def _terminating(lead: str, said: str, plan: Plan) -> Problem:
    namespace = settings(plan).namespace
    return Problem(
        code="namespace-terminating",
        message=f"{lead}: namespace `{namespace}` is being removed",
        cause=_answer(said),
        fix=f"wait until it is gone; if it never goes, something holds it: `kubectl get ns {namespace} -o yaml`",
    )


def _no_namespace(lead: str, said: str, namespace: str) -> Problem:
    return Problem(
        code="no-namespace",
        message=f"{lead}: there is no namespace `{namespace}`",
        cause=_answer(said),
        fix=f"run it again: it is made anew; or make it by hand: `kubectl create namespace {namespace}`",
    )


def _conflict(lead: str, error: KubernetesError, service: ResolvedService | None) -> Problem:
    """Somebody else's fields; there are as many causes as fields."""
    causes = sorted(error.causes, key=lambda cause: cause.field)
    managers = sorted({found["manager"] for cause in causes if (found := _MANAGER.search(cause.message))})
    owners = " and ".join(f"`{name}`" for name in managers) or "somebody else"
    first = causes[0].field.lstrip(".")
    what = f"`{first}` belongs" if len(causes) == 1 else f"`{first}` and {len(causes) - 1} more belong"
    return Problem(
        code="field-conflict",
        message=f"{lead}: {what} to {owners}",
        cause=tuple(f"{cause.field.lstrip('.')}: {cause.message}" for cause in causes),
        fix="`--force-conflicts` takes it over; else let the other one give it up",
        place=_place(service, first),
    )


def _immutable(lead: str, error: KubernetesError, plan: Plan, service: ResolvedService | None) -> Problem:
    cause = next((each for each in error.causes if any(words in each.message for words in _FIXED)), Cause())
    what = f"{error.kind} `{error.name}`"
    lost = ": its data is lost" if error.kind == "PersistentVolumeClaim" else ""
    return Problem(
        code="immutable",
        message=f"{lead}: `{cause.field or 'a field'}` of {what} cannot be changed once it is made",
        cause=_answer(cause.message or error.answer),
        fix=f"`--replace {service.name}` removes it and makes it anew{lost}" if service is not None else "",
        place=_place(service, cause.field),
    )


def _admission(lead: str, error: KubernetesError, service: ResolvedService | None) -> Problem | None:
    """What the cluster's own rules have against it; None where it is nothing of that kind."""
    found = denied(error.answer)
    if found is None:
        return None
    return Problem(
        code=found.code,
        message=f"{lead}: {found.why}",
        cause=_answer(error.answer),
        fix=found.fix,
        place=_place(service, "", found.field),
    )


def _unfit(lead: str, error: KubernetesError, service: ResolvedService | None) -> Problem:
    """The object itself: a value that cannot be, a field that this server does not know."""
    if _SLEEP.search(error.answer):
        return _older(lead, error.answer, service)
    if found := _UNDECLARED.search(error.answer):
        return Problem(
            code="unknown-field",
            message=f"{lead}: this cluster does not know the field `{found['field'].lstrip('.')}`",
            cause=_answer(error.answer),
            fix="the cluster is older than what is asked of it: update it, or leave that out",
            place=_place(service, found["field"]),
        )
    fields = [cause for cause in error.causes if cause.field]
    if error.status == 422 and fields:
        return _invalid(lead, error, service, fields)
    reason = f", {error.reason}" if error.reason else ""
    return Problem(
        code="api-refused",
        message=f"{lead}: {_line(error.answer)}",
        cause=(f"the API server's answer has status {error.status}{reason}",),
        place=_place(service, ""),
    )


def _older(lead: str, said: str, service: ResolvedService | None) -> Problem:
    return Problem(
        code="cluster-older",
        message=f"{lead}: this cluster is older than 1.30, and cannot let a pod wait before it stops",
        cause=_answer(said),
        fix='write `runtime "kubernetes" { version "1.28" }` for this stage: nothing waits then',
        place=_place(service, "", "options"),
    )


def _invalid(lead: str, error: KubernetesError, service: ResolvedService | None, causes: list[Cause]) -> Problem:
    first = causes[0]
    every = tuple(dict.fromkeys(f"{cause.field}: {_line(cause.message)}" for cause in causes))
    taken, outside = "already allocated" in first.message, "range of valid ports" in first.message
    fix = "take another `node_port`, or let the cluster choose" if taken else ""
    fix = "take one of that range, or leave `node_port` out: the cluster chooses then" if outside else fix
    return Problem(
        code="port-taken" if taken else "field-refused",
        message=f"{lead}: {error.kind} `{error.name}`: {_wrong(first)}",
        cause=every,
        fix=fix,
        place=_place(service, first.field),
    )


def _wrong(cause: Cause) -> str:
    found = _VALUE.search(cause.message)
    if found is None:
        return f"`{cause.field}`: {_line(cause.message)}"
    return f"`{cause.field}` cannot be {_line(found['value'])}: {_line(found['why'])}"


def _place(service: ResolvedService | None, path: str, field: str = "") -> Place | None:
    if service is None:
        return None
    field = field or next((name for pattern, name in _FIELDS if re.search(pattern, path)), "")
    return service.place(field)


def _answer(said: str) -> tuple[str, ...]:
    return (f"the API server says: {_line(said)}",)


def _line(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _SHOWN else f"{flat[: _SHOWN // 2]} … {flat[-_SHOWN // 2 :]}"
