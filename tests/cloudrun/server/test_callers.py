# SPDX-License-Identifier: Apache-2.0
"""Who may come in, the way that google-auth goes; and who may do what."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import google.auth.jwt
import google.auth.transport.requests
import pytest
import requests
from google.oauth2 import service_account

from fleetflow_tasks.runtimes.cloudrun.access import connect
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError
from fleetflow_tasks.testing.cloudrun import OWNER, REGION, Server

from .conftest import PARENT, Cloud, refusal

SOMEBODY = "somebody@shop.iam.gserviceaccount.com"
RUNS_AS = "app@shop.iam.gserviceaccount.com"

# google-auth is typed in part only.
GOOGLE: Any = service_account
SIGN: Any = google.auth.jwt.encode


@pytest.fixture
def somebody(cloud: Cloud) -> Iterator[Callable[..., Client]]:
    """Who holds these roles and permissions."""
    made: list[Client] = []

    def hold(*held: str, acts_as: frozenset[str] | None = None) -> Client:
        cloud.server.accounts.add(SOMEBODY, *held, acts_as=acts_as)
        made.append(connect(cloud.server.environ(SOMEBODY), REGION))
        return made[-1]

    yield hold
    for each in made:
        each.close()


def key(server: Server, account: str = OWNER) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(server.environ(account)["GOOGLE_APPLICATION_CREDENTIALS"]).read_bytes())
    return found


STOCK = """
import os
from google.cloud import run_v2

