# SPDX-License-Identifier: Apache-2.0
"""A service of a plan, as a cluster is asked to hold it. No cluster."""

from base64 import b64decode
from typing import Any

import msgspec
import pytest

from fleetflow_tasks.config.model import (
    Healthcheck,
    Ingress,
    Port,
    ProjectName,
    Readiness,
    Resources,
    RuntimeName,
    Scaling,
    Secret,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.runtimes.kubernetes.desired import HASH, TEMPLATE, desired, namespace, stamped
from fleetflow_tasks.runtimes.labels import Mark

from .made import container, lines, named, objects, on, one, plan, pod, rich, service, wanted

MARK = Mark(
    project=ProjectName("shop"), stage=StageName("stg"), service=ServiceName("api"), run="r1", generation=7, hash="x"
)
DATA = Volume(source="data", target="/d")


def db(**fields: Any) -> Any:
    return service("db", **{"ports": (Port(container=5432),), **fields})


def test_a_service_of_few_words_is_one_object_of_few_words() -> None:
    found = wanted()

    assert named(found) == ["Deployment api"]
    text = [line for line in lines(found.workload) if "opologySpread" not in line]
    assert text == [
        "apiVersion: apps/v1",
        "kind: Deployment",
        "metadata.labels.app.kubernetes.io/instance: shop-stg",
        "metadata.labels.app.kubernetes.io/managed-by: fleetflow",
        "metadata.labels.app.kubernetes.io/name: api",
        "metadata.labels.app.kubernetes.io/part-of: shop",
        f"metadata.labels.fleetflow.io/hash: {found.hash}",
        "metadata.labels.fleetflow.io/project: shop",
        "metadata.labels.fleetflow.io/service: api",
        "metadata.labels.fleetflow.io/stage: stg",
        "metadata.name: api",
        "metadata.namespace: shop-stg",
        "spec.minReadySeconds: 3",
        "spec.progressDeadlineSeconds: 300",
        "spec.replicas: 1",
        "spec.revisionHistoryLimit: 3",
        "spec.selector.matchLabels.fleetflow.io/project: shop",
        "spec.selector.matchLabels.fleetflow.io/service: api",
        "spec.selector.matchLabels.fleetflow.io/stage: stg",
        "spec.strategy.rollingUpdate.maxSurge: 25%",
        "spec.strategy.rollingUpdate.maxUnavailable: 0",
        "spec.strategy.type: RollingUpdate",
        "spec.template.metadata.labels.app.kubernetes.io/instance: shop-stg",
        "spec.template.metadata.labels.app.kubernetes.io/managed-by: fleetflow",
        "spec.template.metadata.labels.app.kubernetes.io/name: api",
        "spec.template.metadata.labels.app.kubernetes.io/part-of: shop",
        "spec.template.metadata.labels.fleetflow.io/project: shop",
        "spec.template.metadata.labels.fleetflow.io/service: api",
        "spec.template.metadata.labels.fleetflow.io/stage: stg",
        f"spec.template.metadata.labels.fleetflow.io/template: {found.template}",
        "spec.template.spec.automountServiceAccountToken: False",
        "spec.template.spec.containers[0].image: api:1",
        "spec.template.spec.containers[0].imagePullPolicy: IfNotPresent",
        "spec.template.spec.containers[0].name: api",
        "spec.template.spec.enableServiceLinks: False",
    ]


def test_a_service_of_many_words_says_them_all() -> None:
    stage = rich()
    found = desired(stage, stage.service(ServiceName("api")))

    names = [name.rstrip("0123456789abcdef") for name in named(found)]
    assert names == [
        "ServiceAccount api",
        "ConfigMap api-env-",
        "Secret api-secrets-",
        "PersistentVolumeClaim uploads",
        "PersistentVolumeClaim con",
        "Deployment api",
        "Service api",
        "HorizontalPodAutoscaler api",
        "PodDisruptionBudget api",
        "Ingress api",
    ]
    config, secret = found.added[1]["metadata"]["name"], found.added[2]["metadata"]["name"]
    spread = ("topologySpreadConstraints", "initContainers")
    assert [line for line in lines(pod(found)) if not line.startswith(spread)] == [
        "automountServiceAccountToken: True",
        "containers[0].args[0]: serve",
        "containers[0].args[1]: --now",
        "containers[0].command[0]: /app",
        "containers[0].env[0].name: A.B",
        "containers[0].env[0].valueFrom.configMapKeyRef.key: A.B",
        f"containers[0].env[0].valueFrom.configMapKeyRef.name: {config}",
        "containers[0].env[1].name: DB_URL",
        "containers[0].env[1].valueFrom.secretKeyRef.key: url",
        "containers[0].env[1].valueFrom.secretKeyRef.name: vault",
        "containers[0].env[2].name: LOG",
        "containers[0].env[2].valueFrom.configMapKeyRef.key: LOG",
        f"containers[0].env[2].valueFrom.configMapKeyRef.name: {config}",
        "containers[0].env[3].name: TOKEN",
        "containers[0].env[3].valueFrom.secretKeyRef.key: TOKEN",
        f"containers[0].env[3].valueFrom.secretKeyRef.name: {secret}",
        "containers[0].image: api:1",
        "containers[0].imagePullPolicy: Always",
        "containers[0].lifecycle.preStop.exec.command[0]: sleep",
        "containers[0].lifecycle.preStop.exec.command[1]: 5",
        "containers[0].livenessProbe.exec.command[0]: /app",
        "containers[0].livenessProbe.exec.command[1]: check",
        "containers[0].livenessProbe.failureThreshold: 9",
        "containers[0].livenessProbe.periodSeconds: 10",
        "containers[0].livenessProbe.timeoutSeconds: 5",
        "containers[0].name: api",
        "containers[0].ports[0].containerPort: 80",
        "containers[0].ports[0].name: port-80",
        "containers[0].ports[0].protocol: TCP",
        "containers[0].ports[1].containerPort: 53",
        "containers[0].ports[1].name: port-53-udp",
        "containers[0].ports[1].protocol: UDP",
        "containers[0].readinessProbe.failureThreshold: 3",
        "containers[0].readinessProbe.httpGet.path: /health",
        "containers[0].readinessProbe.httpGet.port: 80",
        "containers[0].readinessProbe.periodSeconds: 1",
        "containers[0].readinessProbe.timeoutSeconds: 2",
        "containers[0].resources.requests.cpu: 100m",
        "containers[0].securityContext.allowPrivilegeEscalation: False",
        "containers[0].securityContext.capabilities.add[0]: NET_BIND_SERVICE",
        "containers[0].securityContext.capabilities.drop[0]: ALL",
        "containers[0].securityContext.readOnlyRootFilesystem: True",
        "containers[0].securityContext.runAsGroup: 1000",
        "containers[0].securityContext.runAsNonRoot: True",
        "containers[0].securityContext.runAsUser: 1000",
        "containers[0].securityContext.seccompProfile.type: RuntimeDefault",
        "containers[0].startupProbe.exec.command[0]: /app",
        "containers[0].startupProbe.exec.command[1]: check",
        "containers[0].startupProbe.failureThreshold: 300",
        "containers[0].startupProbe.periodSeconds: 1",
        "containers[0].startupProbe.timeoutSeconds: 5",
        "containers[0].volumeMounts[0].mountPath: /up",
        "containers[0].volumeMounts[0].name: uploads",
        "containers[0].volumeMounts[1].mountPath: /conf",
        "containers[0].volumeMounts[1].name: conf",
        "containers[0].volumeMounts[1].readOnly: True",
        "containers[0].volumeMounts[2].mountPath: /tmp",
        "containers[0].volumeMounts[2].name: empty-2",
        "containers[0].workingDir: /srv",
        "enableServiceLinks: False",
        "imagePullSecrets[0].name: registry",
        "nodeSelector.kubernetes.io/arch: arm64",
        "priorityClassName: high",
        "serviceAccountName: api",
        "tolerations[0].effect: NoExecute",
        "tolerations[0].key: gpu",
        "tolerations[0].operator: Equal",
        "tolerations[0].tolerationSeconds: 60",
        "tolerations[0].value: yes",
        "tolerations[1].operator: Exists",
        "volumes[0].name: uploads",
        "volumes[0].persistentVolumeClaim.claimName: uploads",
        "volumes[1].name: conf",
        "volumes[1].persistentVolumeClaim.claimName: conf",
        "volumes[2].emptyDir: {}",
        "volumes[2].name: empty-2",
    ]
    assert found.workload["spec"]["template"]["metadata"]["annotations"] == {"prometheus.io/scrape": "true"}
    assert found.workload["metadata"]["labels"]["team"] == "core"


# --- how it stops


def stops(version: str = "", **fields: Any) -> tuple[Any, Any]:
    """(what its pods do before the signal, how many seconds they have in all)."""
    api = service(**{"ports": (Port(container=80),), **fields})
    found = desired(plan(api, version=version), api)
    return container(found).get("lifecycle"), pod(found).get("terminationGracePeriodSeconds")


SLEEP = {"preStop": {"sleep": {"seconds": 3}}}


def test_what_listens_waits_before_it_stops_until_no_more_requests_come() -> None:
    assert stops() == (SLEEP, 33)
    assert stops(ports=()) == stops(ports=(Port(container=53, protocol="udp"),)) == (None, None)
    assert stops(job=True) == (None, None)


def test_how_long_it_waits_can_be_said_and_is_added_to_what_it_has_after_the_signal() -> None:
    assert stops(options={"stop_delay": 0}) == (None, None)
    assert stops(options={"stop_delay": 0, "stop_grace": 60}) == (None, 60)
    assert stops(options={"stop_grace": 0.5}) == (SLEEP, 4)
    assert stops(options={"stop_delay": 9.5}) == ({"preStop": {"sleep": {"seconds": 10}}}, 40)
    assert stops(options={"stop_delay": 5}, ports=()) == ({"preStop": {"sleep": {"seconds": 5}}}, 35)


def test_a_command_before_the_signal_takes_the_place_of_the_wait() -> None:
    command = {"preStop": {"exec": {"command": ["quit"]}}}

    assert stops(options={"pre_stop": ["quit"]}) == (command, None)
    assert stops(options={"pre_stop": ["quit"], "stop_grace": 20}) == (command, 20)


def test_an_older_kubernetes_is_not_asked_for_what_it_does_not_know() -> None:
    assert stops(version="1.28") == stops(version="1.29") == (None, None)
    assert stops(version="1.28", options={"stop_grace": 20, "stop_delay": 5}) == (None, 20)
    assert stops(version="1.30") == stops(version="1.34") == (SLEEP, 33)


# --- what values are kept in


def test_variables_stand_in_objects_that_never_change_and_are_named_by_what_they_hold() -> None:
    def made(value: str) -> list[str]:
        found = wanted(environment={"LOG": value}, secrets={"TOKEN": Secret("s")})
        config, secret = one(found, "ConfigMap"), one(found, "Secret")
        assert config["immutable"] is secret["immutable"] is True
        assert config["data"] == {"LOG": value}
        assert b64decode(secret["data"]["TOKEN"]) == b"s"
        return [config["metadata"]["name"], secret["metadata"]["name"]]

    assert made("info") == made("info")
    assert made("info")[0] != made("debug")[0]
    assert made("info")[1] == made("debug")[1]


def test_a_change_of_a_value_rolls_the_pods() -> None:
    before, after = wanted(environment={"LOG": "info"}), wanted(environment={"LOG": "debug"})

    assert before.template != after.template
    assert before.hash != after.hash


def test_a_secret_of_a_variables_name_hides_it() -> None:
    found = wanted(
        environment={"A": "1", "B": "2"}, secrets={"A": Secret("s"), "C": Secret("t")}, secret_refs={"B": "n/k"}
    )

    assert objects(found, "ConfigMap") == []
    assert list(one(found, "Secret")["data"]) == ["A", "C"]
    assert [next(iter(each["valueFrom"])) for each in container(found)["env"]] == ["secretKeyRef"] * 3


def test_a_secrets_value_is_in_no_hash_but_that_in_its_name() -> None:
    one_secret, other = wanted(secrets={"A": Secret("s")}), wanted(secrets={"A": Secret("t")})
    names = [each.added[0]["metadata"]["name"] for each in (one_secret, other)]
    labelled = [each.added[0]["metadata"]["labels"][HASH] for each in (one_secret, other)]

    assert names[0] != names[1]
    assert labelled[0] != labelled[1]  # since it covers the name


# --- hashes


def test_each_object_says_what_it_was_made_from_so_that_another_image_is_one_object_to_send() -> None:
    def labelled(image: str) -> dict[str, str]:
        found = wanted(image=image, environment={"A": "1"}, ports=(Port(container=80),), replicas=2)
        return {each["kind"]: each["metadata"]["labels"][HASH] for each in found.objects}

    before, after = labelled("api:1"), labelled("api:2")

    assert {kind for kind, value in before.items() if after[kind] != value} == {"Deployment"}


def test_the_hash_of_a_service_covers_all_its_objects_and_that_of_the_template_only_the_pods() -> None:
    usual = wanted(ports=(Port(container=80),))
    another = wanted(ports=(Port(container=80),), options={"service_annotations": {"a": "b"}})

    assert usual.hash != another.hash
    assert usual.template == another.template
    assert usual.workload["metadata"]["labels"][HASH] == usual.hash


def test_one_copy_more_leaves_the_others_alone() -> None:
    assert wanted(replicas=1).template == wanted(replicas=3).template == wanted(scaling=Scaling(max=9)).template


def test_places_in_the_text_are_in_no_hash() -> None:
    stage = rich()
    moved = msgspec.structs.replace(
        stage, services=tuple(msgspec.structs.replace(each, places={}) for each in stage.services), root="/elsewhere"
    )

    assert [desired(stage, each).hash for each in stage.services if each.runtime == "kubernetes"] == [
        desired(moved, each).hash for each in moved.services if each.runtime == "kubernetes"
    ]


def test_who_made_an_object_stands_on_it_and_never_on_its_pods() -> None:
    found = wanted()
    sent = stamped(found.workload, MARK)

    assert sent["metadata"]["labels"]["fleetflow.io/run"] == "r1"
    assert sent["metadata"]["labels"]["fleetflow.io/generation"] == "7"
    assert sent["metadata"]["labels"][HASH] == found.hash
    assert sent["spec"] == found.workload["spec"]
    assert stamped(found.workload, Mark(project=MARK.project, stage=MARK.stage)) == found.workload


def test_a_users_label_is_on_objects_and_pods_and_in_no_selector() -> None:
    found = wanted(labels={"team": "core", "app.kubernetes.io/name": "other", "fleetflow.io/service": "no"})

    labels = found.workload["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "core"
    assert labels["app.kubernetes.io/name"] == "other"
    assert labels["fleetflow.io/service"] == "api"
    assert found.workload["spec"]["selector"]["matchLabels"] == found.selector
    assert found.selector == {
        "fleetflow.io/project": "shop",
        "fleetflow.io/stage": "stg",
        "fleetflow.io/service": "api",
    }


def test_the_namespace_belongs_to_the_stage() -> None:
    assert lines(namespace(plan(namespace="n"))) == [
        "apiVersion: v1",
        "kind: Namespace",
        "metadata.labels.app.kubernetes.io/instance: shop-stg",
        "metadata.labels.app.kubernetes.io/managed-by: fleetflow",
        "metadata.labels.app.kubernetes.io/part-of: shop",
        "metadata.labels.fleetflow.io/project: shop",
        "metadata.labels.fleetflow.io/stage: stg",
        "metadata.name: n",
    ]


# --- checks


@pytest.mark.parametrize(
    ("fields", "probes"),
    [
        ({}, {}),
        ({"healthcheck": Healthcheck(test=("NONE",))}, {}),
        (
            {"healthcheck": Healthcheck(test=("CMD-SHELL", "up $(id)"))},
            {"startupProbe": (1, 5, 300), "readinessProbe": (10, 5, 3), "livenessProbe": (10, 5, 9)},
        ),
        (
            {"healthcheck": Healthcheck(test=("CMD", "up"), interval=0.5, timeout=0.2, retries=4, start_period=8.0)},
            {"startupProbe": (1, 1, 10), "readinessProbe": (1, 1, 4), "livenessProbe": (10, 1, 6)},
        ),
        (
            {"healthcheck": Healthcheck(test=("CMD", "up"), interval=30.0, start_period=0.0)},
            {"startupProbe": (1, 5, 90), "readinessProbe": (30, 5, 3), "livenessProbe": (30, 5, 9)},
        ),
        (
            {"readiness": Readiness(timeout=1.0, interval=2.5), "ports": (Port(container=80),)},
            {"readinessProbe": (3, 1, 3)},
        ),
    ],
)
def test_a_check_becomes_probes(fields: dict[str, Any], probes: dict[str, tuple[int, int, int]]) -> None:
    found = container(wanted(**fields))

    assert {
        name: (probe["periodSeconds"], probe["timeoutSeconds"], probe["failureThreshold"])
        for name, probe in found.items()
        if name.endswith("Probe")
    } == probes


def test_a_shell_line_is_run_by_a_shell_and_nothing_in_it_is_expanded_by_the_cluster() -> None:
    found = container(wanted(healthcheck=Healthcheck(test=("CMD-SHELL", "test $(id -u) = $$"))))

    assert found["readinessProbe"]["exec"]["command"] == ["/bin/sh", "-c", "test $$(id -u) = $$$$"]


def test_http_readiness_beside_a_healthcheck_is_what_decides_and_the_other_kills() -> None:
    found = container(
        wanted(healthcheck=Healthcheck(test=("CMD", "up")), readiness=Readiness(path="/h"), ports=(Port(container=80),))
    )

    assert found["readinessProbe"]["httpGet"] == {"path": "/h", "port": 80}
    assert found["livenessProbe"]["exec"] == {"command": ["up"]}


def test_what_has_no_check_must_stay_up_for_a_moment() -> None:
    def times(check: Healthcheck | None) -> tuple[int | None, int]:
        spec = wanted(timeout=1.0, healthcheck=check).workload["spec"]
        return spec.get("minReadySeconds"), spec["progressDeadlineSeconds"]

    assert times(None) == (3, 4)
    assert times(Healthcheck(test=("CMD", "up"))) == (None, 1)


# --- volumes


def test_a_volume_that_one_service_writes_is_one_for_each_of_its_pods() -> None:
    found = wanted(volumes=(DATA,), options={"storage_class": "fast"})

    assert named(found) == ["StatefulSet api", "Service api-pods"]
    spec = found.workload["spec"]
    assert lines(spec["volumeClaimTemplates"]) == [
        "[0].metadata.name: data",
        "[0].spec.accessModes[0]: ReadWriteOnce",
        "[0].spec.resources.requests.storage: 1Gi",
        "[0].spec.storageClassName: fast",
    ]
    assert (spec["serviceName"], spec["podManagementPolicy"]) == ("api-pods", "Parallel")
    assert "volumes" not in pod(found)
    service_of_pods = one(found, "Service")["spec"]
    assert (service_of_pods["clusterIP"], service_of_pods["publishNotReadyAddresses"]) == ("None", True)
    assert "ports" not in service_of_pods


@pytest.mark.parametrize(
    ("fields", "others", "strategy"),
    [
        ({"volumes": (DATA,), "options": {"access_mode": "ReadWriteMany"}}, (), "RollingUpdate"),
        ({"volumes": (DATA,)}, (service("other", volumes=(DATA,)),), "Recreate"),
        (
            {"volumes": (Volume(source="data", target="/d", read_only=True),)},
            (service("other", volumes=(DATA,)),),
            "RollingUpdate",
        ),
        ({"volumes": (Volume(source="data", target="/d", read_only=True),)}, (), "RollingUpdate"),
        (
            {"volumes": (DATA,), "options": {"strategy": "rolling"}},
            (service("other", volumes=(DATA,)),),
            "RollingUpdate",
        ),
        ({"volumes": (Volume(source="", target="/d"),), "options": {"strategy": "recreate"}}, (), "Recreate"),
    ],
)
def test_every_other_volume_is_one_claim_of_its_own_name(
    fields: dict[str, Any], others: tuple[Any, ...], strategy: str
) -> None:
    found = wanted(*others, **fields)

    assert found.workload["kind"] == "Deployment"
    assert found.workload["spec"]["strategy"]["type"] == strategy


def test_a_volume_on_another_runtime_is_another_volume() -> None:
    elsewhere = service("other", runtime=RuntimeName("docker"), volumes=(DATA,))

    assert wanted(elsewhere, volumes=(DATA,)).workload["kind"] == "StatefulSet"


def test_a_shared_claim_is_the_same_whoever_sends_it() -> None:
    small = service("a", volumes=(Volume(source="data", target="/d", size=1 << 20),))
    large = service("b", volumes=(Volume(source="data", target="/x", size=5 << 30),), options={"storage_class": "fast"})
    stage = plan(small, large)
    one_claim, other = (one(desired(stage, each), "PersistentVolumeClaim") for each in (small, large))

    assert stamped(one_claim, MARK) == stamped(other, MARK)
    assert [line for line in lines(one_claim) if not line.startswith("metadata.labels.app")] == [
        "apiVersion: v1",
        "kind: PersistentVolumeClaim",
        f"metadata.labels.fleetflow.io/hash: {one_claim['metadata']['labels'][HASH]}",
        "metadata.labels.fleetflow.io/project: shop",
        "metadata.labels.fleetflow.io/stage: stg",
        "metadata.name: data",
        "metadata.namespace: shop-stg",
        "spec.accessModes[0]: ReadWriteOnce",
        "spec.resources.requests.storage: 5Gi",
        "spec.storageClassName: fast",
    ]


def test_a_volume_that_is_mounted_twice_is_one_volume() -> None:
    found = wanted(volumes=(DATA, Volume(source="data", target="/e", read_only=True)))

    assert [each["metadata"]["name"] for each in found.workload["spec"]["volumeClaimTemplates"]] == ["data"]
    assert [each["mountPath"] for each in container(found)["volumeMounts"]] == ["/d", "/e"]


# --- jobs


def test_a_job_is_named_by_what_it_runs() -> None:
    found = wanted(job=True, timeout=30.5, options={"backoff_limit": 2})

    digits = found.template.removeprefix("v1-")[:8]
    assert named(found) == [f"Job api-{digits}"]
    assert lines({key: value for key, value in found.workload["spec"].items() if key != "template"}) == [
        "activeDeadlineSeconds: 31",
        "backoffLimit: 2",
        "podFailurePolicy.rules[0].action: Ignore",
        "podFailurePolicy.rules[0].onPodConditions[0].status: True",
        "podFailurePolicy.rules[0].onPodConditions[0].type: DisruptionTarget",
    ]
    assert pod(found)["restartPolicy"] == "Never"
    assert "topologySpreadConstraints" not in pod(found)
    assert found.workload["spec"]["template"]["metadata"]["labels"][TEMPLATE] == found.template


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"timeout": 9.0}, True),
        ({"depends_on": (on("db"),)}, True),
        ({"command": ("again",)}, False),
        ({"environment": {"A": "1"}}, False),
    ],
)
def test_a_job_runs_again_when_what_it_runs_has_changed_and_for_nothing_else(
    change: dict[str, Any], same: bool
) -> None:
    before, after = wanted(db(), job=True), wanted(db(), job=True, **change)

    assert (named(before)[-1] == named(after)[-1]) is same
    assert (before.hash == after.hash) is same


