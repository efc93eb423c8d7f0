# SPDX-License-Identifier: Apache-2.0
"""Several streams over one WebSocket, each message led by a byte that says whose it is; never blocks.

The handshake is the library's; the frames are read and written here, because whoever carries data both ways must not
wait for the one while the other is full: a command that echoes what it gets would otherwise come to a standstill, with
both ends writing and neither reading.
"""

import os
import selectors
import socket
import ssl
import struct
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any, Self

CLOSING = "v5.channel.k8s.io"  # knows a word for the end of a stream, from Kubernetes 1.30 on
PLAIN = "v4.channel.k8s.io"

_CONTINUED, _TEXT, _BINARY, _BYE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_FINAL, _MASKED, _OPCODE, _LENGTH = 0x80, 0x80, 0x0F, 0x7F
_SHORT, _MIDDLE, _LONG = 125, 126, 127  # lengths up to the first stand in the byte itself
_END = 255  # the channel on which the end of another one is told
_ROOM = 2**18  # bytes under way, of one direction; who has more waits
_PIECE = 2**15  # of one message
_QUIET = 20.0  # seconds without a word from us, then a ping: what stands between forgets lines that are silent


class Channels:
    """opened: a `websocket.WebSocket` after its handshake."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        self._socket: socket.socket = opened.sock
        self._socket.setblocking(False)
        self._incoming = bytearray()
        self._message = bytearray()  # of several frames, as far as it came
        self._outgoing = bytearray()
        self._spoke = time.monotonic()
        self.ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError, ValueError):
            self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def unsent(self) -> bool:
        return bool(self._outgoing) and not self.ended

    @property
    def room(self) -> bool:
        """Whether to take more for the other side."""
        return not self.ended and len(self._outgoing) < _ROOM

    @property
    def tells_ends(self) -> bool:
        return bool(self._opened.subprotocol == CLOSING)

    def put(self, channel: int, data: bytes) -> None:
        for start in range(0, max(1, len(data)), _PIECE):
            self._frame(_BINARY, bytes([channel]) + data[start : start + _PIECE])

    def close(self, channel: int) -> None:
        """Tell that nothing more comes on *channel*; only where the other side `tells_ends`."""
        self._frame(_BINARY, bytes([_END, channel]))

    def send(self) -> None:
        """What can go now, goes."""
        if not self._outgoing and time.monotonic() - self._spoke > _QUIET:
            self._frame(_PING, b"")
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing[:_ROOM])]
                self._spoke = time.monotonic()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self.ended = True

    def take(self) -> Iterator[tuple[int, bytes]]:
        """(channel, data) of all that has come."""
        self._fill()
        while (frame := self._next()) is not None:
            final, opcode, data = frame
            if opcode == _PING:
                self._frame(_PONG, data)
            elif opcode == _BYE:
                self.ended = True
            elif opcode in {_CONTINUED, _TEXT, _BINARY}:
                self._message += data
                if final:
                    message, self._message = bytes(self._message), bytearray()
                    if message:
                        yield message[0], message[1:]

    def _fill(self) -> None:
        """Some of it at a time, so that a side that talks without end does not keep the other from being heard."""
        try:
            for _ in range(_ROOM // _PIECE):
                piece = self._socket.recv(_PIECE)
                if not piece:
                    self.ended = True
                    return
                self._incoming += piece
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self.ended = True

    def _next(self) -> tuple[bool, int, bytes] | None:
        """The next frame, once all of it is there. A server does not mask."""
        if len(self._incoming) < 2:
            return None
        head, length, start = self._incoming[0], self._incoming[1] & _LENGTH, 2
        if length > _SHORT:
            size = 2 if length == _MIDDLE else 8
            if len(self._incoming) < 2 + size:
                return None
            length, start = int.from_bytes(self._incoming[2 : 2 + size]), 2 + size
        if len(self._incoming) < start + length:
            return None
        data = bytes(self._incoming[start : start + length])
        del self._incoming[: start + length]
        return bool(head & _FINAL), head & _OPCODE, data

    def _frame(self, opcode: int, data: bytes) -> None:
        """A client masks, by chance, so that nothing between takes the data for a request of its own kind."""
        length = len(data)
        if length <= _SHORT:
            head = struct.pack(">BB", _FINAL | opcode, _MASKED | length)
        elif length < 2**16:
            head = struct.pack(">BBH", _FINAL | opcode, _MASKED | _MIDDLE, length)
        else:
            head = struct.pack(">BBQ", _FINAL | opcode, _MASKED | _LONG, length)
        mask = os.urandom(4)
        self._outgoing += head + mask + _xored(data, mask)


def ready(readers: Collection[int], writers: Collection[int], within: float) -> frozenset[int]:
    """Which of *readers* have something to be read; it also returns once one of *writers* takes more.

    By `poll`: `select` knows no number above 1023, and `epoll` no files, which a command's input may be.
    """
    with selectors.PollSelector() as looking:
        for each in {*readers, *writers}:
            wanted = (selectors.EVENT_READ if each in readers else 0) | (
                selectors.EVENT_WRITE if each in writers else 0
            )
            looking.register(each, wanted)
        return frozenset(key.fd for key, events in looking.select(within) if events & selectors.EVENT_READ)


def _xored(data: bytes, mask: bytes) -> bytes:
    """As one large number: byte by byte would take a thousand times as long."""
    stream = (mask * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))
