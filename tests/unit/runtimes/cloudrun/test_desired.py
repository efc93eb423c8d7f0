# SPDX-License-Identifier: Apache-2.0
"""What Cloud Run would be asked to hold: the whole object, line by line, and what its hashes cover."""

from typing import Any

import pytest
from google.cloud import run_v2
from google.protobuf import json_format

from fleetflow_tasks.config.model import (
    Healthcheck,
    Port,
    ProjectName,
    Readiness,
    Resources,
    RuntimeName,
    Scaling,
    Secret,
    ServiceName,
    StageName,
)
from fleetflow_tasks.runtimes.cloudrun.desired import Desired, desired, marked, renewed
from fleetflow_tasks.runtimes.cloudrun.form import Json, seconds
from fleetflow_tasks.runtimes.cloudrun.names import mark
from fleetflow_tasks.runtimes.labels import Mark

from .made import IMAGE, container, job, lines, on, plan, rich, service, wanted

MARK = Mark(
    project=ProjectName("shop"),
    stage=StageName("prd"),
    run="01JDAB",
    generation=7,
    hash="not this one",
)


def of(name: str) -> Desired:
    made = rich()
    return desired(made, made.service(ServiceName(name)))


def test_a_service_that_says_nothing_asks_for_little() -> None:
    found = wanted()

    assert found.name == "projects/shop-prd/locations/europe-west1/services/shop-prd-api"
    assert (found.kind, found.invokers, found.public, found.share) == ("service", (), False, None)
    assert lines(found.body) == [
        "ingress: INGRESS_TRAFFIC_ALL",
        f"template.containers[0].image: {IMAGE}",
        "template.containers[0].ports[0].containerPort: 80",
        "template.containers[0].ports[0].name: http1",
        "template.containers[0].resources.cpuIdle: True",
    ]


def test_a_service_that_says_everything() -> None:
    found = of("api")

    assert (found.invokers, found.public, found.share) == ((), True, 10)
    assert lines(found.body) == [
        "annotations.example.org/owner: core",
        "description: the shop's API",
        "ingress: INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER",
        "invokerIamDisabled: True",
        "labels.team: core",
        "scaling.maxInstanceCount: 10",
        "scaling.minInstanceCount: 1",
        "template.containers[0].args[0]: serve",
        "template.containers[0].args[1]: --now",
        "template.containers[0].command[0]: /app",
        "template.containers[0].env[0].name: DB_URL",
        "template.containers[0].env[0].valueSource.secretKeyRef.secret: projects/other/secrets/db",
        "template.containers[0].env[0].valueSource.secretKeyRef.version: 7",
        "template.containers[0].env[1].name: LOG",
        "template.containers[0].env[1].value: info",
        "template.containers[0].env[2].name: TOKEN",
        "template.containers[0].env[2].valueSource.secretKeyRef.secret: token",
        "template.containers[0].env[2].valueSource.secretKeyRef.version: latest",
        f"template.containers[0].image: {IMAGE}",
        "template.containers[0].livenessProbe.failureThreshold: 2",
        "template.containers[0].livenessProbe.grpc.port: 80",
        "template.containers[0].livenessProbe.initialDelaySeconds: 5",
        "template.containers[0].livenessProbe.periodSeconds: 30",
        "template.containers[0].livenessProbe.timeoutSeconds: 3",
        "template.containers[0].ports[0].containerPort: 80",
        "template.containers[0].ports[0].name: h2c",
        "template.containers[0].resources.cpuIdle: False",
        "template.containers[0].resources.limits.cpu: 2",
        "template.containers[0].resources.limits.memory: 1Gi",
        "template.containers[0].resources.startupCpuBoost: True",
        "template.containers[0].startupProbe.failureThreshold: 30",
        "template.containers[0].startupProbe.httpGet.path: /health",
        "template.containers[0].startupProbe.httpGet.port: 81",
        "template.containers[0].startupProbe.periodSeconds: 2",
        "template.containers[0].startupProbe.timeoutSeconds: 2",
        "template.containers[0].volumeMounts[0].mountPath: /assets",
        "template.containers[0].volumeMounts[0].name: bucket-1",
        "template.containers[0].volumeMounts[1].mountPath: /uploads",
        "template.containers[0].volumeMounts[1].name: bucket-2",
        "template.containers[0].volumeMounts[2].mountPath: /cache",
        "template.containers[0].volumeMounts[2].name: memory-1",
        "template.containers[0].volumeMounts[3].mountPath: /tmp/scratch",
        "template.containers[0].volumeMounts[3].name: memory-2",
        "template.containers[0].volumeMounts[4].mountPath: /share",
        "template.containers[0].volumeMounts[4].name: nfs-1",
        "template.containers[0].volumeMounts[5].mountPath: /more",
        "template.containers[0].volumeMounts[5].name: nfs-2",
        "template.containers[0].volumeMounts[6].mountPath: /etc/tls",
        "template.containers[0].volumeMounts[6].name: secret-1",
        "template.containers[0].volumeMounts[7].mountPath: /cloudsql",
        "template.containers[0].volumeMounts[7].name: cloudsql",
        "template.containers[0].workingDir: /srv",
        "template.encryptionKey: projects/p/locations/l/keyRings/r/cryptoKeys/k",
        "template.executionEnvironment: EXECUTION_ENVIRONMENT_GEN2",
        "template.labels.team: core",
        "template.maxInstanceRequestConcurrency: 40",
        "template.serviceAccount: api@shop-prd.iam.gserviceaccount.com",
        "template.sessionAffinity: True",
        "template.timeout: 60s",
        "template.volumes[0].gcs.bucket: assets",
        "template.volumes[0].gcs.mountOptions[0]: only-dir=public",
        "template.volumes[0].gcs.readOnly: True",
        "template.volumes[0].name: bucket-1",
        "template.volumes[1].gcs.bucket: uploads",
        "template.volumes[1].name: bucket-2",
        "template.volumes[2].emptyDir.medium: MEMORY",
        "template.volumes[2].emptyDir.sizeLimit: 256Mi",
        "template.volumes[2].name: memory-1",
        "template.volumes[3].emptyDir.medium: MEMORY",
        "template.volumes[3].name: memory-2",
        "template.volumes[4].name: nfs-1",
        "template.volumes[4].nfs.path: /share",
        "template.volumes[4].nfs.readOnly: True",
        "template.volumes[4].nfs.server: 10.0.0.2",
        "template.volumes[5].name: nfs-2",
        "template.volumes[5].nfs.path: /more",
        "template.volumes[5].nfs.server: 10.0.0.2",
        "template.volumes[6].name: secret-1",
        "template.volumes[6].secret.items[0].path: key.pem",
        "template.volumes[6].secret.items[0].version: 3",
        "template.volumes[6].secret.secret: tls",
        "template.volumes[7].cloudSqlInstance.instances[0]: shop-prd:europe-west1:shop",
        "template.volumes[7].name: cloudsql",
        "template.vpcAccess.egress: ALL_TRAFFIC",
        "template.vpcAccess.networkInterfaces[0].network: default",
        "template.vpcAccess.networkInterfaces[0].subnetwork: run",
        "template.vpcAccess.networkInterfaces[0].tags[0]: api",
    ]