def test_a_job_for_every_deployment_has_a_name_in_each_run_and_one_that_is_not_has_none() -> None:
    def name(rerun: str, run: str) -> str:
        return named(wanted(job=True, rerun=rerun, run=run))[0]

    assert name("always", "r1") == name("always", "r1") != name("always", "r2")
    assert name("always", "r1").startswith(name("always", ""))
    assert name("changed", "r1") == name("changed", "r2")


def test_a_job_has_neither_service_nor_checks_nor_claims_of_its_own() -> None:
    found = wanted(
        job=True, ports=(Port(container=80),), volumes=(DATA,), healthcheck=Healthcheck(test=("CMD", "x")), replicas=2
    )

    assert [each["kind"] for each in found.objects] == ["PersistentVolumeClaim", "Job"]
    assert "livenessProbe" not in container(found)


# --- how it is reached


def test_a_service_is_reached_at_its_ports_inside_as_on_docker() -> None:
    found = wanted(
        ports=(Port(container=80, host=8080), Port(container=80, host=8081), Port(container=80, protocol="udp"))
    )

    assert lines(one(found, "Service")["spec"]["ports"]) == [
        "[0].name: port-80",
        "[0].port: 80",
        "[0].protocol: TCP",
        "[0].targetPort: 80",
        "[1].name: port-80-udp",
        "[1].port: 80",
        "[1].protocol: UDP",
        "[1].targetPort: 80",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "ClusterIP - 80->80"),
        ({"service_type": "Headless"}, "ClusterIP None 80->80"),
        ({"service_type": "LoadBalancer"}, "LoadBalancer - 80->80 8080->80"),
        ({"service_type": "NodePort", "node_port": 30080}, "NodePort - 80->80:30080 8080->80"),
    ],
)
def test_a_host_port_counts_where_the_service_has_an_address_outside(options: dict[str, Any], expected: str) -> None:
    spec = one(wanted(ports=(Port(container=80, host=8080),), options=options), "Service")["spec"]

    ports = [
        f"{each['port']}->{each['targetPort']}" + f":{each.get('nodePort', '')}".rstrip(":") for each in spec["ports"]
    ]
    assert " ".join([spec["type"], spec.get("clusterIP", "-"), *ports]) == expected


