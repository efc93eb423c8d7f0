# SPDX-License-Identifier: Apache-2.0
"""The Celery app of a worker; every setting with its reason.

Celery carries hints and nothing else: two ids, no result, no retry, no countdown. The truth is in the store, so what
Celery loses, doubles or delivers late changes nothing, and most of its own guarantees are switched off here because
they would only get in the way.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from celery import Celery
from kombu.entity import Exchange, Queue

from fleetflow_tasks.plan.model import QueueName

SETTINGS: dict[str, Any] = {
    # JSON alone, both ways: a pickle in Redis would be code that a worker runs.
    "task_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    # No results: a step's end is in the store. A result backend is memory, pub/sub, and one more deserialiser to attack.
    "result_backend": None,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    # Early on purpose: the lease guards a step, not the broker. Acked late, a rollout longer than the transport's
    # visibility timeout would be delivered, and begin, a second time.
    "task_acks_late": False,
    "task_reject_on_worker_lost": False,
    # A hint waits in the queue, where any worker can take it, never inside a busy one (Celery 5.6; 5.7 keeps the count
    # over a reconnect). The multiplier only matters where the first is ignored.
    "worker_disable_prefetch": True,
    "worker_prefetch_multiplier": 1,
    # A worker outlives Redis: it tries for ever, at its start too. The default gives up after 100 tries.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {
        # Fetched is gone. By default each message is written to a second place until it is acked, and given back from
        # there after a timeout: five of nine commands a message, for a hint that the reconciler would send again anyway.
        "ack_emulation": False,
        "socket_timeout": 10,  # without it a publish waits for ever on a master that is gone
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,  # a half-open connection is noticed after 21 s instead of 51
        "client_name": "ff-worker",  # what CLIENT LIST shows
    },
    # Only late-acked tasks are affected, and we have none; said by name, or Celery 5 warns and 6 changes its mind.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    # For Flower. Our own stream is the record. (Hints are not sent by Celery: see publish.)
    "worker_send_task_events": True,
    # We end a worker ourselves: a thread cannot be killed, and Celery would wait for its end, however far.
    "worker_soft_shutdown_timeout": 0,
    # Our lines are JSON, set up in `boot`.
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    # A typo in a queue's name must fail, not make a queue that nobody serves.
    "task_create_missing_queues": False,
    "enable_utc": True,
}


def app(url: str, queues: Sequence[QueueName]) -> Celery:
    """An app that consumes *queues* of the Redis at *url* (redis://, rediss:// or unix://)."""
    made = Celery("fleetflow", set_as_current=False)
    made.conf.update(SETTINGS)
    made.conf.update(broker_url=broker_url(url), task_queues=tuple(queue(name) for name in queues))
    return made


def queue(name: QueueName) -> Queue:
    """A plain list in Redis with the queue's own name, so that `LLEN` and KEDA see what is in it."""
    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]  # kombu's types end before its entities
    return Queue(name, exchange, routing_key=name)  # type: ignore[no-untyped-call]


def broker_url(url: str) -> str:
    """The same Redis as kombu writes it: a unix socket is `redis+socket://` there, and its database `virtual_host`."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    database = dict(pair.partition("=")[::2] for pair in parts.query.split("&")).get("db", "0")
    login = parts.netloc.rpartition("@")[0]
    return f"redis+socket://{login + '@' if login else ''}{quote(parts.path)}?virtual_host={database}"
