# SPDX-License-Identifier: Apache-2.0
"""The files of a stage: Knative's form for gcloud, v2's for eyes, and above them what a file cannot say."""

import json

import pytest
import yaml

from fleetflow_tasks.config.model import Scaling
from fleetflow_tasks.runtimes.cloudrun.desired import desired
from fleetflow_tasks.runtimes.cloudrun.render import rendered

from .made import IMAGE, job, on, plan, rich, service


def test_a_service_is_what_gcloud_run_services_replace_takes() -> None:
    api = service(environment={"LOG": "true"}, scaling=Scaling(min=0, max=3), options={"ingress": "internal"})
    made = plan(api)
    wanted = desired(made, api)

    assert rendered(made)["api.yaml"].splitlines() == [
        "apiVersion: serving.knative.dev/v1",
        "kind: Service",
        "metadata:",
        "  name: shop-prd-api",
        "  annotations:",
        f"    fleetflow.io/hash: {wanted.hash}",
        f"    fleetflow.io/template: {wanted.template}",
        "    run.googleapis.com/ingress: internal",
        "    run.googleapis.com/maxScale: '3'",
        "  labels:",
        "    cloud.googleapis.com/location: europe-west1",
        "    fleetflow-project: shop",
        "    fleetflow-service: api",
        "    fleetflow-stage: prd",
        "  namespace: shop-prd",
        "spec:",
        "  template:",
        "    metadata:",
        "      annotations:",
        "        run.googleapis.com/cpu-throttling: 'true'",
        "    spec:",
        "      containers:",
        "      - env:",
        "        - name: LOG",
        "          value: 'true'",
        f"        image: {IMAGE}",
        "        ports:",
        "        - name: http1",
        "          containerPort: 80",
        "  traffic:",
        "  - latestRevision: true",
        "    percent: 100",
    ]


def test_a_job_is_what_gcloud_run_jobs_replace_takes_and_the_line_that_runs_it_stands_above() -> None:
    made = plan(job(command=("up",), options={"timeout": 90}))

    first, *rest = rendered(made)["migrate.yaml"].splitlines()

    assert first == "# then: gcloud run jobs execute shop-prd-migrate --project=shop-prd --region=europe-west1 --wait"
    assert yaml.safe_load("\n".join(rest))["spec"]["template"]["spec"] == {
        "taskCount": 1,
        "template": {"spec": {"containers": [{"args": ["up"], "image": IMAGE}], "maxRetries": 0, "timeoutSeconds": 90}},
    }


def test_the_form_that_we_send_is_there_as_json() -> None:
    api = service()
    made = plan(api)

    body = json.loads(rendered(made)["api.json"])

    assert next(iter(body)) == "name"
    assert body["name"] == desired(made, api).name
    assert body["template"] == desired(made, api).body["template"]
    assert body["traffic"] == [{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]


def test_what_a_file_cannot_say_stands_above_it() -> None:
    web = service("web", depends_on=(on("api"),), options={"service_account": "web@p.iam.gserviceaccount.com"})
    api = service(options={"invokers": ["user:me@example.org"], "traffic": 10, "timeout": 1.5})
    line = "# then: gcloud run services add-iam-policy-binding shop-prd-api --project=shop-prd --region=europe-west1"
    account = "serviceAccount:web@p.iam.gserviceaccount.com"

    heads = [line for line in rendered(plan(api, web))["api.yaml"].splitlines() if line.startswith("#")]

    assert heads == [
        f"{line} --member={account} --role=roles/run.invoker",
        f"{line} --member=user:me@example.org --role=roles/run.invoker",
        "# a deployment gives the new revision 10 % of the requests; this file gives it all",
        '# Knative\'s form has no place for template.timeout: "1.500s"',
    ]


@pytest.mark.parametrize("name", ["api", "web", "migrate"])
def test_a_stage_is_always_the_same_text_and_yaml_has_no_aliases(name: str) -> None:
    first, second = rendered(rich()), rendered(rich())

    assert first == second
    assert "&id" not in first[f"{name}.yaml"]
    assert first[f"{name}.yaml"].endswith("\n")
    assert first[f"{name}.json"].endswith("}\n")


def test_only_what_is_on_cloud_run_is_rendered() -> None:
    assert {name.partition(".")[0] for name in rendered(rich())} == {"api", "web", "migrate"}
