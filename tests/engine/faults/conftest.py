# SPDX-License-Identifier: Apache-2.0
"""A bed on each server in turn. After each test the same look at what it left: the rules hold, nothing was done twice."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.engine.conftest import Server
from tests.engine.faults.bed import Bed, held
from tests.engine.faults.proxy import Proxy
from tests.engine.faults.servers import Own, own


@pytest.fixture
def bed(url: str, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(url, tmp_path)) as bed:
        yield bed
        held(bed)


@pytest.fixture(params=["redis", "valkey"])
def own_server(request: pytest.FixtureRequest) -> Iterator[Own]:
    """A server that nobody else uses; each make in turn."""
    with own(request.param) as server:
        yield server


@pytest.fixture
def own_bed(own_server: Own, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(own_server.url, tmp_path)) as bed:
        yield bed
        held(bed)


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """Before the server of the test's bed."""
    with Proxy(server.socket) as proxy:
        yield proxy


@pytest.fixture
def proxied_bed(proxy: Proxy, url: str, tmp_path: Path) -> Iterator[Bed]:
    """All of it goes through *proxy* but what looks at it: `raw`."""
    with closing(Bed(proxy.before(url), tmp_path, direct=url)) as bed:
        yield bed
        held(bed)
