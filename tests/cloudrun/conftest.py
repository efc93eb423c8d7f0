# SPDX-License-Identifier: Apache-2.0
"""One server per process of tests, in which each test has a project of its own; what a test broke on purpose is mended.

`client` is somebody who may do everything and is counted nowhere; `requests` are those of the runtime under test alone.
"""

import os
import secrets
from collections.abc import Iterator

import pytest

from fleetflow_tasks.config.model import ProjectName
from fleetflow_tasks.runtimes.cloudrun.access import connect
from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.runtimes.cloudrun.runtime import CloudRunRuntime
from fleetflow_tasks.testing.cloudrun import Server

from .stage import REGION, Stage


@pytest.fixture(scope="session")
def cloudrun() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture
def server(cloudrun: Server) -> Iterator[Server]:
    """All is well there in the beginning, and nothing was asked yet."""
    cloudrun.mended()
    yield cloudrun
    cloudrun.mended()


@pytest.fixture
def environ(server: Server) -> dict[str, str]:
    return {**os.environ, **server.environ()}


@pytest.fixture
def client(environ: dict[str, str]) -> Iterator[Client]:
    made = connect(environ, REGION)
    yield made
    made.close()


@pytest.fixture
def requests() -> list[tuple[str, str]]:
    """Every request of the runtime under test: (method, name)."""
    return []


@pytest.fixture
def runtime(environ: dict[str, str], requests: list[tuple[str, str]]) -> Iterator[CloudRunRuntime]:
    made = CloudRunRuntime(environ, trace=lambda method, name: requests.append((method, name)))
    yield made
    made.close()


@pytest.fixture
def project() -> ProjectName:
    """Nobody else's."""
    return ProjectName(f"t{secrets.token_hex(4)}")


@pytest.fixture
def stage(runtime: CloudRunRuntime, client: Client, project: ProjectName, requests: list[tuple[str, str]]) -> Stage:
    return Stage(runtime, client, project, requests)
