# SPDX-License-Identifier: Apache-2.0
"""A person's end of a command that runs elsewhere, with pipes in place of a person."""

import os
import pty
import tempfile
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class Piped:
    """What is typed is given beforehand; what comes back is kept."""

    def __init__(self, typed: bytes | None = None) -> None:
        """typed: None for no input at all."""
        self.tty = False
        self.output, self.errors = _nameless(), _nameless()
        self.input: int | None = None
        if typed is not None:
            self.input, writer = os.pipe()
            threading.Thread(target=_typed, args=(writer, typed), daemon=True).start()

    def size(self) -> tuple[int, int] | None:
        return None

    @property
    def out(self) -> bytes:
        return _content(self.output)

    @property
    def err(self) -> bytes:
        return _content(self.errors)


class Screen:
    """A terminal of 100 columns and 30 rows, which may be made another size, and somebody who reads and types there."""

    def __init__(self) -> None:
        self.tty = True
        self._keys, self.output = pty.openpty()
        os.set_blocking(self._keys, False)
        self.errors = self.output
        self.input: int | None = os.dup(self.output)
        self.columns, self.rows = 100, 30
        self._seen = b""
        tty.setraw(self.output)

    def size(self) -> tuple[int, int] | None:
        return self.columns, self.rows

    def type(self, keys: bytes) -> None:
        os.write(self._keys, keys)

    @property
    def seen(self) -> bytes:
        with suppress(BlockingIOError):
            self._seen += os.read(self._keys, 65536)
        return self._seen


def _nameless() -> int:
    """A file that is gone once this process is."""
    handle, name = tempfile.mkstemp()
    Path(name).unlink()
    return handle


def _typed(writer: int, data: bytes) -> None:
    with os.fdopen(writer, "wb") as sink:
        sink.write(data)


def _content(sink: int) -> bytes:
    size = os.fstat(sink).st_size
    return os.pread(sink, size, 0)


def in_background(call: Callable[[], int]) -> Callable[[], int]:
    """Begin *call* in a thread; what is returned waits for its answer."""
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(call()), daemon=True)
    thread.start()

    def answer() -> int:
        end = time.monotonic() + 60
        while not answers and time.monotonic() < end:
            thread.join(0.5)
        return answers[0]

    return answer
