# SPDX-License-Identifier: Apache-2.0
"""Refusals as servers of several versions have put them, as a person reads them: message, fix, and the line of the file.

What today's server says is asked of it in tests/kubernetes/test_explain.py.
"""

from collections.abc import Mapping, Sequence

import msgspec
import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes.explain import problem_of
from fleetflow_tasks.runtimes.kubernetes.trouble import KubernetesError, lost, refused

FIELDS = ("", "ports", "volumes", "resources", "image", "options", "environment", "labels", "replicas", "ingress")
SERVICE = ResolvedService(
    name=ServiceName("api"),
    runtime=RuntimeName("kubernetes"),
    image="shop/api:1",
    places={name: Place(file=f"{name or 'service'}.kdl", line=1) for name in FIELDS},
)
PLAN = Plan(
    project=ProjectName("shop"),
    stage=StageName("stg"),
    root="/",
    services=(SERVICE,),
    steps=(),
    options={"kubernetes": {"namespace": "shop-stg"}},
)


def answered(
    status: int, message: str, reason: str = "", causes: Sequence[Mapping[str, str]] = (), **details: str
) -> KubernetesError:
    told = {
        "kind": "Status",
        "message": message,
        "code": status,
        "reason": reason,
        "details": {"causes": causes, **details},
    }
    return refused("apply Deployment `api`", status, msgspec.json.encode(told), {})


def problem(error: KubernetesError, service: ResolvedService | None = SERVICE) -> Problem:
    return problem_of(error, PLAN, service, "deploy `api`")


def said(error: KubernetesError, service: ResolvedService | None = SERVICE) -> list[str]:
    found = problem(error, service)
    return [f"{found.code}: {found.message}", found.fix, found.place.file if found.place else ""]


# ---- who may not, and who is not known


def test_who_is_not_known_is_told_to_bring_other_credentials() -> None:
    assert said(answered(401, "Unauthorized")) == [
        (
            "expired-credentials: cannot deploy `api`: the API server does not accept our credentials: "
            "they are wrong, or they have expired"
        ),
        "log in anew, or have the kubeconfig written anew",
        "",
    ]


@pytest.mark.parametrize(
    ("answer", "message", "fix"),
    [
        (
            (
                'deployments.apps is forbidden: User "ann" cannot patch resource "deployments" in API group "apps" '
                'in the namespace "shop-stg"'
            ),
            "forbidden: cannot deploy `api`: `ann` may not patch deployments in namespace `shop-stg`",
            'add a rule to its Role: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]}',
        ),
        (
            'namespaces is forbidden: User "ann" cannot create resource "namespaces" in API group "" at the cluster scope',
            "forbidden: cannot deploy `api`: `ann` may not create namespaces in the whole cluster",
            'add a rule to its ClusterRole: {apiGroups: [""], resources: ["namespaces"], verbs: ["create"]}',
        ),
        (
            (
                'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
                'in the namespace "shop-stg"'
            ),
            (
                "anonymous: cannot deploy `api`: the API server knows nobody of us, and lets nobody list pods "
                "in namespace `shop-stg`"
            ),
            "see that the kubeconfig's context names a user with credentials",
        ),
    ],
)
def test_a_right_that_is_missing_is_named(answer: str, message: str, fix: str) -> None:
    assert said(answered(403, answer, "Forbidden")) == [message, fix, ""]


# ---- the namespace


def test_a_namespace_that_is_going_or_gone_is_named() -> None:
    going = answered(403, "configmaps is forbidden", "Forbidden", [{"reason": "NamespaceTerminating"}])
    gone = answered(404, 'namespaces "shop-stg" not found', "NotFound")

    assert said(going)[0] == "namespace-terminating: cannot deploy `api`: namespace `shop-stg` is being removed"
    assert said(gone)[0] == "no-namespace: cannot deploy `api`: there is no namespace `shop-stg`"


# ---- others' fields, and those that nobody can change


