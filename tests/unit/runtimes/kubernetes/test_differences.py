# SPDX-License-Identifier: Apache-2.0
"""What applying would change: no false alarm for another spelling, no word of what is not ours, no secret."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.runtimes.kubernetes.differences import differences

from .seen import Json, merged

DESIRED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "api", "namespace": "shop", "labels": {"app": "api"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "api"}},
        "template": {
            "metadata": {"labels": {"app": "api", "fleetflow.io/template": "v1-new"}},
            "spec": {
                "automountServiceAccountToken": False,
                "hostNetwork": False,
                "containers": [
                    {
                        "name": "api",
                        "image": "api:9",
                        "args": ["serve", "--fast"],
                        "env": [{"name": "LOG", "value": "info"}, {"name": "EMPTY", "value": ""}],
                        "ports": [{"name": "port-80", "containerPort": 80}],
                        "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}},
                        "securityContext": {"capabilities": {"drop": ["ALL"]}},
                        "volumeMounts": [
                            {"name": "data", "mountPath": "/data"},
                            {"name": "tmp", "mountPath": "/tmp", "readOnly": False},
                        ],
                    }
                ],
                "nodeSelector": {},
                "tolerations": [{"key": "a", "operator": "Exists"}],
                "volumes": [
                    {"name": "tmp", "emptyDir": {}},
                    {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
                ],
            },
        },
    },
}


def answered() -> dict[str, Any]:
    """The same as a cluster answers it: with defaults, in its spelling, its order, and with what others added."""
    live = copy.deepcopy(DESIRED)
    live["metadata"] |= {"uid": "u", "resourceVersion": "7", "annotations": {"theirs": "x"}}
    live["metadata"]["labels"]["fleetflow.io/run"] = "r1"
    live["spec"] |= {"strategy": {"type": "RollingUpdate"}, "revisionHistoryLimit": 10}
    pod = live["spec"]["template"]["spec"]
    del pod["hostNetwork"], pod["nodeSelector"]
    pod |= {"dnsPolicy": "ClusterFirst", "volumes": [*reversed(pod["volumes"])]}
    api = pod["containers"][0]
    api |= {
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "THEIRS", "value": "x"}, {"name": "EMPTY"}, {"name": "LOG", "value": "info"}],
        "ports": [
            {"containerPort": 80, "protocol": "UDP"},
            {"name": "port-80", "containerPort": 80, "protocol": "TCP"},
        ],
        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "data", "mountPath": "/data"}],
    }
    pod["containers"] = [{"name": "proxy", "image": "proxy:1"}, api]
    live["status"] = {"replicas": 2}
    return live


def wanted(**spec: Any) -> dict[str, Any]:
    return merged(DESIRED, {"spec": spec})


def container(**changes: Any) -> dict[str, Any]:
    pod = DESIRED["spec"]["template"]["spec"]
    return wanted(template={"spec": {"containers": [{**pod["containers"][0], **changes}]}})


def lines(desired: Json, live: Json) -> list[str]:
    return [f"{change.field}: {change.old} -> {change.new}" for change in differences(desired, live)]


def test_what_a_cluster_writes_in_other_words_is_no_difference() -> None:
    assert lines(DESIRED, answered()) == []
    assert differences(DESIRED, answered()) == ()


@pytest.mark.parametrize(
    ("desired", "expected"),
    [
        (container(image="api:10"), ["image: api:9 -> api:10"]),
        (container(args=["serve"]), ['command: ["serve", "--fast"] -> ["serve"]']),
        (container(command=["sh"]), ['entrypoint: None -> ["sh"]']),
        (container(env=[{"name": "LOG", "value": "debug"}]), ["environment.LOG: info -> debug"]),
        (container(env=[{"name": "NEW", "value": "1"}]), ["environment.NEW: None -> 1"]),
        (container(env=[{"name": "NEW"}]), ['environment.NEW: None -> {"name": "NEW"}']),
        (container(resources={"limits": {"cpu": "1"}}), ["resources.limits.cpu: 500m -> 1"]),
        (container(resources={"limits": {"cpu": 0.5, "memory": "lots"}}), ["resources.limits.memory: 1Gi -> lots"]),
        (
            container(ports=[{"containerPort": 81}]),
            ['ports[81,TCP]: None -> {"containerPort": 81}'],
        ),
        (container(ports=[{"containerPort": 80, "name": "web"}]), ["ports[80,TCP].name: port-80 -> web"]),
        (
            container(volumeMounts=[{"name": "other", "mountPath": "/data"}]),
            ["volumeMounts[/data].name: data -> other"],
        ),
        (container(livenessProbe={"exec": {"command": ["true"]}}), ['livenessProbe.exec.command: None -> ["true"]']),
        (wanted(replicas=3), ["replicas: 2 -> 3"]),
        (wanted(paused=True), ["spec.paused: None -> true"]),
        (
            wanted(selector={"matchLabels": {"app": "web"}}),
            ['spec.selector: {"matchLabels": {"app": "api"}} -> {"matchLabels": {"app": "web"}}'],
        ),
        (
            wanted(template={"spec": {"automountServiceAccountToken": True}}),
            ["spec.template.spec.automountServiceAccountToken: false -> true"],
        ),
        (
            wanted(template={"spec": {"tolerations": [{"key": "b"}]}}),
            ['spec.template.spec.tolerations: [{"key": "a", "operator": "Exists"}] -> [{"key": "b"}]'],
        ),
        (
            wanted(template={"spec": {"volumes": [{"name": "new", "emptyDir": {}}]}}),
            ["spec.template.spec.volumes[new].emptyDir: None -> {}"],
        ),
        (
            wanted(template={"spec": {"volumes": [{"name": "data", "emptyDir": {}}]}}),
            ["spec.template.spec.volumes[data].emptyDir: None -> {}"],
        ),
        (
            wanted(template={"metadata": {"labels": {"fleetflow.io/template": "v1-newer"}}}),
            ["spec.template.metadata.labels.fleetflow.io/template: v1-new -> v1-newer"],
        ),
        (
            merged(
                container(image="api:10"),
                {"spec": {"template": {"metadata": {"labels": {"fleetflow.io/template": "x"}}}}},
            ),
            ["image: api:9 -> api:10"],
        ),
    ],
)
def test_a_change_is_told_by_its_field(desired: Json, expected: list[str]) -> None:
    assert lines(desired, answered()) == expected


def test_what_a_token_is_mounted_by_default_for_is_told_when_it_is_gone() -> None:
    live = answered()
    del live["spec"]["template"]["spec"]["automountServiceAccountToken"]

    assert lines(DESIRED, live) == ["spec.template.spec.automountServiceAccountToken: None -> false"]


def test_what_has_become_another_kind_of_value_is_a_change() -> None:
    assert lines({"spec": {"a": "x"}}, {"spec": {"a": True}}) == ["spec.a: true -> x"]
    assert lines({"spec": {"a": "x"}}, {"spec": {"a": {"b": 1}}}) == ['spec.a: {"b": 1} -> x']
    assert lines({"spec": {"a": ["x"]}}, {"spec": {"a": "x"}}) == ['spec.a: x -> ["x"]']
    assert lines({"spec": {"a": {"b": 1}}}, {"spec": {"a": "x"}}) == ['spec.a: x -> {"b": 1}']
    assert lines({"spec": {"port": "80"}}, {"spec": {"port": 80}}) == []


def test_marks_of_a_run_and_the_apis_own_fields_are_no_change() -> None:
    meta = {"labels": {"fleetflow.io/run": "r2", "fleetflow.io/hash": "v1-x"}, "resourceVersion": "9", "generation": 3}

    assert lines(merged(DESIRED, {"metadata": meta, "status": {"replicas": 9}}), answered()) == []


def test_a_hashed_name_that_many_variables_come_from_is_one_change() -> None:
    def env(name: str) -> list[Json]:
        return [{"name": key, "valueFrom": {"configMapKeyRef": {"name": name, "key": key}}} for key in ("A", "B")]

    live = merged(answered(), {"spec": {"template": {"spec": {"containers": [{"name": "api", "env": env("api-1")}]}}}})
    desired = {"spec": {"template": {"spec": {"containers": [{"name": "api", "env": env("api-2")}]}}}}

    assert lines(desired, live) == ["environment: api-1 -> api-2"]


def test_a_new_variable_that_comes_from_elsewhere_says_from_where() -> None:
    secret = {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "api-1", "key": "TOKEN"}}}
    config = {"name": "MODE", "valueFrom": {"configMapKeyRef": {"name": "api-2", "key": "MODE"}}}

    assert lines(container(env=[secret, config]), answered()) == [
        "environment.MODE: None -> from config map api-2",
        "environment.TOKEN: None -> from secret api-1",
    ]


def test_a_secret_is_told_by_its_hash_alone() -> None:
    live = {"kind": "Secret", "type": "Opaque", "data": {"TOKEN": "b2xk", "SAME": "eA=="}}
    desired = {"kind": "Secret", "type": "Other", "data": {"TOKEN": "bmV3", "SAME": "eA==", "MORE": "eQ=="}}

    assert lines(desired, live) == [
        "data.MORE: None -> sha256:7e2b431c2c5a",
        "data.TOKEN: sha256:0c2c6b90f009 -> sha256:fd9bd588247a",
        "type: Opaque -> Other",
    ]


def test_an_autoscalers_metrics_come_back_in_another_order() -> None:
    def metric(name: str, value: int) -> Json:
        return {
            "type": "Resource",
            "resource": {"name": name, "target": {"type": "Utilization", "averageUtilization": value}},
        }

    cpu, memory = metric("cpu", 80), metric("memory", 70)

    assert lines({"spec": {"metrics": [cpu, memory]}}, {"spec": {"metrics": [memory, cpu]}}) == []
    assert len(lines({"spec": {"metrics": [metric("cpu", 90), memory]}}, {"spec": {"metrics": [memory, cpu]}})) == 1
    one, other = ({"target": {"type": "Value", "value": value}} for value in ("1", "1000m"))
    assert lines({"spec": {"metrics": [one]}}, {"spec": {"metrics": [other]}}) == []


def test_a_services_ports_are_told_apart_by_port_and_protocol() -> None:
    def spec(*ports: Json) -> Json:
        return {"kind": "Service", "spec": {"ports": list(ports)}}

    live = spec({"port": 53, "protocol": "UDP", "targetPort": 53}, {"port": 53, "protocol": "TCP", "targetPort": 5353})

    assert lines(spec({"port": 53, "targetPort": 5353}), live) == []
    assert lines(spec({"port": 53, "targetPort": 53, "protocol": "TCP"}), live) == [
        "spec.ports[53,TCP].targetPort: 5353 -> 53"
    ]


def test_a_new_object_is_all_new() -> None:
    assert lines({"kind": "ConfigMap", "data": {"LOG": "info"}}, {}) == [
        "data.LOG: None -> info",
        "kind: None -> ConfigMap",
    ]


def test_what_we_sent_and_send_no_more_is_told_and_what_others_added_is_not() -> None:
    item: Json = {".": {}, "f:name": {}, "f:value": {}}
    ours = {
        "f:metadata": {"f:labels": {"f:app": {}, "f:fleetflow.io/run": {}}},
        "f:spec": {
            "f:paused": {},
            "f:template": {
                "f:spec": {
                    "f:containers": {
                        'k:{"name":"api"}': {".": {}, "f:env": {'k:{"name":"EMPTY"}': item, 'k:{"name":"LOG"}': item}}
                    }
                }
            },
        },
    }
    live = merged(
        answered(),
        {
            "metadata": {"managedFields": [{"manager": "fleetflow", "operation": "Apply", "fieldsV1": ours}]},
            "spec": {"paused": False},
        },
    )

    assert lines(DESIRED, live) == []
    assert lines(container(env=[{"name": "EMPTY", "value": ""}]), live) == ["environment.LOG: info -> None"]


trees = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "1"]),
    lambda inner: (
        st.dictionaries(st.sampled_from(["a", "limits", "selector", "value", "labels"]), inner, max_size=3)
        | st.lists(inner, max_size=3)
    ),
    max_leaves=10,
)
objects = st.dictionaries(st.sampled_from(["spec", "data", "kind"]), trees, max_size=3)


@given(objects)
def test_nothing_differs_from_itself(tree: Json) -> None:
    assert differences(tree, copy.deepcopy(tree)) == ()


@given(objects, objects)
def test_what_a_webhook_adds_beside_is_no_change(tree: Json, more: Json) -> None:
    assert differences(tree, {**tree, "added": more}) == ()


@given(objects, objects)
def test_any_two_objects_can_be_compared(one: Json, other: Json) -> None:
    assert all(change.old != change.new for change in differences(one, other))


def test_what_we_note_for_ourselves_is_no_field_that_goes() -> None:
    def taken(*names: str) -> list[str]:
        """Of what we applied with these annotations and now send without any."""
        ours: dict[str, Any] = {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in names}}}
        live = answered()
        live["metadata"] |= {
            "annotations": dict.fromkeys(names, "x"),
            "managedFields": [{"manager": "fleetflow", "operation": "Apply", "fieldsV1": ours}],
        }
        return [change.field for change in differences(DESIRED, live)]

    assert taken("fleetflow.io/before") == []
    assert taken("fleetflow.io/before", "note") == ["metadata.annotations.note"]
