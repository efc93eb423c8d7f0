# SPDX-License-Identifier: Apache-2.0
"""What stands where we would make something, and is not ours: seen before anything is made.

A picture holds what bears our stage's labels, so somebody else's is not in it. Before a service is prepared each name is
looked at by itself; a plan, which may be of hundreds of services, asks once for each kind. What is named by its content
is nobody else's.
"""

from collections.abc import Iterable, Mapping
from itertools import groupby

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.decide import Decision, Make
from fleetflow_tasks.runtimes.kubernetes.kinds import Kind, named
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.observe import NAMED_BY_CONTENT, Key, key, mark

_FORBIDDEN = 403


def in_way(client: Client, namespace: str, plan: Plan, decision: Decision) -> Json | None:
    """The first that is, of one service."""
    for kind, called in _wanted(decision):
        live = client.get(named(kind), namespace, called)
        if live is not None and is_foreign(live, plan):
            return live
    return None


def all_in_way(
    client: Client, namespace: str, plan: Plan, decisions: Mapping[ServiceName, Decision]
) -> dict[ServiceName, list[Json]]:
    """Those of each service that has any. Nothing of a kind that we may not list."""
    wanted = {where: service for service, each in decisions.items() for where in _wanted(each)}
    found: dict[ServiceName, list[Json]] = {}
    for kind, _ in groupby(sorted(wanted), key=lambda where: where[0]):
        for each in _listed(client, namespace, named(kind)):
            if key(each) in wanted and is_foreign(each, plan):
                found.setdefault(wanted[key(each)], []).append(each)
    return found


def is_foreign(live: Json, plan: Plan) -> bool:
    theirs = mark(live)
    return (theirs.project, theirs.stage) != (plan.project, plan.stage)


def _wanted(decision: Decision) -> list[Key]:
    made = (each.manifest for each in decision.forward if isinstance(each, Make))
    return [key(each) for each in made if each["kind"] not in NAMED_BY_CONTENT]


def _listed(client: Client, namespace: str, kind: Kind) -> Iterable[Json]:
    try:
        return client.list(kind, namespace).items
    except KubernetesError as error:
        if error.status != _FORBIDDEN:
            raise
        return ()
