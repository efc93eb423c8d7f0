# SPDX-License-Identifier: Apache-2.0
"""The whole server: a gRPC port, an HTTP port, and what a process needs to know to reach them."""

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc

from . import certificate
from .accounts import OWNER, Accounts
from .api import Api, Asked
from .clock import Agenda, Clock, Real
from .faults import Faults
from .handler import Handler
from .http import Http
from .rest import Rest
from .runner import Runner
from .scripted import Now, Scripted
from .state import State
from .world import World

PROJECT = "fleetflow"
REGION = "europe-west1"
THREADS = 32  # requests that are answered at once; a slow one holds its thread


class Server:
    """Use it with `with`, or `start` and `close` it.

    tls: with a certificate of its own, which `environ` makes a client trust. clock: the real one, or `Moved`. containers:
    makes what brings images to life, from the moment that is being played; scripted ones where not said.
    """

    def __init__(
        self, *, tls: bool = False, clock: Clock | None = None, containers: Callable[[Now], Runner] = Scripted
    ) -> None:
        self.clock: Clock = clock or Real()
        agenda = Agenda(self.clock)
        self.accounts = Accounts(self.clock)
        self.faults = Faults()
        self.state = State(agenda, containers(lambda: agenda.now))
        self.api = Api(self.state, self.accounts, self.faults)
        self.http = Http(self.accounts)
        self.http.answers.append(Rest(self.api))
        self._folder = tempfile.TemporaryDirectory(prefix="fleetflow-cloudrun-")
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="cloudrun")
        self._certificate = certificate.made() if tls else None
        self._grpc = grpc.server(self._pool, handlers=[Handler(self.api)], options=[("grpc.so_reuseport", 0)])
        self._port = self._bound()

    @property
    def endpoint(self) -> str:
        """What FLEETFLOW_CLOUDRUN_ENDPOINT names."""
        return f"http://127.0.0.1:{self._port}" if self._certificate is None else f"https://localhost:{self._port}"

    @property
    def trace(self) -> list[Asked]:
        """Everything that was asked, in its order."""
        return self.api.trace

    @property
    def world(self) -> World:
        return self.state.world

    def environ(self, account: str = OWNER, project: str = PROJECT) -> dict[str, str]:
        """What a process needs to reach the server as *account*, the real way: through a key file and a token."""
        folder = Path(self._folder.name)
        key = folder / f"{account}.json"
        if not key.exists():
            self.accounts.file(account, key, f"{self.http.url}/token", project)
        found = {
            "FLEETFLOW_CLOUDRUN_ENDPOINT": self.endpoint,
            "FLEETFLOW_LOGGING_ENDPOINT": self.endpoint,
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        }
        if self._certificate is not None:
            roots = folder / "authority.pem"
            roots.write_bytes(self._certificate.authority)
            found["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = str(roots)
        return found

    def mended(self) -> None:
        """Whatever was told to go wrong goes well again, and nothing was asked yet. What was made stays."""
        self.faults.clear()
        self.state.world = World()
        self.api.trace.clear()

    def start(self) -> Self:
        self._grpc.start()
        self.http.start()
        return self

    def close(self) -> None:
        """What runs for it is stopped, too."""
        self.faults.close()
        self._grpc.stop(0.2).wait()
        self.http.close()
        self._pool.shutdown()
        self.state.close()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _bound(self) -> int:
        if self._certificate is None:
            return self._grpc.add_insecure_port("127.0.0.1:0")
        pair = [(self._certificate.key, self._certificate.chain)]
        return self._grpc.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(pair))
