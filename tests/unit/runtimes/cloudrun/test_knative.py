# SPDX-License-Identifier: Apache-2.0
"""The v2 form and Knative's: what is said in one is said in the other, and what cannot be is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.runtimes.cloudrun.knative import Converted, as_knative, from_knative
from fleetflow_tasks.runtimes.cloudrun.mapping import Left

from .made import lines

PLACE = "projects/p/locations/europe-west1"
API, MIGRATE = f"{PLACE}/services/api", f"{PLACE}/jobs/migrate"
LATEST = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST"
REVISION = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION"


def service(**template: Any) -> dict[str, Any]:
    """With one container, that says nothing; or as *template* says."""
    return {"name": API, "template": {"containers": [{"image": "api:1"}], **template}}


def knative(**template_spec: Any) -> dict[str, Any]:
    """The same in the other form; `notes` are the template's annotations."""
    notes = template_spec.pop("notes", {})
    return {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "api", "namespace": "p", "labels": {"cloud.googleapis.com/location": "europe-west1"}},
        "spec": {"template": {"metadata": {"annotations": notes}, "spec": {"containers": [{}], **template_spec}}},
    }


def told(made: Converted) -> list[str]:
    return [f"{each.path}: {each.value}" for each in made.left]


def container(**fields: Any) -> dict[str, Any]:
    return {"image": "api:1", **fields}


EVERYTHING = {
    "name": API,
    "etag": '"7"',
    "description": "the shop's API",
    "labels": {"team": "core"},
    "annotations": {"example.org/owner": "me"},
    "client": "gcloud",
    "clientVersion": "528.0.0",
    "ingress": "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
    "launchStage": "BETA",
    "binaryAuthorization": {"useDefault": True, "breakglassJustification": "fire"},
    "invokerIamDisabled": True,
    "defaultUriDisabled": False,
    "iapEnabled": True,
    "customAudiences": ["https://api.example"],
    "scaling": {"minInstanceCount": 1, "maxInstanceCount": 9, "manualInstanceCount": 3, "scalingMode": "MANUAL"},
    "traffic": [
        {"type": REVISION, "revision": "api-00001-old", "percent": 90},
        {"type": LATEST, "percent": 10, "tag": "next"},
    ],
    "template": {
        "revision": "api-00002-new",
        "labels": {"team": "core"},
        "annotations": {"example.org/why": "because"},
        "scaling": {"minInstanceCount": 2, "maxInstanceCount": 5},
        "vpcAccess": {
            "egress": "ALL_TRAFFIC",
            "networkInterfaces": [{"network": "n", "subnetwork": "s", "tags": ["a", "b"]}],
        },
        "timeout": "60s",
        "serviceAccount": "api@p.iam.gserviceaccount.com",
        "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
        "encryptionKey": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "encryptionKeyRevocationAction": "SHUTDOWN",
        "encryptionKeyShutdownDuration": "7200s",
        "maxInstanceRequestConcurrency": 40,
        "serviceMesh": {"mesh": "projects/p/locations/global/meshes/m"},
        "sessionAffinity": True,
        "healthCheckDisabled": True,
        "nodeSelector": {"accelerator": "nvidia-l4"},
        "gpuZonalRedundancyDisabled": True,
        "containers": [
            {"name": "proxy", "image": "envoy:1", "dependsOn": ["api"]},
            {
                "name": "api",
                "image": "api:1",
                "command": ["/app"],
                "args": ["serve"],
                "workingDir": "/srv",
                "env": [
                    {"name": "LOG", "value": "info"},
                    {"name": "OWN", "valueSource": {"secretKeyRef": {"secret": "db", "version": "3"}}},
                    {
                        "name": "FOREIGN",
                        "valueSource": {"secretKeyRef": {"secret": "projects/q/secrets/db", "version": "latest"}},
                    },
                ],
                "resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "cpuIdle": False, "startupCpuBoost": True},
                "ports": [{"name": "h2c", "containerPort": 80}],
                "volumeMounts": [
                    {"name": "b", "mountPath": "/b", "subPath": "x"},
                    {"name": "cloudsql", "mountPath": "/cloudsql"},
                ],
                "startupProbe": {
                    "initialDelaySeconds": 1,
                    "timeoutSeconds": 2,
                    "periodSeconds": 3,
                    "failureThreshold": 4,
                    "httpGet": {"path": "/up", "port": 80, "httpHeaders": [{"name": "A", "value": "b"}]},
                },
                "livenessProbe": {"grpc": {"port": 80, "service": "x"}},
                "readinessProbe": {"tcpSocket": {"port": 80}},
            },
        ],
        "volumes": [
            {"name": "b", "gcs": {"bucket": "assets", "readOnly": True, "mountOptions": ["only-dir=x", "uid=1"]}},
            {"name": "m", "emptyDir": {"medium": "MEMORY", "sizeLimit": "1Mi"}},
            {"name": "n", "nfs": {"server": "10.0.0.2", "path": "/x", "readOnly": True}},
            {
                "name": "s",
                "secret": {
                    "secret": "projects/q/secrets/tls",
                    "defaultMode": 256,
                    "items": [{"path": "key.pem", "version": "3", "mode": 256}],
                },
            },
            {"name": "cloudsql", "cloudSqlInstance": {"instances": ["p:r:a", "p:r:b"]}},
        ],
    },
}


