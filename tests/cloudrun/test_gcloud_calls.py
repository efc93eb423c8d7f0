# SPDX-License-Identifier: Apache-2.0
"""The REST calls by themselves, where gcloud's own care would keep a request from being sent."""

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError

import pytest

from fleetflow_tasks.testing.cloudrun import Server

from .stage import PROJECT, REGION, Stage, service

NAMESPACE = f"namespaces/{PROJECT}"
SERVICES = f"/apis/serving.knative.dev/v1/{NAMESPACE}/services"
HOST = f"{REGION}-run.googleapis.com"


def asked(server: Server, method: str, path: str, body: object = None, *, host: str = HOST) -> tuple[int, Any]:
    """As a client without a proxy sends it, with the host in a header. body: bytes as they are, all else as JSON."""
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {"Host": host, "Authorization": f"Bearer {server.accounts.token()}"}
    request = urllib.request.Request(server.http.url + path, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)["error"]["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Invalid JSON payload received."),
        ([], "Invalid JSON payload received. Root element must be a message."),
        ({"kind": "Revision"}, "The kind 'Revision' is not expected here."),
        (
            {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "spec": {"other": 1}},
            "Not supported: spec.other: 1",
        ),
    ],
)
def test_what_is_no_service_is_refused(server: Server, body: object, message: str) -> None:
    status, told = asked(server, "POST", SERVICES, body)

    assert (status, told.startswith(message)) == (400, True), told


def test_the_region_is_in_the_hosts_name_alone(server: Server) -> None:
    assert asked(server, "GET", SERVICES, host="run.googleapis.com") == (
        400,
        "The request was sent to no region's endpoint.",
    )
    assert asked(server, "GET", SERVICES, host="example.org") == (404, f"no such path: {SERVICES}")
    assert asked(server, "GET", f"{SERVICES}/x/y") == (404, f"no such path: {SERVICES}/x/y")


def test_a_service_that_is_not_there_is_not_found(server: Server) -> None:
    assert asked(server, "GET", f"{SERVICES}/nobody")[0] == 404
    assert asked(server, "GET", f"/apis/serving.knative.dev/v1/{NAMESPACE}/revisions/nobody-1") == (
        404,
        "Revision 'nobody-1' could not be found.",
    )


def test_a_run_may_say_otherwise_than_its_job(server: Server, stage: Stage) -> None:
    stage.up(service("migrate", "scripted/job:0", job=True))
    job = f"/apis/run.googleapis.com/v1/{NAMESPACE}/jobs/{stage.project}-prd-migrate"

    status, run = asked(server, "POST", f"{job}:run", {"overrides": {"taskCount": 3, "timeoutSeconds": 5}})

    assert status == 200
    assert (run["spec"]["taskCount"], run["spec"]["template"]["spec"]["timeoutSeconds"]) == (3, 5)


def test_a_project_goes_by_its_number_too_and_says_whether_the_api_is_on(server: Server, stage: Stage) -> None:
    stage.up(service("api"))
    usage = f"/v1/projects/{PROJECT}/services/run.googleapis.com"
    _, known = asked(server, "GET", f"/v1/projects/{PROJECT}", host="cloudresourcemanager.googleapis.com")
    enabled = asked(server, "GET", usage, host="serviceusage.googleapis.com")[1]["state"]
    server.world.disabled.add(PROJECT)

    disabled = asked(server, "GET", usage, host="serviceusage.googleapis.com")[1]["state"]
    server.world.disabled.clear()
    found = asked(server, "GET", f"{SERVICES.replace(PROJECT, known['projectNumber'])}/{stage.project}-prd-api")

    assert (enabled, disabled) == ("ENABLED", "DISABLED")
    assert (found[0], found[1]["metadata"]["namespace"]) == (200, known["projectNumber"])
