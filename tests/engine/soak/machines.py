# SPDX-License-Identifier: Apache-2.0
"""What can break: a Redis with an append-only file, and worker processes with somebody who starts them again."""

import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path

import redis

from fleetflow_tasks.testing import eventually

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("worker.py")
POISONED = 9  # how a step ends its process (testing.recording)
# Left, found no Redis, asks to be started again, poisoned by a step, killed, told to leave before it could listen.
SOUND = {0, 4, 75, POISONED, -signal.SIGKILL, -signal.SIGTERM}


class Server:
    """Its file is written before each answer, so `kill -9` loses nothing.

    `appendfsync no`: the kernel keeps what was written, whoever dies. With `everysec` Redis puts a write off while its
    last fsync takes long, and answers all the same: a test on a slow disk would then see what only a power cut does.
    """

    def __init__(self, folder: Path, binary: str) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self.is_up = False
        self._binary = binary
        self._folder = folder / "redis"
        self._folder.mkdir()
        self.start()

    def start(self) -> None:
        where = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self._folder)]
        lasting = ["--save", "", "--appendonly", "yes", "--appendfsync", "no", "--loglevel", "warning"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binary, *where, *lasting],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        eventually(self._answers, within=60)
        self.is_up = True

    def kill(self) -> None:
        self.is_up = False
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self.is_up = False
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self.is_up = True

    def _answers(self) -> bool:
        with suppress(redis.RedisError), closing(redis.Redis(unix_socket_path=str(self.socket))) as client:
            return bool(client.ping())
        return False


class Worker:
    """One process after the other, each with the same log."""

    def __init__(self, number: int, folder: Path, *arguments: str) -> None:
        self.starts = 0
        self.poisoned = 0
        self._log = folder / f"worker-{number}.log"
        self._arguments = arguments
        self._process = self._started()

    @property
    def pid(self) -> int:
        return self._process.pid

    def tend(self) -> str | None:
        """Start it again if it has ended. How it ended, where no worker may end so."""
        code = self._process.poll()
        if code is None:
            return None
        self.poisoned += code == POISONED
        ended = self._process.pid
        self._process = self._started()
        return None if code in SOUND else f"worker {ended} ended with code {code}: {self._log.name}"

    def send(self, number: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _started(self) -> "subprocess.Popen[bytes]":
        self.starts += 1
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, str(SCRIPT), *self._arguments],
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
            )
