# SPDX-License-Identifier: Apache-2.0
"""A small HTTP port beside gRPC: POST /token, and whatever else a part of the server wants to answer there.

RFC 7523: a JWT for an access token, as https://developers.google.com/identity/protocols/oauth2/service-account describes it.
"""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from fleetflow_tasks.config.model import Data

from .accounts import Accounts
from .refused import Refused

Json = dict[str, Any]

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class Request(Data, frozen=True, kw_only=True):
    """path: with its query. headers: names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ").strip()


class Reply(Data, frozen=True, kw_only=True):
    status: int = 200
    body: bytes = b""
    kind: str = "application/json"


Answers = Callable[[Request], Reply | None]
"""None: it is for somebody else."""


class Http:
    """answers: asked in their order; more may be appended at any time."""

    def __init__(self, accounts: Accounts) -> None:
        self.answers: list[Answers] = [lambda request: token(accounts, request)]
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="cloudrun-http", daemon=True
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def reply(self, request: Request) -> Reply:
        for answers in self.answers:
            found = answers(request)
            if found is not None:
                return found
        return as_json({"error": {"code": 404, "status": "NOT_FOUND", "message": f"no such path: {request.path}"}}, 404)


def as_json(said: Json, status: int = 200) -> Reply:
    return Reply(status=status, body=json.dumps(said).encode())


def token(accounts: Accounts, request: Request) -> Reply | None:
    """POST /token."""
    if (request.method, request.path) != ("POST", "/token"):
        return None
    form = parse_qs(request.body.decode())
    if form.get("grant_type") != [GRANT]:
        return as_json({"error": "unsupported_grant_type", "error_description": f"only {GRANT}"}, 400)
    try:
        return as_json(accounts.exchanged(form.get("assertion", [""])[0]))
    except Refused as error:
        return as_json({"error": "invalid_grant", "error_description": error.message}, 400)


def _handler(http: Http) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            reply = http.reply(Request(method=self.command, path=self.path, headers=headers, body=body))
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  (the names are http.server's)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (its name is http.server's)
            """Who wants to know asks `Api.trace`."""

    return Handler
