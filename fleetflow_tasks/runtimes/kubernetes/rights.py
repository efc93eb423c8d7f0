# SPDX-License-Identifier: Apache-2.0
"""What we must be allowed to do in a stage's namespace: one table, for `flow doctor` and for the role that we ship.

What may be pruned is what can be made, so both follow from the table of kinds. A right that nobody needs is none that we
ask for: secrets are read by those who deploy, since what is there is compared with what should be.
"""

from collections.abc import Iterator
from typing import Literal

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.kubernetes.kinds import (
    CLAIM,
    CONTROLLER_REVISION,
    EVENT,
    HPA,
    INGRESS,
    MADE,
    NAMESPACE,
    PERSISTENT_VOLUME,
    POD,
    REPLICA_SET,
    SERVICE,
    STORAGE_CLASS,
    WORKLOADS,
    Kind,
)

Purpose = Literal["deploy", "namespace", "storage", "logs", "exec", "port-forward"]


class Need(Data, frozen=True, kw_only=True):
    """verbs: as a role has them, sorted. part: of the kind (`pods/log`), "" for all of it. purpose: what it is for."""

    kind: Kind
    verbs: tuple[str, ...]
    purpose: Purpose
    part: str = ""

    @property
    def resource(self) -> str:
        """As a role has it: `pods/log`."""
        return f"{self.kind.plural}/{self.part}" if self.part else self.kind.plural


_CHANGED = ("create", "delete", "get", "list", "patch")
_HEARD = frozenset({*WORKLOADS, CLAIM, SERVICE, HPA, INGRESS})  # made by us, and watched until they are ready


def _needs() -> Iterator[Need]:
    for kind in MADE:
        if kind.namespaced:
            verbs = (*_CHANGED, "watch") if kind in _HEARD else _CHANGED
            yield Need(kind=kind, verbs=verbs, purpose="deploy")
    # One that the kubelet holds back is removed when its service is deployed again, or turned round: not all are replaced
    # by themselves.
    yield Need(kind=POD, verbs=("delete", "get", "list", "watch"), purpose="deploy")
    yield Need(kind=EVENT, verbs=("list", "watch"), purpose="deploy")
    # Which ConfigMaps and Secrets the versions are made from that are kept for going back.
    yield Need(kind=REPLICA_SET, verbs=("list",), purpose="deploy")
    yield Need(kind=CONTROLLER_REVISION, verbs=("list",), purpose="deploy")
    yield Need(kind=POD, part="log", verbs=("get",), purpose="logs")
    # By WebSocket both are a GET; from Kubernetes 1.35 on `create` is asked for too.
    yield Need(kind=POD, part="exec", verbs=("create", "get"), purpose="exec")
    yield Need(kind=POD, part="portforward", verbs=("create", "get"), purpose="port-forward")
    # Of the whole cluster: only for a namespace that is not there yet, or was made by us and is to go.
    yield Need(kind=NAMESPACE, verbs=("create", "delete", "get"), purpose="namespace")
    # Of the whole cluster too: whether a storage class that a service names is there, or a volume that bears its name.
    yield Need(kind=PERSISTENT_VOLUME, verbs=("list",), purpose="storage")
    yield Need(kind=STORAGE_CLASS, verbs=("get",), purpose="storage")


NEEDS = tuple(_needs())
