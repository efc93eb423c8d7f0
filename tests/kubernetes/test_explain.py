# SPDX-License-Identifier: Apache-2.0
"""What a real API server refuses, as a person reads it: message, causes, fix, and the line of the file."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.runtimes.kubernetes.access import connect
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.explain import problem_of
from fleetflow_tasks.runtimes.kubernetes.kinds import Kind
from fleetflow_tasks.runtimes.kubernetes.trouble import refused

from .conftest import Cluster

QUOTA = Kind(name="ResourceQuota", plural="resourcequotas")
LIMITS = Kind(name="LimitRange", plural="limitranges")
WEBHOOK = Kind(
    name="ValidatingWebhookConfiguration",
    api="admissionregistration.k8s.io/v1",
    plural="validatingwebhookconfigurations",
    namespaced=False,
)
FIELDS = ("", "ports", "volumes", "resources", "image", "options", "environment", "labels", "replicas", "ingress")
SERVICE = ResolvedService(
    name=ServiceName("api"),
    runtime=RuntimeName("kubernetes"),
    image="shop/api:1",
    places={name: Place(file=f"{name or 'service'}.kdl", line=1) for name in FIELDS},
)


class Stage:
    """A namespace, and what is asked of it."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace
        self.plan = Plan(
            project=ProjectName("shop"),
            stage=StageName("stg"),
            root="/",
            services=(SERVICE,),
            steps=(),
            options={"kubernetes": {"namespace": namespace}},
        )

    def apply(self, kind: Kind, name: str, namespace: str = "", manager: str = "fleetflow", **fields: object) -> Any:
        manifest = {"apiVersion": kind.api, "kind": kind.name, "metadata": {"name": name}, **fields}
        return self.client.apply(kind, namespace or self.namespace, manifest, manager=manager)

    def problem(self, call: Callable[[], object]) -> Problem:
        with pytest.raises(KubernetesError) as failure:
            call()
        return problem_of(failure.value, self.plan, SERVICE, "deploy `api`")

    def eventually_refused(self, call: Callable[[], object]) -> Problem:
        """The server's own caches learn of a rule a moment after it was made."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                call()
            except KubernetesError as error:
                return problem_of(error, self.plan, SERVICE, "deploy `api`")
            time.sleep(0.1)
        raise AssertionError("never refused")

    def said(self, problem: Problem) -> list[str]:
        """Its lines, without what is another one in each test."""
        place = [problem.place.file] if problem.place else []
        lines = [f"{problem.code}: {problem.message}", *problem.cause, problem.fix, *place]
        return [line.replace(self.namespace, "NS") for line in lines]


@pytest.fixture
def stage(plane: Cluster, plane_namespace: str) -> Stage:
    return Stage(plane.client, plane_namespace)


def deployment(image: str = "shop/api:1", selector: str = "api", **container: object) -> dict[str, Any]:
    labels = {"app": selector}
    pod = {"containers": [{"name": "api", "image": image, **container}]}
    return {
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
    }


def claim(size: str, storage: str = "fast") -> dict[str, Any]:
    wanted = {"requests": {"storage": size}}
    return {"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": storage, "resources": wanted}}


# ---- rights


@pytest.fixture
def nobody(plane: Cluster, plane_namespace: str, tmp_path: Path) -> Iterator[Client]:
    """A service account without any right."""
    known = yaml.safe_load(plane.kubeconfig.read_text(encoding="utf-8"))
    known["users"][0]["user"] |= {"as": f"system:serviceaccount:{plane_namespace}:worker"}
    (tmp_path / "k").write_text(yaml.safe_dump(known), encoding="utf-8")
    client = connect({"KUBECONFIG": str(tmp_path / "k")})
    yield client
    client.close()


def test_a_right_that_is_missing_is_told_with_the_rule_to_add(stage: Stage, nobody: Client) -> None:
    stage.client = nobody

    problem = stage.problem(lambda: stage.apply(kinds.DEPLOYMENT, "api", **deployment()))

    assert stage.said(problem) == [
        "forbidden: cannot deploy `api`: `system:serviceaccount:NS:worker` may not patch deployments in namespace `NS`",
        (
            'the API server says: deployments.apps "api" is forbidden: User "system:serviceaccount:NS:worker" '
            'cannot patch resource "deployments" in API group "apps" in the namespace "NS"'
        ),
        'add a rule to its Role: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]}',
    ]


@pytest.mark.parametrize(
    ("verb", "call"),
    [
        ("get", lambda client, ns: client.get(kinds.SECRET, ns, "a")),
        ("list", lambda client, ns: client.list(kinds.SECRET, ns)),
        ("watch", lambda client, ns: client.watch(kinds.SECRET, ns, version="1")),
        ("delete", lambda client, ns: client.delete(kinds.SECRET, ns, "a", uid="u")),
    ],
)
def test_each_verb_is_told_by_name(
    stage: Stage, nobody: Client, verb: str, call: Callable[[Client, str], object]
) -> None:
    problem = stage.problem(lambda: call(nobody, stage.namespace))

    assert problem.fix == f'add a rule to its Role: {{apiGroups: [""], resources: ["secrets"], verbs: ["{verb}"]}}'


def test_the_log_of_a_pod_is_a_right_of_its_own(stage: Stage, nobody: Client) -> None:
    problem = stage.problem(lambda: nobody.pod_log(stage.namespace, "a"))

    assert problem.fix == 'add a rule to its Role: {apiGroups: [""], resources: ["pods/log"], verbs: ["get"]}'


def test_what_is_the_whole_clusters_needs_a_cluster_role(stage: Stage, nobody: Client) -> None:
    new = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}}

    problem = stage.problem(lambda: nobody.create(kinds.NAMESPACE, "", new))

    assert "in the whole cluster" in problem.message
    assert problem.fix.startswith("add a rule to its ClusterRole: ")


def test_whom_the_server_does_not_know_is_told_to_bring_credentials(stage: Stage) -> None:
    words = (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "n"'
    )

    problem = stage.problem(lambda: _raised(403, words, reason="Forbidden"))

    assert problem.code == "anonymous"
    assert (
        problem.message
        == "cannot deploy `api`: the API server knows nobody of us, and lets nobody list pods in namespace `n`"
    )


def test_credentials_that_have_ended_are_told_as_such(stage: Stage) -> None:
    problem = stage.problem(lambda: _raised(401, "Unauthorized", reason="Unauthorized"))

    assert problem.code == "expired-credentials"
    assert problem.fix == "log in anew, or have the kubeconfig written anew"


# ---- other hands


def test_another_managers_field_is_named_with_its_manager(stage: Stage) -> None:
    stage.apply(kinds.DEPLOYMENT, "api", manager="argocd", **deployment())

    problem = stage.problem(lambda: stage.apply(kinds.DEPLOYMENT, "api", **deployment(image="shop/api:2")))

    assert stage.said(problem) == [
        'field-conflict: cannot deploy `api`: `spec.template.spec.containers[name="api"].image` belongs to `argocd`',
        'spec.template.spec.containers[name="api"].image: conflict with "argocd"',
        "`--force-conflicts` takes it over; else let the other one give it up",
        "image.kdl",
    ]


def test_many_fields_of_others_are_counted(stage: Stage) -> None:
    stage.apply(kinds.CONFIG_MAP, "c", manager="argocd", data={"a": "1"})
    stage.apply(kinds.CONFIG_MAP, "c", manager="helm", data={"b": "1"})

    problem = stage.problem(lambda: stage.apply(kinds.CONFIG_MAP, "c", data={"a": "2", "b": "2"}))

    assert problem.message == "cannot deploy `api`: `data.a` and 1 more belong to `argocd` and `helm`"


# ---- what can never change


def test_a_selector_that_would_change_is_told_with_how_to_replace(stage: Stage) -> None:
    stage.apply(kinds.DEPLOYMENT, "api", **deployment())

    problem = stage.problem(lambda: stage.apply(kinds.DEPLOYMENT, "api", **deployment(selector="other")))

    assert problem.code == "immutable"
    assert (
        problem.message == "cannot deploy `api`: `spec.selector` of Deployment `api` cannot be changed once it is made"
    )
    assert problem.fix == "`--replace api` removes it and makes it anew"


def test_a_job_is_told_without_its_whole_template(stage: Stage) -> None:
    def job(image: str) -> object:
        pod = {"restartPolicy": "Never", "containers": [{"name": "m", "image": image}]}
        return stage.apply(kinds.JOB, "j", spec={"suspend": True, "template": {"spec": pod}})

    job("a:1")

    problem = stage.problem(lambda: job("a:2"))

    assert problem.message == "cannot deploy `api`: `spec.template` of Job `j` cannot be changed once it is made"
    assert len(problem.cause[0]) < 450


def test_a_claim_that_would_change_is_told_that_its_data_would_go(stage: Stage) -> None:
    stage.apply(kinds.CLAIM, "data", **claim("1Gi", "fast"))

    problem = stage.problem(lambda: stage.apply(kinds.CLAIM, "data", **claim("1Gi", "slow")))

    assert (
        problem.message
        == "cannot deploy `api`: `spec` of PersistentVolumeClaim `data` cannot be changed once it is made"
    )
    assert problem.fix == "`--replace api` removes it and makes it anew: its data is lost"


def test_a_stateful_sets_claims_and_a_services_address_cannot_change_either(stage: Stage) -> None:
    def stateful(size: str) -> object:
        template = [{"metadata": {"name": "data"}, **claim(size)}]
        fields: dict[str, Any] = deployment()
        return stage.apply(
            kinds.STATEFUL_SET, "db", spec={**fields["spec"], "serviceName": "db", "volumeClaimTemplates": template}
        )

    stateful("1Gi")
    stage.apply(kinds.SERVICE, "db", spec={"ports": [{"port": 1}]})

    assert stage.problem(lambda: stateful("2Gi")).code == "immutable"
    headless = stage.problem(
        lambda: stage.apply(kinds.SERVICE, "db", spec={"clusterIP": "None", "ports": [{"port": 1}]})
    )
    assert headless.message.endswith("`spec.clusterIPs[0]` of Service `db` cannot be changed once it is made")


# ---- the cluster's own rules


def test_a_quota_that_is_used_up_is_told_with_its_numbers(stage: Stage) -> None:
    stage.apply(QUOTA, "team", spec={"hard": {"count/services": "0"}})

    wanted = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 1}]}}
    # A rehearsal: once it is there, it is counted no more.
    problem = stage.eventually_refused(
        lambda: stage.client.create(kinds.SERVICE, stage.namespace, wanted, dry_run=True)
    )

    assert stage.said(problem) == [
        (
            "quota: cannot deploy `api`: quota `team` is used up: it asks for count/services=1, "
            "used are count/services=0 of count/services=0"
        ),
        (
            'the API server says: services "s" is forbidden: exceeded quota: team, requested: count/services=1, '
            "used: count/services=0, limited: count/services=0"
        ),
        "raise the quota, or remove what is not needed",
        "resources.kdl",
    ]


def test_a_limit_range_is_told_with_what_it_allows(stage: Stage) -> None:
    stage.apply(LIMITS, "l", spec={"limits": [{"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]})
    sizes = iter(range(2, 1000))

    problem = stage.eventually_refused(
        lambda: stage.apply(kinds.CLAIM, f"data{(size := next(sizes))}", **claim(f"{size}Gi"))
    )

    assert problem.code == "limit-range"
    assert (
        "the namespace sets limits: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is"
        in problem.message
    )
    assert problem.place is not None
    assert problem.place.file == "volumes.kdl"


def test_pod_security_is_told_with_its_level_and_what_is_missing(stage: Stage, plane: Cluster, name: str) -> None:
    namespace = plane.made(f"{name}-r", {"pod-security.kubernetes.io/enforce": "restricted"})
    pod = {"containers": [{"name": "m", "image": "a"}], "automountServiceAccountToken": False}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}

    def make() -> None:
        try:
            stage.client.create(kinds.POD, namespace, manifest)
        except KubernetesError as error:
            if "serviceaccount" not in error.answer:  # a new namespace has its account a moment later
                raise

    problem = stage.eventually_refused(make)
    plane.removed(namespace)

    assert problem.code == "pod-security"
    assert problem.message.startswith(
        "cannot deploy `api`: the namespace allows only `restricted` pods: allowPrivilegeEscalation != false"
    )


def test_a_webhook_that_does_not_answer_is_named(stage: Stage, name: str) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    hook = {
        "name": "policy.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/validate"},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.namespace}},
        "rules": [rule],
    }
    made = stage.apply(WEBHOOK, name, webhooks=[hook])
    counted = iter(range(1000))

    problem = stage.eventually_refused(lambda: stage.apply(kinds.CONFIG_MAP, f"c{next(counted)}", data={"a": "b"}))
    stage.client.delete(WEBHOOK, "", name, uid=made["metadata"]["uid"])

    assert problem.code == "webhook-broken"
    assert problem.message.startswith("cannot deploy `api`: webhook `policy.example.com` does not answer: ")
    assert "connection refused" in problem.message


# ---- the namespace


def test_a_namespace_that_is_going_is_told_with_what_may_hold_it(plane: Cluster, stage: Stage) -> None:
    held = {"name": "held", "finalizers": ["example.com/held"]}
    made = stage.client.create(
        kinds.CONFIG_MAP, stage.namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}
    )
    plane.removed(stage.namespace)

    problem = stage.eventually_refused(lambda: stage.apply(kinds.CONFIG_MAP, "new"))

    path = kinds.path(kinds.CONFIG_MAP, stage.namespace, made["metadata"]["name"])
    let_go = b'{"metadata":{"finalizers":null}}'
    stage.client.line.ask("let go", "PATCH", path, body=let_go, content="application/merge-patch+json")
    assert stage.said(problem) == [
        "namespace-terminating: cannot deploy `api`: namespace `NS` is being removed",
        (
            'the API server says: configmaps "new" is forbidden: unable to create new content in namespace NS because it is '
            "being terminated"
        ),
        "wait until it is gone; if it never goes, something holds it: `kubectl get ns NS -o yaml`",
    ]


def test_a_namespace_that_is_not_there_is_named(stage: Stage) -> None:
    problem = stage.problem(lambda: stage.apply(kinds.CONFIG_MAP, "c", namespace="not-there"))

    assert problem.message == "cannot deploy `api`: there is no namespace `not-there`"
    assert problem.fix.endswith("`kubectl create namespace not-there`")


# ---- the object itself


def test_a_value_that_cannot_be_is_led_back_to_its_line(stage: Stage) -> None:
    resources = {"limits": {"cpu": "0.1"}, "requests": {"cpu": "1"}}

    problem = stage.problem(lambda: stage.apply(kinds.DEPLOYMENT, "api", **deployment(resources=resources)))

    assert stage.said(problem) == [
        (
            "field-refused: cannot deploy `api`: Deployment `api`: `spec.template.spec.containers[0].resources.requests` "
            'cannot be "1": must be less than or equal to cpu limit of 100m'
        ),
        (
            'spec.template.spec.containers[0].resources.requests: Invalid value: "1": must be less than or equal to cpu '
            "limit of 100m"
        ),
        "",
        "resources.kdl",
    ]


def test_a_node_port_that_is_taken_is_told_what_to_do(stage: Stage) -> None:
    made = stage.apply(kinds.SERVICE, "one", spec={"type": "NodePort", "ports": [{"port": 1}]})
    port = made["spec"]["ports"][0]["nodePort"]

    problem = stage.problem(
        lambda: stage.apply(kinds.SERVICE, "two", spec={"type": "NodePort", "ports": [{"port": 1, "nodePort": port}]})
    )

    assert stage.said(problem) == [
        (
            f"port-taken: cannot deploy `api`: Service `two`: `spec.ports[0].nodePort` cannot be {port}: "
            "provided port is already allocated"
        ),
        f"spec.ports[0].nodePort: Invalid value: {port}: provided port is already allocated",
        "take another `node_port`, or let the cluster choose",
        "options.kdl",
    ]


def test_a_field_that_the_cluster_does_not_know_is_named(stage: Stage) -> None:
    fields = deployment()
    fields["spec"]["fromTheFuture"] = 1

    problem = stage.problem(lambda: stage.apply(kinds.DEPLOYMENT, "api", **fields))

    assert problem.message == "cannot deploy `api`: this cluster does not know the field `spec.fromTheFuture`"
    assert problem.fix == "the cluster is older than what is asked of it: update it, or leave that out"


def _raised(status: int, message: str, **more: object) -> None:
    told = {"kind": "Status", "message": message, "code": status, **more}
    raise refused("apply Deployment `api`", status, msgspec.json.encode(told), {})
