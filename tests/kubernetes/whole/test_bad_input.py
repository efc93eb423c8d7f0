# SPDX-License-Identifier: Apache-2.0
"""What people get wrong on a cluster: one line with cause and fix, the right exit code, and nothing half-changed."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, NAMESPACE, SERVICE, SERVICE_ACCOUNT, Kind
from fleetflow_tasks.testing import eventually
from tests.desk import BASE
from tests.kubernetes.conftest import Cluster
from tests.kubernetes.roles import shipped, worker
from tests.kubernetes.whole.fleet import SOON, Fleet, service

PORT = "port container=8080"
GOOD = service("api", more=PORT)

_ADMISSION = "admissionregistration.k8s.io/v1"
POLICY = Kind(name="ValidatingAdmissionPolicy", api=_ADMISSION, plural="validatingadmissionpolicies", namespaced=False)
BINDING = Kind(
    name="ValidatingAdmissionPolicyBinding",
    api=_ADMISSION,
    plural="validatingadmissionpolicybindings",
    namespaced=False,
)


def rewritten(fleet: Fleet, **changes: Any) -> None:
    """The user's kubeconfig; its one cluster's, user's and context's fields."""
    config = yaml.safe_load(fleet.kubeconfig.read_text(encoding="utf-8"))
    for part, fields in changes.items():
        config[f"{part}s"][0][part] |= fields
    fleet.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")


def lines(fleet: Fleet, result: Any) -> list[str]:
    """All that was printed but for lines of the file and who started Redis."""
    import re

    text = fleet.plain(result.out + result.err)
    return [line for line in text.splitlines() if line and not re.match(r" +\d* *\||started a Redis", line)]


# --- before anything is asked for


def test_a_cluster_that_does_not_answer(fleet: Fleet) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rewritten(fleet, cluster={"server": f"https://127.0.0.1:{port}"})

    for command in ("up", "plan", "ps"):
        result = fleet.fails(GOOD, code=4, command=command)

        assert lines(fleet, result) == []


def test_credentials_that_are_no_longer_accepted(fleet: Fleet) -> None:
    fleet.remove(SERVICE_ACCOUNT, "fleetflow")

    result = fleet.fails(GOOD, code=4)

    assert lines(fleet, result) == []


def test_a_context_that_is_not_in_the_kubeconfig(fleet: Fleet) -> None:
    stage = (
        f'stage "stg" {{ runtime "kubernetes" {{ namespace "{fleet.namespace}"; context "fleetflo" }}; service "api" }}'
    )

    result = fleet.fails(GOOD + stage, code=4)

    assert lines(fleet, result) == []


WRONG = f"""
service "api" {{
    image "{BASE}"; port 8080 8080; kubernetes {{ service_type "NodePort"; node_port 30099 }}
    volumes {{ volume "./data" "/data" }}
}}
service "web" {{ image "{BASE}"; port container=8080; kubernetes {{ service_type "NodePort"; node_port 30099 }} }}
service "{"d" * 53}" {{ image "{BASE}"; volumes {{ volume "Rows" "/rows" }} }}
service "mail" {{ image "{BASE}"; environment {{ "1ST" "x" }}; kubernetes {{ storage_class "No Such" }} }}
"""


def test_what_the_text_alone_tells_is_told_at_once_and_nothing_is_made(fleet: Fleet) -> None:
    for command in ("up", "plan", "validate"):
        result = fleet.fails(WRONG, code=3, command=command)

        assert lines(fleet, result) == []
    assert fleet.made() == []


def test_two_services_that_want_one_port_of_the_nodes(fleet: Fleet) -> None:
    wanted = f'{PORT}; kubernetes {{ service_type "NodePort"; node_port 30098 }}'

    result = fleet.fails(service("api", more=wanted) + service("web", more=wanted), code=3)

    assert lines(fleet, result) == []
    assert fleet.made() == []


# --- what only the cluster knows


def test_a_port_of_the_nodes_that_somebody_else_has(fleet: Fleet) -> None:
    made = fleet.make(
        SERVICE, "theirs", spec={"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "theirs"}}
    )
    port = made["spec"]["ports"][0]["nodePort"]

    result = fleet.fails(service("api", more=f'{PORT}; kubernetes {{ service_type "NodePort"; node_port {port} }}'))

    assert fleet.told(result, "api:deploy").replace(str(port), "30001") == ""


def test_a_right_that_is_missing_is_named_with_the_rule_to_add(fleet: Fleet, node: Cluster) -> None:
    rules = [rule for rule in shipped("role.yaml")["rules"] if "deployments" not in rule["resources"]]
    worker(node, fleet.namespace, fleet.kubeconfig, allowed=rules)

    result = fleet.fails(GOOD)

    assert lines(fleet, result) == []
    assert fleet.made() == []


@pytest.fixture
def terminating(fleet: Fleet) -> Iterator[Fleet]:
    """Its namespace is being removed, and something in it has a finalizer."""
    fleet.make(CONFIG_MAP, "stays", data={})
    fleet.ask("PATCH", CONFIG_MAP, "stays", "", {"metadata": {"finalizers": ["example.org/nobody"]}})
    fleet.cluster.removed(fleet.namespace)
    eventually(
        lambda: fleet.cluster.client.get(NAMESPACE, "", fleet.namespace)["status"]["phase"] == "Terminating", SOON
    )
    yield fleet
    fleet.ask("PATCH", CONFIG_MAP, "stays", "", {"metadata": {"finalizers": []}})


def test_a_namespace_that_is_being_removed(terminating: Fleet) -> None:
    result = terminating.fails(GOOD)

    assert lines(terminating, result) == []


@pytest.fixture
def policed(fleet: Fleet) -> Iterator[Fleet]:
    """Nobody may make or change a Deployment here whose pods are not called after a team; as a webhook would see to it."""
    client, name = fleet.cluster.client, fleet.namespace
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
    rules = [
        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}
    ]
    said = {"expression": "has(object.metadata.labels.team)", "message": "say whose it is, with a label `team`"}
    spec = {"failurePolicy": "Fail", "matchConstraints": {**here, "resourceRules": rules}, "validations": [said]}
    bound = {"policyName": name, "validationActions": ["Deny"], "matchResources": here}
    for kind, fields in ((POLICY, spec), (BINDING, bound)):
        client.create(kind, "", {"apiVersion": kind.api, "kind": kind.name, "metadata": {"name": name}, "spec": fields})
    yield fleet
    for kind in (BINDING, POLICY):
        client.delete(kind, "", name, uid=client.get(kind, "", name)["metadata"]["uid"], propagation="Background")


def test_what_a_policy_of_the_cluster_denies(policed: Fleet) -> None:
    eventually(lambda: denied(policed), SOON)

    result = policed.fails(GOOD)
    mended = policed.up(service("api", more=f'{PORT}; labels {{ team "shop" }}'))

    assert policed.told(result, "api:deploy") == ""
    assert "succeeded" in mended.out


def denied(fleet: Fleet) -> bool:
    """Whether the API server has heard of the policy."""
    from fleetflow_tasks.runtimes.kubernetes.client import KubernetesError
    from fleetflow_tasks.runtimes.kubernetes.kinds import DEPLOYMENT

    labels = {"app": "probe"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "probe", "image": BASE}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    manifest = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "probe"}, "spec": spec}
    try:
        fleet.cluster.client.apply(DEPLOYMENT, fleet.namespace, manifest, dry_run=True)
    except KubernetesError:
        return True
    return False


def test_a_namespace_that_takes_restricted_pods_only_tells_what_to_say(fleet: Fleet) -> None:
    fleet.cluster.client.apply(
        NAMESPACE,
        "",
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": fleet.namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
        },
        manager="test",
    )

    result = fleet.fails(service("api"))
    fleet.up(service("api", more="kubernetes { restricted #true; run_as_user 1000 }"))

    assert fleet.told(result, "api:deploy") == ""


def test_an_object_of_our_name_that_somebody_else_made_is_left_alone(fleet: Fleet) -> None:
    made = fleet.make(SERVICE, "api", spec={"ports": [{"port": 80}], "selector": {"app": "theirs"}})

    result = fleet.fails(GOOD)

    assert fleet.told(result, "api:deploy") == ""
    assert fleet.get(SERVICE, "api")["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
