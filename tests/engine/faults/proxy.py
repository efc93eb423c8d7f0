# SPDX-License-Identifier: Apache-2.0
"""A way to a server that can be made bad: it passes bytes on, and delays, stops, refuses or cuts when it is told to.

What matters most is the cut *after the request went through*: the server has done what it was asked, and whoever asked
does not hear of it. `lose_reply(b"nonce")` does that to the next request that holds these bytes: the reply is read from
the server, kept back, and the connection is cut. So exactly the reply of a claim or of a finish is lost, by design.

One thread per direction of a connection; unix sockets on both sides, since a client's address may be any.
"""

import socket
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

CHUNK = 65_536


class Proxy:
    """Between clients and the server that listens on the unix socket *target*; `target` may be changed to another's."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.lost = 0  # replies that were kept back
        self.counted = 0  # requests that held `counting`
        self.counting = b""
        self.delay = 0.0  # seconds before each chunk is passed on
        self._folder = tempfile.TemporaryDirectory(prefix="ff-proxy-")
        self.socket = Path(self._folder.name) / "s"
        self._losing: list[bytes] = []
        self._refusing = False
        self._flows = threading.Event()
        self._flows.set()
        self._pairs: set[_Pair] = set()
        self._lock = threading.Lock()
        self._listener = self._listening()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._flows.set()
        self._folder.cleanup()

    def before(self, url: str) -> str:
        """The same database as *url*'s, through here."""
        return f"unix://{self.socket}?{url.partition('?')[2]}"

    def cut(self) -> None:
        """Every connection, now; new ones are welcome."""
        with self._lock:
            pairs = tuple(self._pairs)
        for pair in pairs:
            pair.close()

    def refuse(self) -> None:
        """As a server that is gone: nobody listens, and what was connected is cut."""
        self._refusing = True
        with suppress(OSError):  # it may refuse already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.socket.unlink(missing_ok=True)
        self.cut()

    def accept(self) -> None:
        """As before `refuse`."""
        self._refusing = False
        self._listener = self._listening()

    def stop(self) -> None:
        """As a network that swallows everything: connections stay, nothing comes through."""
        self._flows.clear()

    def go_on(self) -> None:
        self._flows.set()

    def lose_reply(self, request: bytes, times: int = 1) -> None:
        """Keep back the replies of the next *times* requests that hold *request*, and cut their connections."""
        self._losing += [request] * times

    def _listening(self) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        listener.listen(128)
        threading.Thread(target=self._welcome, args=(listener,), name="proxy", daemon=True).start()
        return listener

    def _welcome(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self.target))
            except OSError:
                client.close()
                server.close()
                continue
            pair = _Pair(client, server)
            with self._lock:
                self._pairs.add(pair)
            for pump in (self._requests, self._replies):
                threading.Thread(target=self._pumped, args=(pump, pair), name="proxy", daemon=True).start()
            if self._refusing:  # it came in while `refuse` cut the others
                pair.close()

    def _pumped(self, pump: Callable[["_Pair"], None], pair: "_Pair") -> None:
        with suppress(OSError):
            pump(pair)
        pair.close()
        with self._lock:
            self._pairs.discard(pair)

    def _requests(self, pair: "_Pair") -> None:
        while data := pair.client.recv(CHUNK):
            self._hold()
            pair.loses = pair.loses or self._is_losing(data)
            self.counted += bool(self.counting) and self.counting in data
            pair.server.sendall(data)

    def _replies(self, pair: "_Pair") -> None:
        while data := pair.server.recv(CHUNK):
            self._hold()
            if pair.loses:
                self.lost += 1
                return
            pair.client.sendall(data)

    def _hold(self) -> None:
        self._flows.wait()
        if self.delay:
            threading.Event().wait(self.delay)

    def _is_losing(self, data: bytes) -> bool:
        with self._lock:
            found = next((request for request in self._losing if request in data), None)
            if found is not None:
                self._losing.remove(found)
            return found is not None


class _Pair:
    """One client's connection and ours to the server in its name."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.loses = False

    def close(self) -> None:
        for each in (self.client, self.server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads; `close` alone would not
            each.close()
