# SPDX-License-Identifier: Apache-2.0
"""What a run of the plan would change, without changing it.

Whether something changes is decided as a run decides it, from the same hashes. What exactly, the server itself is asked:
it carries out each change but for keeping it, so that what it fills in, and what webhooks do, is no change. Who may look
and not touch is told what can be seen by looking.
"""

from collections.abc import Mapping

import msgspec

from fleetflow_tasks.config.model import Data, ServiceName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import Change, FieldChange
from fleetflow_tasks.runtimes.kubernetes import classes, contents, explain, inway, prune, settled, words
from fleetflow_tasks.runtimes.kubernetes.apply import as_entitled, entitled, rehearsed
from fleetflow_tasks.runtimes.kubernetes.client import KubernetesError
from fleetflow_tasks.runtimes.kubernetes.decide import Decision, Grow, Write, decide, grown, superfluous, without
from fleetflow_tasks.runtimes.kubernetes.desired import Desired, desired
from fleetflow_tasks.runtimes.kubernetes.differences import differences
from fleetflow_tasks.runtimes.kubernetes.kinds import DEPLOYMENT, NAMESPACE, STATEFUL_SET, named
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.objects import items, text
from fleetflow_tasks.runtimes.kubernetes.observe import Objects, Snapshot, going, key, mark, own
from fleetflow_tasks.runtimes.kubernetes.place import Place

_FORBIDDEN = 403
_DRAFTED = frozenset({DEPLOYMENT.name, STATEFUL_SET.name})
_UNSEEN = "whether its Secrets are there is not known: we may not list them"
_MAY_NOT = "forbidden"  # the code of a problem: we may look, and not touch


def changes(here: Place) -> dict[StepId, Change]:
    """One snapshot of what is, against the plan: a change per step, and one per service to be pruned."""
    live = here.seen()
    unknown = classes.unknown(here.client, here.services, live.all)
    found: dict[StepId, Change] = {}
    doubtful: dict[ServiceName, tuple[Desired, Objects]] = {}
    decisions: dict[ServiceName, Decision] = {}
    for step in here.plan.steps:
        if step.runtime != "kubernetes":
            continue
        if step.action == "deploy" and step.service is not None:
            service, there = here.plan.service(step.service), live.of(step.service)
            whole = desired(here.plan, service)
            wanted = without(whole, live.unseen)
            decisions[step.service] = decide(wanted, there, replace=step.service in here.settings.replace)
            change = _change(here, service, wanted, there, decisions[step.service])
            begun = _begun(here, wanted, live) if change.kind == "create" else ()
            unsure = [_UNSEEN] if len(wanted.added) != len(whole.added) and change.kind != "none" else []
            found[step.id] = _refused(_noted(change, *begun, *unsure), unknown.get(step.service))
            if change.kind == "none" and not settled.is_settled(wanted, there, here.client.now()):
                doubtful[step.service] = wanted, there
        elif step.action == "remove" and step.service is not None and (mine := own(live, step.service)):
            found[step.id] = Change(kind="remove", cause=_gone("asked for", here, mine), downtime="for good")
        elif step.action == "prepare" and step.service is None and here.services:
            found |= _namespace(here, step)
        elif step.action == "prune":
            found |= _pruned(here, step, live)
    found |= _unready(here, settled.unsettled(here, doubtful))
    return _blocked(here, found, inway.all_in_way(here.taken_now, here.plan, decisions))


def _namespace(here: Place, step: Step) -> dict[StepId, Change]:
    """Something only where it is on its way out: a run waits for that first, for as long as it takes."""
    live = _there(here)
    if live is None or not going(live):
        return {}
    return {step.id: Change(kind="create", cause=words.terminating(here.namespace, live).message)}


def _there(here: Place) -> Json | None:
    """None also where we may not look."""
    try:
        return here.client.get(NAMESPACE, "", here.namespace)
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        return None


