# SPDX-License-Identifier: Apache-2.0
"""Behind Sentinels: a primary dies under a run, a replica takes its place, and the run goes on there."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
from redis.sentinel import MasterNotFoundError, Sentinel

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.compat.conftest import Listener, Ping, listening
from tests.engine.conftest import BINARIES, plan_of
from tests.engine.test_workers import Bed

NAME = "shop"
PASSWORD = "of-the-servers"
SENTINELS_PASSWORD = "of-the-sentinels"
SHOP = plan_of("db:prepare", "db:deploy <- db:prepare", "api:deploy <- db:deploy", "web:deploy <- api:deploy")


@dataclass
class House:
    """A primary, its replica, and three Sentinels; everybody wants a password."""

    primary: Listener
    replica: Listener
    sentinels: list[Listener]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"sentinel://:{PASSWORD}@{hosts}/0?master_name={NAME}&sentinel_password={SENTINELS_PASSWORD}"

    def named(self) -> int | None:
        """The port of the server that the Sentinels name."""
        hosts = [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]
        login = {"password": SENTINELS_PASSWORD, "protocol": 2}
        asked = Sentinel(hosts, sentinel_kwargs=login)  # type: ignore[no-untyped-call]  # redis-py's types end here
        with closing(asked), contextlib.suppress(MasterNotFoundError):
            return int(asked.discover_master(NAME)[1])  # type: ignore[no-untyped-call]  # as above
        return None


@contextmanager
def _sentinel(binary: str, primary: int, folder: Path) -> Iterator[Listener]:
    folder.mkdir()
    file = folder / "sentinel.conf"
    file.write_text(
        f"sentinel monitor {NAME} 127.0.0.1 {primary} 2\n"
        f"sentinel auth-pass {NAME} {PASSWORD}\n"
        f"sentinel down-after-milliseconds {NAME} 1500\n"
        f"sentinel failover-timeout {NAME} 6000\n"
        f"requirepass {SENTINELS_PASSWORD}\n"
        f"sentinel sentinel-pass {SENTINELS_PASSWORD}\n"
    )
    with listening(binary, str(file), "--sentinel", ping=_client(SENTINELS_PASSWORD)) as made:
        yield made


def _client(password: str) -> Ping:
    return lambda port: redis.Redis(host="127.0.0.1", port=port, password=password, protocol=2)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    binary = BINARIES["redis"]()
    secured = ("--requirepass", PASSWORD, "--masterauth", PASSWORD, "--save", "", "--appendonly", "no")
    with ExitStack() as stack:
        primary = stack.enter_context(listening(binary, *secured, ping=_client(PASSWORD)))
        follow = ("--replicaof", f"127.0.0.1 {primary.port}")
        replica = stack.enter_context(listening(binary, *secured, *follow, ping=_client(PASSWORD)))
        sentinels = [
            stack.enter_context(_sentinel(binary, primary.port, tmp_path / f"sentinel-{number}")) for number in range(3)
        ]
        made = House(primary, replica, sentinels)
        eventually(lambda: _all_know_each_other(made), within=60)
        yield made


def _all_know_each_other(house: House) -> bool:
    """Each Sentinel knows two others and a replica; before, no majority could agree on a failover."""
    for sentinel in house.sentinels:
        with closing(_client(SENTINELS_PASSWORD)(sentinel.port)) as client:
            state = client.sentinel_master(NAME)
            assert isinstance(state, dict)
            if state["num-other-sentinels"] < 2 or state["num-slaves"] < 1:
                return False
    with closing(_client(PASSWORD)(house.replica.port)) as client:
        return bool(client.info("replication")["master_link_status"] == "up")


def test_a_run_outlives_the_death_of_its_primary(house: House, tmp_path: Path) -> None:
    with closing(Bed(house.url, tmp_path)) as bed:
        bed.world.behave(db__deploy=Behaviour(seconds=4))
        worker = bed.worker()
        run = bed.submit(SHOP)
        eventually(bed.began("db:deploy"), 60)

        house.primary.process.kill()

        eventually(lambda: house.named() == house.replica.port, within=60)
        eventually(lambda: _status(bed, run) == "succeeded", within=120)
        assert worker.poll() is None, bed.logs()
        assert bed.world.world() == ["api", "db", "web"]
        assert bed.state(run, "api:deploy").attempt == 1
        assert PASSWORD not in bed.logs()
        assert SENTINELS_PASSWORD not in bed.logs()


def _status(bed: Bed, run: str) -> str | None:
    with contextlib.suppress(UnavailableError):
        found = bed.store.run(run)  # type: ignore[arg-type]
        return found.status if found else None
    return None
