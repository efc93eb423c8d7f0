# SPDX-License-Identifier: Apache-2.0
"""The bodies of answers: as a whole within the time of its call, or as they come (a pod's log, what a watch tells).

A timeout of a socket counts from byte to byte: a server that says one each second would be listened to for ever.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from typing import Any, Self

from fleetflow_tasks.runtimes.kubernetes.trouble import decoded, lost, reported

_PIECE = 2**16  # bytes read at once, at most


def whole(answer: Any, end: float) -> bytes:
    """All of it, as it was meant. Raises TimeoutError where it has not ended by *end*, an HTTPError where it is cut."""
    from urllib3.exceptions import HTTPError

    pieces: list[bytes] = []
    cut: HTTPError | None = None
    with closing(answer), _woken(answer, end):
        try:
            while piece := _piece(answer, end):
                pieces.append(piece)
        except HTTPError as error:
            cut = error
    _in_time(end)  # who was woken has seen an end, or a cut
    if cut is not None:
        raise cut
    return b"".join(pieces)


def _piece(answer: Any, end: float) -> bytes:
    _in_time(end)
    if answer.connection is not None and answer.connection.sock is not None:
        answer.connection.sock.settimeout(max(0.001, end - time.monotonic()))
    return bytes(answer.read1(_PIECE))


def _in_time(end: float) -> None:
    if time.monotonic() >= end:
        raise TimeoutError


@contextmanager
def _woken(answer: Any, end: float) -> Iterator[None]:
    """A server that is about to close says so, and its socket is no longer to be had: then it is ended from outside."""
    if answer.connection is None or answer.connection.sock is not None:
        yield
        return
    waker = threading.Timer(end - time.monotonic(), _shut, [answer])
    waker.daemon = True
    waker.start()
    try:
        yield
    finally:
        waker.cancel()


def _shut(answer: Any) -> None:
    with suppress(OSError, ValueError, RuntimeError, AttributeError):
        answer.shutdown()


class Lines:
    """The lines of an answer as they come, as bytes and without their ends. Another thread may close it.

    whole: a last line that has not ended was cut, and is none.
    """

    def __init__(self, doing: str, server: str, answer: Any, *, whole: bool = False) -> None:
        self._doing = doing
        self._server = server
        self._answer = answer
        self._whole = whole
        self._ending = threading.Lock()
        self._begun = False
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        """Ends where the server ends it, or somebody closes it; raises KubernetesError where the line is cut."""
        import urllib3

        with self._ending:
            self._begun = True
        try:
            yield from self._split()
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            if not self._closed:
                raise lost(self._doing, error, self._server) from error
        finally:
            self._answer.close()

    def _split(self) -> Iterator[bytes]:
        rest: list[bytes] = []  # of a line that has not ended; joined once, for a long one comes in many pieces
        for piece in self._pieces():
            *whole, last = piece.split(b"\n")
            for line in whole:
                yield b"".join((*rest, line))
                rest = []
            rest += [last] if last else []
        if rest and not self._whole:
            yield b"".join(rest)

    def _pieces(self) -> Iterator[bytes]:
        """As they come. What is not chunked, as some proxies make it, would be held back until a buffer is full."""
        if self._answer.chunked:
            yield from self._answer.stream(_PIECE)
            return
        while piece := self._answer.read1(_PIECE):
            yield piece

    def close(self) -> None:
        """Wakes who reads: closing alone would leave it waiting for the next byte. Whoever reads then gives it back."""
        with self._ending:
            self._closed = True
            _shut(self._answer)
            if not self._begun:
                self._answer.close()


class Watching:
    """(type, object) as they come: ADDED, MODIFIED, DELETED, BOOKMARK. Another thread may close it."""

    def __init__(self, doing: str, lines: Lines) -> None:
        self._doing = doing
        self._lines = lines

    def __iter__(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Raises KubernetesError where the server says so in the middle (410: the version is too old), or the line is cut."""
        for line in self._lines:
            told = decoded(self._doing, line)
            if told["type"] == "ERROR":
                raise reported(self._doing, told["object"])
            yield told["type"], told["object"]

    def close(self) -> None:
        self._lines.close()
