# SPDX-License-Identifier: Apache-2.0
"""An instance without a container: it answers as a scripted image should, so that URLs answer where there is no Engine."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Played:
    """Started as it is made. It answers everything with *status* and *text*."""

    def __init__(self, text: str, status: int = 200) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(text, status))
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name=f"played {text}", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(text: str, status: int) -> type[BaseHTTPRequestHandler]:
    body = f"{text}\n".encode()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def __getattr__(self, name: str) -> Any:
            """`do_GET` and its fellows, whatever the method is called."""
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the library's)
            pass

    return Handler
