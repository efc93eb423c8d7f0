# SPDX-License-Identifier: Apache-2.0
"""From the text to what Cloud Run is asked for: one file for the laptop and for Google."""

from pathlib import Path

import pytest

from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.model import StageName
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.cloudrun.check import check
from fleetflow_tasks.runtimes.cloudrun.desired import desired
from fleetflow_tasks.runtimes.registry import blocks

from .made import lines
from .test_check import printed

SHOP = """
project "shop"

service "db" {
    image "postgres:16"
    port 5432
}
service "api" {
    image "europe-west1-docker.pkg.dev/p/shop/api:1"
    port 8080 80
    depends_on "db"
    secrets { DB_URL env="DB_URL" }
    volumes { volume "./data" "/data" }
    healthcheck { test "CMD" "curl" "-f" "localhost" }
    readiness path="/health"
    ingress host="shop.localhost"
    scaling min=1 max=10 cpu=70
}

stage "local" {
    service "db"
    service "api"
}
stage "prd" {
    variables { RUNTIME "cloud-run"; PROJECT "shop-prd"; REGION "europe-west1"; DEBUG "false" }
    service "api" {
        depends_on
        secrets { DB_URL ref="db-url:3" }
        volumes { volume "gs://shop-data" "/data" read_only=#true }
        healthcheck { test "NONE" }
        ingress
        scaling min=0
        cloudrun {
            public #true
            vpc network="default" { tags "api" "shop" }
            liveness grpc="" interval=30
            memory "/cache" size="64Mi"
            memory "/tmp/more"
            secret_file "tls" "/etc/tls/key.pem"
            cloud_sql "shop-prd:europe-west1:shop"
            traffic 10
        }
    }
}
"""


def planned(folder: Path, text: str = SHOP) -> Plan:
    (folder / "fleet.kdl").write_text(text, encoding="utf-8")
    loaded = load(folder, file=None, stage=None, variables={}, environ={"DB_URL": "geheim"}, blocks=blocks())
    assert loaded.warnings == ()
    return build(loaded.project, StageName("prd"))


