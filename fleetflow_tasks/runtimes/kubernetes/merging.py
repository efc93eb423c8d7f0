# SPDX-License-Identifier: Apache-2.0
"""How the API merges lists and maps: which are merged by key, and by which. Pure.

From the schema of server-side apply (`x-kubernetes-list-map-keys`) for the kinds that we make; the same in 1.28 to
1.34. Every other list is atomic: one value, owned and replaced as a whole, its order a part of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fleetflow_tasks.runtimes.kubernetes.objects import Json

# A list's name -> the fields that tell its items apart. Two kinds of `ports` are merged: a container's, a Service's.
_KEYS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "containers": (("name",),),
    "initContainers": (("name",),),
    "ephemeralContainers": (("name",),),
    "env": (("name",),),
    "volumes": (("name",),),
    "imagePullSecrets": (("name",),),
    "secrets": (("name",),),
    "claims": (("name",),),
    "resourceClaims": (("name",),),
    "schedulingGates": (("name",),),
    "volumeMounts": (("mountPath",),),
    "volumeDevices": (("devicePath",),),
    "hostAliases": (("ip",),),
    "topologySpreadConstraints": (("topologyKey", "whenUnsatisfiable"),),
    "ownerReferences": (("uid",),),
    "conditions": (("type",),),
    "ports": (("containerPort", "protocol"), ("port", "protocol")),
}
DEFAULTS: Json = {"protocol": "TCP"}  # what a key field is where nobody says it
WHOLE = frozenset({"selector", "labelSelector", "nodeSelector"})  # maps that are one value: a key less is a change
SETS = frozenset({"finalizers"})  # lists whose order says nothing
# Atomic for the API, but its answer has them in an order of its own.
_UNORDERED = frozenset({"metrics"})


def keys(name: str, entries: Sequence[Any]) -> tuple[str, ...]:
    """The fields that tell the items of a list called *name* apart; () where it is not merged by key."""
    for fields in _KEYS.get(name, ()):
        if entries and all(isinstance(entry, Mapping) and fields[0] in entry for entry in entries):
            return fields
    return ()


def key(entry: Json, fields: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(entry.get(field, DEFAULTS.get(field))) for field in fields)


def unordered(name: str) -> bool:
    return name in SETS or name in _UNORDERED
