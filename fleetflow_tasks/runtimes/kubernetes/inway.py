# SPDX-License-Identifier: Apache-2.0
"""What stands where we would make something, and is not ours: seen before anything is made.

A picture holds what bears our stage's labels, so somebody else's is not in it. The services of a stage begin together; so
each kind is asked for once, for all of them, and not each name by itself. What is named by its content is nobody else's.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.decide import Decision, Make
from fleetflow_tasks.runtimes.kubernetes.kinds import Kind, named
from fleetflow_tasks.runtimes.kubernetes.manifests import Json
from fleetflow_tasks.runtimes.kubernetes.objects import items
from fleetflow_tasks.runtimes.kubernetes.observe import FRESH, NAMED_BY_CONTENT, Key, key, mark
from fleetflow_tasks.runtimes.together import Pause, Recent

Names = Mapping[Key, Json]

_FORBIDDEN = 403
_KEPT = 256  # questions whose answers are kept: of some fifty namespaces


class Taken:
    """The names that are in use in the namespaces of a cluster, as they were some seconds ago. Safe for many threads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, Kind], Recent[Names]] = OrderedDict()

    def of(self, namespace: str, kind: Kind, *, fresh: float = FRESH, pause: Pause | None = None) -> Names:
        """Empty where we may not look. fresh: how many seconds old it may be. pause: asked while another one looks."""
        with self._lock:
            known = self._known.setdefault((namespace, kind), Recent())
            self._known.move_to_end((namespace, kind))
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return known.since(time.monotonic() - fresh, lambda: self._listed(namespace, kind), pause)

    def _listed(self, namespace: str, kind: Kind) -> Names:
        try:
            return {key(each): _bare(each) for each in self._client.list(kind, namespace).items}
        except KubernetesError as error:
            if error.status != _FORBIDDEN:
                raise
            return {}


def in_way(taken: Callable[[Kind], Names], plan: Plan, decision: Decision) -> list[Json]:
    """Of one service. taken: which names of a kind are."""
    found = (taken(named(where[0])).get(where) for where in _wanted(decision))
    return [each for each in found if each is not None and is_foreign(each, plan)]


def all_in_way(
    taken: Callable[[Kind], Names], plan: Plan, decisions: Mapping[ServiceName, Decision]
) -> dict[ServiceName, list[Json]]:
    """Of each service that has any; of each kind is asked once."""
    once = cache(taken)
    return {service: there for service, decision in decisions.items() if (there := in_way(once, plan, decision))}


def is_foreign(live: Json, plan: Plan) -> bool:
    theirs = mark(live)
    return (theirs.project, theirs.stage) != (plan.project, plan.stage)


def _wanted(decision: Decision) -> list[Key]:
    made = (each.manifest for each in decision.forward if isinstance(each, Make))
    return [key(each) for each in made if each["kind"] not in NAMED_BY_CONTENT]


def _bare(found: Json) -> Json:
    """What says whose it is."""
    kept = ("name", "namespace", "labels", "annotations", "ownerReferences")
    metadata = {name: found["metadata"][name] for name in kept if name in found["metadata"]}
    managers = [
        {name: each[name] for name in ("manager", "subresource") if name in each}
        for each in items(found, "metadata", "managedFields")
    ]
    metadata |= {"managedFields": managers}
    return {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": metadata}
