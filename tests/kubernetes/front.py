# SPDX-License-Identifier: Apache-2.0
"""A bad line to a good API server: a port in front of the real one's, on which named requests meet trouble.

It speaks HTTP without TLS and passes each request on with a user's own credentials, on a connection of its own; the
answer comes back as it is. So what a test does not name works as ever. Of a request that meets trouble, `lost` alone
reaches the server.
"""

import json
import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from fleetflow_tasks.runtimes.kubernetes.access import access
from fleetflow_tasks.runtimes.kubernetes.reach import context

Kind = Literal["answer", "cut", "hang", "lost"]

_HEAD_ENDS = b"\r\n\r\n"


class Trouble:
    """requests: a pattern of `GET /api/v1/…?watch=true`. left: how many more of them meet it."""

    def __init__(
        self, requests: str, kind: Kind, *, times: int, status: int = 0, body: bytes = b"", headers: str = ""
    ) -> None:
        self.requests = re.compile(requests)
        self.kind = kind
        self.left = times
        self.status = status
        self.body = body
        self.headers = headers
        self.met = 0

    def meets(self, request: str) -> bool:
        if not self.left or not self.requests.search(request):
            return False
        self.left, self.met = self.left - 1, self.met + 1
        return True


class Front:
    """seen: every request. said: the Authorization header of each."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._target, self._wallet = access(environ)
        self.seen: list[str] = []
        self.said: list[str] = []
        self.ended = threading.Event()
        self._troubles: list[Trouble] = []
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: socketserver.TCPServer | None = None
        self._port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kubeconfig(self, path: Path, user: Mapping[str, object] | None = None) -> Path:
        """One that leads here. It is JSON, which is YAML too."""
        told = {
            "current-context": "front",
            "contexts": [{"name": "front", "context": {"cluster": "front", "user": "me"}}],
            "clusters": [{"name": "front", "cluster": {"server": self.address}}],
            "users": [{"name": "me", "user": user or {}}],
        }
        path.write_text(json.dumps(told), encoding="utf-8")
        return path

    def answers(
        self, requests: str, status: int, message: str = "", *, times: int = 1, headers: str = "", **more: object
    ) -> Trouble:
        """They are answered with a Status, and never reach the server. headers: `Retry-After: 1`, one a line."""
        told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": status, **more}
        return self.says(requests, status, json.dumps(told).encode(), times=times, headers=headers)

    def says(self, requests: str, status: int, body: bytes, *, times: int = 1, headers: str = "") -> Trouble:
        return self._told(Trouble(requests, "answer", times=times, status=status, body=body, headers=headers))

    def cuts(self, requests: str, *, times: int = 1) -> Trouble:
        """The line is cut before they reach the server."""
        return self._told(Trouble(requests, "cut", times=times))

    def loses(self, requests: str, *, times: int = 1) -> Trouble:
        """The server does what they say, and the line is cut instead of the answer."""
        return self._told(Trouble(requests, "lost", times=times))

    def hangs(self, requests: str, *, times: int = 1) -> Trouble:
        """They get no answer, and never reach the server."""
        return self._told(Trouble(requests, "hang", times=times))

    def cut_off(self) -> None:
        """End every connection."""
        with self._lock:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def up(self) -> None:
        """Listen; at the port of the time before, if there was one."""
        front = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError), front.held(self.request):
                    front.serve(self.request)

        class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def down(self) -> None:
        """As an API server that was killed: who is there is cut off, and who comes is refused."""
        if self._server is not None:
            self._server.shutdown()
            self._server.socket.close()
            self.cut_off()
            self._server.server_close()
            self._server = None

    @contextmanager
    def held(self, line: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(line)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(line)

    def serve(self, client: socket.socket) -> None:
        """One request; the server is asked to close behind its answer, so its end tells where that ends."""
        request = _read(client)
        if request is None:
            return
        head, body = request
        trouble = self._noted(head.decode())
        if trouble is None or trouble.kind == "lost":
            with self._connected() as server, self.held(server):
                server.sendall(self._passed(head) + body)
                _handed_on(server, None if trouble else client)
        elif trouble.kind == "answer":
            lines = [f"HTTP/1.1 {trouble.status} Trouble", f"Content-Length: {len(trouble.body)}"]
            lines += [*trouble.headers.splitlines(), "Connection: close", "", ""]
            client.sendall("\r\n".join(lines).encode() + trouble.body)
        elif trouble.kind == "hang":
            client.recv(1)  # until the client has had enough, or the test ends

    def _noted(self, head: str) -> Trouble | None:
        method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
        said = re.search(r"(?im)^authorization: *(.*?)\r?$", head)
        with self._lock:
            self.seen.append(f"{method} {target}")
            self.said.append(said[1] if said else "")
            return next((each for each in self._troubles if each.meets(f"{method} {target}")), None)

    def _connected(self) -> socket.socket:
        url = urlsplit(self._target.server)
        line = socket.create_connection((url.hostname or "", url.port or 443))
        return context(self._target, self._wallet.current()).wrap_socket(line, server_hostname=url.hostname)

    def _passed(self, head: bytes) -> bytes:
        """With the user's own headers in place of what the test's client said."""
        first, *rows = head.decode().split("\r\n")
        kept = [row for row in rows if not re.match("(?i)(connection|authorization|host):", row)]
        ours = [f"{name}: {value}" for name, value in self._wallet.current().headers]
        host = f"Host: {urlsplit(self._target.server).netloc}"
        return "\r\n".join([first, host, *kept, *ours, "Connection: close"]).encode() + _HEAD_ENDS

    def _told(self, trouble: Trouble) -> Trouble:
        with self._lock:
            self._troubles.append(trouble)
        return trouble


@contextmanager
def front(environ: Mapping[str, str]) -> Iterator[Front]:
    line = Front(environ)
    line.up()
    try:
        yield line
    finally:
        line.down()


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


def _handed_on(server: socket.socket, client: socket.socket | None) -> None:
    while data := server.recv(65536):
        if client is not None:
            client.sendall(data)