def test_everything_that_can_be_said_is_said_in_either_form() -> None:
    there = as_knative(EVERYTHING, "service")
    back = from_knative(there.body)

    assert (told(there), told(back)) == ([], [])
    assert lines(back.body) == lines(EVERYTHING)


def test_what_knative_has_no_field_for_stands_in_annotations_of_googles_own() -> None:
    made = as_knative(EVERYTHING, "service").body

    assert lines(made["metadata"]["annotations"]) == [
        "example.org/owner: me",
        "run.googleapis.com/binary-authorization: default",
        "run.googleapis.com/binary-authorization-breakglass: fire",
        "run.googleapis.com/client-name: gcloud",
        "run.googleapis.com/client-version: 528.0.0",
        'run.googleapis.com/custom-audiences: ["https://api.example"]',
        "run.googleapis.com/default-url-disabled: false",
        "run.googleapis.com/description: the shop's API",
        "run.googleapis.com/iap-enabled: true",
        "run.googleapis.com/ingress: internal-and-cloud-load-balancing",
        "run.googleapis.com/invoker-iam-disabled: true",
        "run.googleapis.com/launch-stage: BETA",
        "run.googleapis.com/manualInstanceCount: 3",
        "run.googleapis.com/maxScale: 9",
        "run.googleapis.com/minScale: 1",
        "run.googleapis.com/scalingMode: manual",
    ]
    assert lines(made["spec"]["template"]["metadata"]["annotations"]) == [
        "autoscaling.knative.dev/maxScale: 5",
        "autoscaling.knative.dev/minScale: 2",
        "example.org/why: because",
        "run.googleapis.com/cloudsql-instances: p:r:a,p:r:b",
        'run.googleapis.com/container-dependencies: {"proxy": ["api"]}',
        "run.googleapis.com/cpu-throttling: false",
        "run.googleapis.com/encryption-key: projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "run.googleapis.com/encryption-key-shutdown-hours: 2",
        "run.googleapis.com/execution-environment: gen2",
        "run.googleapis.com/gpu-zonal-redundancy-disabled: true",
        "run.googleapis.com/health-check-disabled: true",
        "run.googleapis.com/mesh: projects/p/locations/global/meshes/m",
        'run.googleapis.com/network-interfaces: [{"network": "n", "subnetwork": "s", "tags": ["a", "b"]}]',
        "run.googleapis.com/post-key-revocation-action-type: shut-down",
        "run.googleapis.com/secrets: db-2:projects/q/secrets/db,tls:projects/q/secrets/tls",
        "run.googleapis.com/sessionAffinity: true",
        "run.googleapis.com/startup-cpu-boost: true",
        "run.googleapis.com/vpc-access-egress: all-traffic",
    ]


def test_a_job_is_in_both_forms_one_template_deeper() -> None:
    task = {
        "containers": [{"image": "m:1", "args": ["up"]}],
        "maxRetries": 0,
        "timeout": "600s",
        "vpcAccess": {"connector": "c", "egress": "PRIVATE_RANGES_ONLY"},
    }
    job = {
        "name": MIGRATE,
        "binaryAuthorization": {"policy": "strict"},
        "template": {"labels": {"team": "core"}, "taskCount": 3, "parallelism": 2, "template": task},
    }

    there = as_knative(job, "job")
    back = from_knative(there.body)

    assert (told(there), told(back)) == ([], [])
    assert back.body == job
    assert lines(there.body["spec"]["template"]) == [
        "metadata.annotations.run.googleapis.com/vpc-access-connector: c",
        "metadata.annotations.run.googleapis.com/vpc-access-egress: private-ranges-only",
        "metadata.labels.team: core",
        "spec.parallelism: 2",
        "spec.taskCount: 3",
        "spec.template.spec.containers[0].args[0]: up",
        "spec.template.spec.containers[0].image: m:1",
        "spec.template.spec.maxRetries: 0",
        "spec.template.spec.timeoutSeconds: 600",
    ]


