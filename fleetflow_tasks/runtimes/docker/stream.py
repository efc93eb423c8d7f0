# SPDX-License-Identifier: Apache-2.0
"""A container's output as the Engine sends it: frames of two streams -> lines."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any


def lines(raw: Any) -> Iterator[tuple[str, str]]:
    """(stream, line) of an answer that is read as it comes."""
    return _lines(_frames(raw))


def _frames(raw: Any) -> Iterator[tuple[str, bytes]]:
    """Docker's multiplexed stream: one byte of stream, three of nothing, four of length, then that many bytes."""
    import urllib3.exceptions

    with suppress(urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError):  # closed from another thread
        while head := raw.read(8):
            if len(head) < 8 or head[0] > 2:  # a terminal's output is not multiplexed
                yield "stdout", head + raw.read()
                return
            yield "stderr" if head[0] == 2 else "stdout", raw.read(struct.unpack(">L", head[4:])[0])


def _lines(frames: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, str]]:
    rest = {"stdout": b"", "stderr": b""}
    for stream, data in frames:
        *whole, rest[stream] = (rest[stream] + data).split(b"\n")
        for line in whole:
            yield stream, line.decode(errors="replace").rstrip("\r")
    for stream, line in rest.items():
        if line:
            yield stream, line.decode(errors="replace").rstrip("\r")
