# SPDX-License-Identifier: Apache-2.0
"""An Engine that is not there, is slow, or says no."""

import hashlib
import json
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import Plan, StepId
from fleetflow_tasks.runtimes.base import DeployError
from fleetflow_tasks.runtimes.docker.runtime import DockerRuntime
from fleetflow_tasks.testing import Trial

from .conftest import Stage, service


@contextmanager
def answering(socket: Path, status: int, body: object, api: str = "1.41", **headers: str) -> Iterator[None]:
    """An Engine that answers `_ping`, and everything else with *status*."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ping = self.path == "/_ping"
            text = b"OK" if ping else json.dumps(body).encode()
            self.send_response(200 if ping else status)
            for name, value in {"Api-Version": api, "Content-Length": str(len(text)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815  (named by http.server)

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (named by http.server)
            pass

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def of() -> Iterator[Callable[..., DockerRuntime]]:
    """A runtime of an environment, closed afterwards."""
    made: list[DockerRuntime] = []

    def make(environ: dict[str, str], **more: Any) -> DockerRuntime:
        made.append(DockerRuntime(environ, **more))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def nothing(stage: Stage) -> Plan:
    return stage.plan(service("api"))


def test_no_engine_is_said_with_the_address_and_who_named_it(
    of: Callable[..., DockerRuntime], nothing: Plan, tmp_path: Path
) -> None:
    runtime = of({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})

    with pytest.raises(UnavailableError) as failure:
        runtime.diff(nothing)

    (problem,) = failure.value.problems
    assert problem.message == f"no Docker Engine answers at unix://{tmp_path}/none.sock"
    assert problem.cause == (f"unix://{tmp_path}/none.sock (DOCKER_HOST): No such file or directory",)


def test_no_engine_is_worth_another_attempt_to_a_step(
    of: Callable[..., DockerRuntime], nothing: Plan, tmp_path: Path
) -> None:
    runtime = of({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})

    with pytest.raises(DeployError) as failure:
        runtime.prepare(nothing, nothing.step(StepId("stage:prepare")), Trial())

    assert failure.value.transient


def test_an_address_that_is_none_is_said_so(of: Callable[..., DockerRuntime], nothing: Plan) -> None:
    with pytest.raises(UnavailableError) as failure:
        of({"DOCKER_HOST": "nonsense://x"}).diff(nothing)

    assert failure.value.problems[0].message == "no Docker Engine answers at nonsense://x"


def test_ssh_without_its_module_says_what_to_install(of: Callable[..., DockerRuntime], nothing: Plan) -> None:
    with pytest.raises(UnavailableError) as failure:
        of({"DOCKER_HOST": "ssh://me@far"}).diff(nothing)

    (problem,) = failure.value.problems
    assert problem.message == (
        "the Docker Engine at ssh://me@far cannot be reached: Python module `paramiko` is missing"
    )
    assert problem.fix == "run `pip install 'docker[ssh]'`"


def test_certificates_that_are_not_there_are_said_in_one_line(
    of: Callable[..., DockerRuntime], nothing: Plan, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").touch()
    environ = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}

    with pytest.raises(UnavailableError) as failure:
        of(environ).diff(nothing)

    (problem,) = failure.value.problems
    assert problem.message == (
        f"no TLS with the Docker Engine at tcp://127.0.0.1:1: there is no file {tmp_path}/cert.pem"
    )
    assert problem.cause == ("DOCKER_TLS_VERIFY asks for TLS, and DOCKER_CERT_PATH names the folder",)


def test_without_a_folder_dockers_own_is_looked_in_for_certificates(
    of: Callable[..., DockerRuntime], nothing: Plan, tmp_path: Path
) -> None:
    environ = {"DOCKER_HOST": "tcp://127.0.0.1:1", "DOCKER_TLS_VERIFY": "1", "HOME": str(tmp_path)}

    with pytest.raises(UnavailableError) as failure:
        of(environ).diff(nothing)

    (problem,) = failure.value.problems
    assert problem.message.endswith(f"there is no file {tmp_path}/.docker/ca.pem")
    assert problem.cause == (
        "DOCKER_TLS_VERIFY asks for TLS, and without DOCKER_CERT_PATH it is looked for in docker's own folder",
    )


@pytest.mark.parametrize(
    ("status", "said", "transient", "retry_after"),
    [
        (429, "toomanyrequests: slow down", True, 7.0),
        (503, "starting", True, 7.0),
        (500, "something of its own", True, 7.0),  # nothing was to be changed
        (400, "bad parameter", False, 7.0),
    ],
)
def test_what_may_pass_by_itself_is_told_apart(
    of: Callable[..., DockerRuntime],
    nothing: Plan,
    tmp_path: Path,
    status: int,
    said: str,
    transient: bool,
    retry_after: float,
) -> None:
    socket = tmp_path / "e.sock"
    with answering(socket, status, {"message": said}, Retry_After="7"):
        runtime = of({"DOCKER_HOST": f"unix://{socket}"})

        with pytest.raises(DeployError) as failure:
            runtime.deploy(nothing, nothing.step(StepId("api:deploy")), Trial())

    assert (failure.value.transient, failure.value.retry_after) == (transient, retry_after)
    assert said in failure.value.problem.message


def test_an_engine_that_is_too_old_is_not_used(of: Callable[..., DockerRuntime], nothing: Plan, tmp_path: Path) -> None:
    socket = tmp_path / "e.sock"
    with answering(socket, 200, [], api="1.40"), pytest.raises(UnavailableError) as failure:
        of({"DOCKER_HOST": f"unix://{socket}"}).diff(nothing)

    assert failure.value.problems[0].message == f"the Docker Engine at unix://{socket} is too old: it speaks API 1.40"


def test_a_newer_engine_is_spoken_to_in_the_newest_words_that_we_know(
    of: Callable[..., DockerRuntime], nothing: Plan, tmp_path: Path
) -> None:
    socket = tmp_path / "e.sock"
    asked: list[str] = []
    with answering(socket, 200, [], api="1.99"):
        runtime = of({"DOCKER_HOST": f"unix://{socket}"}, trace=lambda _, path: asked.append(path))
        runtime.diff(nothing)

    assert asked[-1].startswith("/v1.47/containers/json")


def test_a_docker_context_is_used_as_docker_does(
    of: Callable[..., DockerRuntime], stage: Stage, tmp_path: Path
) -> None:
    name = "away"
    meta = tmp_path / "contexts" / "meta"
    digest = hashlib.sha256(name.encode()).hexdigest()
    (meta / digest).mkdir(parents=True)
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    (meta / digest / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    (tmp_path / "config.json").write_text(json.dumps({"currentContext": name}))

    runtime = of({"DOCKER_CONFIG": str(tmp_path), "HOME": str(tmp_path)})

    assert runtime.identity(stage.plan()) == stage.runtime.identity(stage.plan())
