# SPDX-License-Identifier: Apache-2.0
"""Desired and observed -> operations, each decision with its cause. Pure; prints itself.

A service is a handful of objects. Each bears the hash of what it was made from, so a new image leaves the Service as it
is; they are written in the order of `kinds.APPLIED`. The cluster replaces the pods itself; so there
is no protocol here but for what it refuses to change in place:

    claims of a StatefulSet grown    grow each claim · delete the StatefulSet, not its pods · make it anew
    anything else that is fixed      only with `--replace`: delete it with its pods · make it anew; claims stay
    a job                            its name holds its content: a new content is a new Job, the same one has run
    an autoscaler that goes          before the workload, which takes the number of its pods back with its next apply
    an autoscaler that comes         after it, when the number of pods has changed hands (`apply`)
    a claim that shrinks             never: it would have to be made anew, and its data with it
    a ConfigMap of our name that     delete it · make it anew: its name says what it holds
    holds something else

What the service had and has no more goes once the new version is ready. ConfigMaps and Secrets do not: pods of the
version before may still be started from them. `prune` takes them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from fleetflow_tasks.config.model import Data, ServiceName
from fleetflow_tasks.plan.image import short
from fleetflow_tasks.runtimes.base import Change, ChangeKind
from fleetflow_tasks.runtimes.kubernetes.amounts import amount
from fleetflow_tasks.runtimes.kubernetes.desired import Desired
from fleetflow_tasks.runtimes.kubernetes.differences import differences
from fleetflow_tasks.runtimes.kubernetes.kinds import (
    APPLIED,
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    HPA,
    JOB,
    MADE,
    SECRET,
    SERVICE,
    STATEFUL_SET,
)
from fleetflow_tasks.runtimes.kubernetes.manifests import HASH, RESTARTED, TEMPLATE, Json
from fleetflow_tasks.runtimes.kubernetes.objects import at, holds, items, mapping, number, text
from fleetflow_tasks.runtimes.kubernetes.observe import NAMED_BY_CONTENT, Key, Objects, digest, going, key, mark
from fleetflow_tasks.runtimes.labels import SLASHED

_ORDER = {kind.name: place for place, kind in enumerate(MADE)}
_APPLIED = {kind.name: place for place, kind in enumerate(APPLIED)}
_OTHER = "configuration changed"
_ANEW = "until it is ready again: it is made anew"
_GRACE = 30  # seconds that a pod has to stop, where nothing is said
_BESIDE = frozenset({DEPLOYMENT.name, STATEFUL_SET.name})
_LEFT = NAMED_BY_CONTENT | {CLAIM.name, JOB.name}  # not removed by a deployment, though the service needs them no more


class Make(Data, frozen=True, kw_only=True, tag="make"):
    """Not there, as far as is known: who meets one of another's by that name must not write over it."""

    manifest: Json


class Write(Data, frozen=True, kw_only=True, tag="write"):
    """Bring what is there to *manifest*."""

    manifest: Json


class Claim(Data, frozen=True, kw_only=True, tag="claim"):
    """Put our marks on what an earlier run prepared and did not use, so that its tidying leaves it to us."""

    manifest: Json


class Grow(Data, frozen=True, kw_only=True, tag="grow"):
    """A claim that a StatefulSet made. volume: as the text calls it."""

    claim: str
    size: str
    volume: str


class Delete(Data, frozen=True, kw_only=True, tag="delete"):
    """And wait until it is gone. alone: what it made stays (the pods of a StatefulSet, which its successor adopts)."""

    found: Json
    alone: bool = False


class Renew(Data, frozen=True, kw_only=True, tag="renew"):
    """Have its pods made anew, of the same content. word: what tells this time from others; "" takes it back."""

    found: Json
    word: str


Operation = Make | Write | Claim | Grow | Delete | Renew


class Decision(Data, frozen=True, kw_only=True):
    """What to do, and what to remove once the new version is ready.

    fixed: fields that only `--replace` can change; nothing is done then. lost: what nothing can, for it would cost data.
    """

    change: Change
    forward: tuple[Operation, ...] = ()
    after: tuple[Delete, ...] = ()
    fixed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    def describe(self) -> str:
        """One line per operation, as people read it."""
        head = f"{self.change.kind}: {self.change.cause}" if self.change.cause else self.change.kind
        lines = [head, *(f"  cannot be changed: {field}" for field in (*self.lost, *self.fixed))]
        lines += [f"  {said(operation)}" for operation in self.forward]
        return "\n".join([*lines, *(f"  once ready {said(operation)}" for operation in self.after)])


