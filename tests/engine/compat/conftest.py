# SPDX-License-Identifier: Apache-2.0
"""Servers on loopback ports, as they stand in other people's houses: with TLS, behind Sentinels, in a Cluster."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.engine.conftest import BINARIES

Ping = Callable[[int], "redis.Redis"]


@dataclass
class Listener:
    """A server on a port of 127.0.0.1, which `localhost` is a name of."""

    port: int
    process: "subprocess.Popen[bytes]"
    folder: Path

    def url(self, scheme: str = "redis", host: str = "127.0.0.1", options: str = "") -> str:
        return f"{scheme}://{host}:{self.port}/0{options}"

    @contextlib.contextmanager
    def admin(self) -> Iterator["redis.Redis"]:
        with contextlib.closing(plain(self.port)) as client:
            yield client


@contextlib.contextmanager
def listening(binary: str, *options: str, ping: Ping | None = None, port_option: str = "--port") -> Iterator[Listener]:
    """A server that answers. ping: a client of it, where it wants more than a word; port_option: `--tls-port` for TLS.

    A free port may be taken by somebody else before the server has it; then it ends, and another one is tried.
    """
    folder = Path(tempfile.mkdtemp(prefix="ff-redis-"))
    try:
        for _ in range(5):
            if (listener := _started(binary, folder, options, ping or plain, port_option)) is not None:
                break
        else:
            pytest.fail(f"the server did not start: {(folder / 'log').read_text()}")
        yield listener
        listener.process.terminate()
        listener.process.wait(10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def plain(port: int) -> "redis.Redis":
    return redis.Redis(host="127.0.0.1", port=port, protocol=2)


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def _started(binary: str, folder: Path, options: tuple[str, ...], ping: Ping, port_option: str) -> Listener | None:
    port = free_port()
    ports = (port_option, str(port)) if port_option == "--port" else ("--port", "0", port_option, str(port))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binary, *options, *ports, "--bind", "127.0.0.1", "--dir", str(folder), "--loglevel", "warning"],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    until = time.monotonic() + 20
    with contextlib.closing(ping(port)) as client:
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
                client.ping()
                return Listener(port, process, folder)
            time.sleep(0.05)
    process.kill()
    process.wait()
    return None


@dataclass
class Papers:
    """Certificates of a CA of the test's own: the server's, for `localhost`, and a client's."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        return str(self.folder / name.replace("_", "."))


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    """`ca_pem`, `server_pem`, `server_key`, `client_pem`, `client_key`: the paths of the files."""
    folder = tmp_path_factory.mktemp("papers")
    _openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=tests")
    for name in ("server", "client"):
        _openssl(folder, f"req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}")
        (folder / "names").write_text("subjectAltName=DNS:localhost")
        signed = f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out {name}.pem"
        _openssl(folder, f"{signed} -extfile names")
    return Papers(folder)


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(params=list(BINARIES))
def binary(request: pytest.FixtureRequest) -> str:
    """Redis 7 and Valkey in turn."""
    return BINARIES[request.param]()
