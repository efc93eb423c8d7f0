# SPDX-License-Identifier: Apache-2.0
"""What gcloud printed, as KDL; and what cannot be carried over, as a remark. `test_imported_round` holds it against plans."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.errors import ConfigError
from fleetflow_tasks.runtimes.cloudrun.imported import imported

from .test_knative import EVERYTHING, JSONS, changed, places

API = "projects/shop-prd/locations/europe-west1/services/api"
JOB = "projects/shop-prd/locations/europe-west1/jobs/migrate"

# As `gcloud run deploy` makes one and `gcloud run services describe --format=json` prints it.
DEPLOYED = """
{
  "apiVersion": "serving.knative.dev/v1",
  "kind": "Service",
  "metadata": {
    "annotations": {
      "run.googleapis.com/client-name": "gcloud",
      "run.googleapis.com/client-version": "528.0.0",
      "run.googleapis.com/ingress": "all",
      "run.googleapis.com/ingress-status": "all",
      "run.googleapis.com/operation-id": "5a1f",
      "run.googleapis.com/urls": "[\\"https://hello-485862775073.europe-west1.run.app\\"]",
      "serving.knative.dev/creator": "me@example.org",
      "serving.knative.dev/lastModifier": "me@example.org"
    },
    "creationTimestamp": "2026-11-24T16:18:32.122117Z",
    "generation": 1,
    "labels": {"cloud.googleapis.com/location": "europe-west1"},
    "name": "hello",
    "namespace": "485862775073",
    "resourceVersion": "AAYf",
    "selfLink": "/apis/serving.knative.dev/v1/namespaces/485862775073/services/hello",
    "uid": "87d88b3c"
  },
  "spec": {
    "template": {
      "metadata": {
        "annotations": {
          "autoscaling.knative.dev/maxScale": "100",
          "run.googleapis.com/client-name": "gcloud",
          "run.googleapis.com/startup-cpu-boost": "true"
        },
        "labels": {"client.knative.dev/nonce": "abcdefghij", "run.googleapis.com/startupProbeType": "Default"}
      },
      "spec": {
        "containerConcurrency": 80,
        "containers": [
          {
            "env": [{"name": "LOG", "value": "$5 {{off}}"}, {"name": "EMPTY"}],
            "image": "us-docker.pkg.dev/cloudrun/container/hello",
            "name": "hello-1",
            "ports": [{"containerPort": 8080, "name": "http1"}],
            "resources": {"limits": {"cpu": "1000m", "memory": "512Mi", "nvidia.com/gpu": "1"}},
            "startupProbe": {
              "failureThreshold": 1, "periodSeconds": 240, "tcpSocket": {"port": 8080}, "timeoutSeconds": 240
            }
          },
          {"image": "envoy:1"}
        ],
        "serviceAccountName": "485862775073-compute@developer.gserviceaccount.com",
        "timeoutSeconds": 300
      }
    },
    "traffic": [{"latestRevision": true, "percent": 100}]
  },
  "status": {"url": "https://hello-485862775073.europe-west1.run.app"}
}
"""
BESIDE = "// deployed from here a service is called PROJECT-STAGE-SERVICE, and stands beside the one that was read"
CALLERS = (
    "// who may call a service stands in its IAM policy, which was not read (`gcloud run services get-iam-policy NAME`); it "
    "is said by `invoker` in `cloudrun`"
)


def service(container: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Of the v2 form, which anybody may call; its one container says what the test is about."""
    template = {"containers": [{"image": "api:1", **(container or {})}], **fields.pop("template", {})}
    return {"name": API, "invokerIamDisabled": True, "template": template, **fields}


def job(**task: Any) -> dict[str, Any]:
    return {"name": JOB, "template": {"template": {"containers": [{"image": "m:1"}], **task}}}


def told(*objects: object, stage: str = "") -> list[str]:
    """The lines of the KDL, without what is alike everywhere."""
    text = imported(json.dumps(objects), source="x.json", stage=stage)
    usual = {BESIDE, "// written by `flow import cloudrun` from x.json"}
    return [line.strip() for line in text.splitlines() if line not in usual]


def inside(*objects: object) -> list[str]:
    """The same, of the first service's node alone, and without its image."""
    lines = told(*objects)
    begin = next(number for number, line in enumerate(lines) if line.startswith("service "))
    return [line for line in lines[begin + 1 : -2] if not line.startswith("image ")]


def lost(*objects: object) -> list[str]:
    return [line.removeprefix("// not carried over: ") for line in told(*objects) if "not carried over" in line]


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        imported(text, source="x.json")
    return [problem.message for problem in error.value.problems]


