# SPDX-License-Identifier: Apache-2.0
"""Into a running pod of a real node: commands with their input, output, size and exit code; connections to its ports."""

import os
import resource
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import FleetFlowError, UnavailableError
from fleetflow_tasks.runtimes.base import NotStartedError
from fleetflow_tasks.runtimes.kubernetes.access import connect
from fleetflow_tasks.runtimes.kubernetes.client import Client, KubernetesError
from fleetflow_tasks.runtimes.kubernetes.execute import execute
from fleetflow_tasks.runtimes.kubernetes.forward import carry, reached
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP
from fleetflow_tasks.testing import eventually
from tests.terminal import Piped, Screen, in_background

from .bare import Bare, plan
from .conftest import Cluster

STAY = "exec sleep 1000"
# Says which pod it is, and echoes what it gets, until the other side has said all.
ECHOES = "exec nc -ll -p 80 -e sh -c 'echo $HOSTNAME; exec cat'"
API = ServiceName("api")


@pytest.fixture
def bare(node: Cluster, node_namespace: str) -> Bare:
    return Bare(node, node_namespace)


@pytest.fixture
def run(bare: Bare) -> Callable[..., int]:
    def run(terminal: Piped | Screen, *command: str, instance: str = "", client: Client = bare.cluster.client) -> int:
        return execute(client, plan(bare.namespace, "api"), API, command, terminal, instance)

    return run


def failure(call: Callable[[], object], kind: type[FleetFlowError] = UnavailableError) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(kind) as found:
        call()
    return found.value.problems[0].message, found.value.problems[0].cause


# ---- commands


def test_a_command_prints_on_both_streams_and_its_exit_code_comes_back(bare: Bare, run: Callable[..., int]) -> None:
    bare.start("api", "x", STAY)
    bare.runs("api-x")
    here = Piped()

    code = run(here, "sh", "-c", "echo out; echo err >&2; exit 7")

    assert (code, here.out, here.err) == (7, b"out\n", b"err\n")


def test_what_is_piped_in_reaches_the_command_to_its_end_however_much_it_is(
    bare: Bare, run: Callable[..., int]
) -> None:
    """Both directions at once: a command that echoes must not stand still because nobody reads while we write."""
    bare.start("api", "x", STAY)
    bare.runs("api-x")
    data = os.urandom(3_000_000)
    here = Piped(data)

    assert run(here, "cat") == 0
    assert here.out == data


def test_a_command_that_is_not_there_is_told_with_the_words_of_who_looked_for_it(
    bare: Bare, run: Callable[..., int]
) -> None:
    bare.start("api", "x", STAY)
    bare.runs("api-x")

    message, cause = failure(lambda: run(Piped(), "nope"), NotStartedError)

    assert message == "`nope` could not be started in pod `api-x`"
    assert '"nope": executable file not found in $PATH' in cause[0]


def test_on_a_terminal_keys_go_over_as_they_are_and_the_size_follows(bare: Bare, run: Callable[..., int]) -> None:
    bare.start("api", "x", STAY)
    bare.runs("api-x")
    here = Screen()
    code = in_background(lambda: run(here, "sh"))

    here.type(b"stty size; sleep 1000\n")
    eventually(lambda: b"30 100" in here.seen, 60)
    here.type(b"\x03")
    here.columns = 77
    here.type(b"until stty size | grep ' 77'; do :; done\n")
    eventually(lambda: b"30 77" in here.seen, 60)
    here.type(b"exit 3\n")

    assert code() == 3


def test_of_several_pods_the_oldest_that_is_ready_is_taken_or_the_one_that_is_named(
    bare: Bare, run: Callable[..., int]
) -> None:
    bare.start("api", "aaaaa", STAY, ready="[ -e /kept/ready ]")
    eventually(lambda: "running" in bare.state("api-aaaaa").get("state", {}), 60)
    eventually(lambda: bare.look("api-aaaaa")["metadata"]["creationTimestamp"] < now(bare), 60)
    bare.start("api", "bbbbb", STAY)
    bare.runs("api-bbbbb")

    def where(instance: str) -> str:
        here = Piped()
        assert run(here, "hostname", instance=instance) == 0
        return here.out.decode().strip()

    assert [where(instance) for instance in ("", "1", "2", "aaaaa", "api-bbbbb")] == [
        "api-bbbbb",
        "api-aaaaa",
        "api-bbbbb",
        "api-aaaaa",
        "api-bbbbb",
    ]
    assert failure(lambda: where("3")) == (
        "service `api` has no pod `3`",
        ("it has 1: api-aaaaa, 2: api-bbbbb",),
    )


def now(bare: Bare) -> str:
    """The API server's clock, in its full seconds."""
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "now-"}}
    return str(bare.cluster.client.create(CONFIG_MAP, bare.namespace, made)["metadata"]["creationTimestamp"])


def test_where_nothing_runs_each_pod_is_told_of(bare: Bare, run: Callable[..., int]) -> None:
    assert failure(lambda: run(Piped(), "true")) == ("no pod of service `api` runs in stage `stg`", ())

    bare.start("api", "x", "true")
    bare.ended("api-x")

    eventually(lambda: bare.look("api-x")["status"]["phase"] == "Succeeded", 60)
    assert failure(lambda: run(Piped(), "true"))[1] == ("api-x is succeeded",)


