# SPDX-License-Identifier: Apache-2.0
"""What all manifests of a service have in common: what they are made from, their labels, their outer form.

A selector can never be changed, so it holds only what never changes: project, stage and service.
"""

from collections.abc import Mapping
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes import labels
from fleetflow_tasks.runtimes.kubernetes.kinds import Kind
from fleetflow_tasks.runtimes.kubernetes.options import Options, read
from fleetflow_tasks.runtimes.kubernetes.settings import Settings, settings

Json = Mapping[str, Any]

TEMPLATE = labels.SLASHED + "template"  # on pods: which version of the pod template they were made from
HASH = labels.SLASHED + "hash"  # on objects: what they were made from
RESTARTED = labels.SLASHED + "restarted"  # annotation of a pod template: the run that made its pods anew, as they are


class Source(Data, frozen=True, kw_only=True):
    """All that a service's manifests are made from. shared: its named volumes that others in this cluster mount too."""

    plan: Plan
    service: ResolvedService
    options: Options
    settings: Settings
    shared: frozenset[str] = frozenset()

    @property
    def copies(self) -> int:
        """The most pods that may serve at once, leaving aside those of a rollout."""
        scaling, replicas = self.service.scaling, self.service.replicas
        return scaling.max if scaling is not None else 1 if replicas is None else replicas


def source(plan: Plan, service: ResolvedService) -> Source:
    shared = _shared(plan, service)
    return Source(plan=plan, service=service, options=read(service.options), settings=settings(plan), shared=shared)


def named_volumes(service: ResolvedService) -> list[str]:
    """Each once, in the order of the text."""
    return list(dict.fromkeys(volume.source for volume in service.volumes if volume.kind == "named"))


def said(**fields: object) -> dict[str, Any]:
    """The fields that say something. `false` and 0 do."""
    return {name: value for name, value in fields.items() if value is not None and value not in ("", {}, [])}


def selector(made_from: Source) -> dict[str, str]:
    """The labels of all its pods, for ever."""
    plan = made_from.plan
    mark = labels.Mark(project=plan.project, stage=plan.stage, service=made_from.service.name)
    return labels.written(mark, labels.SLASHED)


def stage_labels(plan: Plan) -> dict[str, str]:
    """Of what belongs to the stage and to no service of it."""
    return {
        "app.kubernetes.io/instance": labels.stage_name(plan.project, plan.stage),
        "app.kubernetes.io/part-of": plan.project,
        "app.kubernetes.io/managed-by": "fleetflow",
        **labels.written(labels.Mark(project=plan.project, stage=plan.stage), labels.SLASHED),
    }


def service_labels(made_from: Source) -> dict[str, str]:
    """Of all that belongs to a service. What the user says may beat what is only custom, never what we find things by."""
    custom = {"app.kubernetes.io/name": made_from.service.name, **stage_labels(made_from.plan)}
    return {**custom, **made_from.service.labels, **selector(made_from)}


def manifest(
    made_from: Source, kind: Kind, name: str, *, annotations: Json | None = None, **fields: object
) -> dict[str, Any]:
    """An object of the service."""
    metadata = said(name=name, labels=service_labels(made_from), annotations=dict(annotations or {}))
    return stage_manifest(made_from.settings, kind, metadata, **fields)


def stage_manifest(where: Settings, kind: Kind, metadata: Json, **fields: object) -> dict[str, Any]:
    """An object in the stage's namespace."""
    return {
        "apiVersion": kind.api,
        "kind": kind.name,
        "metadata": {**metadata, "namespace": where.namespace},
        **said(**fields),
    }


def _shared(plan: Plan, service: ResolvedService) -> frozenset[str]:
    mine = named_volumes(service)
    if not mine:
        return frozenset()
    others = (other for other in plan.services if other.runtime == "kubernetes" and other.name != service.name)
    return frozenset(mine).intersection(volume.source for other in others for volume in other.volumes)
