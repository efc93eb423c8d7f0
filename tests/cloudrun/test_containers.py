# SPDX-License-Identifier: Apache-2.0
"""Revisions and tasks as containers on a real Engine, and the URLs before them."""

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.cloudrun.containers import (
    LABEL,
    Container,
    Containers,
    NotServingError,
    Wanted,
    engine,
    inside,
)
from fleetflow_tasks.testing.cloudrun.front import Front, Revision, Route
from fleetflow_tasks.testing.cloudrun.real import Real
from fleetflow_tasks.testing.cloudrun.runner import Broken, Exited, Serving, Starting
from fleetflow_tasks.testing.cloudrun.scaling import Pool
from fleetflow_tasks.testing.cloudrun.startup import Probe

BASE = "fleetflow/base:1"  # busybox, made by the set-up
HASTY = Probe(period=10, timeout=5)

pytestmark = pytest.mark.docker


class Desk:
    """One server's containers and URLs, and what they wrote."""

    def __init__(self) -> None:
        found = engine(os.environ)
        if found is None or not Containers(found).known(BASE):
            pytest.fail(f"no Docker Engine with the image {BASE} answers: run `make setup` first")
        self.engine = found
        self.routes: dict[str, Route] = {}
        self.front = Front(self.routed, inside(found))
        self.containers = Containers(found, self.front.outside)
        self.lines: list[tuple[str, str]] = []
        self.name = f"t{secrets.token_hex(4)}"

    def wanted(self, program: str, *, port: int = 8080, probe: Probe = HASTY, **environ: str) -> Wanted:
        """A shell's *program*."""
        environ = {**({"PORT": str(port)} if port else {}), **environ}
        return Wanted(
            name=self.name,
            image=BASE,
            entrypoint=("/bin/sh", "-c"),
            arguments=(program,),
            environ=environ,
            port=port,
            probe=probe,
        )

    def serving(self, wanted: Wanted) -> Container:
        return self.containers.serving(wanted, lambda stream, text: self.lines.append((stream, text)))

    def ended(self, wanted: Wanted, stopped: threading.Event | None = None) -> int:
        return self.containers.ended(wanted, lambda stream, text: self.lines.append((stream, text)), stopped)

    def routed(self, service: str, tag: str) -> Route | None:
        return self.routes.get(service)

    def behind(self, start: Callable[[], Container], **more: Any) -> str:
        """The URL of a service whose instances *start* makes."""
        self.front.add("r1", Revision(pool=Pool(start, **more)))
        self.routes["api"] = Route(shares={"r1": 100}, admit=lambda _: 0)
        return self.front.url("api")

    def left(self) -> int:
        return sum(
            1
            for each in self.engine.containers(all=True, filters={"label": LABEL})
            if each["Names"][0].startswith(f"/{self.name}-")
        )


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.front.close()
    made.containers.close()


# The first process of a container hears no signal that it has no handler for.
PAGE = "echo $NAME > /www/index.html; trap 'exit 0' TERM; httpd -f -p $PORT -h /www & wait"


# ---- one container


def test_a_container_listens_on_the_port_that_it_is_told(desk: Desk) -> None:
    container = desk.serving(desk.wanted(PAGE, port=9000, NAME="hello"))

    answer = requests.get("http://{}:{}/".format(*container.address), timeout=10)
    container.stop()

    assert (answer.text, desk.left()) == ("hello\n", 0)


def test_what_it_writes_is_told_line_by_line(desk: Desk) -> None:
    code = desk.ended(desk.wanted("echo one; echo two >&2; printf three; exit 3", port=0))

    assert code == 3
    assert sorted(desk.lines) == [("stderr", "two"), ("stdout", "one"), ("stdout", "three")]
    assert desk.left() == 0


def test_one_that_ends_at_once_is_given_up_with_its_last_lines(desk: Desk) -> None:
    with pytest.raises(NotServingError) as failure:
        desk.serving(desk.wanted("echo no database >&2; exit 7"))

    assert str(failure.value) == "the container ended with code 7"
    assert (failure.value.code, failure.value.lines, desk.left()) == (7, ("no database",), 0)


def test_one_that_does_not_listen_is_given_up_when_its_probe_says_so(desk: Desk) -> None:
    probe = Probe(period=0.3, timeout=0.3, threshold=2)

    with pytest.raises(NotServingError) as failure:
        desk.serving(desk.wanted("echo deaf; sleep 100", probe=probe))

    assert str(failure.value).startswith("it did not pass its startup probe in ")
    assert (failure.value.code, desk.left()) == (None, 0)


def test_an_http_probe_waits_until_its_path_answers(desk: Desk) -> None:
    late = "httpd -p $PORT -h /www; sleep 0.5; echo ok > /www/health; sleep 100"

    container = desk.serving(desk.wanted(late, probe=Probe(path="/health", period=0.2, timeout=1, threshold=100)))

    assert requests.get("http://{}:{}/health".format(*container.address), timeout=10).text == "ok\n"


def test_it_has_the_memory_and_the_files_that_it_should_have(desk: Desk) -> None:
    wanted = desk.wanted("cat /secrets/token; grep -c ' /cache tmpfs' /proc/mounts", port=0)
    wanted = Wanted(
        **{name: getattr(wanted, name) for name in wanted.__struct_fields__}
        | {"files": {"/secrets/token": b"s3cret\n"}, "folders": ("/cache",), "memory": 64 * 1024 * 1024}
    )

    code = desk.ended(wanted)

    assert (code, desk.lines) == (0, [("stdout", "s3cret"), ("stdout", "1")])