def test_a_service_that_gcloud_deployed_is_a_stage_that_deploys_the_same() -> None:
    assert imported(DEPLOYED, source="hello.json").splitlines() == [
        "// written by `flow import cloudrun` from hello.json",
        BESIDE,
        CALLERS,
        'stage "prd" {',
        "    // a project's id says more than its number: `gcloud projects describe 485862775073`",
        '    runtime "cloudrun" {',
        '        project "485862775073"',
        '        region "europe-west1"',
        "    }",
        '    service "hello" {',
        '        image "us-docker.pkg.dev/cloudrun/container/hello"',
        "        port container=8080",
        "        environment {",
        '            LOG "$$5 {\\u{7b}off}}"',
        '            EMPTY ""',
        "        }",
        '        resources cpu="1000m" memory="512Mi"',
        "        // the bounds of `scaling` were each revision's own; here they are the service's",
        "        scaling min=0 max=100",
        "        cloudrun {",
        "            concurrency 80",
        "            timeout 300",
        "            cpu_boost #true",
        "        }",
        '        // not carried over: template.containers[0].name = "hello-1"',
        '        // not carried over: template.containers[0].resources.limits.nvidia.com/gpu = "1"',
        '        // not carried over: template.containers[1] = {"image": "envoy:1"}',
        "    }",
        "}",
    ]


def test_what_a_deployment_of_ours_made_gets_its_own_names_back() -> None:
    marks = {"fleetflow-project": "shop", "fleetflow-stage": "stg", "fleetflow-service": "api", "team": "core"}
    notes = {
        "fleetflow.io/hash": "v1-1",
        "fleetflow.io/invokers": "user:a@example.org,user:b@example.org",
        "example.org/owner": "me",
    }
    template = {
        "labels": {"team": "core", "mine": "x"},
        "annotations": {"fleetflow.io/again": "01ABC"},
        "containers": [{"image": "api:1"}],
    }
    ours = {"name": f"{API}-1", "labels": marks, "annotations": notes, "template": template, "launchStage": "GA"}

    assert told(ours) == [
        CALLERS,
        'project "shop"',
        'stage "stg" {',
        'runtime "cloudrun" {',
        'project "shop-prd"',
        'region "europe-west1"',
        "}",
        'service "api" {',
        'image "api:1"',
        "labels {",
        'team "core"',
        "}",
        "cloudrun {",
        'invoker "user:a@example.org" "user:b@example.org"',
        "annotations {",
        '"example.org/owner" "me"',
        "}",
        "}",
        '// not carried over: template.labels.mine = "x"',
        "}",
        "}",
    ]


def test_a_job_says_what_the_platform_would_choose_otherwise_than_we_would() -> None:
    assert inside(job()) == ["job #true", "cloudrun {", "max_retries 3", "timeout 600", "}"]
    assert inside(job(maxRetries=0, timeout="1.500s")) == [
        "job #true",
        "cloudrun {",
        "max_retries 0",
        "timeout 1.5",
        "}",
    ]


@pytest.mark.parametrize(
    ("scaling", "revision", "said", "left"),
    [
        ({}, {}, [], []),
        ({"maxInstanceCount": 5}, {}, ["scaling min=0 max=5"], []),
        ({"minInstanceCount": 2}, {"minInstanceCount": 2}, ["scaling min=2 max=100"], []),
        (
            {"minInstanceCount": 2, "scalingMode": "AUTOMATIC"},
            {"minInstanceCount": 1},
            ["scaling min=2 max=100"],
            ["template.scaling.minInstanceCount = 1"],
        ),
        (
            {"scalingMode": "MANUAL", "manualInstanceCount": 3},
            {},
            [],
            ['scaling = {"scalingMode": "MANUAL", "manualInstanceCount": 3}'],
        ),
    ],
)
def test_bounds_are_said_of_the_service(
    scaling: dict[str, Any], revision: dict[str, Any], said: list[str], left: list[str]
) -> None:
    asked = service(scaling=scaling, template={"scaling": revision})

    assert [line for line in inside(asked) if line.startswith("scaling")] == said
    assert lost(asked) == left


