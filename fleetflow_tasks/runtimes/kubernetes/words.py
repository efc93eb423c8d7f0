# SPDX-License-Identifier: Apache-2.0
"""Why we did not even try: what is not ours, what is a newer run's, what cannot be changed. Pure.

What the API answers is put into words by `explain`, what becomes of pods by `diagnose`.
"""

from collections.abc import Sequence

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes.kinds import named
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.objects import items, mapping, text
from fleetflow_tasks.runtimes.kubernetes.observe import mark

_BY = "app.kubernetes.io/managed-by"
_HELM = "meta.helm.sh/release-name"


def foreign(live: Json) -> Problem:
    """An object of our name that somebody else made."""
    kind, name, namespace = live["kind"], text(live, "metadata", "name"), text(live, "metadata", "namespace")
    fix = (
        f"choose another namespace, or remove it if nobody needs it: "
        f"`kubectl --namespace={namespace} delete {named(kind).plural} {name}`"
    )
    if mark(live).project:
        fix = "give each stage a namespace of its own: two stages that share one must not hold services of one name"
    return Problem(
        code=f"foreign-{kind.lower()}",
        message=f"a {kind} called `{name}` is in namespace `{namespace}` already, and it is not ours",
        cause=(owner(live),),
        fix=fix,
    )


def owner(live: Json) -> str:
    """Whose it is, as far as it says."""
    theirs, labels = mark(live), mapping(live, "metadata", "labels")
    if theirs.project:
        return f"it belongs to stage `{theirs.stage}` of project `{theirs.project}`"
    if release := text(live, "metadata", "annotations", _HELM):
        return f"it belongs to Helm release `{release}`"
    if labels.get(_BY):
        return f"it is managed by `{labels[_BY]}`"
    managers = [
        text(each, "manager") for each in items(live, "metadata", "managedFields") if not each.get("subresource")
    ]
    made = ", ".join(f"`{each}`" for each in dict.fromkeys(managers))
    return f"it was made with {made}" if made else "it has no label of ours"


def stale(what: str, found: int, ours: int) -> Problem:
    return Problem(
        code="stale",
        message=f"`{what}` was made by a newer run (generation {found}); this one ({ours}) must not touch it",
    )


def busy(what: str) -> Problem:
    return Problem(
        code="changed-meanwhile",
        message=f"`{what}` changes all the time while it is being deployed",
        cause=("each time it was looked at, somebody else had changed it before we could",),
        fix="see who does: `kubectl get --show-managed-fields`",
    )


def fixed(plan: Plan, service: ResolvedService, fields: Sequence[str], notes: Sequence[str] = ()) -> Problem:
    """What the cluster lets nobody change in place. notes: what would become of its claims."""
    names = ", ".join(f"`{field}`" for field in fields)
    other = any("becomes" in field for field in fields)
    stay = "its claims stay, but it gets others, and begins without their data" if other else "its claims and data stay"
    return Problem(
        code="immutable",
        message=f"`{service.name}` cannot be changed in place: {names}",
        cause=("a cluster lets nobody change that", f"made anew it is down until it is ready again; {stay}", *notes),
        fix=f"deploy with `--replace {service.name}`, or take the change back",
        more=f"flow diff --stage={plan.stage}",
        place=service.places.get("volumes") or service.places.get(""),
    )


def lost(plan: Plan, service: ResolvedService, namespace: str, fields: Sequence[str]) -> Problem:
    """What a claim would have to be made anew for: no flag of ours destroys data on the way."""
    names = ", ".join(f"`{field}`" for field in fields)
    claims = " ".join(dict.fromkeys(field.partition(":")[0] for field in fields))
    return Problem(
        code="claim-immutable",
        message=f"a claim of `{service.name}` cannot be changed: {names}",
        cause=("it would have to be made anew, and the data in it would be lost",),
        fix=f"take the change back, or remove the claim with its data: "
        f"`kubectl --namespace={namespace} delete pvc {claims}`",
        more=f"flow diff --stage={plan.stage}",
        place=service.places.get("volumes") or service.places.get(""),
    )


def claims(found: Sequence[Json], *, go: bool) -> list[str]:
    """`kept claim data-db-0`; nothing where there are none."""
    names = ", ".join(text(each, "metadata", "name") for each in found)
    what = "claim" if len(found) == 1 else "claims"
    return [f"{'removed' if go else 'kept'} {what} {names}"] if found else []


def rigid(service: ResolvedService, claim: str, kind: str) -> Problem:
    """A claim that cannot grow. kind: its storage class."""
    return Problem(
        code="claim-cannot-grow",
        message=f"claim `{claim}` of `{service.name}` cannot grow: its storage class `{kind}` does not let claims grow",
        cause=(f"class `{kind}` says nothing of `allowVolumeExpansion: true`",),
        fix=f"take the size back, or allow it, where the storage can do it: "
        f"`kubectl patch storageclass {kind} -p '{{\"allowVolumeExpansion\": true}}'`",
        place=service.places.get("volumes") or service.places.get(""),
    )


def terminating(namespace: str, live: Json | None = None) -> Problem:
    """live: the namespace, which says what holds it, as soon as the cluster has found that out."""
    held = holders(live or {})
    usual = "the cluster first removes everything in it; what has a finalizer may take for ever"
    return Problem(
        code="namespace-terminating",
        message=f"namespace `{namespace}` is being removed, and is not gone yet" + (f": {held[0]}" if held else ""),
        cause=tuple(f"the cluster says: {each}" for each in held) or (usual,),
        fix=f"see what it waits for: `kubectl get namespace {namespace} -o yaml`",
    )


def holders(namespace: Json) -> list[str]:
    """What keeps it from going, in the cluster's words: the finalizers first, for nothing goes before they do."""
    told = {
        text(each, "type"): text(each, "message")
        for each in items(namespace, "status", "conditions")
        if text(each, "status") == "True" and text(each, "message")
    }
    return [told[kind] for kind in sorted(told, key=lambda kind: (kind != "NamespaceFinalizersRemaining", kind))]


def unheard(service: str, trouble: str) -> Problem:
    """The time was over while nobody answered: how the service is, nobody can say."""
    return Problem(
        code="api-lost",
        message=f"it is not known what became of `{service}`: {trouble}",
        cause=("what was sent stays as it is, and the next attempt or run goes on from there",),
        fix="see that it runs, and that it can be reached from here: `kubectl version`",
    )