def test_an_ingress_leads_each_host_and_path_to_its_port() -> None:
    found = wanted(
        ports=(Port(container=80), Port(container=53, protocol="udp")),
        ingress=(
            Ingress(host="b.org", tls="cert"),
            Ingress(host="a.org"),
            Ingress(host="b.org", path="/v2", port=80, tls="cert"),
        ),
        options={"ingress_class": "nginx", "ingress_annotations": {"x": "y"}},
    )

    made = one(found, "Ingress")
    assert made["metadata"]["annotations"] == {"x": "y"}
    assert [line for line in lines(made["spec"]) if ".backend" not in line] == [
        "ingressClassName: nginx",
        "rules[0].host: a.org",
        "rules[0].http.paths[0].path: /",
        "rules[0].http.paths[0].pathType: Prefix",
        "rules[1].host: b.org",
        "rules[1].http.paths[0].path: /",
        "rules[1].http.paths[0].pathType: Prefix",
        "rules[1].http.paths[1].path: /v2",
        "rules[1].http.paths[1].pathType: Prefix",
        "tls[0].hosts[0]: b.org",
        "tls[0].secretName: cert",
    ]
    assert made["spec"]["rules"][0]["http"]["paths"][0]["backend"] == {
        "service": {"name": "api", "port": {"number": 80}}
    }


