# SPDX-License-Identifier: Apache-2.0
"""The kinds of objects that we make or read: a closed table, each with the path that the API serves it at.

Closed on purpose: what may be pruned is what can be made, and what a role must allow can be read off this page.
"""

from fleetflow_tasks.config.model import Data


class Kind(Data, frozen=True, kw_only=True):
    """name: as a manifest has it. api: its group and version. plural: as a path and a role have it."""

    name: str
    api: str = "v1"
    plural: str
    namespaced: bool = True

    @property
    def group(self) -> str:
        """As a role has it; "" is the core group."""
        return self.api.rpartition("/")[0]


NAMESPACE = Kind(name="Namespace", plural="namespaces", namespaced=False)
CONFIG_MAP = Kind(name="ConfigMap", plural="configmaps")
SECRET = Kind(name="Secret", plural="secrets")
SERVICE_ACCOUNT = Kind(name="ServiceAccount", plural="serviceaccounts")
CLAIM = Kind(name="PersistentVolumeClaim", plural="persistentvolumeclaims")
SERVICE = Kind(name="Service", plural="services")
DEPLOYMENT = Kind(name="Deployment", api="apps/v1", plural="deployments")
STATEFUL_SET = Kind(name="StatefulSet", api="apps/v1", plural="statefulsets")
JOB = Kind(name="Job", api="batch/v1", plural="jobs")
HPA = Kind(name="HorizontalPodAutoscaler", api="autoscaling/v2", plural="horizontalpodautoscalers")
INGRESS = Kind(name="Ingress", api="networking.k8s.io/v1", plural="ingresses")
PDB = Kind(name="PodDisruptionBudget", api="policy/v1", plural="poddisruptionbudgets")
POD = Kind(name="Pod", plural="pods")
REPLICA_SET = Kind(name="ReplicaSet", api="apps/v1", plural="replicasets")
CONTROLLER_REVISION = Kind(name="ControllerRevision", api="apps/v1", plural="controllerrevisions")
EVENT = Kind(name="Event", plural="events")
STORAGE_CLASS = Kind(name="StorageClass", api="storage.k8s.io/v1", plural="storageclasses", namespaced=False)
PERSISTENT_VOLUME = Kind(name="PersistentVolume", plural="persistentvolumes", namespaced=False)

WORKLOADS = (DEPLOYMENT, STATEFUL_SET, JOB)

# What others name first; pruned from the end.
MADE = (NAMESPACE, SERVICE_ACCOUNT, CONFIG_MAP, SECRET, CLAIM, SERVICE, *WORKLOADS, HPA, PDB, INGRESS)

# The same in the order in which they are applied. Pods take longest, so what makes them goes ahead of the Service that
# leads to them, for whose address the API server lets one wait in line; a StatefulSet's pods are named by theirs.
APPLIED = (
    NAMESPACE,
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    SECRET,
    CLAIM,
    DEPLOYMENT,
    JOB,
    SERVICE,
    STATEFUL_SET,
    HPA,
    PDB,
    INGRESS,
)

READ = (POD, REPLICA_SET, CONTROLLER_REVISION, EVENT, STORAGE_CLASS, PERSISTENT_VOLUME)

_BY_NAME = {kind.name: kind for kind in (*MADE, *READ)}


def named(name: str) -> Kind:
    """The kind that a manifest calls *name*. KeyError for one that is not in the table: a mistake of ours."""
    return _BY_NAME[name]


def urgency(kind: Kind) -> int:
    """Of a change to one: of all that waits to be sent, what is applied last of its service is sent first."""
    return APPLIED.index(kind) + 1 if kind in APPLIED else 0


def path(kind: Kind, namespace: str, name: str = "") -> str:
    """Where the API serves it: `/apis/apps/v1/namespaces/x/deployments/api`; without a name, the collection.

    namespace: "" for all namespaces; of no meaning for what is not namespaced.
    """
    root = f"/apis/{kind.api}" if "/" in kind.api else f"/api/{kind.api}"
    within = f"/namespaces/{namespace}" if kind.namespaced and namespace else ""
    return f"{root}{within}/{kind.plural}" + (f"/{name}" if name else "")