host = os.environ["FLEETFLOW_CLOUDRUN_ENDPOINT"].removeprefix("https://")
client = run_v2.ServicesClient(client_options={"api_endpoint": host})
service = run_v2.Service(template={"containers": [{"image": "shop/api"}]})
operation = client.create_service(parent="projects/p/locations/europe-west1", service=service, service_id="api")
print(operation.result(timeout=30).terminal_condition.state.name)
"""


def test_the_stock_client_comes_in_over_tls_with_nothing_but_its_environment() -> None:
    with Server(tls=True) as server:
        environ = {**os.environ, **server.environ()}
        done = subprocess.run([sys.executable, "-c", STOCK], env=environ, capture_output=True, text=True, check=False)

        assert (done.stdout, done.returncode) == ("CONDITION_SUCCEEDED\n", 0), done.stderr
        assert {each.caller for each in server.trace} == {OWNER}


def test_a_token_is_had_for_a_signed_assertion_and_for_nothing_else(cloud: Cloud) -> None:
    there = key(cloud.server)
    url = there["token_uri"]
    grant = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    credentials = GOOGLE.Credentials.from_service_account_info(there, scopes=["a"])
    good = credentials._make_authorization_grant_assertion().decode()

    told = requests.post(url, data={"grant_type": grant, "assertion": good}, timeout=30)
    bad = [
        requests.post(url, data={"grant_type": grant, "assertion": assertion}, timeout=30)
        for assertion in (good[:-8] + "AAAAAAAA", "a.b", "a.b.c", "")
    ]
    other = requests.post(url, data={"grant_type": "password"}, timeout=30)

    assert told.json()["token_type"] == "Bearer"
    assert {(each.status_code, each.json()["error"]) for each in bad} == {(400, "invalid_grant")}
    assert (other.status_code, other.json()["error"]) == (400, "unsupported_grant_type")
    assert requests.get(url, timeout=30).status_code == 404


def test_a_token_that_the_client_signed_itself_is_taken(cloud: Cloud) -> None:
    there = key(cloud.server)
    credentials = GOOGLE.Credentials.from_service_account_info(there)
    claims = {"iss": OWNER, "sub": OWNER, "aud": "https://run.googleapis.com/", "iat": 0, "exp": 2_000_000_000}
    token = SIGN(credentials.signer, claims).decode()

    assert cloud.server.api.call("Services.ListServices", {"parent": PARENT}, token=token) is not None


def test_an_identity_token_is_had_for_an_audience(cloud: Cloud) -> None:
    there = key(cloud.server)
    credentials = GOOGLE.IDTokenCredentials.from_service_account_info(there, target_audience="https://api")

    credentials.refresh(google.auth.transport.requests.Request())

    assert cloud.server.accounts.who(credentials.token).email == OWNER


def test_a_token_ends_and_can_be_forgotten(cloud: Cloud) -> None:
    accounts = cloud.server.accounts
    old, forgotten = accounts.token(), accounts.token()
    cloud.clock.advance(3601)
    new = accounts.token()
    accounts.forget()

    for token in (old, forgotten, new, "", "a.b.c"):
        with pytest.raises(Exception, match=r"invalid authentication credentials|Invalid JWT Signature"):
            cloud.server.api.call("Services.ListServices", {"parent": PARENT}, token=token)


def test_an_account_that_is_disabled_is_nobody(cloud: Cloud, somebody: Callable[..., Client]) -> None:
    client = somebody("roles/run.admin")
    cloud.server.accounts[SOMEBODY].enabled = False

    with pytest.raises(CloudRunError) as error:
        client.services(PARENT)

    assert error.value.code == "UNAUTHENTICATED"
    assert cloud.server.trace[-1].caller == ""


@pytest.mark.parametrize(
    ("held", "permission", "does"),
    [
        ("roles/run.viewer", "run.services.create", lambda c, n: c.create_service(PARENT, "x", {})),
        ("run.services.get", "run.services.list", lambda c, n: c.services(PARENT)),
        ("run.services.list", "run.services.get", lambda c, n: c.service(n)),
        ("roles/run.developer", "run.services.setIamPolicy", lambda c, n: c.set_policy(n, {})),
        ("roles/run.viewer", "run.jobs.run", lambda c, n: c.run_job(n.replace("services", "jobs"))),
        ("run.services.update", "run.services.create", lambda c, n: c.update_service({"name": n}, allow_missing=True)),
    ],
)
def test_who_may_not_is_told_what_he_lacks(
    somebody: Callable[..., Client], held: str, permission: str, does: Callable[[Client, str], object]
) -> None:
    with pytest.raises(CloudRunError) as error:
        does(somebody(held), f"{PARENT}/services/none")

    assert error.value.code == "PERMISSION_DENIED"
    assert error.value.answer.startswith(f"Permission '{permission}' denied on resource '{PARENT}")


def test_a_service_runs_as_whom_its_deployer_may_act_as(cloud: Cloud, somebody: Callable[..., Client]) -> None:
    body = cloud.body(template={"serviceAccount": RUNS_AS})
    without = somebody("roles/run.developer")
    with pytest.raises(CloudRunError) as error:
        without.create_service(PARENT, cloud.id, body)
    other = somebody("roles/run.developer", "roles/iam.serviceAccountUser", acts_as=frozenset({"x@y.z"}))
    with pytest.raises(CloudRunError):
        other.create_service(PARENT, cloud.id, body)
    entitled = somebody("roles/run.developer", "roles/iam.serviceAccountUser", acts_as=frozenset({RUNS_AS}))

    entitled.create_service(PARENT, cloud.id, body)

    text = f"Permission 'iam.serviceaccounts.actAs' denied on service account {RUNS_AS} (or it may not exist)."
    assert refusal(error) == f"PERMISSION_DENIED: {text}"
    assert cloud.get()["creator"] == SOMEBODY


def test_to_let_everybody_in_needs_another_permission(cloud: Cloud, somebody: Callable[..., Client]) -> None:
    developer = somebody("roles/run.developer", "roles/iam.serviceAccountUser")

    with pytest.raises(CloudRunError, match=r"run\.services\.setIamPolicy"):
        developer.create_service(PARENT, cloud.id, cloud.body(invokerIamDisabled=True))


def test_an_api_that_is_off_says_where_it_is_switched_on(cloud: Cloud) -> None:
    cloud.server.world.disabled.add("shop")

    with pytest.raises(CloudRunError) as error:
        cloud.get()

    assert error.value.code == "PERMISSION_DENIED"
    assert error.value.reason == "SERVICE_DISABLED"
    assert error.value.answer.startswith("Cloud Run Admin API has not been used in project ")


def test_all_that_is_asked_is_written_down(cloud: Cloud) -> None:
    cloud.server.trace.clear()
    cloud.create()
    cloud.get()
    cloud.client.service(f"{cloud.service}-none")
    cloud.client.services(PARENT)

    assert [(str(each), each.caller, each.code) for each in cloud.server.trace] == [
        (f"Services.CreateService {cloud.service}", OWNER, "OK"),
        (f"Services.GetService {cloud.service}", OWNER, "OK"),
        (f"Services.GetService {cloud.service}-none", OWNER, "NOT_FOUND"),
        (f"Services.ListServices {PARENT}", OWNER, "OK"),
    ]
