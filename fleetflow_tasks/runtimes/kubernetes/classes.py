# SPDX-License-Identifier: Apache-2.0
"""Storage classes that cannot give what a stage asks of them: told before anything is made.

A claim of such a class would wait for ever. But a name may also be that of volumes which somebody has made by hand, and
then needs no class; so both are looked for, and where we may not look at both, nothing is said. A claim that is there
already has its volume, whatever became of the class.
"""

from collections.abc import Callable, Iterable, Mapping

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.kubernetes import words
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.decide import Decision, grown
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, PERSISTENT_VOLUME, STORAGE_CLASS
from fleetflow_tasks.runtimes.kubernetes.manifests import Json, named_volumes
from fleetflow_tasks.runtimes.kubernetes.objects import text
from fleetflow_tasks.runtimes.kubernetes.observe import Objects
from fleetflow_tasks.runtimes.kubernetes.options import read

_FORBIDDEN = 403


def unknown(
    client: Client, services: Iterable[ResolvedService], live: Callable[[], Objects]
) -> Mapping[ServiceName, Problem]:
    """Of the services that name one. live: asked for only where any does. Raises KubernetesError."""
    asking = [(each, name) for each in services if (name := read(each.options).storage_class) and named_volumes(each)]
    if not asking:
        return {}
    there = live()
    lacking = [(each, name) for each, name in asking if _lacks_claim(each, there)]
    missing = {name for name in {name for _, name in lacking} if _is_unknown(client, name)}
    return {each.name: _problem(each, name) for each, name in lacking if name in missing}


def rigid(client: Client, service: ResolvedService, decision: Decision, live: Objects) -> Problem | None:
    """Of the first claim that is to grow and may not; None where nothing grows, or where we may not look."""
    for each in grown(decision.forward, live):
        called = text(each.found, "spec", "storageClassName")
        there = _class(client, called) if called else None
        if there is not None and there.get("allowVolumeExpansion") is not True:
            return words.rigid(service, text(each.found, "metadata", "name"), called)
    return None


def _class(client: Client, name: str) -> Json | None:
    """None where there is none, or where we may not look."""
    try:
        return client.get(STORAGE_CLASS, "", name)
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        return None


def _lacks_claim(service: ResolvedService, live: Objects) -> bool:
    return not all(
        (CLAIM.name, volume) in live or (CLAIM.name, f"{volume}-{service.name}-0") in live
        for volume in named_volumes(service)
    )


def _is_unknown(client: Client, name: str) -> bool:
    try:
        if client.get(STORAGE_CLASS, "", name) is not None:
            return False
        volumes = client.list(PERSISTENT_VOLUME, "").items
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        return False
    return all(text(each, "spec", "storageClassName") != name for each in volumes)


def _problem(service: ResolvedService, name: str) -> Problem:
    return Problem(
        code="storage-class",
        message=f"storage class `{name}` of `{service.name}` does not exist",
        cause=("the cluster has no such class, and no volume of that name",),
        fix="correct `storage_class`, or have it made: `kubectl get storageclass` shows those that are there",
        place=service.places.get("options") or service.places.get("volumes") or service.places.get(""),
    )
