# SPDX-License-Identifier: Apache-2.0
"""The message of a hint is Celery's own: held against what the installed Celery sends, key by key."""

import base64
import json
from contextlib import closing
from typing import Any, cast

import redis

from fleetflow_tasks.engine.abandoned import local_queue
from fleetflow_tasks.engine.app import app, queue
from fleetflow_tasks.engine.model import Hint, RunId, new_run_id
from fleetflow_tasks.engine.publish import TASK, publisher
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.model import QueueName, StepId

DOCKER = QueueName("docker")
RUN = RunId("01m861xn7me9j03fs7gqeba4dj")


def test_a_hint_is_the_message_that_celery_would_send(url: str, store: Store) -> None:
    with closing(app(url, (DOCKER,))) as celery:
        celery.send_task(TASK, args=(RUN, "api:deploy"), queue=queue(DOCKER), ignore_result=True)
    publisher(store)(Hint(run=RUN, step=StepId("api:deploy"), queue=DOCKER))

    ours, theirs = (_read(message) for message in _messages(url, "docker"))

    assert ours == theirs


def test_each_hint_has_an_id_of_its_own(url: str, store: Store) -> None:
    hint = Hint(run=RUN, step=StepId("api:deploy"), queue=DOCKER)
    publisher(store)(hint)
    publisher(store)(hint)

    assert len({json.loads(message)["headers"]["id"] for message in _messages(url, "docker")}) == 2


def test_hints_of_a_run_that_another_process_carries_out_go_nowhere(url: str, store: Store) -> None:
    run = new_run_id()

    publisher(store)(Hint(run=run, step=StepId("api:deploy"), queue=local_queue(run)))

    assert _messages(url, local_queue(run)) == []


def _messages(url: str, name: str) -> list[bytes]:
    with closing(redis.Redis.from_url(url)) as client:
        return cast("list[bytes]", client.lrange(name, 0, -1))


def _read(message: bytes) -> dict[str, Any]:
    """Without what differs between any two messages."""
    read: dict[str, Any] = json.loads(message)
    read["body"] = json.loads(base64.b64decode(read["body"]))
    for part, name in (
        ("headers", "id"),
        ("headers", "root_id"),
        ("properties", "correlation_id"),
        ("properties", "delivery_tag"),
        ("properties", "reply_to"),
    ):
        assert isinstance(read[part].pop(name), str)
    return read
