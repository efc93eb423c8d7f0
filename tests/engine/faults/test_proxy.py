# SPDX-License-Identifier: Apache-2.0
"""The way that is made bad, by itself: what it does is what the other tests believe that it does."""

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.engine.faults.proxy import Proxy


@pytest.fixture
def client(proxy: Proxy, url: str) -> Iterator["redis.Redis"]:
    """It never asks twice by itself."""
    with closing(redis.Redis.from_url(proxy.before(url), retry=Retry(NoBackoff(), 0), socket_timeout=1)) as client:
        yield client


def test_what_is_asked_and_answered_comes_through(client: "redis.Redis") -> None:
    client.set("a", b"x" * 300_000)

    assert client.get("a") == b"x" * 300_000


def test_a_reply_that_is_lost_was_a_request_that_went_through(client: "redis.Redis", proxy: Proxy) -> None:
    proxy.lose_reply(b"APPEND")
    client.ping()

    with pytest.raises(redis.ConnectionError):
        client.append("a", "once")

    assert proxy.lost == 1
    assert client.get("a") == b"once"


def test_nobody_answers_until_somebody_does_again(client: "redis.Redis", proxy: Proxy) -> None:
    client.ping()

    proxy.refuse()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    with pytest.raises(redis.ConnectionError):
        client.ping()
    proxy.accept()

    assert client.ping()


def test_what_was_swallowed_comes_when_the_way_is_free(client: "redis.Redis", proxy: Proxy) -> None:
    client.ping()

    proxy.stop()
    with pytest.raises(redis.TimeoutError):
        client.append("a", "x")
    proxy.go_on()

    assert client.append("a", "y") in (1, 2)


def test_a_cut_connection_is_made_anew(client: "redis.Redis", proxy: Proxy) -> None:
    before = client.client_id()

    proxy.cut()

    assert client.client_id() != before


def test_what_is_delayed_comes_later(client: "redis.Redis", proxy: Proxy) -> None:
    client.ping()
    proxy.delay = 0.1

    began = time.monotonic()
    client.ping()

    assert time.monotonic() - began >= 0.2, "once on each way"
