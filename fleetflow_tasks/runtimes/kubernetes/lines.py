# SPDX-License-Identifier: Apache-2.0
"""Answers that are read as they come: a pod's log, and what a watch tells. Another thread may end them."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

from fleetflow_tasks.runtimes.kubernetes.trouble import decoded, lost, reported

_PIECE = 2**16  # bytes read at once, at most


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
            with suppress(OSError, ValueError, RuntimeError, AttributeError):
                self._answer.shutdown()
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
