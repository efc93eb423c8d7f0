# SPDX-License-Identifier: Apache-2.0
"""What should exist: a service of a plan -> the Service or Job that Cloud Run would be asked to hold. Pure.

Who made it, and when (run, generation), is put on by `marked`, just before it is sent; on the object alone and never on
the template, since every change of a template makes a revision. So the same plan gives the same object, and one whose
hash equals ours need not be sent.

Two hashes: `template` of what revisions or executions are made from, `hash` of everything, the callers in its IAM policy
too. A job is what it runs: how long it may take, how often it is tried and what it is labelled are in its `hash` alone,
since a job runs again when its `template` changes.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from fleetflow_tasks.config.model import Data, ServiceName
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.cloudrun import names
from fleetflow_tasks.runtimes.cloudrun.form import Json, said, yes
from fleetflow_tasks.runtimes.cloudrun.options import read
from fleetflow_tasks.runtimes.cloudrun.source import CLOUDRUN, Source, source
from fleetflow_tasks.runtimes.cloudrun.template import execution_template, revision_template

__all__ = ["Desired", "Json", "desired", "marked", "renewed"]

_INGRESS = {
    "all": "INGRESS_TRAFFIC_ALL",
    "internal": "INGRESS_TRAFFIC_INTERNAL_ONLY",
    "internal-and-cloud-load-balancing": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
}
_NOT_WHAT_A_JOB_RUNS = frozenset({"labels", "parallelism"})
_NOT_WHAT_A_TASK_RUNS = frozenset({"timeout", "maxRetries"})


class Desired(Data, frozen=True, kw_only=True):
    """One service as it should be.

    name: as the API has it, `projects/p/locations/r/services/shop-prd-api`. body: the Service or Job, without name, marks
    and traffic. template, hash: see above. invokers: members who must be able to call it, sorted; of them `public` is no
    part: then the call is not checked at all. share: percent of the requests that a new revision gets; None: all.
    """

    service: ServiceName
    kind: Literal["service", "job"]
    name: str
    body: Json
    template: str
    hash: str
    invokers: tuple[str, ...] = ()
    public: bool = False
    share: int | None = None


def desired(plan: Plan, service: ResolvedService) -> Desired:
    made_from = source(plan, service)
    body = _job(made_from) if service.job else _service(made_from)
    invokers = () if service.job else callers(made_from)
    whole = {"body": body, "invokers": invokers, "share": made_from.options.traffic}
    share = made_from.settings.canary if made_from.settings.canary is not None else made_from.options.traffic
    return Desired(
        service=service.name,
        kind="job" if service.job else "service",
        name=names.full_name(plan, service),
        body=body,
        template=names.hashed(_content(service, body["template"])),
        hash=names.hashed(whole),
        invokers=invokers,
        public=made_from.options.public,
        share=None if service.job else share,
    )


def marked(wanted: Desired, mark: labels.Mark, *, invokers: Sequence[str] | None = None) -> Json:
    """The object as it is sent: with whose it is, and what it was made from.

    mark: without hash. invokers: the members whom we have let call it; None: those that are wanted.
    """
    own, notes = names.written(msgspec.structs.replace(mark, service=wanted.service, hash=wanted.hash))
    let_in = ",".join(wanted.invokers if invokers is None else invokers)
    notes |= said(**{names.TEMPLATE: wanted.template, names.INVOKERS: let_in})
    return {
        **wanted.body,
        "labels": {**wanted.body.get("labels", {}), **own},
        "annotations": {**wanted.body.get("annotations", {}), **notes},
    }


def renewed(body: Json, run: str) -> Json:
    """*body* with a template that differs from every earlier one, so that a new revision is made of the same content."""
    template: Mapping[str, Any] = body["template"]
    return {**body, "template": {**template, "annotations": {**template.get("annotations", {}), names.AGAIN: run}}}


def callers(made_from: Source) -> tuple[str, ...]:
    """Those whom the text names, and the accounts of the services that depend on it. Nobody where anybody may call it."""
    if made_from.options.public:
        return ()
    return tuple(sorted({*made_from.options.invokers, *_accounts(made_from)}))


def dependants(made_from: Source) -> list[ResolvedService]:
    """Who on this platform depends on it."""
    return [
        other
        for other in made_from.plan.services
        if other.runtime == CLOUDRUN and any(each.service == made_from.service.name for each in other.depends_on)
    ]


def _accounts(made_from: Source) -> Iterator[str]:
    for other in dependants(made_from):
        if account := read(other.options).service_account:
            yield f"serviceAccount:{account}"


def _service(made_from: Source) -> dict[str, Any]:
    scaling, options = made_from.service.scaling, made_from.options
    return said(
        **_outside(made_from),
        ingress=_INGRESS[options.ingress],
        invokerIamDisabled=yes(options.public),
        scaling=None if scaling is None else said(minInstanceCount=scaling.min or None, maxInstanceCount=scaling.max),
        template=revision_template(made_from),
    )


def _job(made_from: Source) -> dict[str, Any]:
    return said(**_outside(made_from), template=execution_template(made_from))


def _outside(made_from: Source) -> dict[str, Any]:
    options = made_from.options
    return {
        "description": options.description,
        "labels": dict(made_from.service.labels),
        "annotations": dict(options.annotations),
    }


def _content(service: ResolvedService, template: Json) -> Json:
    """What the hash of a template covers."""
    if not service.job:
        return template
    task = {name: value for name, value in template["template"].items() if name not in _NOT_WHAT_A_TASK_RUNS}
    return {name: value for name, value in template.items() if name not in _NOT_WHAT_A_JOB_RUNS} | {"template": task}
