# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on purpose, and what has happened then."""

from typing import Any

import pytest
from google.api_core.exceptions import GoogleAPICallError, ResourceExhausted, ServiceUnavailable
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # Google ships no types for it

from .conftest import PARENT, Cloud, Stock


def new(cloud: Cloud) -> dict[str, Any]:
    template = {"containers": [{"image": "shop/api"}]}
    return {"parent": PARENT, "service_id": cloud.id, "service": {"template": template}}


def asked(cloud: Cloud, stock: Stock) -> GoogleAPICallError:
    with pytest.raises(GoogleAPICallError) as error:
        stock.services.get_service(name=cloud.service, metadata=stock.metadata, retry=None)
    return error.value


def test_a_request_is_refused_as_often_as_said(cloud: Cloud, stock: Stock) -> None:
    cloud.make()
    fault = cloud.server.faults.refuse(f"GetService .*{cloud.id}$", "UNAVAILABLE", times=2)

    errors = [asked(cloud, stock) for _ in range(2)]

    assert [type(each) for each in errors] == [ServiceUnavailable, ServiceUnavailable]
    assert stock.services.get_service(name=cloud.service, metadata=stock.metadata, retry=None).name == cloud.service
    assert (fault.left, fault.met) == (0, 2)


def test_a_refusal_says_when_to_come_again(cloud: Cloud, stock: Stock) -> None:
    cloud.server.faults.refuse("GetService", "RESOURCE_EXHAUSTED", after=7.5)

    error = asked(cloud, stock)

    (info,) = [each for each in error.details if isinstance(each, RetryInfo)]
    assert isinstance(error, ResourceExhausted)
    assert (info.retry_delay.seconds, info.retry_delay.nanos) == (7, 500_000_000)


def test_an_answer_that_is_lost_leaves_the_change_made(cloud: Cloud, stock: Stock) -> None:
    cloud.server.faults.lose(f"CreateService .*{cloud.id}$")

    with pytest.raises(ServiceUnavailable, match="Socket closed"):
        stock.services.create_service(new(cloud), metadata=stock.metadata, retry=None)

    assert cloud.get() is not None


def test_an_answer_may_take_its_time(cloud: Cloud, stock: Stock) -> None:
    cloud.server.faults.delay(f"CreateService .*{cloud.id}$", 60)

    with pytest.raises(GoogleAPICallError, match="Deadline Exceeded"):
        stock.services.create_service(new(cloud), metadata=stock.metadata, retry=None, timeout=0.2)
    cloud.server.faults.clear()

    assert cloud.get() is not None


def test_who_asks_more_than_a_minute_allows_waits_for_the_next(cloud: Cloud, stock: Stock) -> None:
    cloud.clock.advance(60 - cloud.clock.now() % 60)
    cloud.server.world.reads = 2
    for _ in range(2):
        cloud.get()

    error = asked(cloud, stock)
    cloud.clock.advance(60)

    (info,) = [each for each in error.details if isinstance(each, RetryInfo)]
    assert info.retry_delay.seconds == 60
    assert cloud.get() is None
