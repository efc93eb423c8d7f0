# SPDX-License-Identifier: Apache-2.0
"""What the documentation forbids, one by one. All that is wrong with a request is told at once."""

from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError

from .conftest import Cloud

IMAGE = "shop/api"


def container(**fields: Any) -> dict[str, Any]:
    return {"template": {"containers": [{"image": IMAGE, **fields}]}}


def template(**fields: Any) -> dict[str, Any]:
    return {"template": {"containers": [{"image": IMAGE}], **fields}}


def limits(cpu: str, memory: str, **fields: Any) -> dict[str, Any]:
    return container(resources={"limits": {"cpu": cpu, "memory": memory}, "cpuIdle": True}) | fields


def env(**entry: Any) -> dict[str, Any]:
    return container(env=[{"name": "A", **entry}])


def mounted(path: str, **source: Any) -> dict[str, Any]:
    made = template(volumes=[{"name": "data", **source}])
    made["template"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": path}]
    return made


def probe(kind: str = "startupProbe", **fields: Any) -> dict[str, Any]:
    return container(**{kind: {"httpGet": {"path": "/"}, **fields}})


PORT = "The following reserved env names were provided: PORT. These values are automatically set by the system."

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no container": ({"template": {}}, "template.containers: must contain 1 to 10 containers."),
    "no image": ({"template": {"containers": [{}]}}, "template.containers[0].image: must be specified."),
    "another registry": (container(image="ghcr.io/shop/api"), "but obtained ghcr.io/shop/api"),
    "this machine's": (container(image="localhost:5000/api"), "Expected an image path like"),
    "no image's name": (container(image="Shop/API"), "Expected an image path like"),
    "port": (env(name="PORT", value="1"), PORT),
    "service": (env(name="K_SERVICE"), "K_SERVICE"),
    "no name": (env(name=""), "env[0].name"),
    "equals": (env(name="A=B"), "env[0].name"),
    "long value": (env(value="x" * 32769), "must be at most 32768 bytes."),
    "no version": (env(valueSource={"secretKeyRef": {"secret": "key"}}), "a version is required."),
    "no secret": (env(valueSource={"secretKeyRef": {"version": "1"}}), "the name of a secret is required."),
    "twice": (container(env=[{"name": "A"}, {"name": "A"}]), "'A' is set more than once."),
    "many": (container(env=[{"name": f"A{number}"} for number in range(1001)]), "at most 1000"),
    "two ports": (container(ports=[{"containerPort": 1}, {"containerPort": 2}]), "ports should contain 0 or 1 port."),
    "no port": (container(ports=[{"containerPort": 70000}]), "'70000' is not a valid port"),
    "protocol": (container(ports=[{"containerPort": 1, "name": "udp"}]), "the name 'udp' must be http1 or h2c."),
    "cpu": (limits("3", "1Gi"), "Invalid value '3'"),
    "cpu form": (limits("much", "1Gi"), "Invalid value 'much'"),
    "memory form": (limits("1", "1Pi"), "Invalid value '1Pi'."),
    "memory for a cpu": (limits("1", "5Gi"), "for 1 CPU, memory must be at most 4096 MiB; it is 5120 MiB."),
    "memory for a half": (limits("0.4", "1Gi"), "for 0.4 CPU, memory must be at most 512 MiB"),
    "memory for four": (limits("4", "1Gi"), "for 4 CPU, memory must be at least 2048 MiB"),
    "least memory": (limits("1", "64Mi"), "must be at least 128 MiB"),
    "least cpu": (limits("50m", "256Mi"), "less than the minimum of 0.08."),
    "other limit": (container(resources={"limits": {"disk": "1"}}), "not 'disk'."),
    "annotation": (template(annotations={"run.googleapis.com/cpu": "1"}), "which API v2 does not support."),
    "annotation's form": ({**template(), "annotations": {"-": "1"}}, "'-' is not a qualified name."),
    "annotations' size": ({**template(), "annotations": {"a": "x" * 300_000}}, "bytes in total."),
    "label with dots": ({**template(), "labels": {"fleetflow.io/a": "b"}}, "the label key 'fleetflow.io/a' must begin"),
    "upper label": ({**template(), "labels": {"a": "B"}}, "the value 'B' of label 'a' must"),
    "system label": (template(labels={"cloud.googleapis.com/a": "b"}), "which API v2 does not support."),
    "many labels": ({**template(), "labels": {f"a{n}": "b" for n in range(65)}}, "at most 64 labels."),
    "description": ({**template(), "description": "x" * 513}, "at most 512 characters."),
    "timeout": (template(timeout="3601s"), "template.timeout: must be between 1s and 3600s."),
    "concurrency": (template(maxInstanceRequestConcurrency=1001), "must be between 0 and 1000."),
    "scaling": (template(scaling={"minInstanceCount": 3, "maxInstanceCount": 2}), "must not be greater"),
    "own scaling": ({**template(), "scaling": {"minInstanceCount": -1}}, "scaling: must not be negative."),
    "account": (template(serviceAccount="me"), "'me' is no email address."),
    "two ways": (
        template(vpcAccess={"connector": "c", "networkInterfaces": [{"network": "n"}]}),
        "connector and networkInterfaces are mutually exclusive.",
    ),
    "two networks": (template(vpcAccess={"networkInterfaces": [{"network": "n"}, {"network": "m"}]}), "only one"),
    "no network": (template(vpcAccess={"networkInterfaces": [{"tags": ["t"]}]}), "must be specified."),
    "probe's total": (probe(periodSeconds=100), "failureThreshold * periodSeconds must be at most 240; it is 300."),
    "probe's timeout": (probe(timeoutSeconds=11), "must be less than or equal to periodSeconds."),
    "probe's delay": (probe(initialDelaySeconds=241), "must be between 0 and 240."),
    "probe's threshold": (probe(failureThreshold=-1), "must be at least 1."),
    "probe of nothing": (container(startupProbe={"periodSeconds": 5}), "exactly one of httpGet, tcpSocket, or grpc"),
    "probe's path": (probe(httpGet={"path": "health"}), "must begin with '/'."),
    "probe's port": (probe(httpGet={"port": 70000}), "must be between 1 and 65535."),
    "live tcp": (container(livenessProbe={"tcpSocket": {}}), "tcpSocket is supported for startup probes only."),
    "volume's name": (mounted("/data", name="Data", emptyDir={}), "'Data' must be a DNS label."),
    "no type": (mounted("/data"), "exactly one type of volume must be specified."),
    "mount of nothing": (container(volumeMounts=[{"name": "x", "mountPath": "/x"}]), "there is no volume 'x'."),
    "relative mount": (mounted("data", emptyDir={}), "'data' must be an absolute path."),
    "colon": (mounted("/a:b", emptyDir={}), "must not contain ':'."),
    "bucket": (mounted("/data", gcs={"bucket": "No Bucket"}), "'No Bucket' is no name of a bucket."),
    "sql's mount": (mounted("/data", cloudSqlInstance={"instances": ["p:r:i"]}), "must be /cloudsql"),
    "sql's form": (
        mounted("/cloudsql", cloudSqlInstance={"instances": ["i"]}),
        "must be {project}:{location}:{instance}.",
    ),
    "no sql": (mounted("/cloudsql", cloudSqlInstance={}), "at least one instance is required."),
    "size": (mounted("/data", emptyDir={"sizeLimit": "big"}), "'big' is no size."),
    "nfs": (mounted("/data", nfs={"server": "10.0.0.1", "path": "/"}), "NFS volumes need VPC access."),
    "secret volume": (mounted("/data", secret={}), "the name of a secret is required."),
    "two without names": ({"template": {"containers": [{"image": "a"}, {"image": "b"}]}}, "each needs a name."),
    "two fronts": (
        {"template": {"containers": [{"name": n, "image": "a", "ports": [{"containerPort": 1}]} for n in ("a", "b")]}},
        "exactly one of several containers must have a port.",
    ),
    "depends on nobody": (container(name="a", dependsOn=["b"]), "there is no container 'b' to depend on."),
}

