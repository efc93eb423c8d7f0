# SPDX-License-Identifier: Apache-2.0
"""Ports of this machine that lead to a service, and who offers no way in. The runtimes come from a package of their own."""

import os
import resource
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from fleetflow_tasks import api
from fleetflow_tasks.api import Forward, Forwarded
from fleetflow_tasks.errors import FleetFlowError, PlanError, Problem, UnavailableError
from fleetflow_tasks.testing import eventually

TEXT = """
project "shop"
service "api" { image "x:1"; port container=80; port container=81; port container=53 protocol="udp" }
service "mute" { image "x:1" }
stage "stg" { service "api"; service "mute" }
"""

PACKAGE = '''
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.base import PROTOCOL
from fleetflow_tasks.testing.recording import RecordingRuntime

class Closed(RecordingRuntime):
    name, protocol = "closed", PROTOCOL
    def __init__(self, environ): ...

class Echoing(Closed):
    """Port 81 is silent."""
    name = "echoing"
    def execute(self, plan, service, command, terminal, *, instance=""):
        return len(command)
    def reached(self, plan, service, *, instance=""):
        return f"the echo of {service}{instance}"
    def carry(self, plan, service, port, line, *, instance=""):
        if port == 81:
            raise UnavailableError(Problem(code="port-silent", message="port 81 does not answer"))
        while data := line.recv(1000):
            line.sendall(data)
'''


@pytest.fixture
def request_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> api.Request:
    (tmp_path / "fleet.kdl").write_text(TEXT, encoding="utf-8")
    package = tmp_path / "site"
    (package / "rooms-1.dist-info").mkdir(parents=True)
    (package / "rooms.py").write_text(PACKAGE, encoding="utf-8")
    (package / "rooms-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: rooms\nVersion: 1\n")
    (package / "rooms-1.dist-info" / "entry_points.txt").write_text(
        "[fleetflow.runtimes]\nclosed = rooms:Closed\nechoing = rooms:Echoing\n"
    )
    monkeypatch.syspath_prepend(str(package))
    return api.Request(directory=str(tmp_path), runtime="echoing")


@contextmanager
def forwarded(
    request: api.Request, *ports: Forward, said: list[Problem] | None = None, addresses: Sequence[str] = ("127.0.0.1",)
) -> Iterator[Sequence[Forwarded]]:
    made = api.plan(request).plan
    say = (said if said is not None else []).append
    with api.forwarded(request, made, "api", ports, addresses=addresses, say=say) as listening:
        yield listening


def answer(port: Forwarded, text: bytes) -> bytes:
    with socket.create_connection((port.address, port.port), timeout=30) as line:
        line.sendall(text)
        line.shutdown(socket.SHUT_WR)
        found = b""
        while piece := line.recv(1000):
            found += piece
        return found


def wrong(request: api.Request, *ports: Forward) -> Problem:
    with pytest.raises(FleetFlowError) as caught, forwarded(request, *ports):
        pass
    return caught.value.problems[0]


def test_a_free_port_is_chosen_and_said_and_leads_to_the_service(request_: api.Request) -> None:
    with forwarded(request_, Forward(local=0, remote=80)) as (port,):
        assert (port.remote, port.to) == (80, "the echo of api")
        assert port.port != 0
        assert [answer(port, text) for text in (b"one", b"two")] == [b"one", b"two"]


def test_one_number_is_taken_on_all_addresses(request_: api.Request) -> None:
    with forwarded(request_, Forward(local=0, remote=80), addresses=("127.0.0.1", "127.0.0.2")) as (one, two):
        assert one.port == two.port
        assert answer(two, b"x") == b"x"


def test_what_is_wrong_with_a_connection_is_told_and_the_others_go_on(request_: api.Request) -> None:
    said: list[Problem] = []

    with forwarded(request_, Forward(local=0, remote=81), Forward(local=0, remote=80), said=said) as (silent, well):
        with socket.create_connection((silent.address, silent.port), timeout=30) as line:
            assert line.recv(1) == b""
        eventually(lambda: bool(said))
        assert answer(well, b"x") == b"x"

    assert [problem.message for problem in said] == ["port 81 does not answer"]


def test_who_comes_while_no_file_can_be_opened_is_let_in_once_one_can(request_: api.Request) -> None:
    with (
        forwarded(request_, Forward(local=0, remote=80)) as (port,),
        socket.socket() as first,
        socket.socket() as second,
        Path(os.devnull).open() as highest,
    ):
        with _no_more_than(highest.fileno() + 1):
            first.connect((port.address, port.port))  # the system had a number ready for the next who comes
            second.connect((port.address, port.port))
            second.sendall(b"x")
            second.settimeout(1)
            with pytest.raises(TimeoutError):
                second.recv(1)
        second.settimeout(30)

        assert second.recv(1) == b"x"


@contextmanager
def _no_more_than(files: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    try:
        with ExitStack() as stack:
            with suppress(OSError):  # numbers in between are free
                while True:
                    stack.enter_context(Path(os.devnull).open())
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_nobody_listens_any_more_once_it_is_over(request_: api.Request) -> None:
    with forwarded(request_, Forward(local=0, remote=80)) as (port,):
        pass

    with pytest.raises(ConnectionRefusedError):
        answer(port, b"x")


def test_a_port_that_somebody_has_is_an_error_with_a_way_out(request_: api.Request) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        problem = wrong(request_, Forward(local=0, remote=80), Forward(local=port, remote=80))

    assert problem.message == f"cannot listen on 127.0.0.1:{port}: Address already in use"
    assert problem.fix == "take another local port, `8081:80`, or any that is free, `:80`"


def test_the_ports_that_a_service_declares_are_the_ones_that_are_meant(request_: api.Request) -> None:
    made = api.plan(request_).plan

    assert api.declared_ports(request_, made, "api") == [Forward(local=80, remote=80), Forward(local=81, remote=81)]
    with pytest.raises(PlanError) as caught:
        api.declared_ports(request_, made, "mute")
    assert caught.value.problems[0].message == "service `mute` declares no port"
    assert caught.value.problems[0].fix == "say which it listens on: `flow port-forward mute 8080`"


def test_a_runtime_that_offers_no_way_in_is_named(request_: api.Request) -> None:
    made = api.plan(request_).plan
    closed = api.plan(replace(request_, runtime="closed")).plan

    with pytest.raises(UnavailableError) as caught:
        api.execute(request_, closed, "mute", ["sh"], None)  # type: ignore[arg-type]  # it does not come to that
    with pytest.raises(PlanError) as unknown:
        api.execute(request_, made, "apo", ["sh"], None)  # type: ignore[arg-type]  # nor here

    assert caught.value.problems[0].message == (
        "service `mute` cannot be entered: the runtime `closed` offers no way in"
    )
    assert unknown.value.problems[0].fix == "did you mean `api`?"
    assert api.execute(request_, made, "api", ["a", "b"], None) == 2  # type: ignore[arg-type]  # it is not used