def _blocked(
    here: Place, found: dict[StepId, Change], foreign: Mapping[ServiceName, list[Json]]
) -> dict[StepId, Change]:
    """Somebody else's objects keep them from being made."""
    for step in here.plan.steps:
        if step.action == "deploy" and step.service is not None and step.service in foreign:
            names = (f"{each['kind']} `{text(each, 'metadata', 'name')}`" for each in foreign[step.service])
            found[step.id] = _noted(found[step.id], f"in the way: {', '.join(names)}, not ours")
    return found


def _unready(here: Place, said: Mapping[ServiceName, str]) -> dict[StepId, Change]:
    """Nothing about them would change, and yet a run has to go on with them: until they serve, or have failed again."""
    return {
        step.id: Change(kind="start", cause=f"not ready: {said[step.service]}")
        for step in here.plan.steps
        if step.action == "deploy" and step.service is not None and step.service in said
    }


def _refused(change: Change, problem: Problem | None) -> Change:
    """It would not come to that."""
    return change if problem is None or change.kind == "none" else _noted(change, problem.message)


def _noted(change: Change, *said: str) -> Change:
    return msgspec.structs.replace(change, cause="; ".join(filter(None, [change.cause, *said])))


def _change(here: Place, service: ResolvedService, wanted: Desired, live: Objects, decision: Decision) -> Change:
    change = decision.change
    if change.kind not in {"update", "replace"} or decision.fixed or decision.lost:
        return change
    seen = [_seen(here, service, write.manifest) for write in decision.forward if isinstance(write, Write)]
    fields = (*(field for each in seen for field in each.fields), *_grown(decision, live))
    if not fields and _only_marks(decision, live):
        return Change(kind="none")
    there = live.get(key(wanted.workload), {})
    fields = contents.spelled(here.client, here.namespace, wanted, there, fields)
    rigid = classes.rigid(here.client, service, decision, live)
    refusals = [*(each.refusal for each in seen if each.refusal), *([rigid.message] if rigid else [])]
    return msgspec.structs.replace(change, fields=fields, cause="; ".join([_named(change.cause, fields), *refusals]))


def _grown(decision: Decision, live: Objects) -> tuple[FieldChange, ...]:
    """Claims of a StatefulSet, which is made anew for them: nothing that is applied shows how."""
    grows = [each for each in decision.forward if isinstance(each, Grow)]
    found = (FieldChange(field=f"volumes.{each.volume}", old=each.old, new=each.new) for each in grown(grows, live))
    return tuple(dict.fromkeys(found))


class Seen(Data, frozen=True, kw_only=True):
    """refusal: why the cluster will not do it, "" where it will."""

    fields: tuple[FieldChange, ...] = ()
    refusal: str = ""


def _seen(here: Place, service: ResolvedService, manifest: Json) -> Seen:
    """What the server itself would change of one object."""
    live = here.client.get(named(manifest["kind"]), here.namespace, text(manifest, "metadata", "name"))
    if live is None:
        return Seen()
    if entitled(live):
        return Seen(fields=_drafted(here, manifest, live))
    fields = differences(manifest, live)
    try:
        after = rehearsed(here.client, here.namespace, manifest, force=here.settings.force_conflicts)
    except KubernetesError as error:
        if error.transient or error.status == 0:
            raise
        problem = explain.problem_of(error, here.plan, service, f"change `{service.name}`")
        return Seen(fields=fields, refusal="" if problem.code == _MAY_NOT else problem.message)
    real = {change.field for change in differences(after, live)}
    return Seen(fields=tuple(change for change in fields if change.new is None or change.field in real))


