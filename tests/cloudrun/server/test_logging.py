# SPDX-License-Identifier: Apache-2.0
"""What containers wrote, asked for through Google's own logging client."""

from collections.abc import Callable, Iterator

import grpc
import pytest
from google.api_core.exceptions import InvalidArgument
from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

from .conftest import Cloud, Stock

Read = Callable[..., list[str]]


@pytest.fixture
def read(cloud: Cloud, stock: Stock) -> Iterator[Read]:
    host = cloud.server.endpoint.removeprefix("http://")
    with grpc.insecure_channel(host) as channel:
        client = LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel, host=host))

        def entries(query: str, order: str = "timestamp asc", project: str = "shop") -> list[str]:
            request = {"resource_names": [f"projects/{project}"], "filter": query, "order_by": order, "page_size": 1}
            return [each.text_payload for each in client.list_log_entries(request, metadata=stock.metadata, retry=None)]

        yield entries


@pytest.fixture
def mine(cloud: Cloud) -> str:
    """The filter of the test's own service, which wrote at two moments, and of its job."""
    cloud.make("scripted/ready:1s")
    cloud.change("scripted/crash:3")
    job = {"name": cloud.job, "template": {"template": {"containers": [{"image": "scripted/job:0"}]}}}
    cloud.client.update_job({**job, "runExecutionToken": "abc"}, allow_missing=True)
    cloud.clock.advance(1)
    return f'resource.labels.service_name="{cloud.id}"'


def test_a_service_s_lines_come_in_their_order_and_backwards(read: Read, mine: str) -> None:
    lines = ["started: scripted/ready:1s", "started: scripted/crash:3", "Container called exit(3)."]

    assert read(mine) == lines
    assert read(mine, "timestamp desc") == lines[::-1]
    assert read(mine, project="other") == []


def test_a_job_s_lines_know_their_execution(cloud: Cloud, read: Read, mine: str) -> None:
    query = f'resource.type="cloud_run_job" labels."run.googleapis.com/execution_name"="{cloud.id}-abc"'

    assert read(query) == ["started: scripted/job:0, attempt 0", "Container called exit(0)."]
    assert read(f'{query} AND logName:"varlog%2Fsystem"') == ["Container called exit(0)."]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ('textPayload:"EXIT"', 1),
        ('textPayload=~"^started"', 2),
        ('textPayload!~"^started"', 1),
        ('NOT textPayload:"exit"', 2),
        ('(textPayload:"exit" OR textPayload:"ready")', 2),
        ('textPayload:"exit" OR textPayload:"ready"', 2),
        ("severity>=WARNING", 0),
        ("severity<ERROR", 3),
        ('timestamp>"2020-01-01T00:00:00Z" timestamp<="2099-01-01T00:00:00.5Z"', 3),
        ('resource.type!="cloud_run_revision"', 0),
        ('labels.nothing="x"', 0),
    ],
)
def test_a_filter_finds_what_it_says(read: Read, mine: str, more: str, found: int) -> None:
    assert len(read(f"{mine} AND {more}")) == found


@pytest.mark.parametrize("query", ['a="b" AND', "a", "(a=b", "a=b)", 'a="b'])
def test_a_filter_that_cannot_be_read_is_refused(read: Read, query: str) -> None:
    with pytest.raises(InvalidArgument, match="Unparseable filter"):
        read(query)


def test_without_a_filter_all_is_told(read: Read, mine: str) -> None:
    assert len(read("")) >= 5