def test_a_service_of_the_other_kinds() -> None:
    found = of("web")

    assert found.invokers == ("user:me@example.org",)
    assert lines(found.body) == [
        "ingress: INGRESS_TRAFFIC_INTERNAL_ONLY",
        f"template.containers[0].image: {IMAGE}",
        "template.containers[0].livenessProbe.failureThreshold: 3",
        "template.containers[0].livenessProbe.httpGet.path: /alive",
        "template.containers[0].livenessProbe.httpGet.port: 8080",
        "template.containers[0].livenessProbe.periodSeconds: 10",
        "template.containers[0].livenessProbe.timeoutSeconds: 1",
        "template.containers[0].ports[0].containerPort: 8080",
        "template.containers[0].ports[0].name: http1",
        "template.containers[0].resources.cpuIdle: True",
        "template.containers[0].startupProbe.failureThreshold: 30",
        "template.containers[0].startupProbe.periodSeconds: 2",
        "template.containers[0].startupProbe.tcpSocket.port: 9000",
        "template.containers[0].startupProbe.timeoutSeconds: 1",
        "template.executionEnvironment: EXECUTION_ENVIRONMENT_GEN1",
        "template.serviceAccount: web@shop-prd.iam.gserviceaccount.com",
        "template.vpcAccess.connector: inside",
        "template.vpcAccess.egress: PRIVATE_RANGES_ONLY",
    ]


def test_a_job_is_a_job_and_is_not_tried_again_unasked() -> None:
    found, plain = of("migrate"), desired(plan(job()), job())

    assert found.name == "projects/shop-prd/locations/europe-west1/jobs/shop-prd-migrate"
    assert (found.kind, found.invokers, found.public, found.share) == ("job", (), False, None)
    assert lines(found.body) == [
        "labels.team: core",
        "template.labels.team: core",
        "template.parallelism: 2",
        "template.taskCount: 3",
        "template.template.containers[0].args[0]: migrate",
        "template.template.containers[0].env[0].name: PORT",
        "template.template.containers[0].env[0].value: 80",
        f"template.template.containers[0].image: {IMAGE}",
        "template.template.containers[0].resources.limits.cpu: 1",
        "template.template.containers[0].resources.limits.memory: 512Mi",
        "template.template.executionEnvironment: EXECUTION_ENVIRONMENT_GEN2",
        "template.template.maxRetries: 1",
        "template.template.timeout: 90.500s",
    ]
    assert lines(plain.body) == [
        "template.taskCount: 1",
        f"template.template.containers[0].image: {IMAGE}",
        "template.template.maxRetries: 0",
        "template.template.timeout: 300s",
    ]


