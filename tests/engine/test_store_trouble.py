# SPDX-License-Identifier: Apache-2.0
"""A Redis that is not there, not ours, too old, full or about to forget: one line that says so, and no password in it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from select import select
from socket import AF_UNIX, SOCK_STREAM, socket

import pytest
import redis

from fleetflow_tasks.engine.model import RunId, new_run_id
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import FleetFlowError, Problem, RefusedError, UnavailableError
from fleetflow_tasks.runtimes.base import Outcome
from tests.engine.conftest import BINARIES, Driver, Server, plan_of, running, steps_of

ONE = plan_of("a:deploy")


def trouble(call: Callable[[], object], kind: type[FleetFlowError] = UnavailableError) -> Problem:
    with pytest.raises(kind) as raised:
        call()
    return raised.value.problems[0]


@pytest.fixture(params=list(BINARIES))
def own(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server for this test alone, whose settings may be spoiled."""
    with running(BINARIES[request.param]()) as server:
        yield server


@contextmanager
def admin(server: Server) -> Iterator["redis.Redis"]:
    with closing(redis.Redis(unix_socket_path=str(server.socket))) as client:
        yield client


def test_a_server_in_order_passes(store: Store) -> None:
    store.check()


def test_no_server_is_said_in_one_line_without_the_password(tmp_path: Path) -> None:
    store = Store.connect(f"unix://eve:s3cr3t@{tmp_path}/none.sock?password=s3cr3t")

    problem = trouble(store.check)

    assert problem.message == f"Redis at unix://{tmp_path}/none.sock does not answer"
    assert "No such file" in problem.cause[0]
    assert "FLEETFLOW_REDIS_URL" in problem.fix
    assert "s3cr3t" not in repr(problem)


def test_a_port_where_nobody_listens_is_said_without_the_password() -> None:
    with closing(Store.connect("redis://eve:s3cr3t@127.0.0.1:1/0")) as store:
        problem = trouble(lambda: store.run(RunId("r")))

    assert problem.message == "Redis at redis://127.0.0.1:1/0 does not answer"
    assert "s3cr3t" not in repr(problem)


def test_an_address_that_is_none_is_said() -> None:
    problem = trouble(lambda: Store.connect("http://eve:s3cr3t@host/"))

    assert problem.message == "`http://host/` is no address of a Redis"
    assert "s3cr3t" not in repr(problem)


def test_an_option_in_the_address_that_nobody_knows_is_said() -> None:
    problem = trouble(lambda: Store.connect("redis://eve:s3cr3t@host/0?foo=bar"))

    assert (problem.code, problem.message) == ("redis-url", "`redis://host/0` is no address of a Redis")
    assert "foo" in problem.cause[0]
    assert "s3cr3t" not in repr(problem)


def test_a_wrong_password_is_said_as_such(own: Server) -> None:
    with admin(own) as client:
        client.config_set("requirepass", "right")

    with closing(Store.connect(f"unix://{own.socket}")) as without:
        assert trouble(without.check).code == "redis-auth"
    with closing(Store.connect(f"unix://:wrong@{own.socket}")) as wrong:
        assert "wrong" not in repr(trouble(wrong.check))
    with closing(Store.connect(f"unix://:right@{own.socket}")) as right:
        right.check()


def test_a_user_without_rights_is_told_what_is_missing(own: Server) -> None:
    with admin(own) as client:
        client.acl_setuser("eve", enabled=True, passwords=["+pw"], keys=["other:*"], categories=["+@all"])

    with closing(Store.connect(f"unix://eve:pw@{own.socket}")) as store:
        problem = trouble(lambda: store.submit(new_run_id(), ONE, b"", actor="eve"), RefusedError)

    assert problem.code == "redis-rights"


def test_a_user_with_our_keys_alone_can_do_all_that_we_do(own: Server) -> None:
    with admin(own) as client:
        client.acl_setuser(
            "eve", enabled=True, passwords=["+pw"], keys=["ff:*"], categories=["+@all", "-@admin", "-@dangerous"],
            commands=["+info"],
        )  # fmt: skip

    with closing(Store.connect(f"unix://eve:pw@{own.socket}")) as store:
        store.check()
        driver = Driver(store)
        run = driver.submit(ONE).run.id
        driver.do(run, "a:deploy")
        assert driver.status(run) == "succeeded"


def test_a_server_that_may_evict_is_refused(own: Server) -> None:
    with admin(own) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    with closing(Store.connect(f"unix://{own.socket}")) as store:
        store.check()  # without a limit nothing is evicted

        with admin(own) as client:
            client.config_set("maxmemory", "100mb")

        problem = trouble(store.check)
    assert problem.message.endswith("may throw runs away: its maxmemory-policy is allkeys-lru")


