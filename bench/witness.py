# SPDX-License-Identifier: Apache-2.0
"""Between a client and an API server, on loopback: passes every byte on, and keeps a list of what was asked.

So all tools are counted by the same one, which none of them knows: what a tool says of itself would be a claim. To its own
side the witness is a cluster with an authority of its own, as FleetFlow asks an unproved one who it is at every step; to
the server it shows the kubeconfig's certificate. Only heads of requests are read; answers are passed on unread, watches
among them, as nobody sends a second request before the first is answered.
"""

import asyncio
import base64
import http.client
import json
import re
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HERE = "127.0.0.1"
_PASS = re.compile(rb"(?im)^authorization:[^\n]*\n")  # of a request: at the server the witness's own certificate counts

Json = Mapping[str, Any]


class Cluster:
    """An API server by its kubeconfig: one whose current context has a certificate, as the clusters of the tests have."""

    def __init__(self, kubeconfig: Path) -> None:
        said = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        context = _named(said["contexts"], said["current-context"])["context"]
        cluster = _named(said["clusters"], context["cluster"])["cluster"]
        user = _named(said["users"], context["user"])["user"]
        where = urlsplit(cluster["server"])
        self.host = where.hostname or "127.0.0.1"
        self.port = where.port or 443
        self.tls = ssl.create_default_context(cadata=_text(cluster, "certificate-authority"))
        with _file(_text(user, "client-certificate")) as certificate, _file(_text(user, "client-key")) as key:
            self.tls.load_cert_chain(certificate, key)

    def ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """The answer's status and what it says."""
        line = http.client.HTTPSConnection(self.host, self.port, context=self.tls, timeout=60)
        try:
            line.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
            answer = line.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            line.close()


@dataclass(frozen=True, kw_only=True)
class Asked:
    method: str
    target: str

    @property
    def kind(self) -> str:
        if self.method != "GET":
            return "write"
        return "watch" if "watch=true" in self.target or "watch=1" in self.target else "read"

    @property
    def sort(self) -> str:
        """What it was about, without names: `GET …/deployments/NAME`."""
        path = urlsplit(self.target).path.split("/")
        place = path.index("namespaces") if "namespaces" in path else len(path)
        within = path[place + 2 :] if len(path) > place + 2 else path[place:]
        named = [*within[:1], *(["NAME"] if len(within) > 1 else []), *within[2:]]
        return f"{self.method} {'/'.join(named) or self.target}" + (" watch" if self.kind == "watch" else "")


class Witness:
    """kubeconfig: what a client is given to come this way."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._asked: list[Asked] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="witness")
        self._thread.start()
        certificate = _certificate(folder / "witness.pem")
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(folder / "witness.pem")
        self._server = self._call(asyncio.start_server(self._met, HERE, 0, ssl=tls))
        self.kubeconfig = folder / "witnessed"
        port = self._server.sockets[0].getsockname()[1]
        self.kubeconfig.write_text(json.dumps(_kubeconfig(port, certificate)), encoding="utf-8")

    def taken(self) -> Sequence[Asked]:
        """What was asked since this was asked the last time."""
        asked, self._asked = self._asked, []
        return asked

    def close(self) -> None:
        async def ended() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._call(ended())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _met(self, ours: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            there, theirs = await asyncio.open_connection(self._cluster.host, self._cluster.port, ssl=self._cluster.tls)
        except OSError:  # a server that is away for a moment is away for who asks here too
            back.close()
            return
        answers = asyncio.create_task(_passed_on(there, back))
        try:
            with suppress(asyncio.IncompleteReadError, OSError):
                while True:
                    await self._request(ours, theirs)
        finally:
            theirs.close()
            answers.cancel()
            back.close()

    async def _request(self, ours: asyncio.StreamReader, theirs: asyncio.StreamWriter) -> None:
        head = await ours.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self._asked.append(Asked(method=method, target=target))
        theirs.write(_PASS.sub(b"", head))
        theirs.write(await ours.readexactly(_length(head)))
        await theirs.drain()


@contextmanager
def witness(cluster: Cluster, folder: Path) -> Iterator[Witness]:
    made = Witness(cluster, folder)
    try:
        yield made
    finally:
        made.close()


async def _passed_on(there: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await there.read(2**16):
            back.write(piece)
            await back.drain()
    back.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    assert b"transfer-encoding" not in head.lower(), "no client of ours sends a body in pieces"
    return 0


def _kubeconfig(port: int, certificate: bytes) -> Json:
    authority = base64.b64encode(certificate).decode()
    cluster = {"server": f"https://{HERE}:{port}", "certificate-authority-data": authority}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "witnessed",
        "clusters": [{"name": "witnessed", "cluster": cluster}],
        "users": [{"name": "witnessed", "user": {"token": "a word that kubectl wants, and that goes no further"}}],
        "contexts": [{"name": "witnessed", "context": {"cluster": "witnessed", "user": "witnessed"}}],
    }


def _certificate(file: Path) -> bytes:
    """Its own authority, for a day; the key lies beside it in *file*."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "witness")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(HERE))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate)
    return certificate


def _named(entries: Sequence[Json], name: str) -> Json:
    return next(entry for entry in entries if entry["name"] == name)


def _text(said: Json, what: str) -> str:
    """Written into the kubeconfig itself, or into a file that it names."""
    if f"{what}-data" in said:
        return base64.b64decode(said[f"{what}-data"]).decode()
    return Path(said[what]).read_text(encoding="utf-8")


@contextmanager
def _file(text: str) -> Iterator[str]:
    """ssl takes a certificate from a file alone."""
    with NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(text)
        file.flush()
        yield file.name
