# SPDX-License-Identifier: Apache-2.0
"""A real Flower, started as docs/security.md says, beside a real worker: each of its pages and answers is read."""

import base64
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

import pytest

from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.testing import eventually
from tests.engine.compat.conftest import listening
from tests.engine.conftest import BINARIES, Server
from tests.engine.security.conftest import DOCS, Flow
from tests.engine.security.test_canary import KEY, LEAKY, PROJECT, SECRET, SETTING
from tests.engine.security.test_rights import Users

PASSWORD = "c4nary/of#redis@"
LOGIN = "c4nary-of-the-login"
CANARIES = (SECRET, PASSWORD, quote(PASSWORD, safe=""), KEY, SETTING, LOGIN)
OPEN = {r"/metrics": "/metrics", r"/healthcheck": "/healthcheck", r"/static/(.*)": "/static/css/flower.css"}
# What of its pages is asked for with which address; every page that can be read is to be here, or in OPEN.
PAGES = {
    r"/": "/",
    r"/workers": "/workers?json=1&refresh=1",
    r"/worker/(.+)": "/worker/WORKER",
    r"/task/(.+)": "/task/TASK",
    r"/tasks": "/tasks",
    r"/tasks/datatable": "/tasks/datatable?draw=1&start=0&length=100&order[0][column]=0&order[0][dir]=asc&columns[0][data]=name",
    r"/broker": "/broker",
    r"/api/workers": "/api/workers?refresh=1",
    r"/api/tasks": "/api/tasks",
    r"/api/task/types": "/api/task/types",
    r"/api/queues/length": "/api/queues/length",
    r"/api/task/info/(.*)": "/api/task/info/TASK",
    r"/api/task/result/(.+)": "/api/task/result/TASK",
}
NO_RESULTS = "/api/task/result/"  # 503: FleetFlow has Celery keep none
NO_PAGES = {r"/login/?", r"/logout", r".*"}  # of OAuth, and of what is not there


class Flower:
    """The process that the document starts, on a port that is free, with other passwords, and its answers.

    url: in place of the document's; else its own, with *port* as that of Redis.
    """

    def __init__(self, folder: Path, *, port: int = 6379, url: str | None = None) -> None:
        self._log = folder / "flower.log"
        block = next(
            block for block in re.findall(r"```sh\n(.*?)```", DOCS.read_text(), re.DOTALL) if "flower" in block
        )
        told = block.replace("PASSWORD", quote(PASSWORD, safe="")).replace(":LOGIN", f":{LOGIN}")
        *exports, command = told.replace(":6379", f":{port}").replace("5555", "0").splitlines()
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("FLEETFLOW_", "FLOWER_"))}
        environ |= dict(line.removeprefix("export ").split("=", 1) for line in exports)
        environ |= {"FLEETFLOW_REDIS_URL": url} if url else {}
        environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
        self.command = shlex.split(command)
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(self.command, env=environ, cwd=folder, stdout=log, stderr=log)
        self._port = 0

    def sees_a_worker(self) -> bool:
        assert self.process.poll() is None, self.log()
        if visit := re.search(r"Visit me at http://127\.0\.0\.1:(\d+)", self.log()):
            self._port = int(visit[1])
            return bool(self.told("/api/workers?status=1"))
        return False

    def get(self, path: str, *, login: str | None = LOGIN, method: str = "GET") -> tuple[int, str]:
        """Status and body of what it answers to whoever has *login*."""
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            headers = {"Authorization": f"Basic {base64.b64encode(f'NAME:{login}'.encode()).decode()}"} if login else {}
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def told(self, path: str) -> Mapping[str, Mapping[str, object]]:
        """What its API says at *path*."""
        status, body = self.get(path)
        assert status == 200, body
        found = json.loads(body)
        assert isinstance(found, dict)
        return found

    def log(self) -> str:
        return self._log.read_text()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


class House:
    """A server on a port of loopback with the documented users, a worker that blurts out what it has, and a submitter."""

    def __init__(self, server: Server, port: int, folder: Path) -> None:
        self.users = Users(server, PASSWORD)
        self.folder = folder
        self.store = Store.connect(self.users.url("fleetflow-watcher"))
        self.port = port
        (folder / "fleet.kdl").write_text(PROJECT)
        with (folder / "worker.log").open("wb") as log:
            command = [sys.executable, str(LEAKY), str(folder)]
            self._worker = subprocess.Popen(command, env=self._as("worker").environ, stdout=log, stderr=log)

    def submit(self) -> str:
        """A run that failed: two of its three steps."""
        ended = self._as("submitter")("submit", "--wait", "--wait-workers", "--idempotency-key", "")
        assert ended.returncode == 1, ended.stderr
        return self.store.runs()[0].id

    def close(self) -> None:
        self._worker.kill()
        self._worker.wait()
        self.store.close()

    def _as(self, user: str) -> Flow:
        url = f"redis://fleetflow-{user}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/0"
        return Flow(self.folder, FLEETFLOW_REDIS_URL=url, FLEETFLOW_KEY=KEY, SHOP_TOKEN=SECRET)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="ff-") as folder:
        socket = Path(folder) / "s"
        options = ("--save", "", "--unixsocket", str(socket))
        with (
            listening(BINARIES["redis"](), *options) as server,
            closing(House(Server(socket, server.process.pid), server.port, tmp_path)) as house,
        ):
            yield house


