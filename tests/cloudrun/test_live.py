# SPDX-License-Identifier: Apache-2.0
"""A server whose URLs answer: played without an Engine, and real containers with one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import requests

from fleetflow_tasks.runtimes.cloudrun.access import connect
from fleetflow_tasks.runtimes.cloudrun.client import Client, Json, Operation
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.cloudrun import Server
from fleetflow_tasks.testing.cloudrun.containers import Containers, engine
from fleetflow_tasks.testing.cloudrun.live import live

PARENT = "projects/shop/locations/europe-west1"
BASE = "fleetflow/base:1"  # busybox, made by the set-up
PAGE = "echo $NAME > /www/index.html; trap 'exit 0' TERM; httpd -f -p $PORT -h /www & wait"
LATEST, REVISION = (f"TRAFFIC_TARGET_ALLOCATION_TYPE_{kind}" for kind in ("LATEST", "REVISION"))


class Desk:
    def __init__(self, server: Server, client: Client) -> None:
        self.server = server
        self.client = client
        self.name = f"t{secrets.token_hex(4)}"

    @property
    def full(self) -> str:
        return f"{PARENT}/services/{self.name}"

    def up(self, image: str, *, public: bool = True, **more: Any) -> Json:
        """The service at its end, whether that is good or not."""
        container = {"image": image, **more.pop("container", {})}
        body = {"name": self.full, "template": {"containers": [container]}, "invokerIamDisabled": public, **more}
        self.ended(self.client.update_service(body, allow_missing=True))
        found = self.client.service(self.full)
        assert found is not None
        return found

    def ended(self, operation: Operation) -> None:
        def over() -> bool:
            found = self.client.operation(operation.name)
            return found is not None and found.done

        eventually(over, 60)


@contextmanager
def desk_at(environ: dict[str, str], **more: Any) -> Iterator[Desk]:
    with live(environ, **more) as server, closing(connect(server.environ(), "europe-west1")) as client:
        yield Desk(server, client)


@pytest.fixture
def played() -> Iterator[Desk]:
    with desk_at({"DOCKER_HOST": "unix:///nowhere/docker.sock"}) as desk:
        yield desk


@pytest.fixture
def real() -> Iterator[Desk]:
    found = engine(os.environ)
    if found is None or not Containers(found).known(BASE):
        pytest.fail(f"no Docker Engine with the image {BASE} answers: run `make setup` first")
    found.close()
    with desk_at(dict(os.environ), secrets={"key": b"s3cret"}, idle=0.5) as desk:
        yield desk


def answered(url: str, **headers: str) -> tuple[int, str]:
    found = requests.get(f"{url}/", headers=headers, timeout=60)
    return found.status_code, found.text


def short(service: Json, field: str = "latestReadyRevision") -> str:
    return str(service[field]).rpartition("/")[2]


# ---- played


def test_the_url_of_a_played_service_answers_with_its_revision(played: Desk) -> None:
    found = played.up("scripted/ready:0ms")

    assert answered(found["uri"]) == (200, f"{short(found)}\n")


def test_the_new_revision_is_at_its_tag_and_the_old_one_at_the_url(played: Desk) -> None:
    old = short(played.up("scripted/ready:0ms"))
    traffic = [
        {"type": REVISION, "revision": old, "percent": 100},
        {"type": LATEST, "tag": "next"},
    ]

    found = played.up("scripted/answers:503", traffic=traffic)

    tagged = next(each["uri"] for each in found["trafficStatuses"] if each.get("tag") == "next")
    assert answered(found["uri"]) == (200, f"{old}\n")
    assert answered(tagged) == (503, f"{short(found)}\n")


def test_a_private_service_lets_in_who_shows_a_token_for_it(played: Desk) -> None:
    played.server.accounts.add("guest@shop.iam.gserviceaccount.com")
    url = played.up("scripted/ready:0ms", public=False)["uri"]
    accounts, guest = played.server.accounts, "guest@shop.iam.gserviceaccount.com"

    def asked(token: str) -> int:
        return answered(url, Authorization=f"Bearer {token}")[0]

    before = [
        answered(url)[0],
        asked("nonsense"),
        asked(accounts.identity(guest, "https://other")),
        asked(accounts.identity(guest, url)),
    ]
    policy = played.client.policy(played.full)
    invoker = {"role": "roles/run.invoker", "members": [f"serviceAccount:{guest}"]}
    played.client.set_policy(played.full, {**policy, "bindings": [invoker]})

    assert before == [403, 401, 401, 403]
    assert asked(accounts.identity(guest, url)) == 200
    assert asked(played.client.identity_token(url)) == 200


def test_a_service_that_everybody_may_call_asks_for_nothing(played: Desk) -> None:
    url = played.up("scripted/ready:0ms", public=False)["uri"]

    everybody = {"role": "roles/run.invoker", "members": ["allUsers"]}
    played.client.set_policy(played.full, {"bindings": [everybody]})

    assert answered(url)[0] == 200


def test_a_service_that_is_removed_is_not_found(played: Desk) -> None:
    url = played.up("scripted/ready:0ms")["uri"]

    operation = played.client.delete_service(played.full)
    assert operation is not None
    played.ended(operation)

    assert answered(url)[0] == 404


# ---- real


@pytest.mark.docker
def test_a_container_answers_at_the_url_of_its_service(real: Desk) -> None:
    secret = {"name": "NAME", "valueSource": {"secretKeyRef": {"secret": "key", "version": "1"}}}

    found = real.up(BASE, container={"command": ["/bin/sh", "-c"], "args": [PAGE], "env": [secret]})

    assert found["terminalCondition"]["state"] == "CONDITION_SUCCEEDED"
    assert answered(found["uri"]) == (200, "s3cret\n")


@pytest.mark.docker
def test_a_container_that_ends_at_once_leaves_its_last_words_in_the_log(real: Desk) -> None:
    found = real.up(BASE, container={"command": ["/bin/sh", "-c"], "args": ["echo no database; exit 3"]})

    assert found["terminalCondition"]["state"] == "CONDITION_FAILED"
    assert "Container called exit(3)." in found["terminalCondition"]["message"]
    assert "no database" in [line["textPayload"] for line in real.server.state.lines]


@pytest.mark.docker
def test_an_image_that_the_engine_lacks_is_not_found(real: Desk) -> None:
    found = real.up("fleetflow/none:9")

    assert found["terminalCondition"]["reason"] == "CONTAINER_MISSING"
    assert "Image 'fleetflow/none:9' not found." in found["terminalCondition"]["message"]


@pytest.mark.docker
def test_a_job_runs_its_container_to_the_end(real: Desk) -> None:
    container = {"image": BASE, "command": ["/bin/sh", "-c"], "args": ["echo migrated"]}
    name = f"{PARENT}/jobs/{real.name}"
    body = {"template": {"template": {"containers": [container], "maxRetries": 0}}}
    real.ended(real.client.create_job(PARENT, real.name, body))

    real.ended(real.client.run_job(name))

    assert real.client.executions(name)[0]["succeededCount"] == 1
    assert "migrated" in [line["textPayload"] for line in real.server.state.lines]