@pytest.mark.parametrize(
    ("container", "said"),
    [
        ({"command": ["a b"]}, "entrypoint \"'a b'\""),
        ({"args": ["a", "b"]}, 'command "a" "b"'),
        ({"resources": {"limits": {"memory": "1500k"}}}, "resources memory=1500000"),
        ({"resources": {"limits": {"memory": "1048576"}}}, "resources memory=1048576"),
        ({"resources": {"limits": {"cpu": "0.5"}}}, 'resources cpu="0.5"'),
        ({"resources": {"limits": {"cpu": "1"}}}, "cpu_always #true"),
        ({"livenessProbe": {"httpGet": {"port": 1}}}, 'liveness http="/" port=1'),
        ({"livenessProbe": {"grpc": {}}}, 'liveness grpc=""'),
        ({"startupProbe": {"tcpSocket": {}, "initialDelaySeconds": 3}}, "startup tcp=#true delay=3"),
        ({"ports": [{"name": "h2c", "containerPort": 9}]}, 'protocol "h2c"'),
        ({"ports": [{"name": "h2c"}]}, 'protocol "h2c"'),
    ],
)
def test_what_a_container_says_is_said(container: dict[str, Any], said: str) -> None:
    assert said in inside(service(container))
    assert lost(service(container)) == []


@pytest.mark.parametrize(
    ("container", "left"),
    [
        ({"image": 5}, "image = 5"),
        ({"env": [{"value": "x"}]}, 'env[0].value = "x"'),
        (
            {"env": [{"name": "A", "valueSource": {"other": 1}}]},
            "env[0].valueSource.other = 1",
        ),
        ({"resources": {"limits": {"cpu": "much"}}}, 'resources.limits.cpu = "much"'),
        ({"resources": {"limits": {"memory": "1Pi", "cpu": "1"}}}, 'resources.limits.memory = "1Pi"'),
        ({"ports": [{"name": "http3", "containerPort": 1}]}, 'ports[0].name = "http3"'),
        ({"ports": [{"containerPort": 1}, {"containerPort": 2}]}, 'ports[1] = {"containerPort": 2}'),
        ({"livenessProbe": "x"}, 'livenessProbe = "x"'),
        (
            {"livenessProbe": {"httpGet": {"httpHeaders": []}}},
            'livenessProbe = {"httpGet": {"httpHeaders": []}}',
        ),
        (
            {"livenessProbe": {"grpc": {}, "tcpSocket": {}}},
            'livenessProbe = {"grpc": {}, "tcpSocket": {}}',
        ),
        ({"livenessProbe": {"exec": {}}}, 'livenessProbe = {"exec": {}}'),
        ({"livenessProbe": {"exec": 5}}, 'livenessProbe = {"exec": 5}'),
        ({"readinessProbe": {"grpc": {"port": 1}}}, 'readinessProbe = {"grpc": {"port": 1}}'),
    ],
)
def test_what_a_container_says_that_has_no_place_is_told(container: dict[str, Any], left: str) -> None:
    assert f"template.containers[0].{left}" in lost(service(container))


def test_a_service_of_no_container_is_one_that_says_nothing() -> None:
    assert inside({"name": API, "invokerIamDisabled": True, "template": {"labels": {}}}) == [
        "cloudrun {",
        "public #true",
        "}",
    ]


def test_a_way_into_a_network_is_said_where_it_is_one() -> None:
    tagged = {"networkInterfaces": [{"network": "n", "tags": ["a"]}]}
    two = {"networkInterfaces": [{"network": "n"}, {"network": "m"}], "egress": "ALL_TRAFFIC"}

    assert inside(service(template={"vpcAccess": tagged}))[-4:-1] == ['vpc network="n" {', 'tags "a"', "}"]
    assert inside(service(template={"vpcAccess": {"connector": "c"}}))[-2] == 'vpc connector="c"'
    assert lost(service(template={"vpcAccess": two})) == [
        'template.vpcAccess.networkInterfaces[0] = {"network": "n"}',
        'template.vpcAccess.networkInterfaces[1] = {"network": "m"}',
        'template.vpcAccess.egress = "ALL_TRAFFIC"',
    ]


def mounted(volume: Mapping[str, Any], target: str = "/x", **mount: Any) -> dict[str, Any]:
    return service(
        {"volumeMounts": [{"name": "v", "mountPath": target, **mount}]}, template={"volumes": [{"name": "v", **volume}]}
    )


