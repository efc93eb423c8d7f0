# SPDX-License-Identifier: Apache-2.0
"""What stands before the instances: the URLs of services and their tags, on this machine's loopback.

Each URL is a port of its own: names under run.app would need DNS. A request goes to one of the revisions by their percents, or
to the one of the tag; the first one starts an instance, and `scaling` stops it again. How the revisions are drawn is exact
here, a tenth is every tenth request; Cloud Run draws lots.

cloud.google.com/run/docs/container-contract: the instance sees `Host` as the caller said it, `X-Forwarded-For` and
`X-Forwarded-Proto`; one that does not answer in time is a 504, one that breaks off a 503 and none to be had a 429. HTTP/1
only: no upgrade to WebSocket, no h2c.
"""

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.testing.cloudrun.scaling import BusyError, Instance, Pool

LOOPBACK = "127.0.0.1"
REAPING = 0.2  # seconds between two looks for instances that are idle
PIECE = 64 * 1024  # bytes that are passed on at once
FAILED = 500  # for a request whose instance did not start

# They are about one connection, and not about what goes over it.
HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
)

Admit = Callable[[Mapping[str, str]], int]  # headers -> 0, or the status with which the caller is sent away


class Revision(Data, frozen=True, kw_only=True):
    """One that may serve. timeout: seconds for one request."""

    pool: Any  # `Pool`: no data, but what this data leads to
    timeout: float = 300.0


class Route(Data, frozen=True, kw_only=True):
    """Where the requests to one URL go. shares: revision -> percent, together 100."""

    shares: Mapping[str, int]
    admit: Admit


Routed = Callable[[str, str], Route | None]  # service, tag -> None where there is no such thing


class Front:
    """All URLs of one server. Safe for many threads."""

    def __init__(self, routed: Routed, inside: str = "") -> None:
        """routed: asked with each request. inside: the address of this machine as its containers see it; the ports answer
        there too. "" without any."""
        self._routed = routed
        self._inside = inside
        self._lock = threading.Lock()
        self._revisions: dict[str, Revision] = {}
        self._doors: dict[tuple[str, str], _Door] = {}
        self._closed = threading.Event()
        self._reaper = threading.Thread(target=self._reap, name="cloudrun reaper", daemon=True)
        self._reaper.start()

    def url(self, service: str, tag: str = "") -> str:
        """Of the service itself, or of one of its tags. It stays the same, whatever becomes of the service."""
        with self._lock:
            door = self._doors.get((service, tag))
            if door is None:
                door = self._doors[service, tag] = _Door(self, lambda: self._routed(service, tag), self._inside)
        return door.url

    def add(self, name: str, revision: Revision) -> None:
        """A revision that is ready."""
        with self._lock:
            self._revisions[name] = revision

    def remove(self, name: str) -> None:
        with self._lock:
            revision = self._revisions.pop(name, None)
        if revision is not None:
            revision.pool.close()

    def revision(self, name: str) -> Revision | None:
        with self._lock:
            return self._revisions.get(name)

    def outside(self, value: str) -> str:
        """*value* with our URLs in it as a container reaches them."""
        if not self._inside:
            return value
        for port in self._ports():
            value = value.replace(f"{LOOPBACK}:{port}", f"{self._inside}:{port}")
        return value

    def close(self) -> None:
        self._closed.set()
        self._reaper.join()
        with self._lock:
            doors, self._doors = list(self._doors.values()), {}
            revisions, self._revisions = list(self._revisions.values()), {}
        for door in doors:
            door.shut()
        for revision in revisions:
            revision.pool.close()

    def _ports(self) -> list[int]:
        with self._lock:
            return [door.port for door in self._doors.values()]

    def _reap(self) -> None:
        while not self._closed.wait(REAPING):
            with self._lock:
                pools: list[Pool] = [revision.pool for revision in self._revisions.values()]
            for pool in pools:
                pool.reap()