def said(operation: Operation) -> str:
    match operation:
        case Make(manifest=manifest):
            return f"make {name(manifest)}"
        case Write(manifest=manifest):
            return f"apply {name(manifest)}"
        case Claim(manifest=manifest):
            return f"claim {name(manifest)}"
        case Grow(claim=claim, size=size):
            return f"grow claim {claim} to {size}"
        case Delete(found=found, alone=alone):
            return f"delete {name(found)}" + (", not its pods" if alone else "")
        case Renew(found=found):  # pragma: no branch  (the last there is)
            return f"renew the pods of {name(found)}"


def name(found: Json) -> str:
    """As people say it: `Deployment api`."""
    return " ".join(key(found))


def decide(desired: Desired, live: Objects, *, run: str = "", replace: bool = False) -> Decision:
    """What makes *live*, the objects of one service, into what is desired.

    run: whose deployment this is: a job that failed in it is not started again. replace: what is fixed may be made anew.
    """
    if desired.workload["kind"] == JOB.name:
        return _job(desired, live, run)
    return _service(desired, live, replace=replace)


def prepared(desired: Desired, live: Objects, *, run: str) -> tuple[Make | Claim, ...]:
    """What can be done before the deployment: what is missing and touches nothing that serves."""
    used = {each for found in live.values() for each in referred(template_of(found))}
    unused = [
        Claim(manifest=manifest)
        for manifest in desired.added
        if manifest["kind"] in NAMED_BY_CONTENT
        and key(manifest) in live
        and key(manifest) not in used
        and mark(live[key(manifest)]).run != run
    ]
    return (*_made(desired.added, live), *unused)


def unfit(manifest: Json, found: Json) -> str:
    """Why *found* is not what *manifest* wants; "" where it is."""
    theirs = mark(found)
    if going(found):
        return "it is being deleted"
    if not theirs.hash and not theirs.generation:
        return "made by another tool, now adopted"
    if theirs.hash != manifest["metadata"]["labels"][HASH]:
        return _changed(manifest, found)
    fields = ", ".join(f"`{field}`" for field in _edited(manifest, found))
    return f"changed by somebody else: {fields}" if fields else ""


def without(desired: Desired, unseen: Collection[str]) -> Desired:
    """*desired*, but for what nobody can tell whether it is there: kinds that we may not look at."""
    if not unseen:
        return desired
    return msgspec.structs.replace(desired, added=tuple(each for each in desired.added if each["kind"] not in unseen))


def superfluous(wanted: Collection[ServiceName], live: Iterable[Json]) -> list[Json]:
    """Which of a stage's objects belong to services that the plan does not hold; in the order in which they go."""
    gone = [each for each in live if mark(each).service is not None and mark(each).service not in wanted]
    return removable(gone)


def removable(found: Iterable[Json]) -> list[Json]:
    """Without claims, in the order in which they go: who uses something before what it uses."""
    return sorted((each for each in found if each["kind"] != CLAIM.name), key=lambda each: -_ORDER[each["kind"]])


def referred(template: Json) -> set[Key]:
    """The ConfigMaps and Secrets that pods of this template are made from."""
    spec = mapping(template, "spec")
    sources = [
        variable.get("valueFrom") or {}
        for container in (*items(spec, "initContainers"), *items(spec, "containers"))
        for variable in items(container, "env")
    ]
    named = [
        *((CONFIG_MAP, text(source, "configMapKeyRef", "name")) for source in sources),
        *((SECRET, text(source, "secretKeyRef", "name")) for source in sources),
        *((CONFIG_MAP, text(volume, "configMap", "name")) for volume in items(spec, "volumes")),
        *((SECRET, text(volume, "secret", "secretName")) for volume in items(spec, "volumes")),
        *((SECRET, text(each, "name")) for each in items(spec, "imagePullSecrets")),
    ]
    return {(kind.name, called) for kind, called in named if called}


def template_of(workload: Json) -> Json:
    """Of its pods; {} where it is none."""
    return mapping(workload, "spec", "template")


def template_label(workload: Json) -> str:
    """Which version of the pod template it has; "" where that is none of ours."""
    return text(template_of(workload), "metadata", "labels", TEMPLATE)


