# SPDX-License-Identifier: Apache-2.0
"""Who owns which field, from the API's own book-keeping."""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.runtimes.kubernetes.managed import gone, owned, owners

Json = Mapping[str, Any]


def entry(manager: str, fields: Json, *, operation: str = "Apply", **more: str) -> dict[str, Any]:
    return {
        "manager": manager,
        "operation": operation,
        "apiVersion": "apps/v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


OURS = {
    "f:metadata": {"f:labels": {"f:app": {}}, "f:finalizers": {'v:"kept"': {}}},
    "f:spec": {
        "f:selector": {},
        "f:strategy": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"api"}': {
                        ".": {},
                        "f:name": {},
                        "f:image": {},
                        "f:args": {},
                        "f:env": {'k:{"name":"LOG"}': {".": {}, "f:name": {}, "f:value": {}}},
                        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    }
                },
                "f:volumes": {'k:{"name":"gone"}': {".": {}, "f:name": {}}},
            }
        },
    },
}
SCALER: Json = {"f:spec": {"f:replicas": {}, "f:strategy": {"f:type": {}}}}
WEBHOOK: Json = {
    "f:spec": {
        "f:template": {"f:spec": {"f:containers": {'k:{"name":"proxy"}': {".": {}, "f:name": {}, "f:image": {}}}}}
    }
}
LIVE = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "api",
        "namespace": "shop",
        "uid": "u",
        "labels": {"app": "api", "theirs": "x"},
        "finalizers": ["kept", "theirs"],
        "managedFields": [
            entry("fleetflow", OURS),
            entry("fleetflow", {"f:status": {"f:replicas": {}}}, operation="Apply", subresource="status"),
            entry("kube-controller-manager", SCALER, operation="Update"),
            entry("mesh", WEBHOOK, operation="Update"),
        ],
    },
    "spec": {
        "replicas": 7,
        "selector": {"matchLabels": {"app": "api"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "spec": {
                "containers": [
                    {"name": "proxy", "image": "proxy:1"},
                    {
                        "name": "api",
                        "image": "api:9",
                        "imagePullPolicy": "Always",
                        "args": ["a", "b"],
                        "env": [{"name": "LOG", "value": "info"}, {"name": "THEIRS", "value": "x"}],
                        "ports": [{"containerPort": 80, "protocol": "UDP"}, {"containerPort": 80, "protocol": "TCP"}],
                    },
                ]
            }
        },
    },
    "status": {"replicas": 7},
}


def test_what_we_own_of_a_live_object_is_the_manifest_that_we_sent() -> None:
    assert owned(LIVE, "fleetflow") == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "shop", "labels": {"app": "api"}, "finalizers": ["kept"]},
        "spec": {
            "selector": {"matchLabels": {"app": "api"}},
            "strategy": {"rollingUpdate": {"maxSurge": 1}},
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "api",
                            "image": "api:9",
                            "args": ["a", "b"],
                            "env": [{"name": "LOG", "value": "info"}],
                            "ports": [{"containerPort": 80}],
                        }
                    ]
                }
            },
        },
    }


def test_who_applied_nothing_owns_nothing() -> None:
    assert owned(LIVE, "kube-controller-manager") == {}
    assert owned({}, "fleetflow") == {}
    cluster_wide = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "managedFields": [entry("fleetflow", {"f:metadata": {}})]},
    }
    assert owned(cluster_wide, "fleetflow")["metadata"]["name"] == "shop"


def test_lists_without_keys_are_owned_by_place_or_by_value() -> None:
    live = {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "x", "managedFields": [entry("fleetflow", {"f:a": {"i:1": {}}, "f:b": {"v:2": {}}})]},
        "a": ["x", "y"],
        "b": [1, 2],
    }

    assert owned(live, "fleetflow") == {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "x"},
        "a": ["y"],
        "b": [2],
    }