@pytest.mark.parametrize(
    ("volume", "target", "said"),
    [
        ({"gcs": {"bucket": "b"}}, "/x", 'volume "gs://b" "/x"'),
        (
            {"gcs": {"bucket": "b", "readOnly": True, "mountOptions": ["only-dir=in"]}},
            "/x",
            'volume "gs://b/in" "/x" read_only=#true',
        ),
        ({"emptyDir": {"sizeLimit": "1Mi"}}, "/x", 'memory "/x" size="1Mi"'),
        ({"nfs": {"server": "s", "path": "/p"}}, "/x", 'nfs "s:/p" "/x"'),
        ({"secret": {"secret": "s"}}, "/x", 'secret_file "s:latest" "/x/s"'),
        (
            {"secret": {"secret": "projects/q/secrets/s", "items": [{"path": "k", "version": "3"}]}},
            "/x",
            'secret_file "projects/q/secrets/s/versions/3" "/x/k"',
        ),
        ({"cloudSqlInstance": {"instances": ["a:b:c"]}}, "/cloudsql", 'cloud_sql "a:b:c"'),
    ],
)
def test_a_volume_is_said_with_its_mount(volume: dict[str, Any], target: str, said: str) -> None:
    assert said in inside(mounted(volume, target))
    assert lost(mounted(volume, target)) == []


@pytest.mark.parametrize(
    "asked",
    [
        mounted({"gcs": {"bucket": "b", "mountOptions": ["uid=1"]}}),
        mounted({"gcs": {"bucket": "b", "mountOptions": ["only-dir=a", "only-dir=b"]}}),
        mounted({"gcs": {"bucket": "b", "other": 1}}),
        mounted({"gcs": {}}),
        mounted({"emptyDir": {"medium": "DISK"}}),
        mounted({"emptyDir": {"sizeLimit": "1Pi"}}),
        mounted({"nfs": {"server": "s"}}),
        mounted({"secret": {"secret": "s", "defaultMode": 1}}),
        mounted({"secret": {"secret": "s", "items": [{"path": "a", "version": "1", "mode": 7}]}}),
        mounted({"secret": {"secret": "s", "items": [{"path": "a/b", "version": "1"}]}}),
        mounted({"secret": {"secret": "s", "items": [{"path": "a"}, {"path": "b"}]}}),
        mounted({"secret": {"secret": "s", "items": "all"}}),
        mounted({"cloudSqlInstance": {"instances": ["a:b:c"]}}, "/elsewhere"),
        mounted({"cloudSqlInstance": {"instances": []}}, "/cloudsql"),
        mounted({"emptyDir": {}}, subPath="in"),
        mounted({"other": {}}),
    ],
)
def test_a_volume_that_says_more_than_its_node_can_is_told_with_its_mount(asked: dict[str, Any]) -> None:
    (volume,) = asked["template"]["volumes"]
    (mount,) = asked["template"]["containers"][0]["volumeMounts"]

    assert lost(asked) == [
        f"template.containers[0].volumeMounts[0] = {json.dumps(mount)}",
        f"template.volumes[0] = {json.dumps(volume)}",
    ]


def test_a_volume_at_no_place_or_at_two_is_told() -> None:
    twice = mounted({"emptyDir": {}})
    twice["template"]["containers"][0]["volumeMounts"].append({"name": "v", "mountPath": "/y"})
    nowhere = service(template={"volumes": [{"name": "v", "emptyDir": {}}]})
    missing = service({"volumeMounts": [{"name": "w", "mountPath": "/y"}]})

    assert lost(twice) == ['template.containers[0].volumeMounts[1] = {"name": "v", "mountPath": "/y"}']
    assert lost(nowhere) == ['template.volumes[0] = {"name": "v", "emptyDir": {}}']
    assert lost(missing) == ['template.containers[0].volumeMounts[0] = {"name": "w", "mountPath": "/y"}']


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"ingress": "INGRESS_TRAFFIC_NONE"}, 'ingress = "INGRESS_TRAFFIC_NONE"'),
        ({"template": {"timeout": "soon"}}, 'template.timeout = "soon"'),
        ({"launchStage": "BETA"}, 'launchStage = "BETA"'),
        ({"annotations": {"a": 1}}, 'annotations = {"a": 1}'),
        (
            {"traffic": [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "a", "percent": 100}]},
            'traffic[0] = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": "a", "percent": 100}',
        ),
    ],
)
def test_what_a_service_says_that_has_no_place_is_told(fields: dict[str, Any], left: str) -> None:
    assert lost(service(**fields)) == [left]


def test_each_place_is_a_stage_of_its_own() -> None:
    there = service(name=API.replace("europe-west1", "us-east1"))

    assert [line for line in told(service(), there) if line.startswith("stage")] == [
        'stage "prd-shop-prd-europe-west1" {',
        'stage "prd-shop-prd-us-east1" {',
    ]
    assert [line for line in told(service(), stage="live") if line.startswith("stage")] == ['stage "live" {']