# --- how many


@pytest.mark.parametrize(
    ("fields", "kinds", "replicas"),
    [
        ({}, [], 1),
        ({"replicas": 0}, [], 0),
        ({"replicas": 2}, ["PodDisruptionBudget"], 2),
        ({"replicas": 2, "options": {"pdb": False}}, [], 2),
        ({"scaling": Scaling(min=1, max=1)}, ["HorizontalPodAutoscaler"], None),
        ({"scaling": Scaling(min=1, max=2), "replicas": 2}, ["HorizontalPodAutoscaler", "PodDisruptionBudget"], None),
    ],
)
def test_an_autoscaler_owns_the_number_of_copies(
    fields: dict[str, Any], kinds: list[str], replicas: int | None
) -> None:
    found = wanted(**fields)

    assert [each["kind"] for each in found.around] == kinds
    assert found.workload["spec"].get("replicas") == replicas


def test_an_autoscaler_says_what_it_scales_and_by_what() -> None:
    found = wanted(scaling=Scaling(min=2, max=9), volumes=(DATA,))

    assert lines(one(found, "HorizontalPodAutoscaler")["spec"]) == [
        "maxReplicas: 9",
        "metrics[0].resource.name: cpu",
        "metrics[0].resource.target.averageUtilization: 80",
        "metrics[0].resource.target.type: Utilization",
        "metrics[0].type: Resource",
        "minReplicas: 2",
        "scaleTargetRef.apiVersion: apps/v1",
        "scaleTargetRef.kind: StatefulSet",
        "scaleTargetRef.name: api",
    ]


