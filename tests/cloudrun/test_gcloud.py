# SPDX-License-Identifier: Apache-2.0
"""What `flow render` writes goes through gcloud, and what gcloud tells of it `flow import` understands."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.model import Port, Scaling, StageName, Volume
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes import registry
from fleetflow_tasks.runtimes.cloudrun.desired import desired
from fleetflow_tasks.testing.cloudrun import Server
from fleetflow_tasks.testing.cloudrun.world import project_number

from .gcloud import Gcloud, flow_import
from .stage import PROJECT, READY, REGION, Stage, service

WEB = (Port(container=80),)
BROAD = service(
    "api",
    ports=WEB,
    environment={"LOG": "{{ info }}", "COST": "$5"},
    secret_refs={"DB": "projects/other/secrets/db/versions/7", "TOKEN": "token"},
    command=("serve", "--now"),
    volumes=(Volume(source="gs://shop-assets/public", target="/assets", read_only=True),),
    scaling=Scaling(min=0, max=5),
    labels={"team": "core"},
    options={
        "public": True,
        "ingress": "internal",
        "concurrency": 40,
        "timeout": 60,
        "cpu_always": True,
        "cpu_boost": True,
        "service_account": "api@shop-prd.iam.gserviceaccount.com",
        "vpc": {"network": "default", "tags": ["api"], "egress": "all-traffic"},
        "protocol": "h2c",
        "startup": {"http": "/up", "interval": 2, "retries": 30},
        "cloud_sql": ["shop-prd:europe-west1:shop"],
        "memory_volumes": [{"target": "/cache", "size": 1 << 20}],
        "secret_files": [{"ref": "tls:3", "target": "/etc/tls/key.pem"}],
        "description": "the shop's API",
    },
)
JOB = service("migrate", "scripted/job:0", job=True, command=("up",), options={"tasks": 2, "timeout": 90})


@pytest.fixture
def gcloud(server: Server, tmp_path: Path) -> Gcloud:
    return Gcloud(server, tmp_path)


def planned(text: str, folder: Path) -> Plan:
    """Of the stage in *text*, which has the project by its number, as gcloud tells it."""
    (folder / "fleet.kdl").write_text(text.replace(project_number(PROJECT), PROJECT), encoding="utf-8")
    loaded = load(folder, stage=StageName("prd"), blocks=registry.blocks(), strict=True)
    assert loaded.warnings == ()
    return build(loaded.project, StageName("prd"))


def leaves(value: object, where: str = "") -> set[str]:
    if isinstance(value, Mapping):
        return {line for name, each in value.items() for line in leaves(each, f"{where}.{name}")}
    if isinstance(value, list):
        return {line for number, each in enumerate(value) for line in leaves(each, f"{where}[{number}]")}
    return {f"{where}: {value}"}


def body(plan: Plan, name: str) -> set[str]:
    """What a service says; what comes back says the platform's own choices besides."""
    return leaves(desired(plan, next(each for each in plan.services if each.name == name)).body)


def test_a_rendered_service_is_deployed_by_gcloud_is_ours_and_comes_back_as_it_was(
    gcloud: Gcloud, stage: Stage, server: Server
) -> None:
    plan = stage.plan(BROAD)
    text, name = stage.runtime.render(plan)["api.yaml"], f"{stage.project}-prd-api"

    tried = gcloud.replaced("services", "api", text, "--dry-run")
    nothing = stage.get("api")
    made = gcloud.replaced("services", "api", text)
    again = gcloud.replaced("services", "api", text)
    listed = gcloud.well("services", "list", f"--filter=metadata.name={name}", "--format=value(metadata.name,region)")
    back = planned(flow_import(gcloud.well("services", "describe", name, "--format=json")), gcloud.folder)

    assert (tried.code, nothing, made.code, again.code) == (0, None, 0, 0), (tried.err, made.err, again.err)
    assert f"has been applied to service [{name}]. URL: https://{name}-" in made.err
    assert stage.revisions("api") == [READY]
    assert stage.changes(BROAD) == {}
    assert listed.split() == [name, REGION]
    assert (back.project, back.stage) == (plan.project, "prd")
    assert body(plan, "api") - body(back, "api") == set()
    assert {each.code for each in server.trace} == {"OK", "NOT_FOUND"}


def test_a_rendered_job_is_deployed_and_run_by_gcloud_and_comes_back_as_it_was(gcloud: Gcloud, stage: Stage) -> None:
    plan = stage.plan(JOB)
    name = f"{stage.project}-prd-migrate"

    made = gcloud.replaced("jobs", "migrate", stage.runtime.render(plan)["migrate.yaml"])
    again = gcloud.replaced("jobs", "migrate", stage.runtime.render(plan)["migrate.yaml"])
    run = gcloud.json("jobs", "execute", name, "--wait")
    runs = gcloud.json("jobs", "executions", "list", f"--job={name}")
    back = planned(flow_import(gcloud.well("jobs", "describe", name, "--format=json")), gcloud.folder)
    gcloud.well("jobs", "delete", name, "--quiet")

    assert (made.code, again.code) == (0, 0), (made.err, again.err)
    assert [run["status"]["succeededCount"], len(runs)] == [2, 1]
    assert body(plan, "migrate") - body(back, "migrate") == set()
    assert stage.names() == []