def test_services_of_one_name_in_two_projects_of_ours_keep_the_platforms_names() -> None:
    marks = {"fleetflow-stage": "prd", "fleetflow-service": "api"}
    first, second = (
        service(name=f"{API}-{project}", labels={**marks, "fleetflow-project": project}) for project in ("shop", "blog")
    )

    lines = told(first, second)

    assert lines[0] == "// these are of several projects (blog, shop), and a file is one: part them"
    assert [line for line in lines if line.startswith("service")] == ['service "api-blog" {', 'service "api-shop" {']


def test_a_form_without_a_place_says_so() -> None:
    text = "apiVersion: run.googleapis.com/v1\nkind: Job\nmetadata: {name: m}\nspec: {template: {spec: {template: {spec: {}}}}}\n"

    assert imported(text, source="m.yaml").splitlines()[2:6] == [
        'stage "prd" {',
        "    // what was read does not say in which project and region it is: `project` and `region` go here",
        '    runtime "cloudrun" {',
        "    }",
    ]


@pytest.mark.parametrize(
    "text", [DEPLOYED, f"[{DEPLOYED}]", f'{{"kind": "ServiceList", "items": [{DEPLOYED}]}}', f"---\n{DEPLOYED}\n---\n"]
)
def test_one_object_a_list_and_several_documents_are_read(text: str) -> None:
    assert imported(text, source="x") == imported(DEPLOYED, source="x")


def test_an_answer_of_v2_is_read() -> None:
    assert told(*[{"services": [service()]}, {"jobs": [job()]}]) == told(service(), job())


def test_the_mark_of_a_rendered_file_says_nothing_of_the_service() -> None:
    assert told({"//": "made by `flow render`", **service()}) == told(service())


def test_what_yaml_understands_beyond_json_is_told_as_a_text() -> None:
    text = f"name: {API}\ninvokerIamDisabled: true\nsince: 2026-11-24\n1: 2\ntemplate: {{containers: [{{image: a}}]}}\n"

    assert [line.strip() for line in imported(text, source="x").splitlines() if "not carried" in line] == [
        '// not carried over: since = "2026-11-24"',
        "// not carried over: 1 = 2",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "x.json holds no service and no job of Cloud Run"),
        ("[]", "x.json holds no service and no job of Cloud Run"),
        ("hello", "x.json holds `hello`, which is neither a service nor a job of Cloud Run"),
        ("5", "x.json holds something that is neither a service nor a job of Cloud Run"),
        ("{}", "x.json holds something that is neither a service nor a job of Cloud Run"),
        (
            '{"kind": "Revision", "apiVersion": "serving.knative.dev/v1"}',
            "x.json holds `Revision`, which is neither a service nor a job of Cloud Run",
        ),
        (
            '{"kind": "Service", "apiVersion": "serving.knative.dev/v1", "metadata": 1}',
            "x.json holds `Service`, which is neither a service nor a job of Cloud Run",
        ),
        (
            '{"kind": "Service", "apiVersion": "serving.knative.dev/v1", "metadata": {"name": ""}}',
            "x.json holds `Service`, which is neither a service nor a job of Cloud Run",
        ),
        ('{"name": "a", "template": 5}', "x.json holds something that is neither a service nor a job of Cloud Run"),
        (
            '{"name": "a", "template": {"labels": {"a": "\\ud800"}}}',
            "x.json holds a character that KDL cannot: NUL, or half of a surrogate pair",
        ),
        (
            '{"name": "a", "template": {"a": [1, "\\u0000"]}}',
            "x.json holds a character that KDL cannot: NUL, or half of a surrogate pair",
        ),
        ("[" * 100_000, "x.json is nested too deep"),
        ("a: b: c", "x.json is neither JSON nor YAML"),
        ("{2026-11-24: 1}", "x.json is neither JSON nor YAML"),
        ("a: &a [1]\nb: *a", "x.json holds a YAML alias, which is not read"),
    ],
)
def test_what_holds_nothing_of_cloud_run_is_one_clear_line(text: str, message: str) -> None:
    assert refused(text) == [message]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(refused('[{"kind": "A"}, {"kind": "B"}]')) == 2


@given(st.sampled_from(places(EVERYTHING)), JSONS)
def test_an_object_of_any_shape_is_kdl_or_a_clear_line(place: tuple[str | int, ...], new: object) -> None:
    try:
        text = imported(json.dumps(changed(EVERYTHING, place, new)), source="x")
    except ConfigError:
        return

    assert text.endswith("}\n")