@pytest.mark.parametrize(
    ("resources", "note"),
    [
        ({}, None),
        ({"limits": {"cpu": "1"}}, "false"),
        ({"limits": {"cpu": "1"}, "cpuIdle": True}, "true"),
        ({"cpuIdle": False}, "false"),
    ],
)
def test_silence_about_the_cpu_means_always_in_v2_once_there_are_resources(
    resources: dict[str, Any], note: str | None
) -> None:
    made = as_knative(service(containers=[container(resources=resources)]), "service")

    notes = made.body["spec"]["template"].get("metadata", {}).get("annotations", {})
    assert notes.get("run.googleapis.com/cpu-throttling") == note


def test_silence_about_the_cpu_means_on_demand_in_knative() -> None:
    made = from_knative(knative(containers=[{"image": "a"}, {"image": "b", "ports": [{"containerPort": 80}]}]))

    assert made.body["template"]["containers"] == [
        {"image": "a"},
        {"image": "b", "ports": [{"containerPort": 80}], "resources": {"cpuIdle": True}},
    ]


def test_a_second_container_that_wants_its_cpu_otherwise_is_told() -> None:
    both = [
        container(resources={"cpuIdle": True}, ports=[{"containerPort": 80}]),
        container(resources={"cpuIdle": False}),
    ]

    assert told(as_knative(service(containers=both), "service")) == ["template.containers[1].resources.cpuIdle: False"]


@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
def test_gcloud_writes_yes_in_more_than_one_way(word: str) -> None:
    made = from_knative(knative(notes={"run.googleapis.com/sessionAffinity": word}))

    assert (made.body["template"]["sessionAffinity"], told(made)) == (True, [])


def test_older_words_are_understood() -> None:
    made = from_knative(knative(notes={"run.googleapis.com/vpc-access-egress": "all"}, timeoutSeconds="600"))

    assert (made.body["template"]["vpcAccess"], made.body["template"]["timeout"]) == ({"egress": "ALL_TRAFFIC"}, "600s")


def test_requests_go_to_the_newest_where_nothing_else_is_said() -> None:
    body = {
        **knative(),
        "spec": {**knative()["spec"], "traffic": [{"percent": 100}, {"revisionName": "a", "tag": "x"}]},
    }

    assert from_knative(body).body["traffic"] == [
        {"type": LATEST, "percent": 100},
        {"type": REVISION, "revision": "a", "tag": "x"},
    ]
    assert as_knative({**service(), "traffic": [{"percent": 100}]}, "service").body["spec"]["traffic"] == [
        {"latestRevision": True, "percent": 100}
    ]


def test_a_name_without_a_place_stays_a_name() -> None:
    made = as_knative({**service(), "name": "api"}, "service").body

    assert made["metadata"] == {"name": "api"}
    assert from_knative(made).body["name"] == "api"
    assert "name" not in from_knative({**made, "metadata": {}}).body
    assert as_knative({"template": {}}, "service").body["metadata"] == {}


@pytest.mark.parametrize("body", [{}, {"apiVersion": "v1", "kind": "Service"}, {"kind": "Revision"}])
def test_what_is_neither_a_service_nor_a_job_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".*"):
        from_knative(body)


@pytest.mark.parametrize(
    ("template", "left"),
    [
        ({"timeout": "1.500s"}, "template.timeout: 1.500s"),
        ({"timeout": 300}, "template.timeout: 300"),
        ({"executionEnvironment": "GEN9"}, "template.executionEnvironment: GEN9"),
        ({"executionEnvironment": 2}, "template.executionEnvironment: 2"),
        ({"encryptionKeyShutdownDuration": "60s"}, "template.encryptionKeyShutdownDuration: 60s"),
        ({"sessionAffinity": "yes"}, "template.sessionAffinity: yes"),
        ({"maxInstanceRequestConcurrency": True}, "template.maxInstanceRequestConcurrency: True"),
        ({"maxInstanceRequestConcurrency": "4o"}, "template.maxInstanceRequestConcurrency: 4o"),
        ({"containers": "none"}, "template.containers: none"),
        ({"containers": [{"args": "up"}]}, "template.containers[0].args: up"),
        ({"containers": [{"args": [1]}]}, "template.containers[0].args: [1]"),
        ({"containers": [{"resources": {"limits": ["cpu"]}}]}, "template.containers[0].resources.limits: ['cpu']"),
        ({"containers": [{"baseImageUri": "x"}]}, "template.containers[0].baseImageUri: x"),
        (
            {"volumes": [{"name": "v", "gcs": {"mountOptions": ["a,b"]}}]},
            "template.volumes[0].gcs.mountOptions: ['a,b']",
        ),
        ({"vpcAccess": {"networkInterfaces": "n"}}, "template.vpcAccess.networkInterfaces: n"),
        ({"vpcAccess": {"networkInterfaces": [{"x": 1}]}}, "template.vpcAccess.networkInterfaces: [{'x': 1}]"),
        (
            {"containers": [{"volumeMounts": [{"name": "b", "mountPath": "/cloudsql"}]}]},
            "template.containers[0].volumeMounts[0]: {'name': 'b', 'mountPath': '/cloudsql'}",
        ),
    ],
)
def test_what_knative_cannot_say_or_nobody_understands_is_told(template: dict[str, Any], left: str) -> None:
    assert told(as_knative(service(**template), "service")) == [left]


