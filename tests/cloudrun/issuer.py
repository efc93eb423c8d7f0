# SPDX-License-Identifier: Apache-2.0
"""Who issues tokens: a small HTTP server that answers google-auth as a test wants, and the files that lead there."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

ACCOUNT = "flow@shop.iam.gserviceaccount.com"

Answer = tuple[int, Mapping[str, Any]]  # HTTP's status, and what is said as JSON


class Issuer:
    """answer: what the next question gets, by the number of it, from 1. asked: how often it was asked."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.answer: Callable[[int], Answer] = token
        self.asked = 0
        self._lock = threading.Lock()

    def answered(self) -> Answer:
        with self._lock:
            self.asked += 1
            asked = self.asked
        return self.answer(asked)

    def key(self, path: Path, **more: str) -> Path:
        """The key file of a service account that this issuer knows."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        told = {
            "type": "service_account",
            "client_email": ACCOUNT,
            "private_key": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "private_key_id": "1",
            "token_uri": f"{self.url}/token",
            **more,
        }
        path.write_text(json.dumps(told), encoding="utf-8")
        return path


def token(asked: int) -> Answer:
    return 200, {"access_token": f"token-{asked}", "expires_in": 3600, "token_type": "Bearer"}


@contextmanager
def issuer() -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def do_GET(self) -> None:
            status, said = found.answered()
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the library's)
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Issuer(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
