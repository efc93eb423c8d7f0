# SPDX-License-Identifier: Apache-2.0
"""A bad line to a good Engine: a socket in front of the real one's, on which named requests meet trouble.

Each request goes to the Engine on a connection of its own, and its answer comes back as it is; so what a test does not
name works as ever. Of a request that meets trouble, `lost` alone reaches the Engine.
"""

import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

Kind = Literal["answer", "cut", "hang", "lost", "silent"]

_HEAD_ENDS = b"\r\n\r\n"


class Trouble:
    """requests: a pattern of `POST /containers/create`, without the version. left: how many more of them meet it.

    spared: how many are let through behind each that met it. over: the client has given up a request that got no answer.
    """

    def __init__(
        self, requests: str, kind: Kind, *, times: int, status: int = 0, words: str = "", spared: int = 0
    ) -> None:
        self.requests = re.compile(requests)
        self.kind = kind
        self.left = times
        self.status = status
        self.words = words
        self.spared = spared
        self._passing = 0
        self.met = 0
        self.over = threading.Event()

    def meets(self, request: str) -> bool:
        if not self.left or not self.requests.search(request):
            return False
        if self._passing:
            self._passing -= 1
            return False
        self.left, self.met, self._passing = self.left - 1, self.met + 1, self.spared
        return True


class BadLine:
    """engine: the address of the Engine behind; it may be changed, and `cut_off` then ends what is open."""

    def __init__(self, path: Path, engine: str) -> None:
        self.path = path
        self.engine = engine
        self.seen: list[str] = []
        self.ended = threading.Event()
        self._troubles: list[Trouble] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"unix://{self.path}"

    def answers(self, requests: str, status: int, words: str = "", *, times: int = 1, spared: int = 0) -> Trouble:
        """They are answered with *status*, and never reach the Engine."""
        return self._told(Trouble(requests, "answer", times=times, status=status, words=words, spared=spared))

    def cuts(self, requests: str, *, times: int = 1) -> Trouble:
        """The line is cut before they reach the Engine."""
        return self._told(Trouble(requests, "cut", times=times))

    def loses(self, requests: str, *, times: int = 1) -> Trouble:
        """The Engine does what they say, and the line is cut instead of the answer."""
        return self._told(Trouble(requests, "lost", times=times))

    def hangs(self, requests: str, *, times: int = 1) -> Trouble:
        """They get no answer, and never reach the Engine."""
        return self._told(Trouble(requests, "hang", times=times))

    def is_silent(self, requests: str, *, times: int = 1) -> Trouble:
        """They are answered with 200, and then nothing comes."""
        return self._told(Trouble(requests, "silent", times=times))

    def changes(self) -> list[str]:
        return [request for request in self.seen if not request.startswith(("GET", "HEAD"))]

    def cut_off(self) -> None:
        """End every connection, as an Engine that stops does."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def trouble(self, request: str) -> Trouble | None:
        with self._lock:
            self.seen.append(request)
            return next((each for each in self._troubles if each.meets(request)), None)

    @contextmanager
    def held(self, line: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(line)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(line)

    def _told(self, trouble: Trouble) -> Trouble:
        with self._lock:
            self._troubles.append(trouble)
        return trouble


@contextmanager
def bad_line(path: Path, engine: str) -> Iterator[BadLine]:
    line = BadLine(path, engine)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), line.held(self.request):
                _served(self.request, line)

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield line
        finally:
            line.ended.set()
            line.cut_off()
            server.shutdown()
            thread.join()


def _served(client: socket.socket, line: BadLine) -> None:
    """One request; the Engine is asked to close behind its answer, so its end tells where that ends."""
    request = _read(client)
    if request is None:
        return
    head, body = request
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
    trouble = line.trouble(f"{method} {re.sub('^/v[0-9.]+', '', target)}")
    if trouble is None or trouble.kind == "lost":
        with _connected(line.engine) as engine, line.held(engine):
            engine.sendall(_closing(head) + body)
            _handed_on(engine, None if trouble else client)
    elif trouble.kind == "answer":
        text = b'{"message":"%s"}' % trouble.words.encode()
        lines = f"HTTP/1.1 {trouble.status} Trouble", f"Content-Length: {len(text)}", "Connection: close", "", ""
        client.sendall("\r\n".join(lines).encode() + text)
    elif trouble.kind != "cut":
        if trouble.kind == "silent":
            client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        with suppress(OSError):
            client.recv(1)  # until the client has had enough, or the test ends
        trouble.over.set()


def _read(client: socket.socket) -> tuple[bytes, bytes] | None:
    """(head, body); None where the client only knocked."""
    data = b""
    while _HEAD_ENDS not in data:
        if not (more := client.recv(65536)):
            return None
        data += more
    head, _, body = data.partition(_HEAD_ENDS)
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    while length and len(body) < int(length[1]):
        body += client.recv(65536)
    return head, body


def _closing(head: bytes) -> bytes:
    kept = [row for row in head.split(b"\r\n") if not row.lower().startswith(b"connection:")]
    return b"\r\n".join([*kept, b"Connection: close"]) + _HEAD_ENDS


def _handed_on(engine: socket.socket, client: socket.socket | None) -> None:
    while data := engine.recv(65536):
        if client is not None:
            client.sendall(data)


def _connected(address: str) -> socket.socket:
    url = urlsplit(address)
    if url.scheme in {"unix", "http+unix"}:
        line = socket.socket(socket.AF_UNIX)
        line.connect(url.path)
        return line
    return socket.create_connection((url.hostname or "", url.port or 2375))
