# SPDX-License-Identifier: Apache-2.0
"""A service's volumes: claims, and how its pods mount them.

A named volume that one service alone writes belongs to its pods, one claim for each: a StatefulSet makes them from a
template. Every other one is one claim of the volume's own name, which all that mount it share.
"""

from typing import Any

from fleetflow_tasks.config.model import Volume
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes import quantities
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM
from fleetflow_tasks.runtimes.kubernetes.manifests import (
    Source,
    manifest,
    named_volumes,
    said,
    source,
    stage_labels,
    stage_manifest,
)

SIZE = 1 << 30  # bytes of a claim, where the text gives none: 1Gi
ONE_NODE = "ReadWriteOnce"
ONE_POD = "ReadWriteOncePod"
_SINGLE = (ONE_NODE, ONE_POD)


def users(plan: Plan, volume: str) -> list[Source]:
    """The services of the stage that mount the named volume *volume* in this cluster."""
    mounting = (service for service in plan.services if volume in named_volumes(service))
    return [source(plan, service) for service in mounting if service.runtime == "kubernetes"]


def own(made_from: Source) -> list[str]:
    """The volumes of which each pod has one of its own."""
    if made_from.service.job or access_mode([made_from]) not in _SINGLE:
        return []
    return [name for name in named_volumes(made_from.service) if _is_own(made_from, name)]


def is_stateful(made_from: Source) -> bool:
    return bool(own(made_from))


def writes_alone(made_from: Source) -> bool:
    """Whether two of its pods could not have its shared volumes at once: a new one must wait until the old one is gone."""
    alone = set(named_volumes(made_from.service)) - set(own(made_from))
    return any(
        _is_written(made_from.service, name) and access_mode(_mounting(made_from, name)) in _SINGLE for name in alone
    )


def access_mode(mounting: list[Source]) -> str:
    """What the first of them says."""
    return next((each.options.access_mode for each in mounting if each.options.access_mode), ONE_NODE)


def claims(made_from: Source) -> list[dict[str, Any]]:
    """The claims that are there before the pods: all but those that a StatefulSet makes."""
    mine = set(own(made_from))
    return [_claim(made_from, name) for name in named_volumes(made_from.service) if name not in mine]


def templates(made_from: Source) -> list[dict[str, Any]]:
    """The claims that a StatefulSet makes for each pod. Nothing in them can ever be changed: no label that could."""
    return [{"metadata": {"name": name}, "spec": _spec(_mounting(made_from, name), name)} for name in own(made_from)]


def pod_volumes(made_from: Source) -> list[dict[str, Any]]:
    mine = set(own(made_from))
    shared = [
        {"name": name, "persistentVolumeClaim": {"claimName": name}}
        for name in named_volumes(made_from.service)
        if name not in mine
    ]
    empty = [
        {"name": _mounted(volume, index), "emptyDir": {}}
        for index, volume in enumerate(made_from.service.volumes)
        if volume.kind == "anonymous"
    ]
    return [*shared, *empty]


def mounts(service: ResolvedService) -> list[dict[str, Any]]:
    return [
        said(name=_mounted(volume, index), mountPath=volume.target, readOnly=volume.read_only or None)
        for index, volume in enumerate(service.volumes)
    ]


def _mounted(volume: Volume, index: int) -> str:
    """The name of a volume within the pod; one without a name lives and ends with its pod."""
    return volume.source or f"empty-{index}"


def _mounting(made_from: Source, name: str) -> list[Source]:
    return users(made_from.plan, name) if name in made_from.shared else [made_from]


def _is_own(made_from: Source, volume: str) -> bool:
    return volume not in made_from.shared and _is_written(made_from.service, volume)


def _is_written(service: ResolvedService, name: str) -> bool:
    return any(volume.source == name and not volume.read_only for volume in service.volumes)


def _claim(made_from: Source, name: str) -> dict[str, Any]:
    """What several services mount carries no service's label: it goes with the stage, and each makes the same."""
    mounting = _mounting(made_from, name)
    spec = _spec(mounting, name)
    if name not in made_from.shared:
        return manifest(made_from, CLAIM, name, spec=spec)
    return stage_manifest(made_from.settings, CLAIM, {"name": name, "labels": stage_labels(made_from.plan)}, spec=spec)


def _spec(mounting: list[Source], name: str) -> dict[str, Any]:
    """The largest size that is said; the first class and access mode."""
    sizes = [volume.size for each in mounting for volume in each.service.volumes if volume.source == name]
    return said(
        accessModes=[access_mode(mounting)],
        resources={"requests": {"storage": quantities.size(max((size for size in sizes if size), default=SIZE))}},
        storageClassName=next((each.options.storage_class for each in mounting if each.options.storage_class), None),
    )
