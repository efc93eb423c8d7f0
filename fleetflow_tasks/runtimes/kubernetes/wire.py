# SPDX-License-Identifier: Apache-2.0
"""The line to one API server: connections, TLS, the pass in each request, and a little patience.

Requests go through one pool of urllib3 connections, as the official client's do, but past its models and past its
import, which takes half a second: that package is loaded where it is needed, for streams and OpenID. Patience is for
what the server cannot have begun: a refused connection while it restarts, a 429 that says when to come again, and
a question whose answer got lost. All of that ends within one timeout, which is shorter than a lease: whoever holds
a step knows how its last call ended before somebody else may have the step.
"""

import logging
import random
import re
import socket
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any
from urllib.parse import urlencode, urlsplit

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.asked import asked
from fleetflow_tasks.runtimes.kubernetes import proxies
from fleetflow_tasks.runtimes.kubernetes.clock import Clock
from fleetflow_tasks.runtimes.kubernetes.credentials import Pass, Wallet
from fleetflow_tasks.runtimes.kubernetes.lines import whole
from fleetflow_tasks.runtimes.kubernetes.reach import Target, context
from fleetflow_tasks.runtimes.kubernetes.trouble import KubernetesError, late, lost, refused
from fleetflow_tasks.runtimes.kubernetes.turns import Turns

TIMEOUT = 15.0  # seconds for one call, its repetitions included
CONNECTING = 5.0  # of these, for a connection: a server that is there accepts at once
PATIENCE = 8.0  # seconds of these within which a call that cannot have begun is made again
SETTLING = 10.0  # seconds for which a server that did not answer, and is there again, may know nobody's rights yet
AT_ONCE = 16  # requests under way: as much as keeps a server busy. Watches and logs that are read do not count
CONNECTIONS = 1024  # kept at most, those of watches and logs too; urllib3 complains of each above it
QUIET = 20  # seconds without a byte before TCP asks whether the other end is alive; dead after five questions more
EVERY = 8  # seconds between two of those questions

log = logging.getLogger(__name__)

Trace = Callable[[str, str], None]  # told of each request: method, path
Query = Sequence[tuple[str, str]]


class _Call(Data, frozen=True, kw_only=True):
    """One request, as often as it is sent. path: with its query. headers: besides those of every request.

    urgency: whose turn is first where several wait; the higher one's.
    """

    doing: str
    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    urgency: int = 0