ACCEPTED: dict[str, dict[str, Any]] = {
    "small": limits("80m", "128Mi"),
    "half": limits("0.5", "1Gi"),
    "eight": limits("8", "32Gi"),
    "h2c": container(ports=[{"containerPort": 1, "name": "h2c"}]),
    "digest": container(image=f"europe-docker.pkg.dev/shop/all/api:1@sha256:{'0' * 64}"),
    "old registry": container(image="eu.gcr.io/shop/api"),
    "docker hub": container(image="docker.io/library/nginx:1.29"),
    "grpc probe": container(livenessProbe={"grpc": {"service": "x"}}),
    "secret": env(valueSource={"secretKeyRef": {"secret": "key", "version": "latest"}}),
    "sql": mounted("/cloudsql", cloudSqlInstance={"instances": ["shop:europe-west1:db"]}),
    "memory": mounted("/data", emptyDir={"medium": "MEMORY", "sizeLimit": "64Mi"}),
    "bucket": mounted("/data", gcs={"bucket": "shop-media"}),
    "labels": {**template(), "labels": {"fleetflow-project": "shop_1"}, "annotations": {"fleetflow.io/hash": "A"}},
    "sidecar": {
        "template": {
            "containers": [
                {"name": "web", "image": "a", "ports": [{"containerPort": 8080}], "dependsOn": ["proxy"]},
                {"name": "proxy", "image": "b"},
            ]
        }
    },
}


