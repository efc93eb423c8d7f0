# SPDX-License-Identifier: Apache-2.0
"""What a stage does not need any more, and how it goes.

Services that the plan does not hold go whole, but for their claims: data goes only where `--volumes` says so. Of those
that it holds, ConfigMaps and Secrets of earlier contents go once nothing is made from them: no pod, no ReplicaSet and no
ControllerRevision, which is what a cluster keeps for going back. So `kubectl rollout undo` works as far as it remembers;
`flow rollback` makes anew what it needs. Of a job's runs the newest stays, to be read.

A namespace goes with its stage if a run of this stage made it, and if nothing is left in it, of whatever kind: what
cannot be listed may be there, and keeps it.
"""

from collections.abc import Iterable, Iterator

from fleetflow_tasks.config.model import ProjectName, ServiceName, StageName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.decide import name, referred, removable, template_of
from fleetflow_tasks.runtimes.kubernetes.kinds import (
    CLAIM,
    CONTROLLER_REVISION,
    JOB,
    NAMESPACE,
    POD,
    REPLICA_SET,
    WORKLOADS,
    named,
)
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.objects import born, mapping, text
from fleetflow_tasks.runtimes.kubernetes.observe import LISTED, NAMED_BY_CONTENT, Key, Objects, going, key, labels, mark
from fleetflow_tasks.runtimes.kubernetes.strangers import strangers

_FORBIDDEN, _CONFLICT = 403, 409
# What a cluster puts into every namespace by itself.
_NATURAL = frozenset({("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")})
_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105  (a type of Secret, no secret)


def outdated(client: Client, namespace: str, plan: Plan, live: Objects, *, run: str) -> list[Json]:
    """ConfigMaps, Secrets and Jobs of services that stay, which no version needs any more. Asks only if there may be some.

    run: what it made is in use, or will be.
    """
    candidates = [each for each in _unused(live, _in_use(live.values())) if mark(each).run != run]
    used = kept(client, namespace, plan.project, plan.stage) if candidates else set()
    return removable((*(each for each in candidates if key(each) not in used), *_older_jobs(live.values())))


def unstarted(client: Client, namespace: str, plan: Plan, live: Objects, run: str) -> list[Json]:
    """What *run* prepared and nothing was made from."""
    candidates = [each for each in _unused(live, _in_use(live.values())) if mark(each).run == run]
    used = kept(client, namespace, plan.project, plan.stage) if candidates else set()
    return [each for each in candidates if key(each) not in used]


def kept(client: Client, namespace: str, project: ProjectName, stage: StageName) -> set[Key]:
    """The ConfigMaps and Secrets that pods, and the versions kept for going back, are made from."""
    found: set[Key] = set()
    for kind in (REPLICA_SET, CONTROLLER_REVISION, POD):
        for each in client.list(kind, namespace, labels(project, stage)).items:
            found |= referred(_template(each))
    return found


def tidied(client: Client, namespace: str, left: Iterable[Json], run: str) -> Iterator[str]:
    """Remove *left*, where it still bears *run*'s mark: the next run puts its own on what it means to use."""
    for each in left:
        kind, called = named(each["kind"]), text(each, "metadata", "name")
        live = client.get(kind, namespace, called)
        if live is None or mark(live).run != run:
            continue
        if _removed(client, live):
            yield name(live)


def namespace_gone(client: Client, plan: Plan, namespace: str, attempt: Attempt, *, claims_stay: bool) -> str:
    """What became of the namespace; "" where it was never ours to remove."""
    try:
        while True:
            live = client.get(NAMESPACE, "", namespace)
            if live is None or going(live) or not is_ours(live, plan):
                return ""
            attempt.report(f"looking whether anything is left in namespace {namespace}")
            left = holding(client, plan, namespace, claims_stay=claims_stay)
            if left:
                return f"kept namespace {namespace}: {left[0]}" + (f", and {len(left) - 1} more" if left[1:] else "")
            attempt.checkpoint()
            if _removed(client, live):
                return f"removed namespace {namespace}"
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        return f"kept namespace {namespace}: we may not remove it"


def _removed(client: Client, live: Json) -> bool:
    """False: somebody has changed it since it was looked at, and may have had a reason."""
    metadata = live["metadata"]
    kind, uid, version = named(live["kind"]), metadata["uid"], metadata["resourceVersion"]
    try:
        return client.delete(
            kind, metadata.get("namespace", ""), metadata["name"], uid=uid, version=version, propagation="Background"
        )
    except KubernetesError as error:
        if error.status != _CONFLICT:
            raise
        return False


def is_ours(namespace: Json, plan: Plan) -> bool:
    """A run of this stage made it: a label alone may have been put on by anybody."""
    theirs = mark(namespace)
    return (theirs.project, theirs.stage) == (plan.project, plan.stage) and theirs.generation > 0


def _unused(live: Objects, used: set[Key]) -> list[Json]:
    return [each for where, each in live.items() if where[0] in NAMED_BY_CONTENT and where not in used]


def _in_use(live: Iterable[Json]) -> set[Key]:
    workloads = {kind.name for kind in WORKLOADS}
    return {where for each in live if each["kind"] in workloads for where in referred(template_of(each))}


def _older_jobs(live: Iterable[Json]) -> list[Json]:
    """All but each service's newest."""
    newest: dict[ServiceName | None, Json] = {}
    older: list[Json] = []
    for each in live:
        if each["kind"] != JOB.name:
            continue
        other = newest.get(mark(each).service)
        newest[mark(each).service] = each if other is None else max(other, each, key=_age)
        older += [] if other is None else [min(other, each, key=_age)]
    return older


def _age(found: Json) -> tuple[float, str]:
    made = born(found)
    return (made.timestamp() if made else 0.0), text(found, "metadata", "name")


def _template(found: Json) -> Json:
    """A pod is one itself; a ControllerRevision keeps that of its version."""
    if found["kind"] == POD.name:
        return found
    return template_of(mapping(found, "data")) if found["kind"] == CONTROLLER_REVISION.name else template_of(found)


def holding(client: Client, plan: Plan, namespace: str, *, claims_stay: bool) -> list[str]:
    """What stays in the namespace when the stage has gone, in words: what is not the stage's, and its claims."""
    found = [each for kind in (*LISTED, POD) for each in client.list(kind, namespace).items]
    left = [each for each in found if not _natural(each) and not _goes(each, plan, claims_stay=claims_stay)]
    return [f"{name(each)} is in it" for each in left] or [*strangers(client, namespace)]


def _natural(found: Json) -> bool:
    return key(found) in _NATURAL or found.get("type") == _TOKEN


def _goes(found: Json, plan: Plan, *, claims_stay: bool) -> bool:
    theirs = mark(found)
    mine = (theirs.project, theirs.stage) == (plan.project, plan.stage)
    return mine and (found["kind"] != CLAIM.name or going(found) or not claims_stay)


def claims(live: Objects) -> list[Json]:
    return [each for where, each in sorted(live.items()) if where[0] == CLAIM.name]
