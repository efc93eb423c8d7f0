# SPDX-License-Identifier: Apache-2.0
"""The line to a server that does what no API server should: on loopback, byte by byte."""

import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.runtimes.kubernetes.credentials import Pass, Wallet, bearer
from fleetflow_tasks.runtimes.kubernetes.proxies import login
from fleetflow_tasks.runtimes.kubernetes.reach import Target, bare
from fleetflow_tasks.runtimes.kubernetes.trouble import KubernetesError
from fleetflow_tasks.runtimes.kubernetes.wire import AT_ONCE, Line, Trace
from fleetflow_tasks.testing import eventually

Handler = Callable[[socket.socket, str], None]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Server:
    """heard: the head of each request, one a connection."""

    def __init__(self, handler: Handler) -> None:
        self.heard: list[str] = []
        self._handler = handler
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self, line: socket.socket) -> None:
        with line, suppress(OSError):
            head = ""
            while "\r\n\r\n" not in head:
                if not (more := line.recv(65536)):
                    return
                head += more.decode()
            self.heard.append(head)
            self._handler(line, head)


@contextmanager
def served(handler: Handler) -> Iterator[Server]:
    server = Server(handler)
    threading.Thread(target=server.run, daemon=True).start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def opened(server: str, *, proxy: str = "", timeout: float = 15.0, trace: Trace | None = None) -> Iterator[Line]:
    target = Target(server=server, origin="context `here`", proxy=proxy)
    line = Line(target, Wallet(lambda: Pass(headers=bearer("mine"))), timeout=timeout, trace=trace)
    try:
        yield line
    finally:
        line.close()


def answering(data: bytes) -> Handler:
    return lambda line, _: line.sendall(data)


def refused(call: Callable[[], object]) -> KubernetesError:
    with pytest.raises(KubernetesError) as failure:
        call()
    return failure.value


# ---- who sends us on


def test_no_redirect_takes_our_pass_along() -> None:
    with served(answering(OK)) as thief:
        told = f"HTTP/1.1 302 Found\r\nLocation: ws://me:secret@{thief.address}/x?key=1\r\nConnection: close\r\n\r\n"
        with served(answering(told.encode())) as server, opened(f"http://{server.address}") as line:
            streamed = refused(lambda: line.socket("run a command", "/exec", protocols=["v4.channel.k8s.io"]))
            asked = refused(lambda: line.ask("look", "GET", "/version"))
            followed = refused(lambda: line.open("watch pods", "/pods", silence=1))

    assert thief.heard == []
    assert {(each.status, each.transient) for each in (streamed, asked, followed)} == {(302, False)}
    assert {each.answer.replace(thief.address, "HOST") for each in (streamed, asked, followed)} == {
        "HTTP 302 sends us on to HOST/x, where we do not go with our credentials"
    }


def test_who_sends_us_nowhere_is_told_as_that() -> None:
    told = b"HTTP/1.1 307 On\r\nContent-Length: 0\r\n\r\n"
    with served(answering(told)) as server, opened(f"http://{server.address}") as line:
        error = refused(lambda: line.socket("run a command", "/exec", protocols=["v4.channel.k8s.io"]))

    assert error.answer == "HTTP 307 sends us on to nowhere, where we do not go with our credentials"


# ---- who does not come to an end


@pytest.mark.parametrize("headers", ["Content-Length: 5000\r\n", "Content-Length: 5000\r\nConnection: close\r\n", ""])
def test_an_answer_that_comes_byte_by_byte_is_given_up_when_the_call_is_over(headers: str) -> None:
    def trickle(line: socket.socket, _: str) -> None:
        line.sendall(f"HTTP/1.1 200 OK\r\n{headers}\r\n".encode())
        for _number in range(500):
            line.sendall(b" " * 10)
            time.sleep(0.05)

    with served(trickle) as server, opened(f"http://{server.address}", timeout=1.0) as line:
        error = refused(lambda: line.ask("look", "GET", "/version"))

    assert (error.status, error.transient, error.answer) == (0, True, "timed out")


@pytest.mark.parametrize("headers", ["Content-Length: 5000", "Content-Length: 5000\r\nConnection: close"])
def test_an_answer_that_stops_in_its_middle_is_given_up_when_the_call_is_over(headers: str) -> None:
    done = threading.Event()

    def stop(line: socket.socket, _: str) -> None:
        line.sendall(f"HTTP/1.1 200 OK\r\n{headers}\r\n\r\nhalf".encode())
        done.wait(60)

    with served(stop) as server, opened(f"http://{server.address}", timeout=1.0) as line:
        error = refused(lambda: line.ask("look", "GET", "/version"))
        done.set()

    assert (error.status, error.transient, error.answer) == (0, True, "timed out")