def test_a_task_that_takes_too_long_is_stopped(desk: Desk) -> None:
    stopped = threading.Event()
    wanted = desk.wanted("trap 'echo stopped; exit 1' TERM; echo begun; while :; do sleep 0.1; done", port=0)

    with ThreadPoolExecutor(1) as people:
        ending = people.submit(desk.ended, wanted, stopped)
        eventually(lambda: ("stdout", "begun") in desk.lines, 30)
        stopped.set()
        code = ending.result(60)

    assert (code, desk.lines[-1], desk.left()) == (1, ("stdout", "stopped"), 0)


def test_an_image_that_the_engine_lacks_is_not_known(desk: Desk) -> None:
    assert (desk.containers.known(BASE), desk.containers.known("fleetflow/none:9")) == (True, False)


# ---- the URL before them


def test_the_first_request_starts_an_instance_and_idleness_stops_it(desk: Desk) -> None:
    url = desk.behind(lambda: desk.serving(desk.wanted(PAGE, NAME="hello")), idle=0.5)
    before = desk.left()

    answer = requests.get(f"{url}/", timeout=60)
    during = desk.left()
    eventually(lambda: desk.left() == 0, 60)
    again = requests.get(f"{url}/", timeout=60)

    assert (before, during) == (0, 1)
    assert [answer.text, again.text] == ["hello\n", "hello\n"]


def test_a_container_reaches_another_service_by_its_url(desk: Desk) -> None:
    url = desk.behind(lambda: desk.serving(desk.wanted(PAGE, NAME="from api")))

    code = desk.ended(desk.wanted("wget -q -O - $API_URL/", port=0, API_URL=url))

    assert (code, desk.lines) == (0, [("stdout", "from api")])


def test_a_crashed_instance_is_replaced_with_the_next_request(desk: Desk) -> None:
    url = desk.behind(lambda: desk.serving(desk.wanted(PAGE, NAME="hello")))
    requests.get(f"{url}/", timeout=60)

    for each in desk.engine.containers(filters={"label": LABEL}):
        if each["Names"][0].startswith(f"/{desk.name}-"):
            desk.engine.kill(each["Id"])
    broken = requests.get(f"{url}/", timeout=60)
    again = requests.get(f"{url}/", timeout=60)

    assert [broken.status_code, again.status_code] == [503, 200]


# ---- as the server asks for them


@pytest.fixture
def real(desk: Desk) -> Iterator[Real]:
    made = Real(engine(os.environ), desk.front, lambda name, version: b"s3cret", idle=0.5)
    yield made
    made.close()


def revision(desk: Desk, program: str) -> dict[str, Any]:
    return {
        "name": f"projects/p/locations/r/services/{desk.name}/revisions/{desk.name}-1",
        "service": desk.name,
        "containers": [
            {
                "image": BASE,
                "command": ["/bin/sh", "-c"],
                "args": [program],
                "env": [{"name": "NAME", "valueSource": {"secretKeyRef": {"secret": "name"}}}],
                "startupProbe": {"tcpSocket": {}, "periodSeconds": 1, "failureThreshold": 2},
            }
        ],
    }


def test_a_revision_is_ready_once_it_was_tried_and_serves_then(desk: Desk, real: Real) -> None:
    asked = revision(desk, PAGE)
    started = real.revision(asked, lambda text: None)
    eventually(lambda: not isinstance(started.look(), Starting), 60)

    desk.routes["api"] = Route(shares={asked["name"]: 100}, admit=lambda _: 0)
    answer = requests.get(f"{desk.front.url('api')}/", timeout=60)
    started.stop()
    eventually(lambda: desk.left() == 0, 60)

    assert (started.look(), answer.text) == (Serving(), "s3cret\n")


def test_a_revision_that_does_not_come_up_says_so_as_google_does(desk: Desk, real: Real) -> None:
    lines: list[str] = []

    deaf = real.revision(revision(desk, "sleep 100"), lines.append)
    dead = real.revision(revision(desk, "echo no database; exit 3"), lines.append)
    eventually(lambda: not any(isinstance(each.look(), Starting) for each in (deaf, dead)), 60)

    assert deaf.look() == Broken(
        reason="HEALTH_CHECK_CONTAINER_ERROR",
        message="The user-provided container failed to start and listen on the port defined provided by the PORT=8080 "
        "environment variable within the allocated timeout.",
    )
    assert dead.look() == Broken(
        reason="HEALTH_CHECK_CONTAINER_ERROR",
        message="The container exited with an error. Container called exit(3).",
    )
    assert (lines, desk.left()) == (["no database"], 0)
    deaf.stop()
    dead.stop()


def test_a_task_is_carried_out_to_its_end(desk: Desk, real: Real) -> None:
    lines: list[str] = []
    program = "echo task $CLOUD_RUN_TASK_INDEX of $CLOUD_RUN_JOB; exit 4"
    container = {"image": BASE, "command": ["/bin/sh", "-c"], "args": [program]}
    task = {"name": f"t/{desk.name}", "job": "seed", "index": 1, "containers": [container]}

    started = real.task(task, 0, lines.append)
    eventually(lambda: isinstance(started.look(), Exited), 60)

    assert (started.look(), lines) == (Exited(code=4), ["task 1 of seed"])
    started.stop()
