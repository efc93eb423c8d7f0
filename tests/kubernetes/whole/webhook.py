# SPDX-License-Identifier: Apache-2.0
"""A validating webhook of the tests' own, as teams run them: it is asked over TLS, and denies every pod of one namespace."""

import base64
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fleetflow_tasks.runtimes.kubernetes.kinds import Kind
from tests.kubernetes.conftest import Cluster

NAME = "pods.example.org"
_API = "admissionregistration.k8s.io/v1"
_KIND = Kind(
    name="ValidatingWebhookConfiguration", api=_API, plural="validatingwebhookconfigurations", namespaced=False
)


class _Denying(BaseHTTPRequestHandler):
    words: str

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {"uid": review["request"]["uid"], "allowed": False, "status": {"message": self.words}}
        body = json.dumps({"apiVersion": review["apiVersion"], "kind": review["kind"], "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def denying(cluster: Cluster, namespace: str, folder: Path, words: str) -> Iterator[None]:
    """While it lasts, *words* is what keeps pods from being made in *namespace*."""
    certificate = _certificate(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Denying,), {"words": words}))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    made = cluster.client.create(_KIND, "", _configuration(namespace, certificate, server.server_address[1]))
    try:
        yield
    finally:
        cluster.client.delete(_KIND, "", namespace, uid=made["metadata"]["uid"], propagation="Background")
        server.shutdown()
        server.server_close()


def _configuration(namespace: str, certificate: Path, port: int) -> dict[str, Any]:
    trusted = base64.b64encode(certificate.read_bytes().partition(b"-----BEGIN PRIVATE")[0]).decode()
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    webhook = {
        "name": NAME,
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": trusted},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "rules": [rule],
    }
    return {"apiVersion": _API, "kind": _KIND.name, "metadata": {"name": namespace}, "webhooks": [webhook]}


def _certificate(folder: Path) -> Path:
    """One that vouches for itself, and its key behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    file = folder / "webhook.pem"
    file.write_bytes(built.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    return file