@pytest.mark.parametrize("name", ["api", "web", "migrate"])
def test_the_api_takes_every_field_and_gives_the_same_back(name: str) -> None:
    found = of(name)
    sent = marked(found, MARK)
    kind = run_v2.Job if found.kind == "job" else run_v2.Service

    message = json_format.ParseDict(dict(sent), kind.pb(kind()))
    back = json_format.MessageToDict(message)

    assert [line for line in lines(sent) if line not in lines(back)] in (
        [],
        ["template.containers[0].resources.cpuIdle: False"],  # what is false is left out of JSON
    )


def test_a_secret_by_value_never_stands_in_the_object() -> None:
    found = wanted(secrets={"TOKEN": Secret("geheim-canary")}, secret_refs={"BAD": "a/b/c"})

    assert "geheim-canary" not in str(marked(found, MARK))
    assert "env" not in container(found)


def test_whose_it_is_stands_on_the_object_and_not_on_its_template() -> None:
    found = wanted(options={"invokers": ["user:a@b.c"]})
    sent, without = marked(found, MARK), marked(found, MARK, invokers=())

    assert sent["template"] == found.body["template"]
    assert lines(sent["labels"]) == [
        "fleetflow-generation: 7",
        "fleetflow-project: shop",
        "fleetflow-run: 01jdab",
        "fleetflow-service: api",
        "fleetflow-stage: prd",
    ]
    assert lines(sent["annotations"]) == [
        f"fleetflow.io/hash: {found.hash}",
        "fleetflow.io/invokers: user:a@b.c",
        "fleetflow.io/run: 01JDAB",
        f"fleetflow.io/template: {found.template}",
    ]
    assert "fleetflow.io/invokers" not in without["annotations"]


def test_what_was_marked_is_read_as_it_was_written() -> None:
    found = wanted()

    assert mark(marked(found, MARK)) == Mark(
        project=ProjectName("shop"),
        stage=StageName("prd"),
        service=ServiceName("api"),
        run="01JDAB",
        generation=7,
        hash=found.hash,
    )
    assert mark({"labels": {"fleetflow-project": "shop", "fleetflow-stage": "prd", "fleetflow-run": "x"}}) == Mark(
        project=ProjectName("shop"), stage=StageName("prd"), run="x"
    )
    assert mark({}) is None
    assert mark({"labels": {"team": "core"}}) is None


def test_our_labels_beat_what_the_text_says() -> None:
    sent = marked(wanted(labels={"team": "core", "fleetflow-stage": "dev"}), MARK)

    assert sent["labels"]["fleetflow-stage"] == "prd"
    assert sent["labels"]["team"] == "core"


def test_a_template_renewed_is_another_one_with_the_same_content() -> None:
    body = wanted().body
    again = renewed(body, "01JDAB")

    assert lines(again) == sorted([*lines(body), "template.annotations.fleetflow.io/again: 01JDAB"])
    assert lines(renewed(again, "01JDAC")["template"]["annotations"]) == ["fleetflow.io/again: 01JDAC"]


def hashes(**fields: Any) -> tuple[bool, bool]:
    """Whether the hash of the template, and that of everything, is another one with *fields*."""
    return _compared(wanted(), wanted(**fields))


def job_hashes(**fields: Any) -> tuple[bool, bool]:
    return _compared(desired(plan(), job()), desired(plan(), job(**fields)))


def _compared(one: Desired, other: Desired) -> tuple[bool, bool]:
    return one.template != other.template, one.hash != other.hash


@pytest.mark.parametrize(
    ("fields", "template"),
    [
        ({"environment": {"EDGE_URL": "https://edge"}}, True),
        ({"image": "api:2"}, True),
        ({"labels": {"team": "core"}}, True),
        ({"secret_refs": {"A": "a:1"}}, True),
        ({"scaling": Scaling(min=0, max=3)}, False),
        ({"options": {"public": True}}, False),
        ({"options": {"invokers": ["user:a@b.c"]}}, False),
        ({"options": {"description": "x"}}, False),
        ({"options": {"traffic": 10}}, False),
        ({"options": {"ingress": "internal"}}, False),
    ],
)
def test_what_a_revision_is_made_of_counts_in_both_hashes_all_else_in_one(fields: Any, template: bool) -> None:
    assert hashes(**fields) == (template, True)