def serving(live: Iterable[Json]) -> Json | None:
    """Of a service's objects the workload whose pods serve; None where none is to run any. Of two the newer one's."""
    there = [each for each in live if each["kind"] in _BESIDE and not going(each)]
    wanted = [each for each in there if number(each, "spec", "replicas", absent=1)]
    return max(wanted, key=lambda each: mark(each).generation, default=None)


def renewed(workload: Json) -> str:
    """By which restart its pods were last made anew; "" where none was."""
    return text(template_of(workload), "metadata", "annotations", RESTARTED)


def renewing(workload: Json, word: str) -> Json:
    """What is to be said of *workload* for its pods to be made anew; with "" that nothing is."""
    said = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: word}}}}} if word else {}
    return {
        "apiVersion": workload["apiVersion"],
        "kind": workload["kind"],
        "metadata": {"name": workload["metadata"]["name"]},
        **said,
    }


def newer(live: Iterable[Json], generation: int) -> Json | None:
    """One that a later run than *generation* made: this run is stale and must not touch anything."""
    return next((each for each in live if mark(each).generation > generation), None)


def finished(job: Json) -> Literal["", "Complete", "Failed"]:
    """How a Job ended; "" where it has not."""
    if holds(job, "Complete"):
        return "Complete"
    return "Failed" if holds(job, "Failed") else ""


# --- services


def _edited(manifest: Json, found: Json) -> list[str]:
    """Fields that are not what *manifest* says. What is named by its content may have been made anew, with another."""
    if manifest["kind"] in NAMED_BY_CONTENT:
        return ["data"] if digest(manifest) != digest(found) else []
    return [change.field for change in differences(manifest, found) if SLASHED not in change.field]


def _service(desired: Desired, live: Objects, *, replace: bool) -> Decision:
    workload = live.get(key(desired.workload))
    fixed, lost = _all_fixed(desired, live), tuple(_lost(desired, live))
    if lost or (fixed and not replace):
        return Decision(change=_refused(desired, live, lost, fixed), fixed=fixed, lost=lost)
    grown = _grown(desired.workload, workload) if workload is not None and not fixed else {}
    forward = (*_scalers(desired, live), *_written(desired, live, fixed=bool(fixed), grown=grown))
    after = tuple(_surplus(desired, live))
    kind, cause = _kind(desired, live, forward, after)
    if fixed:
        kind, cause = "replace", f"{_quoted(fixed)} cannot be changed in place"
    cause = _with(cause, *claims_after(desired, live))
    downtime = _downtime(desired.workload, workload, anew=bool(fixed)) if kind == "replace" else "none"
    change = Change(kind=kind, cause=cause, downtime=downtime)
    return Decision(change=change, forward=forward, after=after)


def _written(desired: Desired, live: Objects, *, fixed: bool, grown: Mapping[str, str]) -> Iterator[Operation]:
    for manifest in _ordered(desired):
        found = live.get(key(manifest))
        if found is None:
            yield Make(manifest=manifest)
        elif (fixed and _fixed(manifest, found)) or _remade(manifest, found):
            yield Delete(found=found)
            yield Make(manifest=manifest)
        elif grown and found["kind"] == STATEFUL_SET.name:
            yield from _regrown(manifest, found, live, grown)
        elif unfit(manifest, found):
            yield Write(manifest=manifest)


def _remade(manifest: Json, found: Json) -> bool:
    return manifest["kind"] in NAMED_BY_CONTENT and not going(found) and bool(_edited(manifest, found))


def _regrown(manifest: Json, found: Json, live: Objects, grown: Mapping[str, str]) -> Iterator[Operation]:
    """Its claim templates are fixed, but the claims made from them are not, and its pods can do without it."""
    for (kind, claim), _ in sorted(live.items()):
        for template, size in grown.items():
            if kind == CLAIM.name and claim.startswith(f"{template}-{found['metadata']['name']}-"):
                yield Grow(claim=claim, size=size, volume=template)
    yield Delete(found=found, alone=True)
    yield Make(manifest=manifest)


def _scalers(desired: Desired, live: Objects) -> Iterator[Delete]:
    """An autoscaler that is not wanted any more would go on setting the number of pods."""
    wanted = {key(each) for each in desired.around}
    return (Delete(found=found) for where, found in live.items() if where[0] == HPA.name and where not in wanted)