def tried(cloud: Cloud, body: dict[str, Any]) -> Any:
    parent = cloud.service.rpartition("/services/")[0]
    return cloud.client.create_service(parent, cloud.id, body, validate_only=True)


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused(cloud: Cloud, what: str) -> None:
    body, answer = REFUSED[what]

    with pytest.raises(CloudRunError) as error:
        tried(cloud, body)

    assert error.value.code == "INVALID_ARGUMENT"
    assert answer in error.value.answer


@pytest.mark.parametrize("what", ACCEPTED)
def test_what_can_be_is_taken(cloud: Cloud, what: str) -> None:
    assert tried(cloud, ACCEPTED[what]).done


def test_below_one_cpu_three_things_more_must_hold(cloud: Cloud) -> None:
    half = {"image": IMAGE, "resources": {"limits": {"cpu": "500m"}, "cpuIdle": False}}
    more = {"maxInstanceRequestConcurrency": 2, "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2"}

    with pytest.raises(CloudRunError) as error:
        tried(cloud, {"template": {"containers": [half], **more}})

    assert error.value.answer.startswith(
        "template.containers[0].resources.limits.cpu: with less than 1 CPU, the concurrency must be 1."
    )
    assert tried(cloud, limits("500m", "512Mi")).response["template"]["maxInstanceRequestConcurrency"] == 1


def test_the_second_generation_needs_more_memory_and_the_first_mounts_no_bucket(cloud: Cloud) -> None:
    small = limits("1", "256Mi")
    small["template"]["executionEnvironment"] = "EXECUTION_ENVIRONMENT_GEN2"
    bucket = mounted("/data", gcs={"bucket": "media"})
    bucket["template"]["executionEnvironment"] = "EXECUTION_ENVIRONMENT_GEN1"

    with pytest.raises(CloudRunError, match="at least 512 MiB"):
        tried(cloud, small)
    with pytest.raises(CloudRunError, match="gcs volumes need the second generation"):
        tried(cloud, bucket)


def test_more_instances_than_the_quota_allows_are_refused(cloud: Cloud) -> None:
    cloud.server.world.cpu_quota = 20

    with pytest.raises(CloudRunError, match="Max instances must be set to 10 or fewer"):
        tried(cloud, limits("2", "1Gi"))