@pytest.mark.parametrize(
    ("causes", "message", "file"),
    [
        (
            {".spec.replicas": 'conflict with "kubectl-scale" using apps/v1'},
            "`spec.replicas` belongs to `kubectl-scale`",
            "replicas.kdl",
        ),
        (
            {".spec.a": 'conflict with "two"', ".spec.b": 'conflict with "one"', ".spec.c": 'conflict with "two"'},
            "`spec.a` and 2 more belong to `one` and `two`",
            "service.kdl",
        ),
        ({".spec.a": "conflict"}, "`spec.a` belongs to somebody else", "service.kdl"),
    ],
)
def test_another_managers_fields_are_named_with_him(causes: Mapping[str, str], message: str, file: str) -> None:
    told = [{"field": f, "message": words, "reason": "FieldManagerConflict"} for f, words in causes.items()]

    assert said(answered(409, "Apply failed", "Conflict", told)) == [
        f"field-conflict: cannot deploy `api`: {message}",
        "`--force-conflicts` takes it over; else let the other one give it up",
        file,
    ]


def test_what_cannot_be_changed_is_told_with_what_it_takes_to_replace_it() -> None:
    fixed = [
        {"field": "spec.selector", "message": "Invalid value: {}: field is immutable", "reason": "FieldValueInvalid"}
    ]
    selector = answered(422, "spec.selector: field is immutable", "Invalid", fixed, kind="Deployment", name="api")
    claim = answered(422, "spec is immutable after creation", "Invalid", kind="PersistentVolumeClaim", name="data")

    assert said(selector) == [
        "immutable: cannot deploy `api`: `spec.selector` of Deployment `api` cannot be changed once it is made",
        "`--replace api` removes it and makes it anew",
        "service.kdl",
    ]
    assert said(claim) == [
        "immutable: cannot deploy `api`: `a field` of PersistentVolumeClaim `data` cannot be changed once it is made",
        "`--replace api` removes it and makes it anew: its data is lost",
        "service.kdl",
    ]
    assert said(claim, None)[1:] == ["", ""]


# ---- the cluster's own rules


@pytest.mark.parametrize(
    ("answer", "message", "fix", "file"),
    [
        (
            (
                'services "api" is forbidden: exceeded quota: team, requested: count/services=1, used: count/services=5, '
                "limited: count/services=5"
            ),
            (
                "quota: cannot deploy `api`: quota `team` is used up: it asks for count/services=1, "
                "used are count/services=5 of count/services=5"
            ),
            "raise the quota, or remove what is not needed",
            "resources.kdl",
        ),
        (
            (
                'persistentvolumeclaims "data" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, '
                "but request is 2Gi"
            ),
            (
                "limit-range: cannot deploy `api`: the namespace sets limits: maximum storage usage per "
                "PersistentVolumeClaim is 1Gi, but request is 2Gi"
            ),
            "ask for what the namespace's LimitRange allows, in `volumes`",
            "volumes.kdl",
        ),
        (
            'pods "p" is forbidden: violates PodSecurity "baseline:latest": privileged (container "m" must not)',
            "pod-security: cannot deploy `api`: the namespace allows only `baseline` pods: privileged",
            "take away what it asks for, or label the namespace otherwise",
            "options.kdl",
        ),
        (
            'admission webhook "no-latest.example.org" denied the request: say a version',
            "admission-denied: cannot deploy `api`: webhook `no-latest.example.org` denies it: say a version",
            "do as it says, or ask whoever runs `no-latest.example.org`",
            "service.kdl",
        ),
        (
            "deployments.apps \"api\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
            "admission-denied: cannot deploy `api`: policy `p` denies it: no",
            "do as it says, or ask whoever runs `p`",
            "service.kdl",
        ),
        (
            'Internal error occurred: failed calling webhook "p": Post "https://p": connection refused',
            'webhook-broken: cannot deploy `api`: webhook `p` does not answer: Post "https://p": connection refused',
            "see to the webhook: the cluster lets nothing of this kind through without it",
            "service.kdl",
        ),
    ],
)
def test_a_rule_of_the_cluster_is_told_with_its_name_and_a_way_out(
    answer: str, message: str, fix: str, file: str
) -> None:
    assert said(answered(403, answer, "Forbidden")) == [message, fix, file]


# ---- the object itself


