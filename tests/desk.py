# SPDX-License-Identifier: Apache-2.0
"""A user at a terminal: a folder with KDL files, `flow` as a process of its own, a state folder of its own."""

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest

T = TypeVar("T")

FLOW = (str(Path(sys.executable).with_name("flow")),)
BASE = "fleetflow/base:1"  # made by the set-up from busybox


class Result:
    """What a command printed and its exit code. Colours never come: nothing here is a terminal."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Desk:
    """One user's place of work. `project` is unique, so that tests share an Engine and a cluster in peace."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.project = f"t{secrets.token_hex(4)}"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FLEETFLOW_")},
            "FLEETFLOW_STATE_DIR": str(state),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.started: list[subprocess.Popen[str]] = []

    def write(self, text: str, file: str = "fleet.kdl") -> Path:
        """*text* with the project's name in front where it is the main file."""
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        head = f'project "{self.project}"\n' if file == "fleet.kdl" else ""
        path.write_text(head + text, encoding="utf-8")
        return path

    def flow(self, *arguments: str, timeout: float = 120, **environ: str) -> Result:
        done = subprocess.run(
            [*FLOW, *arguments],
            cwd=self.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **environ: str) -> "Running":
        """`flow …` in the background, ended with the test."""
        log = self.folder / f".out-{len(self.started)}"
        with log.open("w", encoding="utf-8") as sink:
            process = subprocess.Popen(
                [*FLOW, *arguments],
                cwd=self.folder,
                env={**self.environ, **environ},
                stdout=sink,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.started.append(process)
        return Running(process, log)

    def empty_redis(self) -> None:
        """What an operator's FLUSHALL does to the embedded Redis."""
        assert self._told_redis(b"FLUSHALL\r\n").startswith(b"+OK")

    def _told_redis(self, words: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(Path(self.environ["FLEETFLOW_STATE_DIR"]) / "redis" / "redis.sock"))
            line.sendall(words)
            return line.recv(64)

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        with suppress(OSError):  # whoever was killed left its Redis running, for a next `flow` that does not come
            self._told_redis(b"SHUTDOWN NOSAVE\r\n")


class Running:
    def __init__(self, process: "subprocess.Popen[str]", log: Path) -> None:
        self.process = process
        self.log = log

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait(self, timeout: float = 120) -> Result:
        code = self.process.wait(timeout)
        return Result(code, self.text, "")

    def until(self, pattern: str, timeout: float = 60) -> str:
        """Wait until its output holds *pattern*; return the match. Fails with the output when it does not come."""
        return eventually(lambda: re.search(pattern, self.text), timeout, lambda: f"no {pattern!r} in:\n{self.text}")[0]


def eventually(ask: Callable[[], T | None], timeout: float, told: Callable[[], str]) -> T:
    """Ask until there is an answer that is true; fail with *told* when the time is over."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.05)
    pytest.fail(told())


@contextmanager
def state_folder() -> Iterator[Path]:
    """A unix socket's path may hold 107 bytes, and pytest's folders are long."""
    folder = Path(f"/tmp/ff-{secrets.token_hex(4)}")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