def _surplus(desired: Desired, live: Objects) -> Iterator[Delete]:
    wanted = {key(each) for each in _ordered(desired)}
    left = [
        found for where, found in live.items() if where not in wanted and where[0] not in _LEFT and where[0] != HPA.name
    ]
    return (Delete(found=found) for found in removable(left))


def _made(manifests: Sequence[Json], live: Objects) -> Iterator[Make]:
    return (Make(manifest=manifest) for manifest in manifests if key(manifest) not in live)


def _ordered(desired: Desired) -> list[Json]:
    """As they are written; among those of one kind as `desired` has them."""
    return sorted((*desired.added, desired.workload, *desired.around), key=lambda each: _APPLIED[each["kind"]])


def _kind(
    desired: Desired, live: Objects, forward: Sequence[Operation], after: Sequence[Operation]
) -> tuple[ChangeKind, str]:
    workload = live.get(key(desired.workload))
    if workload is None:
        before = next((found["kind"] for found in live.values() if found["kind"] in _BESIDE), "")
        return ("replace", f"a {before} becomes a {desired.workload['kind']}") if before else ("create", "not there")
    cause = unfit(desired.workload, workload)
    if going(workload):
        return "create", cause
    if template_label(workload) != desired.template:
        return "replace", cause
    if forward or after:
        if sizes := _sizes(live, forward):
            return "update", sizes
        fields = ", ".join(_edited(desired.workload, workload)) if cause == _OTHER else ""
        return "update", _around(desired, live) or (f"{fields} changed" if fields else cause)
    return "none", ""


def _sizes(live: Objects, forward: Sequence[Operation]) -> str:
    """`volume `data` grows: 1Gi -> 2Gi`, where a StatefulSet is made anew for that."""
    grows = grown(forward, live)
    said = dict.fromkeys(f"volume `{each.volume}` grows: {each.old} -> {each.new}" for each in grows)
    return ", ".join(said)


def _around(desired: Desired, live: Objects) -> str:
    """What of the service changes, where its pods do not."""
    wanted = {key(each): each for each in _ordered(desired)}
    added = [f"{kind} is new" for kind, called in wanted if (kind, called) not in live]
    other = [f"{where[0]} changed" for where, each in wanted.items() if where in live and unfit(each, live[where])]
    other = [each for each in other if each.partition(" ")[0] != desired.workload["kind"]]
    gone = [
        f"{kind} is not wanted any more" for kind, called in live if (kind, called) not in wanted and kind not in _LEFT
    ]
    return ", ".join(dict.fromkeys([*added, *other, *gone]))


def _changed(manifest: Json, found: Json) -> str:
    ours, theirs = _images(manifest), _images(found)
    for container, image in ours.items():
        if container in theirs and theirs[container] != image:
            return f"image changed: {short(theirs[container])} -> {short(image)}"
    return _OTHER


def _images(workload: Json) -> dict[str, str]:
    return {each["name"]: each["image"] for each in items(template_of(workload), "spec", "containers")}


def _downtime(manifest: Json, found: Json | None, *, anew: bool) -> str:
    if anew:
        return _ANEW
    if found is not None and _one_at_a_time(manifest):
        grace = number(template_of(found), "spec", "terminationGracePeriodSeconds", absent=_GRACE)
        return f"until the old pod has stopped, at most {grace} s, and the new one is ready"
    return "none"


def _one_at_a_time(manifest: Json) -> bool:
    if manifest["kind"] == STATEFUL_SET.name:
        return number(manifest, "spec", "replicas", absent=1) <= 1
    return text(manifest, "spec", "strategy", "type") == "Recreate"


# --- what cannot be changed in place


def _refused(desired: Desired, live: Objects, lost: Sequence[str], fixed: Sequence[str]) -> Change:
    how = "without losing data" if lost else f"in place: it takes `--replace {desired.service}`"
    cause = f"{_quoted(lost or fixed)} cannot be changed {how}"
    notes = () if lost else claims_after(desired, live)
    return Change(kind="replace", cause=_with(cause, *notes), downtime=_ANEW)


def claims_after(desired: Desired, live: Objects) -> tuple[str, ...]:
    """What becomes of the claims that are there, where it is not what the text might make one think."""
    found = live.get(key(desired.workload))
    return (*_kept(desired.workload, found, live), *_left(desired.workload, live))