def test_a_value_that_cannot_be_is_told_with_all_that_is_wrong() -> None:
    causes = [
        {"field": "spec.ports[0].nodePort", "message": "Invalid value: 30000: provided port is already allocated"},
        {"field": "spec.x", "message": "Required value"},
    ]
    taken = answered(422, "invalid", "Invalid", causes, kind="Service", name="api")
    missing = answered(422, "invalid", "Invalid", causes[1:], kind="Service", name="api")
    range_ = "Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"
    low = [{"field": "spec.ports[0].nodePort", "message": range_}]
    outside = answered(422, "invalid", "Invalid", low, kind="Service", name="api")

    assert said(taken) == [
        (
            "port-taken: cannot deploy `api`: Service `api`: `spec.ports[0].nodePort` cannot be 30000: "
            "provided port is already allocated"
        ),
        "take another `node_port`, or let the cluster choose",
        "options.kdl",
    ]
    assert len(problem(taken).cause) == 2
    assert said(outside)[1] == "take one of that range, or leave `node_port` out: the cluster chooses then"
    assert said(missing) == [
        "field-refused: cannot deploy `api`: Service `api`: `spec.x`: Required value",
        "",
        "service.kdl",
    ]


@pytest.mark.parametrize(
    ("field", "file"),
    [
        ("spec.template.spec.containers[0].ports[0].containerPort", "ports.kdl"),
        ("spec.ports[0].nodePort", "options.kdl"),
        ("spec.rules[0].host", "ingress.kdl"),
        ("metadata.labels", "labels.kdl"),
        ("spec.volumeClaimTemplates[0].spec.accessModes", "volumes.kdl"),
        ("spec.template.spec.containers[0].env[0].name", "environment.kdl"),
        ("spec.somethingElse", "service.kdl"),
    ],
)
def test_each_field_is_led_back_to_its_node(field: str, file: str) -> None:
    causes = [{"field": field, "message": 'Invalid value: "a: b": no', "reason": "FieldValueInvalid"}]

    message, _, place = said(answered(422, "invalid", "Invalid", causes))

    assert place == file
    assert f'`{field}` cannot be "a: b": no' in message


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (
            400,
            (
                'Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field '
                '"spec.template.spec.containers[0].lifecycle.preStop.sleep"'
            ),
        ),
        (
            500,
            (
                "failed to create typed patch object (n/api; apps/v1, Kind=Deployment): "
                '.spec.template.spec.containers[name="api"].lifecycle.preStop.sleep: field not declared in schema'
            ),
        ),
        (
            422,
            (
                'Deployment.apps "api" is invalid: spec.template.spec.containers[0].lifecycle.preStop: Required value: '
                "must specify a handler type"
            ),
        ),
    ],
)
def test_a_cluster_that_cannot_let_pods_wait_is_told_how_to_do_without(status: int, answer: str) -> None:
    """In the words of 1.28, made anew and changed, and of 1.29, which knows the field and takes it away."""
    assert said(answered(status, answer)) == [
        "cluster-older: cannot deploy `api`: this cluster is older than 1.30, and cannot let a pod wait before it stops",
        'write `runtime "kubernetes" { version "1.28" }` for this stage: nothing waits then',
        "options.kdl",
    ]


def test_a_field_that_the_cluster_does_not_know_is_named() -> None:
    assert said(answered(500, "failed to create typed patch object: .spec.image$: field not declared in schema"))[
        0
    ] == ("unknown-field: cannot deploy `api`: this cluster does not know the field `spec.image$`")


def test_what_nobody_has_words_for_keeps_the_servers() -> None:
    named, bare = problem(answered(500, "something\n  odd", "InternalError")), problem(answered(500, "odd " * 500))

    assert (named.message, named.cause) == (
        "cannot deploy `api`: something odd",
        ("the API server's answer has status 500, InternalError",),
    )
    assert bare.cause == ("the API server's answer has status 500",)
    assert (len(bare.message) < 500, " … " in bare.message) == (True, True)


def test_a_server_that_does_not_answer_is_told_as_that() -> None:
    error = lost("apply Deployment `api`", ConnectionRefusedError(111, "Connection refused"), "https://h:6443")

    assert problem(error).message == (
        "the API server at https://h:6443 did not answer while asked to apply Deployment `api`: Connection refused"
    )


def test_of_the_whole_stage_no_line_is_to_blame() -> None:
    found = problem_of(refused("make it", 500, b"odd", {}), PLAN, None, "prepare stage `stg`")

    assert (found.message, found.place) == ("cannot prepare stage `stg`: odd", None)
