# SPDX-License-Identifier: Apache-2.0
"""Into a running container: commands with their input, output, size and exit code; connections to its ports."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fleetflow_tasks.config.model import Port, ServiceName
from fleetflow_tasks.errors import FleetFlowError, UnavailableError
from fleetflow_tasks.runtimes.docker.client import Client
from fleetflow_tasks.runtimes.docker.endpoints import Endpoint
from fleetflow_tasks.runtimes.docker.interactive import carry, execute
from fleetflow_tasks.testing import eventually
from tests.terminal import Piped, Screen, in_background

from .conftest import Stage, service

API = ServiceName("api")
STAY = ("/bin/sleep", "1000")
ECHOES = ("nc", "-ll", "-p", "80", "-e", "sh", "-c", "echo hello; exec cat")


def run(stage: Stage, terminal: Piped | Screen, *command: str, instance: str = "") -> int:
    return stage.runtime.execute(stage.plan(service("api")), API, command, terminal, instance=instance)


def test_a_command_prints_on_both_streams_and_its_exit_code_comes_back(stage: Stage) -> None:
    stage.up(service("api", *STAY))
    here = Piped()

    code = run(stage, here, "sh", "-c", "echo out; echo err >&2; exit 7")

    assert (code, here.out, here.err) == (7, b"out\n", b"err\n")


def test_what_is_piped_in_reaches_the_command_to_its_end_however_much_it_is(stage: Stage) -> None:
    """Both directions at once: a command that echoes must not stand still because nobody reads while we write."""
    stage.up(service("api", *STAY))
    data = os.urandom(5_000_000)
    here, empty = Piped(data), Piped(b"")

    assert run(stage, here, "cat") == 0
    assert here.out == data
    assert (run(stage, empty, "cat"), empty.out) == (0, b"")


def test_a_command_that_is_not_there_has_the_exit_code_that_docker_gives_it(stage: Stage) -> None:
    stage.up(service("api", *STAY))
    here = Piped()

    assert run(stage, here, "nope") in {126, 127}
    assert b'"nope": executable file not found in $PATH' in here.out + here.err


def test_on_a_terminal_keys_go_over_as_they_are_and_the_size_follows(stage: Stage) -> None:
    stage.up(service("api", *STAY))
    here = Screen()
    code = in_background(lambda: run(stage, here, "sh"))

    here.type(b"until stty size | grep '30 100'; do :; done; sleep 1000\n")
    eventually(lambda: b"\r\n30 100" in here.seen, 60)
    here.type(b"\x03")
    here.columns = 77
    here.type(b"until stty size | grep ' 77'; do :; done\n")
    eventually(lambda: b"30 77" in here.seen, 60)
    here.type(b"exit 3\n")

    assert code() == 3


def test_where_nothing_runs_it_is_said_what_is_there_instead(stage: Stage) -> None:
    assert failure(lambda: run(stage, Piped(), "true")) == ("no container of service `api` runs in stage `local`", ())

    stage.up(service("api", *STAY))
    stage.engine.stop(stage.id("api"), timeout=0)

    assert failure(lambda: run(stage, Piped(), "true"))[1] == (f"{stage.project}-local-api is exited",)


def test_one_container_is_no_second_instance(stage: Stage) -> None:
    stage.up(service("api", *STAY))

    assert run(stage, Piped(), "true", instance="1") == 0
    assert failure(lambda: run(stage, Piped(), "true", instance="2"))[0] == (
        "service `api` has no instance `2`: on Docker it has one container"
    )


def test_an_engine_on_another_machine_shows_what_is_published_and_carries_one_direction_through_ssh(
    stage: Stage,
) -> None:
    stage.up(service("api", *STAY))
    plan = stage.plan(service("api"))
    far = Client(stage.engine, Endpoint(url="ssh://ann@build", origin="DOCKER_HOST"))
    near, line = socket.socketpair()

    with near, line:
        assert failure(lambda: carry(far, plan, API, 80, line, "")) == (
            f"port 80 of container `{stage.project}-local-api` cannot be reached from here: it is not published",
            (),
        )
    assert failure(lambda: execute(far, plan, API, ["true"], Piped(), "")) == (
        "no command can be run inside `api` through ssh: its line carries one direction at a time",
        (),
    )


def failure(call: object) -> tuple[str, tuple[str, ...]]:
    assert callable(call)
    with pytest.raises(UnavailableError) as found:
        call()
    return found.value.problems[0].message, found.value.problems[0].cause


@contextmanager
def connected(stage: Stage, port: int = 80) -> Iterator[tuple[socket.socket, list[FleetFlowError]]]:
    """Our end of a connection that is carried, and what was wrong with it."""
    near, far = socket.socketpair()
    wrong: list[FleetFlowError] = []

    def carried() -> None:
        with far:
            try:
                stage.runtime.carry(stage.plan(service("api")), API, port, far)
            except FleetFlowError as error:
                wrong.append(error)

    thread = threading.Thread(target=carried, daemon=True)
    thread.start()
    near.settimeout(60)
    with near:
        yield near, wrong
    thread.join(60)


def said(line: socket.socket) -> bytes:
    found = b""
    while piece := line.recv(65536):
        found += piece
    return found


def test_a_connection_is_carried_both_ways_and_each_end_may_say_that_it_has_said_all(stage: Stage) -> None:
    stage.up(service("api", *ECHOES))
    data = os.urandom(2_000_000)
    back: list[bytes] = []

    with connected(stage) as (line, wrong):
        reader = threading.Thread(target=lambda: back.append(said(line)))
        reader.start()
        line.sendall(data)
        line.shutdown(socket.SHUT_WR)
        reader.join(60)

    assert back == [b"hello\n" + data]
    assert wrong == []


def test_a_published_port_is_gone_through_as_everybody_else_does(stage: Stage) -> None:
    stage.up(service("api", *ECHOES, ports=(Port(container=80),)))

    with connected(stage) as (line, _):
        line.shutdown(socket.SHUT_WR)
        assert said(line) == b"hello\n"


def test_a_port_where_nobody_listens_is_told_of(stage: Stage) -> None:
    stage.up(service("api", *STAY))

    with connected(stage, port=81) as (line, wrong):
        assert said(line) == b""
        eventually(lambda: bool(wrong))

    assert wrong[0].problems[0].message == f"port 81 of container `{stage.project}-local-api` does not answer"
    assert wrong[0].problems[0].cause[0].endswith(":81: Connection refused")
    assert stage.runtime.reached(stage.plan(service("api")), API) == f"container {stage.project}-local-api"