def test_a_replica_is_refused(own: Server) -> None:
    with closing(Store.connect(f"unix://{own.socket}")) as store:
        store.now()
        with admin(own) as client:
            client.replicaof("127.0.0.1", "1")

        assert trouble(store.check).code == "redis-replica"
        assert trouble(lambda: store.reconciler("w")).code == "redis-replica"  # type: ignore[arg-type]  # (any id will do)


def test_a_full_server_begins_nothing_and_lets_what_runs_end(own: Server) -> None:
    with closing(Store.connect(f"unix://{own.socket}")) as store, admin(own) as client:
        driver = Driver(store)
        run = driver.submit(plan_of("a:deploy", "b:deploy", "c:deploy <- a:deploy")).run.id
        claim = driver.claim(run, "a:deploy")
        client.config_set("maxmemory", "1")

        assert trouble(lambda: driver.submit(ONE)).code == "redis-full"
        assert trouble(lambda: driver.claim(run, "b:deploy")).code == "redis-full"
        store.progress(claim, "not worth failing for", None, None)
        assert store.renew([claim]) == {(run, "a:deploy"): "held"}
        assert steps_of(store.finish_well(claim, Outcome(changed=True, text="started")).hints) == ["c:deploy"]
        client.config_set("maxmemory", "0")
        going = driver.claim(run, "b:deploy")
        client.config_set("maxmemory", "1")
        assert steps_of(store.release(going, reason="the worker ends").hints) == ["b:deploy"]
        store.cancel(run, request="ctrl-c")
        assert driver.status(run) == "cancelled"


def test_a_server_four_fifths_full_takes_no_new_run(own: Server) -> None:
    with closing(Store.connect(f"unix://{own.socket}")) as store, admin(own) as client:
        client.config_set("maxmemory", str(int(client.info("memory")["used_memory"] / 0.85)))

        problem = trouble(lambda: Driver(store).submit(ONE))

    assert problem.cause == ("over 80% of its maxmemory is used",)


def test_a_server_that_forgot_our_scripts_gets_them_again(driver: Driver, raw: "redis.Redis") -> None:
    run = driver.submit(ONE).run.id
    raw.script_flush()

    assert driver.do(run, "a:deploy").ended == "succeeded"


def test_a_restarted_server_is_another_epoch(own: Server) -> None:
    with closing(Store.connect(f"unix://{own.socket}")) as store:
        epoch, uptime = store.server_epoch()

        assert store.server_epoch()[0] == epoch
        assert uptime < 60
    with running(BINARIES["redis"]()) as other, closing(Store.connect(f"unix://{other.socket}")) as store:
        assert store.server_epoch()[0] != epoch


def test_durability_is_known_only_with_an_append_only_file(own: Server) -> None:
    with closing(Store.connect(f"unix://{own.socket}")) as store:
        assert not store.durable()
    with (
        running(BINARIES["valkey"](), "--appendonly", "yes") as kept,
        closing(Store.connect(f"unix://{kept.socket}")) as store,
    ):
        Driver(store).submit(ONE)
        assert store.durable()


class Cutter:
    """A way to Redis that can lose a reply: the request goes through, then the line is cut."""

    def __init__(self, behind: Path, at: Path) -> None:
        self.cut_after: bytes | None = None
        self.cuts = 0
        self._behind = behind
        self._listener = socket(AF_UNIX, SOCK_STREAM)
        self._listener.bind(str(at))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket) -> None:
        with socket(AF_UNIX, SOCK_STREAM) as far, near, suppress(OSError):
            far.connect(str(self._behind))
            cut = False
            while True:
                for side in select([near, far], [], [])[0]:
                    data = side.recv(1 << 20)
                    if not data or (cut and side is far):
                        self.cuts += cut
                        return
                    if side is near and self.cut_after is not None and self.cut_after in data:
                        self.cut_after, cut = None, True
                    (far if side is near else near).sendall(data)


def test_a_lost_reply_changes_nothing(server: Server, tmp_path: Path) -> None:
    way = tmp_path / "cut.sock"
    with closing(Cutter(server.socket, way)) as cutter:
        query = server.database().partition("?")[2]
        with closing(Store.connect(f"unix://{way}?{query}")) as store:
            driver = Driver(store)
            driver.do(driver.submit(ONE).run.id, "a:deploy")  # scripts are loaded

            cutter.cut_after = b"conflict"
            submitted = driver.submit(ONE)
            cutter.cut_after = b"nonce"
            claim = driver.claim(submitted.run.id, "a:deploy")
            cutter.cut_after = b"outcome"
            finished = store.finish_well(claim, Outcome(changed=True, text="started"))

            assert cutter.cuts == 3
            assert submitted.repeated
            assert steps_of(submitted.hints) == ["a:deploy"]
            assert claim.attempt == 1
            assert (finished.accepted, finished.ended) == (True, "succeeded")
            assert driver.told(submitted.run.id).count("a:deploy") == 3