def _kept(workload: Json, found: Json | None, live: Objects) -> Iterator[str]:
    """Claims that a StatefulSet has made stay as they are: its templates only tell how new ones are made."""
    if found is None:
        return
    wanted, there = _by_name(workload["spec"]), _by_name(found["spec"])
    for called in sorted({*wanted} & {*there}):
        if _grows(wanted[called], there[called]):
            continue
        names = {f"{called}-{found['metadata']['name']}-"}
        kept = dict.fromkeys(_described(each) for where, each in sorted(live.items()) if _is_claim(where, names))
        if kept:
            yield f"claims of `{called}` keep {' and '.join(kept)}; the change counts for new copies"


def _described(claim: Json) -> str:
    """`16Mi, standard`."""
    said = (text(claim, "spec", "resources", "requests", "storage"), text(claim, "spec", "storageClassName"))
    return ", ".join(filter(None, said))


def _left(workload: Json, live: Objects) -> Iterator[str]:
    """Claims that it used, and now uses others in their place: no data moves by itself. Not what others may use."""
    wanted = _claims(workload)
    used = {name for found in live.values() if found["kind"] in _BESIDE for name in _claims(found)} - wanted
    left = [where[1] for where, each in sorted(live.items()) if _is_claim(where, used) and mark(each).service]
    if not left:
        return
    begun = [name for name in sorted(wanted) if not any(_is_claim(where, {name}) for where in live)]
    names = [f"`{name.removesuffix('-' + workload['metadata']['name'] + '-')}`" for name in begun]
    if names:
        yield f"{', '.join(names)} {'begins' if len(names) == 1 else 'begin'} empty"
    yield f"{_quoted(left, 'claim')} {'stays' if len(left) == 1 else 'stay'}, unused"


def _is_claim(where: Key, names: Collection[str]) -> bool:
    """Whether it is one of *names*; those that end in `-` are of a StatefulSet's claims, which a number follows."""
    kind, called = where
    stem = called.rstrip("0123456789")
    return kind == CLAIM.name and (called in names or (stem in names and stem != called and stem.endswith("-")))


def _quoted(names: Sequence[str], word: str = "") -> str:
    head = f"{word}{'s' * (len(names) > 1)} " if word else ""
    return head + ", ".join(f"`{name}`" for name in names)


def _with(*said: str) -> str:
    return "; ".join(filter(None, said))


def _lost(desired: Desired, live: Objects) -> Iterator[str]:
    """What of a claim would have to be made anew, and its data with it."""
    for manifest in desired.added:
        found = live.get(key(manifest))
        if found is None or manifest["kind"] != CLAIM.name or going(found):
            continue
        called = manifest["metadata"]["name"]
        yield from (f"{called}: {field}" for field in _other_claim(manifest, found))
        if asked(manifest) < asked(found):
            yield f"{called}: size"


def _all_fixed(desired: Desired, live: Objects) -> tuple[str, ...]:
    found = [(manifest, live[key(manifest)]) for manifest in _ordered(desired) if key(manifest) in live]
    fields = [f"{each['kind']}.{field}" for manifest, each in found for field in _fixed(manifest, each)]
    return (*fields, *_moved(desired.workload, live))


def _moved(workload: Json, live: Objects) -> Iterator[str]:
    """A workload of another kind has its data elsewhere, and its successor would begin without."""
    if key(workload) in live or not _claims(workload):
        return
    for found in live.values():
        if found["kind"] in _BESIDE and _claims(found) and _claims(found) != _claims(workload):
            yield f"{found['kind']} becomes {workload['kind']}"


def _claims(workload: Json) -> frozenset[str]:
    templates = (text(each, "metadata", "name") for each in items(workload, "spec", "volumeClaimTemplates"))
    shared = (
        text(each, "persistentVolumeClaim", "claimName") for each in items(template_of(workload), "spec", "volumes")
    )
    return frozenset((*(f"{each}-{workload['metadata']['name']}-" for each in templates), *filter(None, shared)))


