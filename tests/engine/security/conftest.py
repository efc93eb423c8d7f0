# SPDX-License-Identifier: Apache-2.0
"""`flow` as a process beside real workers whose runtime only records, and what lies in Redis, down to its bytes."""

import os
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
from celery.events import EventReceiver

from fleetflow_tasks.engine.address import parsed
from fleetflow_tasks.engine.app import app
from fleetflow_tasks.plan.model import QueueName
from tests.engine.conftest import BINARIES, Server, running

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "security.md"
KEY = "0123456789abcdef0123456789abcdef"
OLD_KEY = "fedcba9876543210fedcba9876543210"


class Flow:
    """The command line of somebody with this environment, in *folder*."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FLEETFLOW_")}
        self.environ = {**kept, "PYTHONPATH": str(ROOT), "FLEETFLOW_STATE_DIR": str(folder / "state"), **environ}

    def __call__(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "fleetflow_tasks", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """In the background; whoever starts it ends it."""
        return subprocess.Popen(
            [sys.executable, "-m", "fleetflow_tasks", *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


class Listener:
    """Hears Celery's events as Flower does, and asks workers what Flower asks them."""

    def __init__(self, url: str) -> None:
        self.heard: list[Mapping[str, object]] = []
        self._app = app(url, (QueueName("docker"),))
        self._connection = self._app.connection_for_read()
        self._receiver = EventReceiver(self._connection, app=self._app, handlers={"*": self.heard.append})
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def types(self) -> set[object]:
        return {event["type"] for event in self.heard}

    def asked(self) -> Mapping[str, object]:
        """What the workers answer to each question that Flower asks."""
        inspect = self._app.control.inspect(timeout=20, limit=1)
        questions = (
            "active",
            "active_queues",
            "conf",
            "registered",
            "report",
            "reserved",
            "revoked",
            "scheduled",
            "stats",
        )
        return {question: getattr(inspect, question)() for question in questions}

    def close(self) -> None:
        self._receiver.should_stop = True
        self._thread.join(30)
        self._connection.release()
        self._app.close()

    def _listen(self) -> None:
        for _ in self._receiver.consume(limit=None, wakeup=False, safety_interval=0.2):
            pass


@pytest.fixture(params=list(BINARIES))
def own(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for this test alone, Redis and Valkey in turn: its users may be made, its memory looked through."""
    with running(BINARIES[request.param]()) as server:
        yield server


Raw = Any  # redis-py's client: its replies are typed as all that they could be under any of its settings


def raw(url: str) -> Raw:
    """The server past the store, replies as bytes. Only for addresses of sockets."""
    address = parsed(url)
    return redis.Redis(
        unix_socket_path=address.path,
        db=address.database,
        username=address.username,
        password=address.password.reveal() if address.password else None,
        protocol=2,
    )


def contents(url: str) -> Mapping[str, bytes]:
    """Every key of the database: its name and all of its bytes, what is deflated inflated too."""
    with closing(raw(url)) as client:
        return {key.decode(): _bytes_of(client, key) for key in client.scan_iter(count=1000)}


def _bytes_of(client: Raw, key: bytes) -> bytes:
    kind = client.type(key)
    value: object = {
        b"string": lambda: client.get(key),
        b"hash": lambda: client.hgetall(key),
        b"zset": lambda: client.zrange(key, 0, -1, withscores=True),
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"stream": lambda: client.xrange(key),
    }[kind]()
    flat = b"\n".join(_flat(value))
    return key + b"\n" + flat + b"\n" + b"\n".join(inflated(flat))


def _flat(value: object) -> Iterator[bytes]:
    match value:
        case bytes():
            yield value
        case dict():
            for name, inner in value.items():
                yield from _flat(name)
                yield from _flat(inner)
        case list() | tuple() | set():
            for inner in value:
                yield from _flat(inner)
        case _:
            yield repr(value).encode()


def inflated(data: bytes) -> Iterator[bytes]:
    """Whatever of *data* begins as a deflated text does."""
    at = -1
    while (at := data.find(b"\x78", at + 1)) >= 0:
        with suppress(zlib.error):
            yield zlib.decompressobj().decompress(data[at:])
