# SPDX-License-Identifier: Apache-2.0
"""URLs, shares, tags, and how many instances stand behind them; the instances are played, nothing needs an Engine."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.cloudrun.front import Admit, Front, Revision, Route
from fleetflow_tasks.testing.cloudrun.played import Played
from fleetflow_tasks.testing.cloudrun.scaling import BusyError, Pool


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(_: object) -> int:
    return 0


class Desk:
    """A front, and where it is told that requests go: by service and tag."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], Route] = {}
        self.front = Front(lambda service, tag: self.routes.get((service, tag)))

    def added(self, *names: str) -> None:
        """Revisions that answer with their names."""
        for name in names:
            self.front.add(name, Revision(pool=Pool(lambda name=name: Played(name))))  # type: ignore[misc]

    def starting(self, start: Callable[[], Any]) -> Pool:
        """The one revision of service `api`."""
        pool = Pool(start)
        self.front.add("old", Revision(pool=pool))
        self.routed("api", {"old": 100})
        return pool

    def routed(self, service: str, shares: dict[str, int], admit: Admit = admitted, tag: str = "") -> str:
        self.routes[service, tag] = Route(shares=shares, admit=admit)
        return self.front.url(service, tag)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.front.close()


def answers(url: str, number: int) -> Counter[str]:
    return Counter(requests.get(url, timeout=30).text.strip() for _ in range(number))


# ---- whom a request goes to


def test_requests_are_shared_out_exactly(desk: Desk) -> None:
    desk.added("old", "new")

    url = desk.routed("api", {"old": 70, "new": 30})

    assert answers(url, 20) == {"old": 14, "new": 6}


def test_a_tag_has_a_url_of_its_own_and_no_share(desk: Desk) -> None:
    desk.added("old", "new")

    own, tagged = desk.routed("api", {"old": 100, "new": 0}), desk.routed("api", {"new": 100}, tag="next")

    assert (answers(own, 3), answers(tagged, 3)) == ({"old": 3}, {"new": 3})


def test_a_url_stays_while_what_is_behind_it_changes(desk: Desk) -> None:
    desk.added("old", "new")

    before = desk.routed("api", {"old": 100})
    first = answers(before, 1)
    after = desk.routed("api", {"new": 100})

    assert (after, first, answers(after, 2)) == (before, {"old": 1}, {"new": 2})


def test_what_is_not_there_is_not_found(desk: Desk) -> None:
    urls = [desk.front.url("gone"), desk.routed("empty", {}), desk.routed("lost", {"nobody": 100})]

    assert [requests.get(url, timeout=10).status_code for url in urls] == [404, 404, 404]


def test_a_server_that_is_closed_answers_nobody(desk: Desk) -> None:
    desk.added("old")
    url = desk.routed("api", {"old": 100})

    desk.front.close()

    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=10)


def test_who_may_not_call_is_sent_away_before_an_instance_starts(desk: Desk) -> None:
    pool = desk.starting(lambda: Played("old"))
    url = desk.routed("api", {"old": 100}, lambda headers: 0 if headers.get("authorization") else 403)

    refused = requests.get(url, timeout=10)
    none = pool.instances
    let_in = requests.get(url, headers={"Authorization": "Bearer x"}, timeout=10)

    assert (refused.status_code, none) == (403, 0)
    assert (let_in.status_code, let_in.text) == (200, "old\n")


# ---- what goes over


