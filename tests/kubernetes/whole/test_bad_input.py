# SPDX-License-Identifier: Apache-2.0
"""What people get wrong on a cluster: one line with cause and fix, the right exit code, and nothing half-changed."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleetflow_tasks.runtimes.kubernetes.client import KubernetesError
from fleetflow_tasks.runtimes.kubernetes.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    SERVICE,
    SERVICE_ACCOUNT,
    Kind,
    path,
)
from fleetflow_tasks.testing import eventually
from tests.desk import BASE
from tests.kubernetes.conftest import Cluster
from tests.kubernetes.roles import forgotten, shipped, worker
from tests.kubernetes.whole.fleet import FAILED, FIRST, SOON, Fleet, service
from tests.kubernetes.whole.webhook import NAME, denying

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


# --- before anything is asked for


def test_a_cluster_that_does_not_answer(fleet: Fleet) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    rewritten(fleet, cluster={"server": f"https://127.0.0.1:{port}"})

    for command in ("up", "plan", "ps"):
        result = fleet.fails(GOOD, code=4, command=command)

        assert fleet.said(result) == [
            f"no Kubernetes answers at https://127.0.0.1:{port}: Connection refused",
            "  it comes from context `fleetflow` of HOME/kubeconfig",
            "  fix: see that it runs and can be reached from here (VPN, firewall, proxy), or choose another context",
        ]


def test_credentials_that_are_no_longer_accepted(fleet: Fleet) -> None:
    fleet.make(SERVICE_ACCOUNT, "former")
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = fleet.ask("POST", SERVICE_ACCOUNT, "former", "token", asked)["status"]["token"]
    fleet.remove(SERVICE_ACCOUNT, "former")
    rewritten(fleet, user={"token": token})

    result = fleet.fails(GOOD, code=4)

    assert fleet.said(result) == [
        f"the API server at {fleet.cluster.client.server} does not accept our credentials: they are wrong, or they have expired",
        "  the answer (401): Unauthorized",
        "  they come from context `fleetflow` of HOME/kubeconfig",
        "  fix: log in anew, or have the kubeconfig written anew",
    ]


def test_a_context_that_is_not_in_the_kubeconfig(fleet: Fleet) -> None:
    stage = (
        f'stage "stg" {{ runtime "kubernetes" {{ namespace "{fleet.namespace}"; context "fleetflo" }}; service "api" }}'
    )

    result = fleet.fails(GOOD + stage, code=4)

    assert fleet.said(result) == [
        "unknown Kubernetes context `fleetflo`",
        "  the stage names it",
        "  looked for in HOME/kubeconfig",
        "  did you mean `fleetflow`?",
    ]


LONG = "d" * 53
WRONG = f"""
service "api" {{
    image "{BASE}"; port 8080 8080; kubernetes {{ service_type "NodePort"; node_port 30099 }}
    volumes {{ volume "./data" "/data" }}
}}
service "web" {{ image "{BASE}"; port container=8080; kubernetes {{ service_type "NodePort"; node_port 30099 }} }}
service "{LONG}" {{ image "{BASE}"; volumes {{ volume "Rows" "/rows" }} }}
service "mail" {{ image "{BASE}"; environment {{ "1ST" "x" }}; kubernetes {{ storage_class "No Such" }} }}
"""


def test_what_the_text_alone_tells_is_told_at_once_and_nothing_is_made(fleet: Fleet) -> None:
    for command in ("up", "plan", "validate"):
        result = fleet.fails(WRONG, code=3, command=command)

        assert fleet.said(result) == [
            "fleet.kdl:5:15: service `api`: runtime `kubernetes` cannot mount the host's path `HOME/files/data`: pods move between hosts",
            '  fix: build the files into the image, or name a volume: `volume "data" "…"`',
            f"fleet.kdl:11:105: service `{LONG}`: runtime `kubernetes` takes no name longer than 52 characters for a service with volumes of its own, which a StatefulSet runs; this one has 53",
            f"  fix: call it `{LONG[:52]}`",
            f"fleet.kdl:8:103: service `{LONG}`: runtime `kubernetes` takes no volume called `Rows`",
            "  fix: call it `rows`",
            "fleet.kdl:9:58: service `mail`: runtime `kubernetes` takes no variable called `1ST`",
            "  fix: use letters, digits, `_`, `-` and `.`, a digit not in front",
            "fleet.kdl:9:84: service `mail`: runtime `kubernetes` has no object called `No Such` for `storage_class`",
            "  fix: write `no-such`",
            "5 errors",
        ]
    assert fleet.made() == []


def test_two_services_that_want_one_port_of_the_nodes(fleet: Fleet) -> None:
    wanted = f'{PORT}; kubernetes {{ service_type "NodePort"; node_port 30098 }}'

    result = fleet.fails(service("api", more=wanted) + service("web", more=wanted), code=3)

    assert fleet.said(result) == [
        "services `api` and `web`: runtime `kubernetes` has one node port `30098`",
        "  api wants it   fleet.kdl:2:210",
        "  web wants it   fleet.kdl:3:210",
        "  fix: give one of them another `node_port`",
    ]
    assert fleet.made() == []


# --- what only the cluster knows


@pytest.fixture
def seeing(fleet: Fleet, node: Cluster) -> Iterator[Fleet]:
    """Who has the cluster role that ops/ ships, too."""
    worker(node, fleet.namespace, fleet.kubeconfig, everywhere=shipped("cluster-role.yaml")["rules"])
    yield fleet
    forgotten(node, fleet.namespace)


def test_a_storage_class_that_does_not_exist_is_told_before_anything_is_made(seeing: Fleet) -> None:
    data = 'volumes { volume "rows" "/rows" size="1Mi" }; kubernetes { storage_class "golden" }'
    text = service("api") + service("db", more=data)

    result = seeing.fails(text)
    planned = seeing.flow("plan")

    assert seeing.said(planned)[1:] == [
        "+ create  api  not there  fleet.kdl:2",
        "+ create  db   not there; storage class `golden` of `db` does not exist  fleet.kdl:3",
        "plan: 2 to create",
    ]
    assert seeing.told(result, "stage:prepare") == [
        f"stage:prepare {FAILED}: storage class `golden` of `db` does not exist",
        "  the cluster has no such class, and no volume of that name",
        "  fix: correct `storage_class`, or have it made: `kubectl get storageclass` shows those that are there",
    ]
    assert seeing.made() == []


def test_a_port_of_the_nodes_that_somebody_else_has(fleet: Fleet) -> None:
    made = fleet.make(
        SERVICE, "theirs", spec={"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "theirs"}}
    )
    port = made["spec"]["ports"][0]["nodePort"]

    result = fleet.fails(service("api", more=f'{PORT}; kubernetes {{ service_type "NodePort"; node_port {port} }}'))

    assert [line.replace(str(port), "PORT") for line in fleet.told(result, "api:deploy")] == [
        f"api:deploy {FAILED}: cannot deploy `api`: Service `api`: `spec.ports[0].nodePort` cannot be PORT: provided port is already allocated",
        "  spec.ports[0].nodePort: Invalid value: PORT: provided port is already allocated",
        FIRST,
        "  fix: take another `node_port`, or let the cluster choose",
    ]


def test_a_right_that_is_missing_is_named_with_the_rule_to_add(fleet: Fleet, node: Cluster) -> None:
    rules = [rule for rule in shipped("role.yaml")["rules"] if "deployments" not in rule["resources"]]
    worker(node, fleet.namespace, fleet.kubeconfig, allowed=rules)

    result = fleet.fails(GOOD, code=4)

    assert fleet.said(result) == [
        "cannot look at stage `stg`: `system:serviceaccount:NS:fleetflow` may not list deployments in namespace `NS`",
        '  the API server says: deployments.apps is forbidden: User "system:serviceaccount:NS:fleetflow" cannot list resource "deployments" in API group "apps" in the namespace "NS"',
        '  fix: add a rule to its Role: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["list"]}',
    ]
    assert fleet.made() == []


@pytest.fixture
def going(fleet: Fleet, node: Cluster) -> Iterator[str]:
    """A namespace that is being removed, and in which something has a finalizer. The user's rights are not in it."""
    worker(node, fleet.namespace, fleet.kubeconfig, everywhere=shipped("role.yaml")["rules"])
    name = node.made(f"{fleet.project}-old")
    metadata = {"name": "stays", "finalizers": ["example.org/nobody"]}
    node.client.create(CONFIG_MAP, name, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    node.removed(name)
    eventually(lambda: fleet.get(NAMESPACE, name)["status"]["phase"] == "Terminating", SOON)
    yield name
    node.client.line.ask(
        "let it go",
        "PATCH",
        path(CONFIG_MAP, name, "stays"),
        body=b'{"metadata": {"finalizers": []}}',
        content="application/merge-patch+json",
    )
    forgotten(node, fleet.namespace)


def test_a_namespace_that_is_being_removed(fleet: Fleet, going: str) -> None:
    stage = f'stage "stg" {{ runtime "kubernetes" {{ namespace "{going}" }}; service "api" }}'

    result = fleet.fails(GOOD + stage)

    assert [line.replace("PROJECT-old", "NS") for line in fleet.told(result, "api:deploy")] == [
        "api:deploy failed on kubernetes, attempt 3 of 3: cannot deploy `api`: namespace `NS` is being removed",
        (
            '  the API server says: deployments.apps "api" is forbidden: unable to create new content in namespace NS '
            "because it is being terminated"
        ),
        "  fix: wait until it is gone; if it never goes, something holds it: `kubectl get ns NS -o yaml`",
    ]


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
        client.delete(kind, "", name, uid=fleet.get(kind, name)["metadata"]["uid"], propagation="Background")


def test_what_a_policy_of_the_cluster_denies_is_told_and_changes_nothing(policed: Fleet) -> None:
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "probe"}}, "template": TEMPLATE}
    eventually(lambda: denied(policed, DEPLOYMENT, spec), SOON)
    allowed = service("api", more=f'{PORT}; labels {{ team "shop" }}')

    first = policed.fails(GOOD)
    policed.up(allowed)
    before = policed.made(), policed.names("api")
    later = policed.fails(GOOD)

    said = [
        "policy `NS` denies it: say whose it is, with a label `team`",
        "  the API server says: deployments.apps \"api\" is forbidden: ValidatingAdmissionPolicy 'NS' with binding 'NS' denied request: say whose it is, with a label `team`",
    ]
    fix = "  fix: do as it says, or ask whoever runs `NS`"
    deploy, prepare = f"api:deploy {FAILED}: cannot deploy `api`: ", f"api:prepare {FAILED}: cannot prepare `api`: "
    assert policed.told(first, "api:deploy") == [deploy + said[0], said[1], fix]
    assert policed.told(later, "api:prepare") == [prepare + said[0], said[1], fix]
    assert (policed.made(), policed.names("api")) == before


