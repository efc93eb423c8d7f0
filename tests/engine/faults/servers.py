# SPDX-License-Identifier: Apache-2.0
"""A server of a test's own, that may be killed, started again with what it had written, and be the replica of another.

Clients come over its unix socket; its port, on loopback, is for a replica, which knows no other way.
"""

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import cast

import redis

from fleetflow_tasks.testing import eventually
from tests.engine.conftest import BINARIES


class Own:
    """kind: `redis` or `valkey`. With an append-only file, as a server that holds runs should have one."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}"
        self.port = _free_port()
        self._command = [
            *(BINARIES[kind](), "--unixsocket", str(self.socket), "--dir", str(folder), "--loglevel", "warning"),
            *(
                "--bind",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--save",
                "",
                "--appendonly",
                "yes",
                "--enable-debug-command",
                "yes",
            ),
            *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
        ]
        self._process = self._started()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def sleep(self) -> None:
        """Stopped where it is; its connections stay."""
        self._process.send_signal(signal.SIGSTOP)

    def start(self) -> None:
        """Again, with what it has on its disk."""
        self._process = self._started()

    def follow(self, primary: "Own") -> None:
        """Be a replica of *primary*; returns when it has all that is there."""
        self.ask("REPLICAOF", "127.0.0.1", primary.port)
        eventually(lambda: self._is_level_with(primary), within=60)

    def fall_behind(self, primary: "Own") -> None:
        """Have all that *primary* has now, and nothing that it gets from now on."""
        eventually(lambda: self._is_level_with(primary), within=60)
        self.ask("REPLICAOF", "127.0.0.1", 1)  # nobody listens there

    def promote(self) -> None:
        self.ask("REPLICAOF", "NO", "ONE")

    def ask(self, *words: str | int) -> object:
        """One command past everything, as `redis-cli` would send it."""
        with closing(redis.Redis.from_url(self.url, decode_responses=True, protocol=2)) as client:
            answer: object = client.execute_command(*words)  # type: ignore[no-untyped-call]  # its types end here
            return answer

    def _started(self) -> "subprocess.Popen[bytes]":
        self.socket.unlink(missing_ok=True)
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: process.poll() is not None or self._answers(), within=60)
        assert process.poll() is None, "the server did not start"
        return process

    def _is_level_with(self, primary: "Own") -> bool:
        ours, theirs = self._replication(), primary._replication()
        return ours.get("master_link_status") == "up" and ours["slave_repl_offset"] == theirs["master_repl_offset"]

    def _replication(self) -> Mapping[str, object]:
        return cast("Mapping[str, object]", self.ask("INFO", "replication"))

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except redis.RedisError:
            return False


@contextmanager
def own(kind: str) -> Iterator[Own]:
    folder = Path(tempfile.mkdtemp(prefix="ff-own-"))  # not tmp_path: a socket's path has 107 characters at most
    try:
        server = Own(kind, folder)
        yield server
        server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