def test_a_job_that_fails_is_told_by_gcloud_as_a_failure(gcloud: Gcloud, stage: Stage) -> None:
    bad = service("migrate", "scripted/job:3", job=True)

    made = gcloud.replaced("jobs", "migrate", stage.runtime.render(stage.plan(bad))["migrate.yaml"])
    run = gcloud("jobs", "execute", f"{stage.project}-prd-migrate", "--wait")

    assert (made.code, run.code) == (0, 1), made.err
    assert "The execution failed." in run.err


def test_what_gcloud_deployed_by_its_own_flags_becomes_a_stage(gcloud: Gcloud, stage: Stage) -> None:
    name = f"{stage.project}-hello"
    gcloud.well(
        *(
            "deploy",
            name,
            f"--image={READY}",
            "--port=9000",
            "--use-http2",
            "--labels=team=core",
            "--description=hello",
        ),
        *(
            "--set-env-vars=LOG=info,GREETING={{hello}}",
            "--set-secrets=DB=db:3,/etc/tls/key.pem=projects/9/secrets/tls:4",
        ),
        *("--min-instances=1", "--max-instances=7", "--concurrency=40", "--cpu=2", "--memory=1Gi", "--timeout=77"),
        *("--cpu-boost", "--no-cpu-throttling", "--session-affinity", "--no-invoker-iam-check", "--ingress=internal"),
        *("--network=default", "--subnet=run", "--vpc-egress=all-traffic", "--execution-environment=gen2"),
        *("--add-volume=name=b,type=cloud-storage,bucket=assets", "--add-volume-mount=volume=b,mount-path=/assets"),
        *("--startup-probe=httpGet.path=/up,periodSeconds=3,failureThreshold=10", "--command=serve", "--args=a b"),
        "--service-account=api@shop-prd.iam.gserviceaccount.com",
    )

    lines = flow_import(gcloud.well("services", "describe", name, "--format=json"), "--stage=live").splitlines()

    begin = lines.index(f'    service "{name}" {{')
    assert lines[begin + 1 :] == [
        f'        image "{READY}"',
        "        port container=9000",
        "        environment {",
        '            LOG "info"',
        '            GREETING "{\\u{7b}hello}}"',
        "        }",
        "        secrets {",
        '            DB ref="db:3"',
        "        }",
        "        volumes {",
        '            volume "gs://assets" "/assets"',
        "        }",
        '        entrypoint "serve"',
        "        command \"'a b'\"",
        '        resources cpu="2" memory="1Gi"',
        "        // the bounds of `scaling` were each revision's own; here they are the service's",
        "        scaling min=1 max=7",
        "        labels {",
        '            team "core"',
        "        }",
        "        cloudrun {",
        "            public #true",
        '            ingress "internal"',
        "            concurrency 40",
        "            timeout 77",
        "            session_affinity #true",
        '            execution_environment "gen2"',
        '            service_account "api@shop-prd.iam.gserviceaccount.com"',
        '            vpc network="default" subnet="run" egress="all-traffic"',
        "            cpu_always #true",
        "            cpu_boost #true",
        '            protocol "h2c"',
        '            startup http="/up" interval=3 retries=10',
        '            description "hello"',
        '            secret_file "projects/9/secrets/tls/versions/4" "/etc/tls/key.pem"',
        "        }",
        "    }",
        "}",
    ]


def test_gcloud_moves_traffic_lets_callers_in_and_deletes(gcloud: Gcloud, stage: Stage) -> None:
    name, image = f"{stage.project}-prd-web", "scripted/ready:1ms"
    stage.up(service("web"))
    (first,) = gcloud.json("revisions", "list", f"--service={name}")
    old = first["metadata"]["name"]

    gcloud.well("services", "update", name, f"--image={image}")
    gcloud.well("services", "update-traffic", name, f"--to-revisions=LATEST=40,{old}=60", f"--set-tags=before={old}")
    tags = [each["tag"] for each in stage.get("web")["traffic"] if "tag" in each]
    member = gcloud.json(
        "services", "add-iam-policy-binding", name, "--member=user:a@b.example", "--role=roles/run.invoker"
    )
    serving = stage.serving("web")
    gcloud.well("services", "delete", name, "--quiet")
    gone = gcloud("services", "describe", name)

    assert (serving, tags) == ({READY: 60, image: 40}, ["before"])
    assert member["bindings"] == [{"members": ["user:a@b.example"], "role": "roles/run.invoker"}]
    assert (gone.code, stage.names()) == (1, [])


def test_gcloud_tells_what_is_wrong_as_it_does_with_google(gcloud: Gcloud, stage: Stage) -> None:
    text = stage.runtime.render(stage.plan(service("api", "scripted/never-listens:10ms")))["api.yaml"]
    name = f"{stage.project}-prd-api"

    odd = gcloud.replaced("services", "odd", text.replace("cpu-throttling", "cpu-thriftling"))
    wrong = gcloud.replaced("services", "wrong", text.replace("name: http1", "name: http9"))
    dead = gcloud.replaced("services", "api", text)
    unknown = gcloud("services", "describe", name, "--region=us-east1")
    Path(gcloud.environ["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"]).write_text("nobody", encoding="utf-8")
    stranger = gcloud("services", "describe", name)

    assert "run.googleapis.com/cpu-thriftling" in odd.err
    assert "the name 'http9' must be http1 or h2c" in wrong.err
    assert "failed to start and listen on the port" in dead.err
    assert f"Cannot find service [{name}]" in unknown.err
    assert "Request had invalid authentication credentials" in stranger.err
    assert {each.code for each in (odd, wrong, dead, unknown, stranger)} == {1}