def test_an_answer_that_ends_in_time_is_whole_however_it_ends() -> None:
    body = b"x" * 200_000
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (body[:7], body[7:])) + b"0\r\n\r\n"
    for head, said in (
        (f"Content-Length: {len(body)}", body),
        ("Connection: close", body),
        ("Transfer-Encoding: chunked", chunks),
    ):
        told = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + said
        with served(answering(told)) as server, opened(f"http://{server.address}") as line:
            assert line.ask("look", "GET", "/version") == body


# ---- many at once


def test_no_more_than_some_requests_are_under_way_at_once_and_watches_do_not_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    free, counting = threading.Event(), threading.Lock()
    under_way, most = 0, 0

    def hold(line: socket.socket, head: str) -> None:
        nonlocal under_way, most
        if "/watch" in head:
            line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            free.wait(60)
            return
        with counting:
            under_way, most = under_way + 1, max(most, under_way + 1)
        free.wait(60)
        with counting:
            under_way -= 1
        line.sendall(OK)

    with served(hold) as server, opened(f"http://{server.address}", timeout=60.0) as line:
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(line.ask("look", "GET", "/x"))) for _ in range(AT_ONCE * 2)
        ]
        for each in threads:
            each.start()
        eventually(lambda: most == AT_ONCE, within=30)
        watch = line.open("watch pods", "/watch", silence=None)
        free.set()
        for each in threads:
            each.join()
        watch.close()

    assert (len(answers), most, caplog.messages) == (AT_ONCE * 2, AT_ONCE, [])


def test_who_does_not_get_a_turn_in_the_time_of_a_call_is_told_so_and_may_try_again() -> None:
    free, sending = threading.Event(), threading.Semaphore(0)

    def hold(_method: str, path: str) -> None:
        if path == "/held":
            sending.release()
            free.wait(60)

    def ask() -> None:
        with suppress(KubernetesError):
            line.ask("look", "GET", "/held")

    with served(answering(OK)) as server, opened(f"http://{server.address}", timeout=1.0, trace=hold) as line:
        threads = [threading.Thread(target=ask) for _ in range(AT_ONCE)]
        for each in threads:
            each.start()
            assert sending.acquire(timeout=30)
        error = refused(lambda: line.ask("look", "GET", "/x"))
        free.set()
        for each in threads:
            each.join()
        assert line.ask("look", "GET", "/x") == b"{}"

    assert (error.transient, str(error)) == (
        True,
        "the API server was not asked to look: 16 requests of ours were under way for 1 s",
    )


# ---- proxies


def test_a_proxy_is_told_its_name_and_password_for_requests_and_streams() -> None:
    with served(answering(OK)) as proxy:
        address = f"http://me%40home:p%3Aw@{proxy.address}"
        with opened("http://cluster.invalid:80", proxy=address) as line:
            line.ask("look", "GET", "/version")
            refused(lambda: line.socket("run a command", "/exec", protocols=["v4.channel.k8s.io"]))

    both = base64.b64encode(b"me@home:p:w").decode()
    assert [head.split("\r\n")[0] for head in proxy.heard] == [
        "GET http://cluster.invalid:80/version HTTP/1.1",
        "CONNECT cluster.invalid:80 HTTP/1.1",
    ]
    assert [f"proxy-authorization: basic {both}".lower() in head.lower() for head in proxy.heard] == [True, True]


@pytest.mark.parametrize("kind", ["http", "socks5", "gopher", "http:///"])
def test_no_error_prints_a_proxys_password(kind: str) -> None:
    proxy = f"{kind.removesuffix('///')}://me:secret@127.0.0.1:{'x' if kind.endswith('/') else 1}"
    with (
        opened("http://127.0.0.1:2", proxy=proxy) as line,
        pytest.raises((KubernetesError, UnavailableError)) as failed,
    ):
        line.ask("look", "GET", "/version")

    assert "secret" not in f"{failed.value} {getattr(failed.value, 'problems', '')}"


@pytest.mark.parametrize(
    ("url", "shown", "told"),
    [
        ("http://p:1", "http://p:1", ("", "")),
        ("http://me@p:1", "http://p:1", ("me", "")),
        ("socks5://me:a@b/c@p:1", "socks5://p:1", ("me", "a@b/c")),
        ("me:secret@p:1", "p:1", ("me", "secret")),
    ],
)
def test_an_address_is_split_from_its_login(url: str, shown: str, told: tuple[str, str]) -> None:
    assert (bare(url), login(url)) == (shown, told)