def test_a_conflicts_field_has_its_owners() -> None:
    image = '.spec.template.spec.containers[name="api"].image'

    assert owners(LIVE, image) == ("fleetflow",)
    assert owners(LIVE, ".spec.replicas") == ("kube-controller-manager",)
    assert owners(LIVE, ".spec.strategy.type") == ("fleetflow", "kube-controller-manager")
    assert owners(LIVE, ".spec.template.spec.containers") == ("fleetflow", "mesh")
    assert owners(LIVE, '.spec.template.spec.containers[name="api"].ports[containerPort=80,protocol="TCP"]') == (
        "fleetflow",
    )
    assert owners(LIVE, '.metadata.finalizers[="kept"]') == ("fleetflow",)
    assert owners(LIVE, ".spec.replica") == ()
    ordered = {"metadata": {"managedFields": [entry("me", {"f:a": {"i:0": {}}})]}}
    assert owners(ordered, ".a[0]") == ("me",)


def test_what_is_no_longer_sent_goes_unless_somebody_else_wants_it_too() -> None:
    desired = {
        "metadata": {"labels": {}},
        "spec": {"selector": {"x": "y"}, "template": {"spec": {"containers": [{"name": "api", "image": "api:9"}]}}},
    }

    assert sorted(gone(desired, LIVE, "fleetflow"), key=str) == [
        (("metadata", "finalizers"), ["kept"]),
        (("metadata", "labels", "app"), "api"),
        (("spec", "template", "spec", "containers", "[api]", "args"), ["a", "b"]),
        (
            ("spec", "template", "spec", "containers", "[api]", "env"),
            [{"name": "LOG", "value": "info"}],
        ),
        (
            ("spec", "template", "spec", "containers", "[api]", "ports"),
            [{"containerPort": 80}],
        ),
    ]


def test_what_somebody_else_owns_in_part_goes_in_part() -> None:
    def env(*names: str) -> Json:
        return {"f:env": {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in names}}

    live = {
        "metadata": {"managedFields": [entry("fleetflow", env("A", "B")), entry("kubectl", env("B", "C"))]},
        "env": [{"name": name, "value": "x"} for name in "ABC"],
    }

    assert [*gone({}, live, "fleetflow")] == [(("env", "[A]"), {"name": "A", "value": "x"})]


# --- for any object and any owner


names = st.sampled_from(["a", "b", "name", "env", "labels"])
values = st.recursive(
    st.integers(0, 3) | st.sampled_from(["x", "y", ""]),
    lambda inner: (
        st.dictionaries(names, inner, max_size=3)
        | st.lists(st.sampled_from(["x", "y"]), max_size=3, unique=True)
        | st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["p", "q", "r"])}, optional={"value": inner}),
            max_size=3,
            unique_by=lambda item: item["name"],
        )
    ),
    max_leaves=8,
)


@st.composite
def owning(draw: st.DrawFn, value: Any) -> dict[str, Any]:
    """A set of fields of *value* that somebody may own."""
    if isinstance(value, dict):
        chosen = draw(st.sets(st.sampled_from(sorted(value)))) if value else set()
        return {f"f:{name}": draw(owning(value[name])) for name in sorted(chosen)}
    if isinstance(value, list) and value and isinstance(value[0], dict) and draw(st.booleans()):
        chosen = draw(st.sets(st.sampled_from([item["name"] for item in value])))
        return {
            "k:" + json.dumps({"name": item["name"]}): {".": {}, "f:name": {}, **draw(owning(item))}
            for item in value
            if item["name"] in chosen
        }
    return {}


def within(part: Any, whole: Any) -> bool:
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and within(value, whole[name]) for name, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        left = list(whole)
        return all(any(within(item, other) for other in left) for item in part)
    return bool(part == whole)


@given(st.data())
def test_what_is_owned_is_always_within_what_is_live(data: st.DataObject) -> None:
    body = data.draw(st.dictionaries(names, values, max_size=3))
    ours, theirs = data.draw(owning(body)), data.draw(owning(body))
    meta = {"name": "x", "managedFields": [entry("fleetflow", ours), entry("other", theirs)]}
    live = {"apiVersion": "v1", "kind": "X", "metadata": meta, **body}

    found = owned(live, "fleetflow")

    assert within(found, live)
    assert not [*gone(found, live, "fleetflow")] or not found
