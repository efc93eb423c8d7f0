# SPDX-License-Identifier: Apache-2.0
"""The Celery app of a worker; every setting with its reason.

Celery carries hints and nothing else: two ids, no result, no retry, no countdown. The truth is in the store, so what
Celery loses, doubles or delivers late changes nothing, and most of its own guarantees are switched off here because
they would only get in the way.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import quote

from celery import Celery
from celery.app.amqp import AMQP
from celery.exceptions import WorkerTerminate
from celery.worker.consumer import Consumer
from kombu.connection import Connection
from kombu.entity import Exchange, Queue

from fleetflow_tasks.engine.address import Address, Host, parsed
from fleetflow_tasks.engine.client import sentinel_options
from fleetflow_tasks.plan.model import QueueName

log = logging.getLogger(__name__)

# What kombu stumbles with over text that is no message; no failing connection is among them.
NO_MESSAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)

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
        "priority_steps": [0],  # no priorities: one list a queue in place of four, to look at and to have rights on
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
    """An app that consumes *queues* of the Redis at *url* (any that `address.parsed` takes)."""
    return _made(url, queues, _Amqp)


def onlooker(url: str) -> Celery:
    """An app that consumes nothing: Flower's.

    It may know its own login, which Flower takes from it to count what lies in a queue. Nobody can ask it for that: it is
    workers that answer questions.
    """
    made = _made(url, (), _OnlookersAmqp)
    made.conf.task_default_queue = "docker"  # what Flower counts while it sees no worker
    made.conf.broker_transport_options["client_name"] = "ff-flower"
    return made


def _made(url: str, queues: Sequence[QueueName], amqp: type[AMQP]) -> Celery:
    address = parsed(url)
    made = Celery("fleetflow", amqp=amqp, set_as_current=False)
    made.conf.update(SETTINGS)
    made.conf.update(
        broker_url=broker_url(url),
        # Always said where there is TLS: left out, kombu looks at no certificate at all.
        broker_use_ssl=dict(address.tls) or False,
        broker_transport_options={**SETTINGS["broker_transport_options"], **_sentinels(address)},
        task_queues=tuple(queue(name) for name in queues),
    )
    return made


class _Steady(Connection):
    """What is no message does not end whoever reads it."""

    def get_transport_cls(self) -> type:
        return _patient(super().get_transport_cls())  # type: ignore[no-untyped-call]  # kombu's types end before it


class _Discreet(_Steady):
    """It tells where it goes, and not how it gets in: whoever asks a worker for its `stats` is sent all of `info`."""

    def info(self) -> dict[str, Any]:
        told = super().info()  # type: ignore[no-untyped-call]  # kombu's types end before it
        where = {name: told[name] for name in ("transport", "port", "virtual_host", "connect_timeout", "heartbeat")}
        return {**where, "userid": None, "password": None}  # kombu looks for them when it shows its address


@cache
def _patient(transport: Any) -> type:
    """*transport*, reading on after a message that is none: as it is, one that anybody pushes ends the worker it reaches,
    and the next, and the next."""

    class Channel(transport.Channel):  # type: ignore[misc]  # found at run time: Redis's, or that of its Sentinels
        def _brpop_read(self, **options: Any) -> Any:
            try:
                return super()._brpop_read(**options)
            except NO_MESSAGE as error:
                return _dropped(error)

        def _receive(self) -> Any:
            try:
                return super()._receive()
            except NO_MESSAGE as error:
                return _dropped(error)

    return type(transport.__name__, (transport,), {"Channel": Channel})


def _dropped(error: Exception) -> bool:
    log.warning("message.dropped", extra={"problem": f"{type(error).__name__}: {error}"[:200]})
    return True


class Listener(Consumer):  # type: ignore[misc]  # Celery ships no types
    """Celery's, but for a message that is no hint: a line, where Celery writes down all that stands in it, as an error.

    Another application's may be there by mistake, and hold what is nobody's business. Nor does it end with a traceback
    when Redis refuses what it asks for: it leaves the refusal with the worker, as `refused`, for words.
    """

    def start(self) -> None:
        try:
            super().start()
        except self.channel_errors as error:
            self.controller.refused = error
            raise WorkerTerminate from error

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        message.ack()
        _dropped(exc)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:
        message.ack()
        _dropped(exc)

    on_invalid_task = on_unknown_task

    def on_unknown_message(self, body: Any, message: Any) -> None:
        message.ack()
        _dropped(ValueError("no task message"))


class _Amqp(AMQP):  # type: ignore[misc]  # Celery ships no types
    Connection = BrokerConnection = _Discreet


class _OnlookersAmqp(AMQP):  # type: ignore[misc]  # as above
    Connection = BrokerConnection = _Steady


def queue(name: QueueName) -> Queue:
    """A plain list in Redis with the queue's own name, so that `LLEN` and KEDA see what is in it."""
    exchange = Exchange(name, type="direct")  # type: ignore[no-untyped-call]  # kombu's types end before its entities
    return Queue(name, exchange, routing_key=name)  # type: ignore[no-untyped-call]


def broker_url(url: str) -> str:
    """The same Redis as kombu writes it.

    A unix socket is `redis+socket://` there, and its database `virtual_host`; Sentinels are an address each, with the
    server's login in every one. TLS is in none of them: see `app`.
    """
    address = parsed(url)
    login = _quoted_login(address)
    if address.path:
        return f"redis+socket://{login}{quote(address.path)}?virtual_host={address.database}"
    scheme = "sentinel" if address.master_name else address.scheme
    return ";".join(f"{scheme}://{login}{_netloc(host)}/{address.database}" for host in address.hosts)


def _sentinels(address: Address) -> Mapping[str, object]:
    if not address.master_name:
        return {}
    timeouts = {"socket_timeout": 5, "socket_connect_timeout": 5}  # a Sentinel that is gone must not hold up the next
    return {"master_name": address.master_name, "sentinel_kwargs": {**timeouts, **sentinel_options(address)}}


def _quoted_login(address: Address) -> str:
    if not (address.username or address.password):
        return ""
    password = address.password.reveal() if address.password else ""
    return f"{quote(address.username or '', safe='')}:{quote(password, safe='')}@"


def _netloc(host: Host) -> str:
    name, port = host
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
