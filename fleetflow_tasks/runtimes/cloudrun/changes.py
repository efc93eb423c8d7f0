# SPDX-License-Identifier: Apache-2.0
"""What a run of the plan would change, without changing it.

Whether something changes is decided as a run decides it. What exactly, Cloud Run is asked: it checks each change as if it
were sent, and keeps nothing, so what it would refuse is known before anything is deployed. Who may look and not touch is
told what can be seen by looking.
"""

from collections.abc import Mapping

import msgspec

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.plan.model import ResolvedService, StepId
from fleetflow_tasks.runtimes.base import Change, FieldChange
from fleetflow_tasks.runtimes.cloudrun import explain, iam, jobs, prune, words
from fleetflow_tasks.runtimes.cloudrun.canary import annotation
from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError
from fleetflow_tasks.runtimes.cloudrun.decide import decide, foreign, outside
from fleetflow_tasks.runtimes.cloudrun.desired import Desired, desired, marked
from fleetflow_tasks.runtimes.cloudrun.differences import differences
from fleetflow_tasks.runtimes.cloudrun.executions import following
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.names import HASH
from fleetflow_tasks.runtimes.cloudrun.observe import Picture, owner
from fleetflow_tasks.runtimes.cloudrun.place import Place
from fleetflow_tasks.runtimes.cloudrun.source import CLOUDRUN

_GONE = "the stage does not hold it any more"
_MAY_NOT = "PERMISSION_DENIED"


def changes(here: Place) -> dict[StepId, Change]:
    """One look at what is, against the plan: a change per deploy step, and one per service to be pruned."""
    known = here.now()
    found: dict[StepId, Change] = {}
    for step in here.plan.steps:
        if step.runtime != CLOUDRUN:
            continue
        if step.action == "deploy" and step.service is not None:
            found[step.id] = change(here, here.plan.service(step.service), known)
        elif step.action == "remove" and step.service is not None and prune.of(known, step.service):
            found[step.id] = Change(kind="remove", cause="asked for", downtime="for good")
        elif step.action == "prune":
            found |= _pruned(here, known)
    return found


def change(here: Place, service: ResolvedService, known: Picture, *, asked: bool = True) -> Change:
    """asked: Cloud Run itself is asked about it."""
    wanted = desired(here.plan, service)
    found = known.get(wanted.name)
    if found is not None and foreign(wanted, found, project=here.plan.project, stage=here.plan.stage):
        return Change(kind="create", cause=words.foreign(found).message)
    decided = _job(here, service, wanted, found) if service.job else _service(here, wanted, found)
    if asked and decided.kind == "none" and found is not None and not service.job:
        return _called(here, wanted, found)
    if not asked or decided.fields or decided.kind not in {"create", "update", "replace"}:
        return decided
    return _asked(here, service, wanted, found, decided)


def drifted(here: Place, known: Picture) -> set[ServiceName]:
    """Those that a run would touch. A job that runs in every deployment is never what the next one wants."""
    kept = (each for each in here.services if not (each.job and each.rerun == "always"))
    return {each.name for each in kept if change(here, each, known, asked=False).kind != "none"}


def _service(here: Place, wanted: Desired, found: Json | None) -> Change:
    return decide(wanted, found, said=here.settings.promote).change


def _called(here: Place, wanted: Desired, found: Json) -> Change:
    """Its callers are in its policy, which anybody may have changed since, and which no hash covers."""
    members = iam.wanted(wanted, by_policy=iam.EVERYBODY in iam.remembered(found))
    try:
        there = iam.callers(here.client.policy(wanted.name)) if members else ()
    except CloudRunError as error:
        if error.code != _MAY_NOT:
            raise
        return Change(kind="none")
    shut = ", ".join(f"`{each}`" for each in members if each not in there)
    return Change(kind="update", cause=f"not let in: {shut}") if shut else Change(kind="none")


def _job(here: Place, service: ResolvedService, wanted: Desired, found: Json | None) -> Change:
    """A job's change is that it runs; what stands around its content is written without that."""
    always = service.rerun == "always"
    standing = jobs.standing(here.client, wanted, found)
    match following(standing, "", always=always):
        case "start":
            return Change(kind="run", cause=_run(standing.became, found, always=always))
        case "wait":
            return Change(kind="run", cause="it is running: a run waits for its end")
        case _:
            return _around(wanted, found or {})


def _around(wanted: Desired, found: Json) -> Change:
    """Of a job that has run: what stands beside its content, or what somebody else made of it since."""
    if annotation(found, HASH) != wanted.hash:
        return Change(kind="update", cause="configuration changed")
    by = outside(found)
    return Change(kind="update", cause=f"changed outside, by `{by}`") if by else Change(kind="none")


def _run(became: str, found: Json | None, *, always: bool) -> str:
    if found is None:
        return "not there"
    if became == "never":
        return "configuration changed"
    return "it failed" if became == "failed" else 'rerun "always"' if always else ""


def _asked(here: Place, service: ResolvedService, wanted: Desired, found: Json | None, decided: Change) -> Change:
    fields, refusal = _seen(here, service, wanted, found)
    cause = _named(decided.cause, fields)
    return msgspec.structs.replace(decided, fields=fields, cause="; ".join(filter(None, (cause, refusal))))


def _seen(
    here: Place, service: ResolvedService, wanted: Desired, found: Json | None
) -> tuple[tuple[FieldChange, ...], str]:
    """What would change, and why Cloud Run would refuse it, "" where it would not."""
    try:
        after, refusal = rehearsed(here, wanted, found), ""
    except CloudRunError as error:
        if error.transient:
            raise
        after, refusal = None, "" if error.code == _MAY_NOT else _refusal(here, service, error)
    return differences(wanted.body, found, after) if found is not None else (), refusal


def rehearsed(here: Place, wanted: Desired, found: Json | None) -> Json | None:
    """The object as it would be. Raises CloudRunError where Cloud Run would not take it."""
    ask = here.client.update_job if wanted.kind == "job" else here.client.update_service
    body = {**marked(wanted, here.mark()), "name": wanted.name}
    try:
        return ask(body, allow_missing=found is None, validate_only=True).response
    except CloudRunError as error:
        if not wanted.public or not iam.refuses_unchecked(error):
            raise
        return ask(iam.checked(body), allow_missing=found is None, validate_only=True).response


def _refusal(here: Place, service: ResolvedService, error: CloudRunError) -> str:
    doing = f"deploy `{service.name}`"
    return explain.problem_of(error, here.plan, service, doing, account=here.client.account).message


def _named(cause: str, fields: tuple[FieldChange, ...]) -> str:
    """`environment changed` says more than `configuration changed`."""
    names = ", ".join(sorted({field.field.partition(".")[0] for field in fields}))
    return cause.replace("configuration", names, 1) if names and cause.startswith("configuration") else cause


def _pruned(here: Place, known: Picture) -> Mapping[StepId, Change]:
    removing = {each.service for each in here.plan.steps if each.action == "remove"}
    gone = {owner(each) for each in prune.superfluous(here, known)} - removing - {each.name for each in here.services}
    return {StepId(f"{name}:remove"): Change(kind="remove", cause=_GONE, downtime="for good") for name in sorted(gone)}
