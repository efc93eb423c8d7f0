# SPDX-License-Identifier: Apache-2.0
"""The role of ops/kubernetes, and accounts that are bound to it: as whom a worker comes to a cluster.

`worker` makes such an account in a namespace and hands out its kubeconfig. What it may do is what the files say, or what
a test makes of them.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from fleetflow_tasks.runtimes.kubernetes.access import connect
from fleetflow_tasks.runtimes.kubernetes.kinds import SERVICE_ACCOUNT, Kind, path
from fleetflow_tasks.runtimes.kubernetes.rights import Need
from fleetflow_tasks.testing import eventually

from .conftest import Cluster

OPS = Path(__file__).resolve().parents[2] / "ops" / "kubernetes"

Json = Mapping[str, Any]
Right = tuple[str, str, str]  # group, resource, verb

_RBAC = "rbac.authorization.k8s.io/v1"
_ROLE = Kind(name="Role", api=_RBAC, plural="roles")
_BINDING = Kind(name="RoleBinding", api=_RBAC, plural="rolebindings")
_CLUSTER_ROLE = Kind(name="ClusterRole", api=_RBAC, plural="clusterroles", namespaced=False)
_CLUSTER_BINDING = Kind(name="ClusterRoleBinding", api=_RBAC, plural="clusterrolebindings", namespaced=False)
_KNOWN = 30.0  # seconds in which every part of an API server has heard of a new rule


def shipped(name: str) -> Any:
    """What a file of ops/kubernetes says."""
    return yaml.safe_load((OPS / name).read_text(encoding="utf-8"))


def rights(rules: Iterable[Json]) -> frozenset[Right]:
    """One by one."""
    return frozenset(
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def wanted(needs: Iterable[Need]) -> frozenset[Right]:
    return frozenset((need.kind.group, need.resource, verb) for need in needs for verb in need.verbs)


def rules(of: Iterable[Right]) -> list[Json]:
    return [{"apiGroups": [group], "resources": [resource], "verbs": [verb]} for group, resource, verb in sorted(of)]


def worker(
    cluster: Cluster,
    namespace: str,
    file: Path,
    *,
    allowed: Sequence[Json] | None = None,
    everywhere: Sequence[Json] = (),
) -> Mapping[str, str]:
    """An environ whose KUBECONFIG, *file*, is that of an account which may do what the shipped role says in *namespace*.

    allowed: rules instead of the shipped role's. everywhere: rules for the whole cluster besides; who asks for some removes
    them with `forgotten`, as they do not go with the namespace.
    """
    client, account = cluster.client, shipped("service-account.yaml")
    name = account["metadata"]["name"]
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    role = shipped("role.yaml")
    binding = {**shipped("role-binding.yaml"), "subjects": [subject]}
    client.apply(SERVICE_ACCOUNT, namespace, account)
    client.apply(_ROLE, namespace, role if allowed is None else {**role, "rules": list(allowed)})
    client.apply(_BINDING, namespace, binding)
    if everywhere:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace}
        of_cluster = {"apiVersion": _RBAC, "metadata": {"name": namespace}}
        client.apply(_CLUSTER_ROLE, "", {**of_cluster, "kind": "ClusterRole", "rules": list(everywhere)})
        bound = {**of_cluster, "kind": "ClusterRoleBinding", "roleRef": reference, "subjects": [subject]}
        client.apply(_CLUSTER_BINDING, "", bound)
    file.write_text(yaml.safe_dump(_kubeconfig(cluster, name, _token(cluster, namespace, name))), encoding="utf-8")
    environ = {**cluster.environ, "KUBECONFIG": str(file)}
    _await_known(environ, namespace, role["rules"] if allowed is None else allowed)
    return environ


def forgotten(cluster: Cluster, namespace: str) -> None:
    for kind in (_CLUSTER_BINDING, _CLUSTER_ROLE):
        if (found := cluster.client.get(kind, "", namespace)) is not None:
            cluster.client.delete(kind, "", namespace, uid=found["metadata"]["uid"], propagation="Background")


def _token(cluster: Cluster, namespace: str, name: str) -> str:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    where = f"{path(SERVICE_ACCOUNT, namespace, name)}/token"
    answer = cluster.client.line.ask("make a token", "POST", where, body=msgspec.json.encode(request))
    return str(msgspec.json.decode(answer)["status"]["token"])


def _kubeconfig(cluster: Cluster, user: str, token: str) -> Json:
    target = cluster.client.line.target
    trusted = {"certificate-authority-data": base64.b64encode(target.authority).decode()} if target.authority else {}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": user,
        "clusters": [{"name": user, "cluster": {"server": target.server, **trusted}}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": user, "context": {"cluster": user, "user": user}}],
    }


def _await_known(environ: Mapping[str, str], namespace: str, allowed: Sequence[Json]) -> None:
    """The API server's authorizer hears of a rule a moment after it was made."""
    group, resource, verb = min(rights(allowed))
    plural, _, part = resource.partition("/")
    kind = Kind(name=plural, api=f"{group}/v1" if group else "v1", plural=plural)
    client = connect(environ)
    try:
        eventually(lambda: client.can(verb, kind, namespace, part), within=_KNOWN)
    finally:
        client.close()