def test_what_is_of_no_consequence_counts_in_no_hash() -> None:
    assert hashes(retries=9, timeout=1.0, depends_on=(on("db"),), pull="always") == (False, False)
    assert wanted().hash.startswith("v1-")
    assert len(wanted().hash) == 43


@pytest.mark.parametrize(
    ("fields", "template"),
    [
        ({"image": "migrate:2"}, True),
        ({"environment": {"A": "1"}}, True),
        ({"options": {"tasks": 2}}, True),
        ({"timeout": 60.0}, False),
        ({"labels": {"team": "core"}}, False),
        ({"options": {"max_retries": 3}}, False),
        ({"options": {"parallelism": 3}}, False),
    ],
)
def test_a_job_runs_again_only_for_what_it_runs(fields: Any, template: bool) -> None:
    assert job_hashes(**fields) == (template, True)


def test_who_depends_on_a_service_may_call_it() -> None:
    caller = service("web", depends_on=(on("api"),), options={"service_account": "web@p.iam.gserviceaccount.com"})
    nobody = service("cron", depends_on=(on("api"),))
    stranger = service("x", options={"service_account": "x@p.iam.gserviceaccount.com"})
    elsewhere = service("y", runtime=RuntimeName("docker"), depends_on=(on("api"),))
    others = (caller, nobody, stranger, elsewhere)

    found = wanted(*others, options={"invokers": ["user:a@b.c", "group:b@b.c"]})

    assert found.invokers == (
        "group:b@b.c",
        "serviceAccount:web@p.iam.gserviceaccount.com",
        "user:a@b.c",
    )
    assert wanted(*others, options={"public": True}).invokers == ()


def test_a_share_asked_for_now_beats_that_of_the_text_and_is_no_other_content() -> None:
    api, plain = service(options={"traffic": 10}), service()

    assert desired(plan(api), api).share == 10
    assert desired(plan(api, canary="30"), api).share == 30
    assert desired(plan(api, canary="30"), api).hash == desired(plan(api), api).hash
    assert desired(plan(plain, canary="0"), plain).share == 0
    assert desired(plan(job(), canary="30"), job()).share is None


def test_a_question_at_the_start_is_as_quick_as_the_text_asks() -> None:
    quick = container(wanted(readiness=Readiness(timeout=0.5, interval=0.2)))
    slow = container(wanted(readiness=Readiness(timeout=100, interval=7.5)))

    assert lines(quick["startupProbe"]) == [
        "failureThreshold: 1",
        "httpGet.path: /",
        "httpGet.port: 80",
        "periodSeconds: 1",
        "timeoutSeconds: 1",
    ]
    assert lines(slow["startupProbe"])[0] == "failureThreshold: 13"
    assert lines(slow["startupProbe"])[3:] == ["periodSeconds: 8", "timeoutSeconds: 2"]


def test_what_cannot_be_asked_is_not_sent() -> None:
    assert "startupProbe" not in container(wanted(healthcheck=Healthcheck(test=("NONE",))))


@pytest.mark.parametrize(
    ("resources", "printed"),
    [
        (Resources(cpu=0.5), {"cpu": "500m"}),
        (Resources(cpu=0.5, cpu_limit=4), {"cpu": "4"}),
        (Resources(memory=512 << 20), {"memory": "512Mi"}),
        (Resources(memory=500_000_000), {"memory": "500M"}),
        (Resources(memory_limit=2_000_000_001), {"memory": "2000000001"}),
    ],
)
def test_an_instance_gets_its_limits_as_they_are_written(resources: Resources, printed: Json) -> None:
    assert container(wanted(resources=resources))["resources"]["limits"] == printed


def test_many_instances_need_a_revision_that_may_have_them() -> None:
    assert "scaling" not in wanted(scaling=Scaling(min=0, max=100)).body["template"]
    found = wanted(scaling=Scaling(min=0, max=101)).body
    assert (found["scaling"], found["template"]["scaling"]) == ({"maxInstanceCount": 101}, {"maxInstanceCount": 101})


def test_the_first_tcp_port_is_the_one_for_requests() -> None:
    found = container(wanted(ports=(Port(container=53, protocol="udp"), Port(container=80, host=8080))))

    assert found["ports"] == [{"name": "http1", "containerPort": 80}]


def test_durations_are_written_as_the_api_writes_them() -> None:
    assert [seconds(each) for each in (None, 0, 1, 1.5, 0.001)] == [None, "0s", "1s", "1.500s", "0.001s"]