@pytest.mark.parametrize(
    ("note", "value"),
    [
        ("run.googleapis.com/cpu-throttling", "perhaps"),
        ("run.googleapis.com/network-interfaces", "[["),
        ("run.googleapis.com/network-interfaces", "[" * 100_000),
        ("run.googleapis.com/secrets", "db"),
        ("run.googleapis.com/container-dependencies", "[]"),
        ("run.googleapis.com/container-dependencies", '{"a": 1}'),
        ("run.googleapis.com/mesh-dataplane", "x"),
        ("autoscaling.knative.dev/maxScale", "many"),
    ],
)
def test_an_annotation_of_googles_own_that_is_not_understood_is_told(note: str, value: str) -> None:
    made = from_knative(knative(notes={note: value}))

    assert told(made) == [f"spec.template.metadata.annotations.{note}: {value}"]


def test_a_policy_of_binary_authorization_that_says_no_is_told() -> None:
    asked = {**service(), "binaryAuthorization": {"useDefault": False, "policy": "default"}}

    assert told(as_knative(asked, "service")) == [
        "binaryAuthorization.useDefault: False",
        "binaryAuthorization.policy: default",
    ]


def test_foreign_labels_and_drivers_are_told() -> None:
    body = knative(volumes=[{"name": "v", "csi": {"driver": "other"}}, {"name": "w", "configMap": {}}])
    body["metadata"]["labels"]["example.org/x"] = "y"

    assert from_knative(body).left == (
        Left(path="metadata.labels.example.org/x", value="y"),
        Left(path="spec.template.spec.volumes[0].csi.driver", value="other"),
    )


def test_a_volume_is_still_one_where_it_says_nothing() -> None:
    made = as_knative(service(volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "gcs": {}}]), "service")

    assert made.body["spec"]["template"]["spec"]["volumes"] == [
        {"name": "v", "emptyDir": {}},
        {"name": "w", "csi": {"driver": "gcsfuse.run.googleapis.com"}},
    ]


def test_a_target_of_no_known_kind_is_told() -> None:
    asked = {**service(), "traffic": [{"type": "OTHER", "percent": 1}]}
    found = {**knative(), "spec": {**knative()["spec"], "traffic": [{"latestRevision": False}]}}

    assert told(as_knative(asked, "service")) == ["traffic[0].type: OTHER"]
    assert from_knative(found).body["traffic"] == [{}]


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)


def places(value: object) -> list[tuple[str | int, ...]]:
    """Of everything in it."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(), *((name, *rest) for name, each in inside for rest in places(each))]


def changed(value: Any, place: tuple[str | int, ...], new: object) -> Any:
    if not place:
        return new
    name, *rest = place
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[name] = changed(value[name], tuple(rest), new)  # type: ignore[index]  # `places` has made it
    return copy


@given(st.sampled_from(places(EVERYTHING["template"])), JSONS)
def test_a_template_of_any_shape_is_no_mistake_of_ours(place: tuple[str | int, ...], new: object) -> None:
    asked = {**EVERYTHING, "template": changed(EVERYTHING["template"], place, new)}

    there = as_knative(asked, "service")
    back = from_knative(there.body)

    assert isinstance(back.body, dict)


KNATIVE = as_knative(EVERYTHING, "service").body


@given(st.sampled_from(places(KNATIVE["spec"])), JSONS)
def test_nor_is_one_of_knatives(place: tuple[str | int, ...], new: object) -> None:
    found = from_knative({**KNATIVE, "spec": changed(KNATIVE["spec"], place, new)})

    assert isinstance(as_knative(found.body, "service").body, dict)