def found(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


def test_flower_as_documented_sees_every_step_and_no_secret(house: House, tmp_path: Path) -> None:
    with closing(Flower(tmp_path, port=house.port)) as flower:
        eventually(flower.sees_a_worker, 60)
        run = house.submit()
        eventually(lambda: seen(flower, run) == {"serves:deploy", "refused:deploy", "crashed:deploy"}, 60)
        eventually(lambda: set().union(*flower.told("/api/workers?refresh=1").values()) >= QUESTIONS, 60)
        worker, task = next(iter(flower.told("/api/workers"))), next(iter(flower.told("/api/tasks")))
        paths = {at: path.replace("WORKER", worker).replace("TASK", task) for at, path in PAGES.items()}

        shown = {path: flower.get(path) for path in paths.values()}
        open_ = {path: flower.get(path, login=None) for path in OPEN.values()}
        bare = {path: flower.get(path, login=login)[0] for path in paths.values() for login in (None, "wrong")}
        missing = flower.get("/task/none"), flower.get("/none")
        ending = flower.get(f"/api/worker/shutdown/{worker}", method="POST")[0]
        ending_bare = flower.get(f"/api/worker/shutdown/{worker}", method="POST", login=None)[0]
        told = flower.log()

    assert readable() == set(PAGES) | set(OPEN)
    for path, (status, body) in (shown | open_).items():
        assert (path, status, found(body)) == (path, 503 if path.startswith(NO_RESULTS) else 200, []), body
    assert [found(body) for _, body in missing] == [[], []]
    assert set(bare.values()) == {401}
    assert (ending, ending_bare) == (403, 401)
    assert run in shown[f"/task/{task}"][1]
    assert worker in shown[f"/worker/{worker}"][1]
    assert json.loads(shown["/api/queues/length"][1]) == {"active_queues": [{"name": "docker", "messages": 0}]}
    assert "flower_events_total" in open_["/metrics"][1]
    assert run not in open_["/metrics"][1]
    assert (found(told), found(" ".join(flower.command))) == ([], [])
    assert "Traceback" not in told
    assert house.users.refused() == []


def test_flower_over_a_unix_socket_counts_no_queue_and_sees_all_else(house: House, tmp_path: Path) -> None:
    with closing(Flower(tmp_path, url=house.users.url("fleetflow-flower"))) as flower:
        eventually(flower.sees_a_worker, 60)
        run = house.submit()
        eventually(lambda: len(seen(flower, run)) == 3, 60)
        counted, broker = flower.get("/api/queues/length"), flower.get("/broker")
        told = flower.log()

    assert (counted[0], broker[0]) == (500, 200)
    assert found(counted[1] + broker[1] + told) == []
    assert house.users.refused() == []


def test_flower_with_an_address_that_is_none_says_so(tmp_path: Path) -> None:
    with closing(Flower(tmp_path, url=f"http://flower:{PASSWORD}@127.0.0.1/0")) as flower:
        flower.process.wait(60)

        assert flower.process.returncode == 3
        assert flower.log() == (
            "FLEETFLOW_REDIS_URL is no address of a Redis: it begins with `http`\n"
            "  fix: write redis://HOST:6379/0, rediss://… for TLS, unix:///path/to/redis.sock, or "
            "sentinel://HOST,HOST/0?master_name=NAME\n"
        )


# What Flower asks a worker for; of one that is busy it may get some answers late.
QUESTIONS = {"stats", "active_queues", "registered", "conf"}


def seen(flower: Flower, run: str) -> set[str]:
    """The steps of *run* whose tasks have ended for Flower."""
    ended = [str(task["args"]) for task in flower.told("/api/tasks").values() if task["state"] == "SUCCESS"]
    return {step for args in ended if run in args for step in re.findall(r"\w+:deploy", args)}


def readable() -> set[str]:
    """The addresses of this Flower's pages, by its own table; what it has for buttons alone cannot be read."""
    found = set()
    for handler in import_module("flower.urls").handlers:
        at, page = (
            (handler[0], handler[1]) if isinstance(handler, tuple) else (handler.regex.pattern, handler.handler_class)
        )
        if "get" in vars(page) or at.startswith("/static"):
            found.add(at.removesuffix("$"))
    return found - NO_PAGES
