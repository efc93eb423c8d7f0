# SPDX-License-Identifier: Apache-2.0
"""A stage's cluster, looked at for `flow doctor`: where it is, as whom we come, and which rights we lack.

The rights are asked for one by one, since only the server knows all its rules; a few at a time, so that it takes a
moment and not ten.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import Finding
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.kinds import NAMESPACE
from fleetflow_tasks.runtimes.kubernetes.objects import text
from fleetflow_tasks.runtimes.kubernetes.rights import NEEDS, Need, Purpose
from fleetflow_tasks.runtimes.kubernetes.settings import settings
from fleetflow_tasks.runtimes.kubernetes.trouble import KubernetesError

_AT_ONCE = 8  # questions to the server
_SELF = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_WITHOUT: dict[Purpose, str] = {  # what cannot be done, where a right for it is missing
    "logs": "`flow logs` shows nothing, and a failure does not show what its container printed",
    "exec": "`flow exec` does not work",
    "port-forward": "`flow port-forward` does not work",
    "namespace": "a namespace can be neither made nor removed",
    "storage": "a storage class that does not exist is told only once a volume waits for it",
}


def examined(client: Client, plan: Plan) -> Sequence[Finding]:
    """Raises KubernetesError, and UnavailableError where there is no pass."""
    namespace = settings(plan).namespace
    return (_cluster(client, namespace), *_rights(client, plan, namespace))


def _cluster(client: Client, namespace: str) -> Finding:
    major, minor = client.version()
    where = f"Kubernetes {major}.{minor} at {client.server}, {client.origin}"
    return Finding(name="engine", text=f"{where}, namespace {namespace}, as {_who(client) or 'somebody'}")


def _who(client: Client) -> str:
    """As the server knows us; "" where it does not say."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    try:
        answer = client.line.ask("tell who we are", "POST", _SELF, body=msgspec.json.encode(review))
    except KubernetesError as error:
        if error.status not in {403, 404}:
            raise
        return ""
    return text(msgspec.json.decode(answer), "status", "userInfo", "username")


def _rights(client: Client, plan: Plan, namespace: str) -> Iterator[Finding]:
    missing = _missing(client, namespace)
    there = _is_there(client, namespace)
    needs_namespace = any(need.purpose == "namespace" for need in missing)
    problems = [
        *_lacks(missing, plan, namespace),
        *([] if there or not needs_namespace else [_no_namespace(namespace)]),
    ]
    text = f"all that is needed in namespace {namespace}"
    lacking = sum(len(need.verbs) for need in missing)
    yield Finding(
        name="rights",
        text=f"{lacking} are missing in namespace {namespace}"
        if problems
        else text
        if there
        else f"{text}, not made yet",
        problems=tuple(problems),
    )


def _missing(client: Client, namespace: str) -> list[Need]:
    asked = [(need, verb) for need in NEEDS for verb in need.verbs]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        allowed = list(pool.map(lambda each: client.can(each[1], each[0].kind, namespace, each[0].part), asked))
    lacking = [each for each, may in zip(asked, allowed, strict=True) if not may]
    return [
        msgspec.structs.replace(need, verbs=verbs)
        for need in NEEDS
        if (verbs := tuple(verb for each, verb in lacking if each is need))
    ]


def _is_there(client: Client, namespace: str) -> bool:
    """Who may not look takes it to be there."""
    try:
        return client.get(NAMESPACE, "", namespace) is not None
    except KubernetesError as error:
        if error.status != 403:
            raise
        return True


def _lacks(missing: Sequence[Need], plan: Plan, namespace: str) -> Iterator[Problem]:
    if needed := [need for need in missing if need.purpose == "deploy"]:
        yield Problem(
            code="rights-missing",
            message=f"stage `{plan.stage}` cannot be deployed: rights are missing in namespace `{namespace}`",
            cause=_rules(needed),
            fix="add these rules to its Role",
        )
    for purpose, without in _WITHOUT.items():
        if lacking := [need for need in missing if need.purpose == purpose]:
            yield Problem(
                code="rights-missing", message=f"{without}: a right is missing", cause=_rules(lacking), severity="note"
            )


def _rules(needs: Iterable[Need]) -> tuple[str, ...]:
    """As a role's YAML has them."""
    return tuple(
        f'- {{apiGroups: ["{need.kind.group}"], resources: ["{need.resource}"], verbs: {_quoted(need.verbs)}}}'
        for need in needs
    )


def _quoted(words: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _no_namespace(namespace: str) -> Problem:
    return Problem(
        code="no-namespace",
        message=f"namespace `{namespace}` is not there, and we may not make it",
        fix=f"have it made: `kubectl create namespace {namespace}`",
    )