class _Door:
    """One URL."""

    def __init__(self, front: Front, routed: Callable[[], Route | None], inside: str) -> None:
        self._front = front
        self.routed = routed
        self._lock = threading.Lock()
        self._owed: dict[str, int] = {}
        self._servers = [_server(self, LOOPBACK, 0)]
        self.port = self._servers[0].server_port
        if inside:
            with suppress(OSError):  # that address is not this machine's own: then it leads to its loopback by itself
                self._servers.append(_server(self, inside, self.port))
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def shut(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def drawn(self, shares: Mapping[str, int]) -> Revision | None:
        """The revision of the next request: the one that is owed the most. None: there is none that could serve."""
        with self._lock:
            self._owed = {name: self._owed.get(name, 0) + percent for name, percent in shares.items() if percent}
            if not self._owed:
                return None
            name = max(self._owed, key=lambda each: self._owed[each])
            self._owed[name] -= sum(shares.values())
        return self._front.revision(name)


def _server(door: _Door, host: str, port: int) -> ThreadingHTTPServer:
    class Handler(_Passing):
        leads = door

    server = ThreadingHTTPServer((host, port), Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.request_queue_size = 128
    try:
        server.server_bind()
        server.server_activate()
    except OSError:
        server.server_close()
        raise
    return server


class _Passing(BaseHTTPRequestHandler):
    """One request, from a caller to an instance and back."""

    protocol_version = "HTTP/1.1"
    leads: _Door

    def handle_request(self) -> None:
        self.close_connection = True  # one request per connection: a URL that is shut leaves nobody hanging
        route = self.leads.routed()
        refused = route.admit({name.lower(): value for name, value in self.headers.items()}) if route else 404
        revision = self.leads.drawn(route.shares) if route and not refused else None
        if revision is None:
            self._say(refused or 404, http.client.responses[refused or 404])
            return
        try:
            with revision.pool.instance() as instance:
                self._passed(instance, revision)
        except BusyError:
            self._say(429, "Rate exceeded.")
        except Exception as error:  # noqa: BLE001  (whatever kept an instance from starting is told to the caller)
            self._say(FAILED, f"Error: the instance did not start: {error}")

    def __getattr__(self, name: str) -> Any:
        """`do_GET` and its fellows, whatever the method is called."""
        if name.startswith("do_"):
            return self.handle_request
        raise AttributeError(name)

    def _passed(self, instance: Instance, revision: Revision) -> None:
        line = http.client.HTTPConnection(*instance.address, timeout=revision.timeout)
        try:
            self._ask(line)
            answer = line.getresponse()
        except TimeoutError:
            self._say(504, "upstream request timeout")
        except (OSError, http.client.HTTPException):
            revision.pool.broken(instance)
            self._say(503, "upstream connect error or disconnect/reset before headers")
        else:
            self._answer(answer)
        finally:
            line.close()

    def _ask(self, line: http.client.HTTPConnection) -> None:
        line.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in HOP:
                line.putheader(name, value)
        line.putheader("X-Forwarded-For", self.client_address[0])
        line.putheader("X-Forwarded-Proto", "http")
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if chunked:
            line.putheader("Transfer-Encoding", "chunked")
        line.endheaders()
        for piece in self._body(chunked):
            line.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            line.send(b"0\r\n\r\n")

    def _body(self, chunked: bool) -> Iterator[bytes]:
        if chunked:
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0 and (piece := self.rfile.read(min(left, PIECE))):
            left -= len(piece)
            yield piece

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP:
                self.send_header(name, value)
        bare = self.command == "HEAD" or answer.status in {204, 304}
        chunked = not bare and answer.getheader("Content-Length") is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        while not bare and (piece := answer.read1(PIECE)):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _say(self, status: int, text: str) -> None:
        body = f"{text}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_response(self, code: int, message: str | None = None) -> None:
        """Without `Server` and `Date`: they are the instance's to say."""
        self.send_response_only(code, message)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the library's)
        pass