class Mirror:
    """An instance that answers with what it was asked."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                said = f"{self.headers['Host']} {self.path} {self.headers['X-Forwarded-Proto']} ".encode() + body
                self.send_response(201, "Made")
                self.send_header("Transfer-Encoding", "chunked")
                self.send_header("X-Own", "yes")
                self.end_headers()
                self.wfile.write(b"%x\r\n%s\r\n0\r\n\r\n" % (len(said), said))

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the library's)
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_asked_and_what_is_answered_goes_over_as_it_is(desk: Desk, chunked: bool) -> None:
    desk.starting(Mirror)
    url = desk.front.url("api")
    data = iter([b"some ", b"words"]) if chunked else b"some words"

    answer = requests.post(f"{url}/path?and=more", data=data, timeout=30)

    assert (answer.status_code, answer.reason, answer.headers["X-Own"]) == (201, "Made", "yes")
    assert answer.text == f"{url.removeprefix('http://')} /path?and=more http some words"


def test_an_instance_that_does_not_start_is_told_to_the_caller(desk: Desk) -> None:
    def broken() -> Played:
        raise RuntimeError("no room")

    desk.starting(broken)
    url = desk.front.url("api")

    answer = requests.get(url, timeout=30)

    assert (answer.status_code, answer.text) == (500, "Error: the instance did not start: no room\n")


def test_an_instance_that_is_gone_is_replaced_with_the_next_request(desk: Desk) -> None:
    made: list[Played] = []

    def start() -> Played:
        made.append(Played(f"number {len(made) + 1}"))
        return made[-1]

    desk.starting(start)
    url = desk.front.url("api")
    first = requests.get(url, timeout=30)
    made[0].stop()

    lost, again = requests.get(url, timeout=30), requests.get(url, timeout=30)

    assert [first.text, lost.status_code, again.text] == ["number 1\n", 503, "number 2\n"]


# ---- how many there are


def test_one_more_starts_when_those_there_are_busy_and_no_more_than_may() -> None:
    pool = Pool(lambda: Played("one"), concurrency=2, most=2)

    with pool.instance() as a, pool.instance() as b, pool.instance() as c, pool.instance() as d:
        held = [a, b, c, d]
        with pytest.raises(BusyError), pool.instance(patience=0.1):
            pass

    assert (len({each.address for each in held}), pool.instances) == (2, 2)
    pool.close()


def test_who_finds_all_busy_waits_for_a_place() -> None:
    pool = Pool(lambda: Played("one"), concurrency=1, most=1)

    with ThreadPoolExecutor(1) as people:
        with pool.instance() as held:
            waiting = people.submit(_address, pool)
        assert waiting.result(30) == held.address
    pool.close()


def _address(pool: Pool) -> tuple[str, int]:
    with pool.instance(patience=30) as found:
        return found.address


def test_requests_that_come_while_one_starts_wait_for_that_one() -> None:
    ready = threading.Event()

    def slow() -> Played:
        ready.wait(60)
        return Played("one")

    pool = Pool(slow, concurrency=10)
    with ThreadPoolExecutor(5) as people:
        waiting = [people.submit(_address, pool) for _ in range(5)]
        eventually(lambda: pool.instances == 1, 30)
        ready.set()
        addresses = {each.result(30) for each in waiting}

    assert (len(addresses), pool.instances) == (1, 1)
    pool.close()


def test_one_that_is_idle_for_long_is_stopped_and_as_many_stay_as_have_to() -> None:
    clock = Clock()
    pool = Pool(lambda: Played("one"), concurrency=1, least=1, idle=15, now=clock)
    with pool.instance(), pool.instance(), pool.instance():
        pass

    clock.now += 14
    pool.reap()
    early = pool.instances
    clock.now += 1
    pool.reap()

    assert (early, pool.instances) == (3, 1)
    pool.close()


def test_a_busy_one_is_not_stopped() -> None:
    clock = Clock()
    pool = Pool(lambda: Played("one"), idle=15, now=clock)

    with pool.instance():
        clock.now += 100
        pool.reap()
        during = pool.instances
    clock.now += 15
    pool.reap()

    assert (during, pool.instances) == (1, 0)


def test_a_revision_is_tried_before_it_is_called_ready() -> None:
    def broken() -> Played:
        raise RuntimeError("no room")

    good, bad = Pool(lambda: Played("one"), least=2), Pool(broken)

    good.warm()

    assert good.instances == 2
    with pytest.raises(RuntimeError, match="no room"):
        bad.warm()
    assert bad.instances == 0
    good.close()


def test_nobody_gets_an_instance_of_a_closed_one() -> None:
    pool = Pool(lambda: Played("one"))
    pool.close()

    with pytest.raises(BusyError), pool.instance():
        pass