class Line:
    """Connections to one server, and who we are there. Safe for many threads."""

    def __init__(self, target: Target, wallet: Wallet, trace: Trace | None = None, *, timeout: float = TIMEOUT) -> None:
        self.target = target
        self._wallet = wallet
        self._trace = trace
        self._timeout = timeout
        self._reached = False
        self._lost_at = float("-inf")  # when it last failed to answer
        self.clock = Clock()
        self._turns = Turns(AT_ONCE)
        self._making = threading.Lock()
        self._pools: dict[tuple[bytes, bytes], Any] = {}

    def ask(
        self,
        doing: str,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: bytes | None = None,
        content: str = "application/json",
        packed: bool = False,
        urgency: int = 0,
    ) -> bytes:
        """The body of a good answer. Raises KubernetesError, and UnavailableError where no pass can be had.

        packed: let the server compress; worth its time for lists alone. urgency: the higher one's turn is first.
        """
        extra = {"Content-Type": content} if body is not None else {}
        extra |= {"Accept-Encoding": "gzip"} if packed else {}
        where = _with(path, query)
        return self._patient(_Call(doing=doing, method=method, path=where, body=body, headers=extra, urgency=urgency))

    def open(self, doing: str, path: str, *, query: Query = (), silence: float | None) -> Any:
        """An answer that is read as it comes. silence: seconds that it may say nothing, None: for ever."""
        import urllib3

        end = time.monotonic() + self._timeout
        try:
            answer = self._passed(_Call(doing=doing, method="GET", path=_with(path, query)), end)
        except urllib3.exceptions.HTTPError as error:
            self._lost_at = time.monotonic()
            raise lost(doing, error, self.target.server) from error
        if answer.status >= 300:
            raise refused(doing, answer.status, _rest(answer, end), answer.headers)
        if answer.connection is not None and answer.connection.sock is not None:
            answer.connection.sock.settimeout(silence)
        return answer

    def socket(self, doing: str, path: str, *, query: Query = (), protocols: Sequence[str]) -> Any:
        """An open WebSocket (`websocket.WebSocket`) there."""
        held = self._wallet.current()
        try:
            return self._opened(held, doing, path, query, protocols)
        except KubernetesError as error:
            if error.status != 401 or not self._wallet.renewed(held):
                raise
        return self._opened(self._wallet.current(), doing, path, query, protocols)

    def close(self) -> None:
        with self._making:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def _opened(self, held: Pass, doing: str, path: str, query: Query, protocols: Sequence[str]) -> Any:
        import websocket

        if self._trace is not None:
            self._trace("GET", _with(path, query))
        url = self.target.server.replace("http", "ws", 1) + _with(path, query)
        opened: Any = websocket.WebSocket(sslopt=_websocket_tls(self.target, held))
        opened.settimeout(self._timeout)
        began = time.monotonic()
        try:
            opened.connect(
                url,
                header=[f"{name}: {value}" for name, value in held.headers],
                subprotocols=list(protocols),
                suppress_origin=True,
                redirect_limit=0,  # it would take our pass along, to wherever it is sent
                **proxies.of_websocket(self.target.proxy),
            )
        except websocket.WebSocketBadStatusException as error:
            opened.close()
            raise refused(doing, error.status_code, error.resp_body or b"", error.resp_headers or {}) from error
        except (websocket.WebSocketException, OSError) as error:
            opened.close()
            if (answer := opened.handshake_response) is not None and answer.status >= 300:
                raise refused(doing, answer.status, b"", answer.headers) from error
            raise lost(doing, error, self.target.server) from error
        asked(log, "kubernetes", "GET", path, opened.getstatus(), time.monotonic() - began)
        return opened

    def _patient(self, call: _Call) -> bytes:
        begun = time.monotonic()
        tries = 0
        while True:
            body, failure, pause = self._tried(call, begun + self._timeout, tries)
            if failure is None:
                return body
            if pause is None or time.monotonic() + pause > begun + PATIENCE:
                raise failure
            tries += 1
            time.sleep(pause)

    def _tried(self, call: _Call, end: float, tries: int) -> tuple[bytes, KubernetesError | None, float | None]:
        """(answer, failure, seconds after which another try makes sense; None: it makes none)."""
        import urllib3

        try:
            with self._turns.turn(call.urgency, end - time.monotonic()) as had:
                if not had:
                    raise late(call.doing, f"{AT_ONCE} requests of ours were under way for {self._timeout:g} s")
                answer = self._passed(call, end)
                body = whole(answer, end)
        except (urllib3.exceptions.HTTPError, TimeoutError) as error:
            pause = _backoff(tries) if self._reached and _repeatable(call.method, error) else None
            self._lost_at = time.monotonic()
            failure = lost(call.doing, error, self.target.server)
            failure.__cause__ = error
            return b"", failure, pause
        if answer.status < 300:
            return body, None, None
        failure = refused(call.doing, answer.status, body, answer.headers)
        if answer.status in {401, 403} and time.monotonic() - self._lost_at < SETTLING:
            return body, failure, _backoff(tries)
        return body, failure, failure.retry_after if answer.status in {429, 503} else None

    def _passed(self, call: _Call, end: float) -> Any:
        """The answer, its body unread; asked a second time with a new pass, where the server no longer knows the first."""
        held = self._wallet.current()
        answer = self._sent(held, call, self._left(call.doing, end))
        with ExitStack() as stack:
            stack.callback(answer.close)
            if answer.status != 401 or not self._wallet.renewed(held):
                stack.pop_all()  # it is read by whoever asked
                return answer
        return self._sent(self._wallet.current(), call, self._left(call.doing, end))

    def _left(self, doing: str, end: float) -> Any:
        """For the answer, of the time that a call has. A plugin may have used it up: then nothing is sent any more."""
        import urllib3

        left = end - time.monotonic()
        if left <= 0:
            raise late(doing, f"to get our credentials took longer than the {self._timeout:g} s of a call")
        return urllib3.Timeout(connect=min(CONNECTING, left), read=left, total=left)

    def _sent(self, held: Pass, call: _Call, timeout: Any) -> Any:
        if self._trace is not None:
            self._trace(call.method, call.path)
        began = time.monotonic()
        answer = self._pool(held).request(
            call.method,
            self.target.server + call.path,
            body=call.body,
            headers=_headers(held, call),
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        self._reached = True
        self.clock.heard(answer.headers.get("Date", ""), began, time.monotonic())
        asked(log, "kubernetes", call.method, call.path, answer.status, time.monotonic() - began)
        return answer

    def _pool(self, held: Pass) -> Any:
        """A pool per certificate: the old one's watches go on when a plugin has given a new one."""
        with self._making:
            key = (held.certificate, held.key)
            if key not in self._pools:
                self._pools[key] = _pool(self.target, held)
            return self._pools[key]


def _pool(target: Target, held: Pass) -> Any:
    import urllib3

    options: dict[str, Any] = {"maxsize": CONNECTIONS, "block": False, "socket_options": _alive()}
    if target.server.startswith("https://"):
        options["ssl_context"] = context(target, held)
        options["cert_reqs"] = "CERT_NONE" if target.insecure else "CERT_REQUIRED"
        options |= _unverified(target) if target.insecure else {}
        options |= {"server_hostname": target.server_name} if target.server_name else {}
    if target.proxy:
        return proxies.manager(target, options)
    return urllib3.PoolManager(**options)


def _unverified(target: Target) -> dict[str, Any]:
    """The kubeconfig wants it so, knowingly; urllib3 would say it on stderr with each connection."""
    import urllib3

    host = re.escape(urlsplit(target.server).hostname or "")
    warnings.filterwarnings("ignore", f".* host '{host}'", urllib3.exceptions.InsecureRequestWarning)
    return {"assert_hostname": False}


def _alive() -> list[tuple[int, int, int]]:
    """A connection that a firewall has forgotten is noticed within a minute; no read would ever say so."""
    from urllib3.connection import HTTPConnection

    wanted = {"TCP_KEEPIDLE": QUIET, "TCP_KEEPALIVE": QUIET, "TCP_KEEPINTVL": EVERY, "TCP_KEEPCNT": 5}
    known = [
        (socket.IPPROTO_TCP, getattr(socket, name), value) for name, value in wanted.items() if hasattr(socket, name)
    ]
    return [*HTTPConnection.default_socket_options, (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *known]


def _websocket_tls(target: Target, held: Pass) -> dict[str, Any]:
    if not target.server.startswith("https://"):
        return {}
    named = {"server_hostname": target.server_name} if target.server_name else {}
    return {"context": context(target, held), **named}


def _headers(held: Pass, call: _Call) -> Any:
    """A pass may have several of one name."""
    import urllib3

    headers = urllib3.HTTPHeaderDict({"Accept": "application/json", "User-Agent": "fleetflow", **call.headers})
    for name, value in held.headers:
        headers.add(name, value)
    return headers


def _rest(answer: Any, end: float) -> bytes:
    """What a refusal says; nothing where the line is cut in the middle of it."""
    from urllib3.exceptions import HTTPError

    with suppress(HTTPError, OSError):
        return whole(answer, end)
    return b""


def _with(path: str, query: Query) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _repeatable(method: str, error: Exception) -> bool:
    """It never began; or doing it twice is the same as once, which holds for all but making something anew."""
    from urllib3.exceptions import NewConnectionError, ProtocolError

    return isinstance(error, NewConnectionError) or (isinstance(error, ProtocolError) and method != "POST")


def _backoff(tries: int) -> float:
    return float(min(2.0, 0.1 * 2**tries) * random.uniform(0.75, 1.25))  # noqa: S311  (no secret hangs on it)
