# SPDX-License-Identifier: Apache-2.0
"""The users of Redis that docs/security.md lists: each can do its work and nothing is refused to it, nor more than that."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from fleetflow_tasks.engine.model import new_run_id
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.compat.conftest import listening
from tests.engine.conftest import BINARIES, Server
from tests.engine.security.conftest import DOCS, KEY, Flow, Listener, raw
from tests.engine.test_workers import SHOP, Bed

PASSWORD = "pw-of-the-tests"
PROJECT = """
project "shop"
service "db" { image "fleetflow/base"; version "1" }
stage "local" { service "db" }
"""


class Users:
    """The documented users, made on a server whose default user then has no rights at all."""

    def __init__(self, server: Server, password: str = PASSWORD) -> None:
        self._socket = server.socket
        self._password = password
        self.names = []
        with closing(raw(f"unix://{server.socket}")) as client:
            client.execute_command("ACL", "SETUSER", "root", "on", f">{password}", "~*", "&*", "+@all")
            for line in re.findall(r"^ACL SETUSER .*$", DOCS.read_text(), re.MULTILINE):
                _, _, name, *rules = line.replace("PASSWORD", password).split()
                client.execute_command("ACL", "SETUSER", name, *rules)
                self.names.append(name)
            client.execute_command("ACL", "LOG", "RESET")
            client.execute_command("ACL", "SETUSER", "default", "off")

    def url(self, name: str) -> str:
        return f"unix://{name}:{quote(self._password, safe='')}@{self._socket}"

    def refused(self) -> list[str]:
        """What the server has refused to anybody: `fleetflow-worker command flushall`."""
        with closing(raw(self.url("root"))) as client:
            return [
                f"{entry['username']} {entry['reason']} {entry['object']}"
                for entry in client.acl_log()
                if entry["username"] != "default"
            ]


@pytest.fixture
def users(own: Server) -> Users:
    return Users(own)


@pytest.fixture
def bed(users: Users, tmp_path: Path) -> Iterator[Bed]:
    """The tests submit as a submitter may, the workers work as workers may."""
    with closing(Bed(users.url("fleetflow-submitter"), tmp_path)) as bed:
        bed.url = users.url("fleetflow-worker")
        yield bed


def test_the_page_lists_four_users(users: Users) -> None:
    assert users.names == ["fleetflow-worker", "fleetflow-submitter", "fleetflow-watcher", "fleetflow-flower"]


def test_workers_submitters_and_watchers_get_by_with_their_rights(bed: Bed, users: Users, tmp_path: Path) -> None:
    bed.world.behave(db__deploy=Behaviour(fail=1), api__deploy=Behaviour(seconds=60))
    first = bed.worker()
    run = bed.submit(SHOP)
    eventually(bed.began("api:deploy"), 60)
    watcher = Flow(tmp_path, FLEETFLOW_REDIS_URL=users.url("fleetflow-watcher"))
    watching = watcher.start("watch", run)
    bed.world.behave()
    bed.worker()

    first.kill()

    assert bed.ended(run) == "succeeded", bed.logs()
    shown = watching.communicate(timeout=60)[0]
    assert (watching.returncode, "succeeded" in shown) == (0, True), shown
    assert watcher("runs").stdout.splitlines()[1].startswith(f"{run}  succeeded")
    assert watcher("watch", run, "--json").returncode == 0
    assert bed.store.durable() in (True, False)
    assert users.refused() == []


def test_the_command_line_of_a_submitter_needs_no_more(bed: Bed, users: Users, tmp_path: Path) -> None:
    bed.worker(key=KEY)
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    (tmp_path / "fleet.kdl").write_text(PROJECT)
    flow = Flow(tmp_path, FLEETFLOW_REDIS_URL=users.url("fleetflow-submitter"), FLEETFLOW_KEY=KEY)

    stored = flow("submit")
    assert stored.returncode == 0, stored.stderr
    eventually(bed.began("db:deploy"), 60)
    run = bed.store.runs()[0].id
    cancelled = flow("cancel", run)

    assert cancelled.returncode == 0, cancelled.stderr
    assert bed.ended(run) == "cancelled"
    assert users.refused() == []


def test_flower_gets_by_with_its_rights(bed: Bed, users: Users) -> None:
    with closing(Listener(users.url("fleetflow-flower"))) as flower:
        bed.worker()
        eventually(lambda: "worker-heartbeat" in flower.types(), 60)
        run = bed.submit(SHOP)
        eventually(lambda: "task-succeeded" in flower.types(), 60)
        answers = flower.asked()

    assert bed.ended(run) == "succeeded"
    assert all(answers.values()), answers
    assert users.refused() == []


@pytest.mark.parametrize("name", ["fleetflow-worker", "fleetflow-submitter", "fleetflow-watcher", "fleetflow-flower"])
def test_nobody_can_rule_the_server_or_see_what_is_not_fleetflow_s(name: str, users: Users) -> None:
    with closing(raw(users.url(name))) as client:
        for command in ("FLUSHALL", "CONFIG GET *", "KEYS *", "ACL LIST", "GET other", "SCRIPT FLUSH", "CLIENT LIST"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*command.split())


def test_a_watcher_changes_nothing(users: Users) -> None:
    with closing(Store.connect(users.url("fleetflow-watcher"))) as store, pytest.raises(RefusedError) as refused:
        store.submit(new_run_id(), SHOP, b"sealed", actor="eve")

    assert refused.value.problems[0].code == "redis-rights"
    assert "docs/security.md" in refused.value.problems[0].fix


def test_rights_that_only_a_script_misses_are_missed_in_the_same_words(own: Server) -> None:
    with closing(raw(f"unix://{own.socket}")) as client:
        client.execute_command("ACL", "SETUSER", "eve", "on", ">pw", "~*", "&*", "+@all", "-hset")

    with closing(Store.connect(f"unix://eve:pw@{own.socket}")) as store, pytest.raises(RefusedError) as refused:
        store.submit(new_run_id(), SHOP, b"sealed", actor="eve")

    assert refused.value.problems[0].code == "redis-rights"


def test_who_only_looks_needs_no_key_and_who_submits_does(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text(PROJECT)
    with listening(BINARIES["redis"](), "--save", "") as server:
        # An address of no single host is not taken for this machine's own, though it leads there.
        flow = Flow(tmp_path, FLEETFLOW_REDIS_URL=server.url(host="0.0.0.0"))

        looked, submitted = flow("runs"), flow("submit")

    assert (looked.returncode, looked.stdout) == (0, "no runs yet\n"), looked.stderr
    assert submitted.returncode == 5
    assert "FLEETFLOW_KEY is not set, and the Redis on `0.0.0.0` can be reached by others" in submitted.stderr


@pytest.mark.parametrize(
    "missing",
    [
        "~_kombu.binding*",  # to make a queue known
        "~docker",  # to take what is in it
        "&/0.celery.pidbox",  # to hear what Flower asks
        "+@pubsub",
    ],
)
def test_a_worker_that_lacks_a_right_says_so_and_ends(missing: str, own: Server, tmp_path: Path) -> None:
    with closing(raw(f"unix://{own.socket}")) as client:
        client.execute_command("ACL", "SETUSER", "half", *(rule for rule in rules_of_a_worker() if rule != missing))
    flow = Flow(tmp_path, FLEETFLOW_REDIS_URL=f"unix://half:{PASSWORD}@{own.socket}", FLEETFLOW_KEY=KEY)

    ended = flow("worker", "docker")

    ready, problem, cause, fix, *_ = ended.stderr.splitlines()
    assert ended.returncode == 5, ended.stderr
    assert '"event":"worker.ready"' in ready
    assert problem == f"the Redis user at unix://{own.socket} lacks rights that FleetFlow needs"
    assert "o permissions to" in cause
    assert "docs/security.md" in fix
    assert "Traceback" not in ended.stderr
    with closing(Store.connect(f"unix://{own.socket}")) as store:
        assert store.workers() == ()


def test_a_worker_that_loses_a_right_hands_its_steps_back_and_is_to_be_started_again(bed: Bed, users: Users) -> None:
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    first = bed.worker()
    run = bed.submit(SHOP)
    eventually(bed.began("db:deploy"), 60)
    with closing(raw(users.url("root"))) as client:
        lesser = [rule for rule in rules_of_a_worker() if rule != "~docker"]
        client.execute_command("ACL", "SETUSER", "fleetflow-worker", *lesser)

        first.wait(60)

        client.execute_command("ACL", "SETUSER", "fleetflow-worker", *rules_of_a_worker())
    ended = [event for event in bed.events() if event["event"] == "consumer.ended"]
    assert (first.returncode, len(ended)) == (75, 1), bed.logs()
    assert ended[0]["problem"].endswith("lacks rights that FleetFlow needs")
    assert "traceback" not in bed.logs()
    bed.world.behave()
    bed.worker()
    assert bed.ended(run) == "succeeded", bed.logs()


def rules_of_a_worker() -> list[str]:
    line = next(line for line in DOCS.read_text().splitlines() if line.startswith("ACL SETUSER fleetflow-worker "))
    return line.replace("PASSWORD", PASSWORD).split()[3:]