def test_a_line_that_is_cut_in_the_middle_is_an_error_and_no_exit_code(
    bare: Bare, run: Callable[..., int], tmp_path: Path
) -> None:
    bare.start("api", "x", STAY)
    bare.runs("api-x")
    here, failures = Piped(), list[KubernetesError]()
    with relayed(bare.cluster) as (kubeconfig, cut):
        client = connect({"KUBECONFIG": kubeconfig(tmp_path)})

        def watched() -> int:
            try:
                return run(here, "sh", "-c", "echo begun; sleep 1000", client=client)
            except KubernetesError as error:
                failures.append(error)
                return -1

        code = in_background(watched)
        eventually(lambda: here.out == b"begun\n", 60)
        cut()

        assert code() == -1
        client.close()
    assert "the connection was cut" in failures[0].problem.message


@contextmanager
def relayed(cluster: Cluster) -> Iterator[tuple[Callable[[Path], str], Callable[[], None]]]:
    """A port in front of the API server's, for whatever is spoken: a kubeconfig that leads there, and what cuts all lines."""
    text = cluster.kubeconfig.read_text(encoding="utf-8")
    url = urlsplit(cluster.client.server)
    lines: list[socket.socket] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((url.hostname or "", url.port or 0)) as server:
                lines.extend((self.request, server))
                threading.Thread(target=pumped, args=(server, self.request), daemon=True).start()
                pumped(self.request, server)

    class Relay(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    def kubeconfig(folder: Path) -> str:
        there = f"{url.hostname}:{relay.server_address[1]}"
        (folder / "kubeconfig").write_text(text.replace(url.netloc, there), encoding="utf-8")
        return str(folder / "kubeconfig")

    def cut() -> None:
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    with Relay(("127.0.0.1", 0), Handler) as relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        yield kubeconfig, cut
        cut()
        relay.shutdown()


def pumped(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


# ---- a process with many files


@pytest.fixture
def many_files() -> Iterator[None]:
    """Whatever is opened now has a number above those that `select` knows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    with ExitStack() as stack:
        while stack.enter_context(Path(os.devnull).open()).fileno() < 1024:
            pass
        yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_process_with_many_files_runs_commands_and_carries_connections(bare: Bare, run: Callable[..., int]) -> None:
    bare.start("api", "x", ECHOES)
    bare.runs("api-x")
    here = Piped(b"hello\n")

    assert run(here, "cat") == 0
    with connected(bare) as (line, wrong):
        assert said(line, 6) == b"api-x\n"

    assert (here.out, wrong) == (b"hello\n", [])


# ---- connections


@contextmanager
def connected(bare: Bare, port: int = 80, instance: str = "") -> Iterator[tuple[socket.socket, list[FleetFlowError]]]:
    """Our end of a connection that is carried, and what was wrong with it."""
    near, far = socket.socketpair()
    wrong: list[FleetFlowError] = []

    def carried() -> None:
        with far:
            try:
                carry(bare.cluster.client, plan(bare.namespace, "api"), API, port, far, instance)
            except FleetFlowError as error:
                wrong.append(error)

    thread = threading.Thread(target=carried, daemon=True)
    thread.start()
    near.settimeout(60)
    with near:
        yield near, wrong
    thread.join(60)


def said(line: socket.socket, number: int) -> bytes:
    """The next *number* bytes; fewer where it ends before."""
    found = b""
    while len(found) < number and (piece := line.recv(number - len(found))):
        found += piece
    return found


def test_a_connection_is_carried_both_ways_however_much_it_is(bare: Bare) -> None:
    bare.start("api", "x", ECHOES)
    bare.runs("api-x")
    data = os.urandom(2_000_000)
    back: list[bytes] = []

    with connected(bare) as (line, wrong):
        assert said(line, 6) == b"api-x\n"
        reader = threading.Thread(target=lambda: back.append(said(line, len(data))))
        reader.start()
        line.sendall(data)
        reader.join(60)

    assert back == [data]
    assert wrong == []


def test_the_next_connection_goes_to_another_pod_once_the_first_is_gone(bare: Bare) -> None:
    for suffix in ("aaaaa", "bbbbb"):
        bare.start("api", suffix, ECHOES)
        bare.runs(f"api-{suffix}")

    def answers() -> bytes:
        with connected(bare) as (line, _):
            return said(line, 10)

    assert {answers() for _ in range(2)} == {b"api-aaaaa\n"}
    assert reached(bare.cluster.client, plan(bare.namespace, "api"), API, "") == "pod api-aaaaa"
    bare.remove("api-aaaaa")
    assert answers() == b"api-bbbbb\n"


def test_a_port_where_nobody_listens_is_told_of_and_ends_that_connection_alone(bare: Bare) -> None:
    bare.start("api", "x", ECHOES)
    bare.runs("api-x")

    with connected(bare, port=81) as (line, wrong):
        with suppress(ConnectionError):
            assert said(line, 1) == b""
        eventually(lambda: bool(wrong), 60)
    with connected(bare) as (line, _):
        assert said(line, 6) == b"api-x\n"

    assert wrong[0].problems[0].message == "port 81 of pod `api-x` does not answer"
    assert "connection refused" in wrong[0].problems[0].cause[0]
