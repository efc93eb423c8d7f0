# SPDX-License-Identifier: Apache-2.0
"""The other end of a line: a gRPC server that says what a test wants, in the words of the status that Google sends.

What Cloud Run would answer is not known here; that is `fleetflow_tasks.testing.cloudrun`.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import status_pb2  # type: ignore[import-untyped]  # Google ships no types for it
from grpc_status import rpc_status  # type: ignore[import-untyped]  # nor for this one

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.trouble import WORDS


class Said(Data, frozen=True, kw_only=True):
    """One answer: a message, or a status with its details."""

    message: Any = None
    code: str = "OK"
    text: str = ""
    details: tuple[Any, ...] = ()


class Asked(Data, frozen=True, kw_only=True):
    """One request. left: seconds that the caller gives it."""

    method: str
    metadata: dict[str, str]
    left: float


class Peer:
    """answer: what the next request gets, by its number from 1. asked: all of them."""

    def __init__(self) -> None:
        self.answer: Callable[[int], Said] = lambda _: Said(code="UNIMPLEMENTED", text="nothing to say")
        self.asked: list[Asked] = []
        self.port = 0
        self._lock = threading.Lock()
        self._server: Any = None

    def start(self, credentials: Any = None) -> None:
        self._server = grpc.server(ThreadPoolExecutor(4))
        self._server.add_generic_rpc_handlers((_Handler(self),))
        at = f"127.0.0.1:{self.port}"
        secure = credentials is not None
        self.port = self._server.add_secure_port(at, credentials) if secure else self._server.add_insecure_port(at)
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def environ(self, key: Path) -> dict[str, str]:
        """What leads here, with a service account's *key*."""
        return {
            "FLEETFLOW_CLOUDRUN_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        }

    def heard(self, method: str, context: Any) -> Said:
        metadata = {name: value for name, value in context.invocation_metadata() if isinstance(value, str)}
        with self._lock:
            self.asked.append(Asked(method=method, metadata=metadata, left=context.time_remaining()))
            number = len(self.asked)
        return self.answer(number)


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def service(self, handler_call_details: Any) -> Any:
        def answered(_: bytes, context: Any) -> bytes:
            said = self._peer.heard(handler_call_details.method, context)
            if said.code != "OK":
                context.abort_with_status(rpc_status.to_status(_status(said)))
            return bytes(_message(said.message).SerializeToString())

        return grpc.unary_unary_rpc_method_handler(answered)


def _status(said: Said) -> Any:
    packed = []
    for detail in said.details:
        packed.append(any_pb2.Any())
        packed[-1].Pack(detail)
    return status_pb2.Status(code=WORDS.index(said.code), message=said.text, details=packed)


def _message(message: Any) -> Message:
    found: Message = message if isinstance(message, Message) else type(message).pb(message)
    return found


@contextmanager
def peer() -> Iterator[Peer]:
    found = Peer()
    found.start()
    try:
        yield found
    finally:
        found.stop()