CONTAINER = {"name": "probe", "image": BASE}
TEMPLATE = {"metadata": {"labels": {"app": "probe"}}, "spec": {"containers": [CONTAINER]}}


def denied(fleet: Fleet, kind: Kind, spec: Mapping[str, Any]) -> bool:
    """Whether the API server has heard that it must not take one."""
    manifest = {"apiVersion": kind.api, "kind": kind.name, "metadata": {"name": "probe"}, "spec": spec}
    try:
        fleet.cluster.client.apply(kind, fleet.namespace, manifest, dry_run=True)
    except KubernetesError:
        return True
    return False


def test_what_a_webhook_denies_is_told_in_its_words_and_the_version_before_serves(fleet: Fleet, tmp_path: Path) -> None:
    fleet.up(GOOD)
    before = fleet.names("api")

    with denying(fleet.cluster, fleet.namespace, tmp_path, "only images of ours"):
        eventually(lambda: denied(fleet, POD, {"containers": [CONTAINER]}), SOON)
        result = fleet.fails(service("api", "sleep 2000", PORT))

    assert fleet.told(result, "api:deploy") == [
        f"api:deploy {FAILED}: `api` did not become ready: webhook `{NAME}` denies it: only images of ours",
        f'  the cluster says: admission webhook "{NAME}" denied the request: only images of ours',
        "  the version before goes on serving",
        f"  fix: do as it says, or ask whoever runs `{NAME}`",
        "  more: flow logs --stage=stg api",
    ]
    assert fleet.names("api") == before


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

    assert fleet.told(result, "api:deploy") == [
        f"api:deploy {FAILED}: `api` did not become ready: the namespace allows only `restricted` pods: allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile",
        '  the cluster says: pods "api-…" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "api" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "api" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "api" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "api" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
        FIRST,
        "  fix: say `restricted #true` in `kubernetes`, or label the namespace otherwise",
        "  more: flow logs --stage=stg api",
    ]


def test_an_object_of_our_name_that_somebody_else_made_is_left_alone(fleet: Fleet) -> None:
    made = fleet.make(SERVICE, "api", spec={"ports": [{"port": 80}], "selector": {"app": "theirs"}})

    result = fleet.fails(GOOD)

    assert fleet.told(result, "api:prepare") == [
        f"api:prepare {FAILED}: a Service called `api` is in namespace `NS` already, and it is not ours",
        "  it was made with `kubectl-create`",
        "  fix: choose another namespace, or remove it if nobody needs it: `kubectl --namespace=NS delete services api`",
    ]
    assert fleet.get(SERVICE, "api")["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