def test_a_stage_lays_over_the_service_what_is_different_on_google(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    (api,) = plan.services

    assert plan.options == {"cloudrun": {"project": "shop-prd", "region": "europe-west1"}}
    assert [printed(each).partition("cloudrun` ")[2] for each in check(plan)] == [
        "opens no port 8080 on a host: the service is reached at its HTTPS address",
        (
            "starts one more instance when requests ask for it: `cpu=70` of `scaling` has no effect => "
            "say `cpu=` in the stages whose runtime can, or `concurrency` here"
        ),
    ]
    assert lines(desired(plan, api).body) == [
        "ingress: INGRESS_TRAFFIC_ALL",
        "invokerIamDisabled: True",
        "scaling.maxInstanceCount: 10",
        "template.containers[0].env[0].name: DB_URL",
        "template.containers[0].env[0].valueSource.secretKeyRef.secret: db-url",
        "template.containers[0].env[0].valueSource.secretKeyRef.version: 3",
        "template.containers[0].env[1].name: DEBUG",
        "template.containers[0].env[1].value: false",
        "template.containers[0].image: europe-west1-docker.pkg.dev/p/shop/api:1",
        "template.containers[0].livenessProbe.failureThreshold: 3",
        "template.containers[0].livenessProbe.grpc.port: 80",
        "template.containers[0].livenessProbe.periodSeconds: 30",
        "template.containers[0].livenessProbe.timeoutSeconds: 1",
        "template.containers[0].ports[0].containerPort: 80",
        "template.containers[0].ports[0].name: http1",
        "template.containers[0].resources.cpuIdle: True",
        "template.containers[0].startupProbe.failureThreshold: 30",
        "template.containers[0].startupProbe.httpGet.path: /health",
        "template.containers[0].startupProbe.httpGet.port: 80",
        "template.containers[0].startupProbe.periodSeconds: 1",
        "template.containers[0].startupProbe.timeoutSeconds: 1",
        "template.containers[0].volumeMounts[0].mountPath: /data",
        "template.containers[0].volumeMounts[0].name: bucket-1",
        "template.containers[0].volumeMounts[1].mountPath: /cache",
        "template.containers[0].volumeMounts[1].name: memory-1",
        "template.containers[0].volumeMounts[2].mountPath: /tmp/more",
        "template.containers[0].volumeMounts[2].name: memory-2",
        "template.containers[0].volumeMounts[3].mountPath: /etc/tls",
        "template.containers[0].volumeMounts[3].name: secret-1",
        "template.containers[0].volumeMounts[4].mountPath: /cloudsql",
        "template.containers[0].volumeMounts[4].name: cloudsql",
        "template.executionEnvironment: EXECUTION_ENVIRONMENT_GEN2",
        "template.volumes[0].gcs.bucket: shop-data",
        "template.volumes[0].gcs.readOnly: True",
        "template.volumes[0].name: bucket-1",
        "template.volumes[1].emptyDir.medium: MEMORY",
        "template.volumes[1].emptyDir.sizeLimit: 64Mi",
        "template.volumes[1].name: memory-1",
        "template.volumes[2].emptyDir.medium: MEMORY",
        "template.volumes[2].name: memory-2",
        "template.volumes[3].name: secret-1",
        "template.volumes[3].secret.items[0].path: key.pem",
        "template.volumes[3].secret.items[0].version: latest",
        "template.volumes[3].secret.secret: tls",
        "template.volumes[4].cloudSqlInstance.instances[0]: shop-prd:europe-west1:shop",
        "template.volumes[4].name: cloudsql",
        "template.vpcAccess.egress: PRIVATE_RANGES_ONLY",
        "template.vpcAccess.networkInterfaces[0].network: default",
        "template.vpcAccess.networkInterfaces[0].tags[0]: api",
        "template.vpcAccess.networkInterfaces[0].tags[1]: shop",
    ]


def test_the_laptops_definition_says_where_google_differs_all_at_once(tmp_path: Path) -> None:
    stage = 'stage "prd" { runtime "cloudrun" { project "shop-prd"; region "europe-west1" }; service "db" runtime="docker"; service "api" }'
    found = check(planned(tmp_path, SHOP.partition('stage "prd"')[0] + stage))

    assert [
        f"{each.place}: {each.message.partition('cloudrun` ')[2]}" for each in found if each.severity == "error"
    ] == [
        "fleet.kdl:16:5: leads no host name to a service: not `shop.localhost`",
        "fleet.kdl:12:15: takes secret `DB_URL` from Secret Manager alone, not by its value",
        f"fleet.kdl:13:15: cannot mount the host's path `{tmp_path}/data`: there is no host",
        "fleet.kdl:14:5: runs no command inside a container to ask how it is",
    ]


@pytest.mark.parametrize(
    ("said", "settings"),
    [
        (
            'runtime "cloudrun" { project "p1-prd"; region "us-central1" }',
            {"project": "p1-prd", "region": "us-central1"},
        ),
        ('backend "cloudrun"; variables { PROJECT "p1-prd" }', {"project": "p1-prd"}),
        (
            'runtime "cloudrun" { region "us-east1" }; variables { PROJECT "p1-prd"; REGION "us-west1"; NAMESPACE "x" }',
            {"project": "p1-prd", "region": "us-east1"},
        ),
    ],
)
def test_a_stage_says_its_place_by_a_node_or_by_variables(tmp_path: Path, said: str, settings: dict[str, str]) -> None:
    plan = planned(tmp_path, f'service "api" {{ port container=80 }}\nstage "prd" {{ {said}; service "api" }}')

    assert plan.options == {"cloudrun": settings}
    assert dict(plan.services[0].environment) == {}
