# SPDX-License-Identifier: Apache-2.0
"""A server whose clock stands still until a test moves it, and one service or job of the test's own.

It is asked through Google's stock clients and with a token that google-auth fetched: nothing here goes past the port.
"""

import secrets
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.cloud import run_v2
from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
from google.cloud.run_v2.services.tasks.transports import TasksGrpcTransport

from fleetflow_tasks.runtimes.cloudrun.access import connect
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError, Operation
from fleetflow_tasks.testing.cloudrun import REGION, Moved, Server

PARENT = f"projects/shop/locations/{REGION}"
READY = "scripted/ready:2s"


class Cloud:
    """client: of somebody who may do everything. id: of the test's own service and job."""

    def __init__(self, server: Server, client: Client, clock: Moved) -> None:
        self.server = server
        self.client = client
        self.clock = clock
        self.id = f"t{secrets.token_hex(4)}"
        self.service = f"{PARENT}/services/{self.id}"
        self.job = f"{PARENT}/jobs/{self.id}"

    def body(self, image: str = READY, **fields: Any) -> dict[str, Any]:
        template = {"containers": [{"image": image}], **fields.pop("template", {})}
        return {"name": self.service, "template": template, **fields}

    def create(self, image: str = READY, **fields: Any) -> Operation:
        return self.client.create_service(PARENT, self.id, self.body(image, **fields))

    def update(self, image: str = READY, *, etag: str = "", **fields: Any) -> Operation:
        return self.client.update_service(self.body(image, **fields), etag=etag)

    def make(self, image: str = READY, **fields: Any) -> Any:
        """And let it come up."""
        self.create(image, **fields)
        self.clock.advance(10)
        return self.get()

    def change(self, image: str = READY, **fields: Any) -> Operation:
        """And let it come up."""
        return self.over(self.update(image, **fields))

    def over(self, operation: Operation | None, seconds: float = 10) -> Operation:
        assert operation is not None
        self.clock.advance(seconds)
        return self.now(operation)

    def now(self, operation: Operation) -> Operation:
        found = self.client.operation(operation.name)
        assert found is not None
        return found

    def get(self) -> Any:
        return self.client.service(self.service)

    def revisions(self) -> list[str]:
        """Their ids, the newest first."""
        return [each["name"].rpartition("/")[2] for each in self.client.revisions(self.service)]

    def serving(self) -> list[str]:
        return [f"{each.get('revision', 'latest')} {each.get('percent', 0)}" for each in self.get()["trafficStatuses"]]


class Stock:
    """Google's clients themselves, for what ours has no method for. metadata: for each call."""

    def __init__(self, server: Server) -> None:
        host = server.endpoint.removeprefix("http://")
        self.channel = grpc.insecure_channel(host)
        self.metadata = [("authorization", f"Bearer {server.accounts.token()}")]
        self.services = run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=self.channel, host=host))
        self.revisions = run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=self.channel, host=host))
        self.executions = run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=self.channel, host=host))
        self.tasks = run_v2.TasksClient(transport=TasksGrpcTransport(channel=self.channel, host=host))


def refusal(error: pytest.ExceptionInfo[CloudRunError]) -> str:
    return f"{error.value.code}: {error.value.answer}"


def conditions(body: Any) -> dict[str, str]:
    """Kind -> state, with the reason where there is one."""
    found = {}
    for each in (*body.get("conditions", ()), *([body["terminalCondition"]] if "terminalCondition" in body else ())):
        why = each.get("reason") or each.get("revisionReason") or each.get("executionReason") or ""
        found[each["type"]] = f"{each['state'].removeprefix('CONDITION_').lower()} {why}".rstrip()
    return found


@pytest.fixture
def stock(cloud: Cloud) -> Iterator[Stock]:
    made = Stock(cloud.server)
    yield made
    made.channel.close()


@pytest.fixture(scope="session")
def clock() -> Moved:
    return Moved()


@pytest.fixture(scope="session")
def plane(clock: Moved) -> Iterator[Server]:
    with Server(clock=clock) as started:
        yield started


@pytest.fixture
def cloud(plane: Server, clock: Moved) -> Iterator[Cloud]:
    plane.mended()
    client = connect(plane.environ(), REGION)
    yield Cloud(plane, client, clock)
    client.close()
    plane.mended()
