# SPDX-License-Identifier: Apache-2.0
"""A hint onto the queue of its runtime or host: one message of two ids, as Celery writes it.

Celery's own `send_task` takes longer than a step's claim and finish together: it routes, declares, and tells Flower of
each message twice. A worker sends a hint for every step it finishes, so that is paid again and again. The message
itself is plain: Celery's task message (its protocol 2) in kombu's envelope, a JSON text at the end of a list. So it is
written here, and pushed by the store; and whoever only submits needs no Celery at all. A test holds it against what
Celery itself sends, key by key.
"""

import base64
import os
import socket
import uuid

import msgspec

from fleetflow_tasks.engine.model import LOCAL, Hint, Publish
from fleetflow_tasks.engine.store import Store

TASK = "fleetflow.step"  # the one task's name, as Flower shows it
PERSISTENT = 2  # kombu's delivery mode; a Redis list knows no other


def publisher(store: Store) -> Publish:
    """A function that sends hints through *store*; threads may share it."""

    def publish(hint: Hint) -> None:
        if not hint.queue.startswith(LOCAL):  # the process that made such a queue looks for its ready steps itself
            store.push(hint.queue, message(hint))

    return publish


def message(hint: Hint) -> bytes:
    """*hint* as a Celery worker reads it. Two for the same hint differ: each has an id of its own."""
    id_ = str(uuid.uuid4())
    return msgspec.json.encode(
        {
            "body": base64.b64encode(_body(hint)).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": _headers(hint, id_),
            "properties": {
                "correlation_id": id_,
                "reply_to": "",
                "delivery_mode": PERSISTENT,
                "delivery_info": {"exchange": "", "routing_key": hint.queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    )


def _body(hint: Hint) -> bytes:
    """Arguments, keyword arguments, and the canvas, which is not used."""
    canvas = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return msgspec.json.encode(((hint.run, hint.step), {}, canvas))


def _headers(hint: Hint, id_: str) -> dict[str, object]:
    return {
        "lang": "py",
        "task": TASK,
        "id": id_,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": (None, None),
        "root_id": id_,
        "parent_id": None,
        "argsrepr": repr((str(hint.run), str(hint.step))),  # what Flower shows
        "kwargsrepr": "{}",
        "origin": f"gen{os.getpid()}@{socket.gethostname()}",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