def _drafted(here: Place, manifest: Json, live: Json) -> tuple[FieldChange, ...]:
    """Of what was made and never applied: all that the API filled in counts as ours there, as if we had said it.

    So the server is asked what it would fill in if the object were made today, under another name.
    """
    if manifest["kind"] not in _DRAFTED:
        return differences(manifest, live)
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "name"}
    draft = {**manifest, "metadata": {**metadata, "generateName": "draft-"}}
    try:
        filled = here.client.create(named(manifest["kind"]), here.namespace, draft, dry_run=True)
    except KubernetesError as error:
        if error.transient or error.status == 0:
            raise
        return differences(manifest, live)
    return differences({**filled, "metadata": manifest["metadata"]}, as_entitled(live))


def _only_marks(decision: Decision, live: Objects) -> bool:
    """Whether all that would change is our own book-keeping: how we hash, in another version of ours."""
    if decision.after or not all(isinstance(each, Write) for each in decision.forward):
        return False
    return all(mark(live[key(each.manifest)]).generation for each in decision.forward if isinstance(each, Write))


def _named(cause: str, fields: tuple[FieldChange, ...]) -> str:
    """`environment changed` says more than `configuration changed`."""
    names = ", ".join(sorted({field.field.partition(".")[0] for field in fields}))
    return cause.replace("configuration", names, 1) if names and cause.startswith("configuration") else cause


def _pruned(here: Place, step: Step, live: Snapshot) -> dict[StepId, Change]:
    wanted = {service.name for service in here.services}
    removing = {each.service for each in here.plan.steps if each.action == "remove"}
    unknown = {mark(each).service for each in superfluous(wanted, live.all().values())} - removing
    no_more = "the stage does not hold it any more"
    told_once = not wanted and here.settings.volumes_go  # claims then go with the stage
    found = {
        StepId(f"{service}:remove"): Change(
            kind="remove",
            cause=no_more if told_once else _gone(no_more, here, own(live, service), asked=False),
            downtime="for good",
        )
        for service in sorted(filter(None, unknown))
    }
    left = [] if wanted else _left(here, live)
    if left:
        found[step.id] = Change(kind="remove", cause="the stage is empty: " + ", ".join(left))
    return found


def _gone(cause: str, here: Place, mine: Objects, *, asked: bool = True) -> str:
    """And what becomes of its data. asked: to remove it; claims of what a stage merely holds no more always stay."""
    names = ", ".join(f"`{text(each, 'metadata', 'name')}`" for each in prune.claims(mine))
    if not names:
        return cause
    one = "," not in names
    go = asked and here.settings.volumes_go
    fate = f"go{'es' * one} with the data" if go else f"stay{'s' * one}, unused"
    return f"{cause}; claim{'' if one else 's'} {names} {fate}"


def _begun(here: Place, wanted: Desired, live: Snapshot) -> tuple[str, ...]:
    """Volumes of a new service that are named as those of one that goes: it was renamed, and its data stays behind."""
    held = {service.name for service in here.services}
    left = {
        text(each, "metadata", "name").removesuffix(f"-{owner}-0")
        for each in prune.claims(live.all())
        if (owner := mark(each).service) and owner not in held
    }
    volumes = sorted(name for name in _volumes(wanted) if name in left)
    return (f"{', '.join(f'`{each}`' for each in volumes)} begin{'s' * (len(volumes) == 1)} empty",) if volumes else ()


def _volumes(wanted: Desired) -> list[str]:
    """Those that its pods have for themselves."""
    return [text(each, "metadata", "name") for each in items(wanted.workload, "spec", "volumeClaimTemplates")]


def _left(here: Place, live: Snapshot) -> list[str]:
    """What an emptied stage gives up beside its services."""
    gone = prune.claims(live.all()) if here.settings.volumes_go else []
    found = [f"claim {text(each, 'metadata', 'name')}" for each in gone]
    return [f"namespace {here.namespace}", *found] if _namespace_goes(here) else found


def _namespace_goes(here: Place) -> bool:
    there = _there(here)
    if there is None or going(there) or not prune.is_ours(there, here.plan):
        return False
    try:
        stay = not here.settings.volumes_go
        return not prune.holding(here.client, here.plan, here.namespace, claims_stay=stay)
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        return False