@pytest.mark.parametrize(("said", "sent"), [("", "25%"), ("2", 2), ("100%", "100%")])
def test_how_many_more_there_may_be_during_a_rollout(said: str, sent: object) -> None:
    found = wanted(options={"max_surge": said})

    assert found.workload["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": sent}


# --- what the pod is


def test_resources_are_written_as_the_cluster_will_give_them_back() -> None:
    found = container(wanted(resources=Resources(cpu=0.5, memory=256 << 20, cpu_limit=2, memory_limit=500_000_000)))

    assert lines(found["resources"]) == [
        "limits.cpu: 2",
        "limits.memory: 500M",
        "requests.cpu: 500m",
        "requests.memory: 256Mi",
    ]


def test_command_and_entrypoint_have_their_own_names_here_and_are_not_expanded() -> None:
    found = container(wanted(entrypoint=("/app", "$(A)"), command=("run", "$$", "$B")))

    assert (found["command"], found["args"]) == (["/app", "$$(A)"], ["run", "$$$$", "$B"])


@pytest.mark.parametrize(("said", "sent"), [("missing", "IfNotPresent"), ("always", "Always"), ("never", "Never")])
def test_when_the_image_is_asked_for(said: str, sent: str) -> None:
    assert container(wanted(pull=said))["imagePullPolicy"] == sent


