# SPDX-License-Identifier: Apache-2.0
"""Secrets that a run holds, and those that hold Redis and plans shut, are looked for wherever somebody else could read."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.testing import eventually
from tests.engine.conftest import Server
from tests.engine.security.conftest import Flow, Listener, contents, raw
from tests.printed import checked

SECRET = "c4nary-of-the-service"
PASSWORD = "c4nary/of#redis@"
KEY = "c4nary-of-the-plans-0123456789abcdef"
SETTING = "c4nary-of-the-settings"
CANARIES = (SECRET, PASSWORD, quote(PASSWORD, safe=""), KEY)
LEAKY = Path(__file__).with_name("leaky_worker.py")
PROJECT = f"""
project "shop"
service "serves"  {{ image "shop/api:1"; env {{ MODE "{SETTING}" }}; secrets {{ TOKEN env="SHOP_TOKEN" }} }}
service "refused" {{ image "shop/api:1"; retries 0; secrets {{ TOKEN env="SHOP_TOKEN" }} }}
service "crashed" {{ image "shop/api:1"; retries 0; secrets {{ TOKEN env="SHOP_TOKEN" }} }}
stage "local" {{ service "serves"; service "refused"; service "crashed" }}
"""


class Place:
    """A server with a password, somebody's command line, and a place where workers write their logs."""

    def __init__(self, server: Server, folder: Path) -> None:
        with closing(raw(f"unix://{server.socket}")) as client:
            client.execute_command("ACL", "SETUSER", "shop", "on", f">{PASSWORD}", "~*", "&*", "+@all")
            client.execute_command("ACL", "SETUSER", "default", "off")
        self.url = f"unix://shop:{quote(PASSWORD, safe='')}@{server.socket}"
        self.folder = folder
        self.flow = Flow(folder, FLEETFLOW_REDIS_URL=self.url, FLEETFLOW_KEY=KEY, SHOP_TOKEN=SECRET)
        self.store = Store.connect(self.url)
        self._workers: list[subprocess.Popen[bytes]] = []
        (folder / "fleet.kdl").write_text(PROJECT)

    def worker(self) -> "subprocess.Popen[bytes]":
        with (self.folder / "worker.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(LEAKY), str(self.folder)], env=self.flow.environ, stdout=log, stderr=log
            )
        self._workers.append(process)
        eventually(lambda: any(worker.pid == process.pid for worker in self.store.workers()), 60)
        return process

    def log(self) -> str:
        return (self.folder / "worker.log").read_text()

    def close(self) -> None:
        for process in self._workers:
            process.kill()
            process.wait()
        self.store.close()


@pytest.fixture
def place(own: Server, tmp_path: Path) -> Iterator[Place]:
    with closing(Place(own, tmp_path)) as place:
        yield place


def found(text: str | bytes) -> list[str]:
    """The canaries that sing in *text*."""
    data = text.encode() if isinstance(text, str) else text
    return [canary for canary in CANARIES if canary.encode() in data]


def test_no_secret_gets_out_of_a_run_whose_runtime_blurts_out_all_it_has(place: Place) -> None:
    place.flow("submit", "--wait-workers")
    waiting = contents(place.url)
    with closing(Listener(place.url)) as flower:
        worker = place.worker()
        shown = [
            place.flow("submit", "--wait", *form, "--idempotency-key", "") for form in ((), ("--json",), ("--quiet",))
        ]
        shown += [place.flow(*words.split(), *form) for words in COMMANDS for form in ((), ("--json",))]
        answers = flower.asked()
        line = Path(f"/proc/{worker.pid}/cmdline").read_bytes()
        worker.terminate()
        worker.wait(60)

    assert "docker" in waiting
    assert {each.returncode for each in shown[:3]} == {1}
    assert "login failed: [hidden]" in shown[0].stdout + shown[0].stderr
    for name, lying in {**waiting, **contents(place.url)}.items():
        assert (name, found(lying), SETTING.encode() in lying) == (name, [], False)
    for each in shown:
        assert (each.args, found(each.stdout), found(each.stderr)) == (each.args, [], [])
        assert "Traceback" not in each.stderr
        assert "--json" not in each.args or checked(each.stdout)
    assert "ValueError: cannot parse [hidden]" in place.log()
    assert found(place.log()) == []
    assert {"task-received", "task-succeeded", "worker-heartbeat"} <= flower.types()
    assert found(repr(flower.heard)) == []
    assert all(answers.values()), answers
    assert found(repr(answers)) == []
    assert found(line) == []
    for file in place.folder.rglob("*"):
        if file.is_file() and file.suffix != ".kdl":
            assert (file.name, found(file.read_bytes())) == (file.name, [])


COMMANDS = ("watch", "runs", "show", "queue", "graph", "validate", "doctor")


def test_no_password_stands_in_what_is_said_of_a_redis_that_is_wrong(place: Place) -> None:
    for url in (
        f"redis://shop:{PASSWORD}@127.0.0.1:1/0",
        f"redis://shop:{quote(PASSWORD, safe='')}@127.0.0.1:1/0",
        f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:port/0",
        f"http://shop:{quote(PASSWORD, safe='')}@127.0.0.1/0",
        f"rediss://shop:{quote(PASSWORD, safe='')}@127.0.0.1:1/0?ssl_ca_certs=/none",
        f"sentinel://:{quote(PASSWORD, safe='')}@127.0.0.1:1/0?master_name=m&sentinel_password={quote(PASSWORD, safe='')}",
        f"sentinel://:{quote(PASSWORD, safe='')}@127.0.0.1:1/0",
        place.url.replace("shop:", "nobody:"),
    ):
        for command in ("runs", "submit", "doctor"):
            told = Flow(place.folder, FLEETFLOW_REDIS_URL=url, FLEETFLOW_KEY=KEY, SHOP_TOKEN=SECRET)(command)

            assert (command, told.returncode in (3, 4), found(told.stdout + told.stderr)) == (command, True, []), url
            assert "c4nary" not in told.stdout + told.stderr
            assert "Traceback" not in told.stderr
