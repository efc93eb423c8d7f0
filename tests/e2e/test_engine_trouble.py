# SPDX-License-Identifier: Apache-2.0
"""A whole run against an Engine in trouble: what passes by itself is tried again, and nobody has to do anything."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.proxy import BadLine, bad_line
from tests.e2e.conftest import BASE, Desk

STAGE = f"""
service "api" {{
    image "{BASE}"
    command "sleep" "1000"
    docker {{ init #true }}
    healthcheck {{ test "CMD" "true"; interval 0.2 }}
    env {{ VERSION "VERSION" }}
}}
stage "local" {{ service "api" }}
"""


@pytest.fixture
def line(desk: Desk) -> Iterator[BadLine]:
    state = Path(desk.environ["FLEETFLOW_STATE_DIR"])
    state.mkdir(mode=0o700)
    with bad_line(state / "engine", os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")) as made:
        yield made


def test_a_run_goes_through_refusals_and_lost_answers_to_its_end(desk: Desk, line: BadLine) -> None:
    desk.write(STAGE.replace('"VERSION"', '"one"'))
    assert desk.flow("up").code == 0
    refused = line.answers("POST /containers/create", 503, "the daemon is shutting down")
    lost = line.loses("POST /containers/[^/]+/start")
    busy = line.answers("POST /networks/[^/]+/disconnect", 429, "too many requests")
    desk.write(STAGE.replace('"VERSION"', '"two"'))

    result = desk.flow("up", DOCKER_HOST=line.address)

    assert result.code == 0, result
    assert (refused.met, lost.met, busy.met) == (1, 1, 1)
    assert "1 service deployed" in result.out
    (container,) = desk.container_ids()
    assert '"VERSION=two"' in desk.docker("inspect", "-f", "{{json .Config.Env}}", container)
    assert desk.containers() == [f"{desk.project}-local-api"]


def test_a_run_that_an_engine_does_not_let_through_fails_in_words_and_the_old_version_serves(
    desk: Desk, line: BadLine
) -> None:
    desk.write(STAGE.replace('"VERSION"', '"one"'))
    assert desk.flow("up").code == 0
    before = desk.container_ids()
    refused = line.answers("POST /containers/[^/]+/start", 503, "starting", times=100)
    desk.write(STAGE.replace('"VERSION"', '"two"'))

    result = desk.flow("up", DOCKER_HOST=line.address)

    assert result.code == 1, result
    assert refused.met == 3
    assert "attempt 3 of 3: the Docker Engine did not start the container: starting" in result.out
    assert "the version before still serves" in result.out
    assert desk.container_ids() == before