@pytest.mark.parametrize(
    ("account", "name", "made"),
    [
        ({"name": "batch"}, "batch", []),
        ({"create": True}, "api", ["ServiceAccount api"]),
        ({"create": True, "name": "x"}, "x", ["ServiceAccount x"]),
    ],
)
def test_a_service_account_is_used_or_made(account: dict[str, Any], name: str, made: list[str]) -> None:
    found = wanted(options={"service_account": account})

    assert pod(found)["serviceAccountName"] == name
    assert [each for each in named(found) if each.startswith("ServiceAccount")] == made


def test_rights_are_said_only_where_they_are_asked_for() -> None:
    assert "securityContext" not in container(wanted())
    assert "securityContext" not in pod(wanted())
    options = {"privileged": True, "run_as_user": 0, "fs_group": 5, "stop_grace": 0}
    found = wanted(options=options)
    assert container(found)["securityContext"] == {"privileged": True, "runAsUser": 0}
    assert pod(found)["securityContext"] == {"fsGroup": 5}
    assert pod(found)["terminationGracePeriodSeconds"] == 0


# --- waiting


def test_a_pod_waits_for_its_dependency_through_its_service() -> None:
    found = wanted(db(), depends_on=(on("db"),))

    (init,) = pod(found)["initContainers"]
    asked = "nc -z -w 2 db 5432 || nc -w 2 db 5432 -e true"
    line = f"echo waiting for db:5432; until {asked}; do sleep 1; done 2>/dev/null"
    assert lines(init) == [
        "command[0]: sh",
        "command[1]: -c",
        f"command[2]: {line}",
        "image: busybox:1.37.0",
        "imagePullPolicy: IfNotPresent",
        "name: wait-for-db",
        "resources.limits.cpu: 50m",
        "resources.limits.memory: 16Mi",
        "resources.requests.cpu: 10m",
        "resources.requests.memory: 16Mi",
        "securityContext.allowPrivilegeEscalation: False",
        "securityContext.capabilities.drop[0]: ALL",
        "securityContext.readOnlyRootFilesystem: True",
        "securityContext.runAsNonRoot: True",
        "securityContext.runAsUser: 65534",
        "securityContext.seccompProfile.type: RuntimeDefault",
    ]


@pytest.mark.parametrize(
    ("other", "wait", "waits"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"ports": ()}, True, False),
        ({"ports": (Port(container=53, protocol="udp"),)}, True, False),
        ({"job": True}, True, False),
        ({"replicas": 0}, True, False),
        ({"runtime": RuntimeName("docker")}, True, False),
        ({"options": {"service_type": "Headless"}}, True, False),
    ],
)
def test_only_what_can_be_asked_without_rights_is_waited_for(other: dict[str, Any], wait: bool, waits: bool) -> None:
    found = wanted(db(**other), depends_on=(on("db", wait=wait),))

    assert ("initContainers" in pod(found)) is waits


def test_a_long_name_of_a_dependency_is_shortened_where_nobody_types_it() -> None:
    long = "d" * 63
    found = wanted(service(long, ports=(Port(container=80),)), depends_on=(on(long),))

    (init,) = pod(found)["initContainers"]
    assert init["name"].startswith("wait-for-dddd")
    assert len(init["name"]) == 63