def _fixed(manifest: Json, found: Json) -> tuple[str, ...]:
    """Fields in which they differ and that the API lets nobody change."""
    if going(found):
        return ()
    ours, theirs = mapping(manifest, "spec"), mapping(found, "spec")
    match manifest["kind"]:
        case DEPLOYMENT.name:
            return tuple(_differing(ours, theirs, "selector"))
        case STATEFUL_SET.name:
            fields = list(_differing(ours, theirs, "selector", "serviceName", "podManagementPolicy"))
            return (*fields, *_templates(ours, theirs))
        case SERVICE.name:
            headless = [spec.get("clusterIP") == "None" for spec in (ours, theirs)]
            return ("spec.clusterIP",) if headless[0] != headless[1] else ()
        case _:
            return ()


def _differing(ours: Json, theirs: Json, *fields: str) -> Iterator[str]:
    return (f"spec.{field}" for field in fields if field in ours and ours[field] != theirs.get(field))


def _templates(ours: Json, theirs: Json) -> Iterator[str]:
    """Claim templates that differ in more than a size that grew."""
    wanted, there = _by_name(ours), _by_name(theirs)
    for called in sorted({*wanted, *there}):
        one, other = wanted.get(called), there.get(called)
        if one is None or other is None or not _grows(one, other):
            yield f"spec.volumeClaimTemplates[{called}]"


def _grows(one: Json, other: Json) -> bool:
    return not any(_other_claim(one, other)) and asked(one) >= asked(other)


def _other_claim(one: Json, other: Json) -> Iterator[str]:
    """Fields of a claim in which they differ, but for its size. What is not said, the cluster has chosen."""
    for field in ("accessModes", "storageClassName"):
        if field in one["spec"] and one["spec"][field] != other["spec"].get(field):
            yield field


def _grown(manifest: Json, found: Json) -> dict[str, str]:
    """Claim templates whose size grew -> to what."""
    wanted, there = _by_name(manifest["spec"]), _by_name(found["spec"])
    return {
        called: one["spec"]["resources"]["requests"]["storage"]
        for called, one in wanted.items()
        if asked(one) > asked(there[called])
    }


class Grown(Data, frozen=True, kw_only=True):
    """A claim that gets more room. volume: as the text calls it. old, new: sizes."""

    found: Json
    volume: str
    old: str
    new: str


def grown(forward: Iterable[Operation], live: Objects) -> Iterator[Grown]:
    for each in forward:
        match each:
            case Grow(claim=claim, size=size, volume=volume):
                found = live[CLAIM.name, claim]
                yield Grown(found=found, volume=volume, old=_size(found), new=size)
            case Write(manifest=manifest) if manifest["kind"] == CLAIM.name:
                found = live[key(manifest)]
                if asked(manifest) > asked(found):
                    yield Grown(found=found, volume=found["metadata"]["name"], old=_size(found), new=_size(manifest))


def _size(claim: Json) -> str:
    return str(at(claim, "spec", "resources", "requests", "storage") or "")


def _by_name(spec: Json) -> dict[str, Json]:
    return {each["metadata"]["name"]: each for each in items(spec, "volumeClaimTemplates")}


def asked(claim: Json) -> Decimal:
    """How many bytes it asks for."""
    return amount(at(claim, "spec", "resources", "requests", "storage")) or Decimal()


# --- jobs


def _job(desired: Desired, live: Objects, run: str) -> Decision:
    there = live.get(key(desired.workload))
    made = tuple(_made(desired.added, live))
    if there is not None and not going(there):
        return _known_job(desired, there, made, run)
    unfinished = [Delete(found=found) for where, found in live.items() if where[0] == JOB.name and not finished(found)]
    earlier = any(where[0] == JOB.name for where in live)
    change = Change(kind="run", cause="its content changed" if earlier else "not there")
    if earlier and any(template_label(found) == desired.template for found in live.values()):
        change = Change(kind="run", cause='rerun "always"')
    write: Operation = Write(manifest=desired.workload) if there is not None else Make(manifest=desired.workload)
    return Decision(change=change, forward=(*unfinished, *made, write))


def _known_job(desired: Desired, there: Json, made: tuple[Make, ...], run: str) -> Decision:
    match finished(there):
        case "Complete":
            return Decision(change=Change(kind="none"))
        case "":
            return Decision(change=Change(kind="run", cause="still running"), forward=made)
        case "Failed" if mark(there).run == run:
            return Decision(change=Change(kind="run", cause="it failed in this run"))
        case "Failed":  # pragma: no branch  (the last there is)
            again: tuple[Operation, ...] = (Delete(found=there), *made, Make(manifest=desired.workload))
            return Decision(change=Change(kind="run", cause="it failed the last time"), forward=again)
