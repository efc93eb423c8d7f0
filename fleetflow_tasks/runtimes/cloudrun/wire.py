# SPDX-License-Identifier: Apache-2.0
"""The line to one endpoint of Cloud Run: a channel, Google's stock clients upon it, quota, and a little patience.

The clients share one gRPC channel, and their own retries are off: those go on for a minute and more, which is longer than a
lease. Patience is ours instead, and ends within one timeout: for UNAVAILABLE, which a server that restarts answers, and
for RESOURCE_EXHAUSTED, for as long as it asks us to wait. Whoever holds a step knows how its last call ended before
somebody else may have the step.

A channel has threads of its own that do not survive a fork: a line is made in the process that uses it, after the fork
(a worker makes its runtimes with its first step), and never handed to a child.
"""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.asked import asked
from fleetflow_tasks.runtimes.cloudrun.credentials import Metadata, Wallet
from fleetflow_tasks.runtimes.cloudrun.quota import Bucket, Quota
from fleetflow_tasks.runtimes.cloudrun.trouble import CloudRunError, late, never_begun, refused

TIMEOUT = 15.0  # seconds for one call, its repetitions included; shorter than a lease
PATIENCE = 8.0  # seconds of these within which a call is made again, or waits for its turn
CONNECTING = 5.0  # seconds for one attempt to connect
PAUSE = 1.0  # seconds that a server is left alone which says "too many requests" and not for how long

log = logging.getLogger(__name__)

Json = Mapping[str, Any]
Trace = Callable[[str, str], None]  # told of each request: method ("GetService"), full name of the resource


class Endpoint(Data, frozen=True, kw_only=True):
    """url: for people and as the audience of tokens. target: as gRPC wants it, "host:port". origin: who said so.

    plain: no TLS, this machine alone. roots: PEM of the authorities to trust, b"" for the usual ones.
    """

    url: str
    target: str
    origin: str
    plain: bool = False
    roots: bytes = b""


class Line:
    """One endpoint, and who we are there. Safe for many threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        wallet: Wallet,
        trace: Trace | None = None,
        *,
        quota: Quota | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        # Read as gRPC is imported; else it tells stderr of each failed handshake, and we tell it again.
        os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
        self.endpoint = endpoint
        self.wallet = wallet
        self._trace = trace
        self._quota = quota or Quota()
        self._timeout = timeout
        self._reached = False
        self._making = threading.Lock()
        self._channel: Any = None
        self._clients: Mapping[str, Any] = {}

    @property
    def account(self) -> str:
        return self.wallet.account

    def ask(self, method: str, name: str, said: Json, *, twice: bool = True) -> Json:
        """The answer to *said*, the method's request as JSON, about the resource *name*.

        twice: it may be sent again although it may have been heard.
        """
        from fleetflow_tasks.runtimes.cloudrun import messages

        about = messages.METHODS[method]
        call = _Call(method=method, name=name, about=about, request=messages.request(about, name, said), twice=twice)
        return messages.answer(self._patient(call))

    def close(self) -> None:
        with self._making:
            if self._channel is not None:
                self._channel.close()
            self._channel, self._clients = None, {}
        self.wallet.close()

    def _queue(self, call: "_Call", patience: float) -> None:
        wait = self._bucket(call).take(patience)
        if wait is None:
            why = "we have used up what Google allows of such requests in a minute"
            raise late(call.method, call.name, why, retry_after=PATIENCE)
        time.sleep(wait)

    def _bucket(self, call: "_Call") -> Bucket:
        return self._quota.bucket(call.name, writes=call.about.writes)

    def _patient(self, call: "_Call") -> Any:
        begun = time.monotonic()
        tries = 0
        while True:
            self._queue(call, begun + PATIENCE - time.monotonic())
            try:
                return self._passed(call, begun + self._timeout)
            except CloudRunError as error:
                self._reached |= error.answered
                pause = self._pause(call, error, tries)
                if pause is None or time.monotonic() + pause > begun + PATIENCE:
                    raise
            tries += 1
            time.sleep(pause)

    def _pause(self, call: "_Call", error: CloudRunError, tries: int) -> float | None:
        """Seconds after which another try makes sense; None: it makes none."""
        if error.code == "RESOURCE_EXHAUSTED":
            pause = error.retry_after if error.retry_after is not None else PAUSE * 2**tries
            self._bucket(call).drained(pause)
            return pause
        if error.code != "UNAVAILABLE" or not error.transient or not (error.answered or self._reached):
            return None
        if not call.twice and not never_begun(error):
            return None
        return error.retry_after if error.retry_after is not None else _backoff(tries)

    def _passed(self, call: "_Call", end: float) -> Any:
        """Asked a second time with a new token, where Google no longer knows the first."""
        held = self.wallet.metadata(self.endpoint.url)
        try:
            return self._sent(call, held, end)
        except CloudRunError as error:
            if error.code != "UNAUTHENTICATED" or not self.wallet.renew(held, self.endpoint.url):
                raise
        return self._sent(call, self.wallet.metadata(self.endpoint.url), end)

    def _sent(self, call: "_Call", held: Metadata, end: float) -> Any:
        from google.api_core.exceptions import GoogleAPICallError

        left = end - time.monotonic()
        if left <= 0:  # whoever issues tokens may have used it up: then nothing is sent any more
            raise late(call.method, call.name, f"to get a token took longer than the {self._timeout:g} s of a call")
        rpc = getattr(self._client(call.about.client), call.about.call)
        if self._trace is not None:
            self._trace(call.method, call.name)
        began = time.monotonic()
        try:
            answer = rpc(request=call.request, retry=None, timeout=left, metadata=held)
        except GoogleAPICallError as error:
            asked(log, "cloudrun", call.method, call.name, error.reason or error.code or "", time.monotonic() - began)
            raise refused(call.method, call.name, error, self.endpoint.url) from error
        asked(log, "cloudrun", call.method, call.name, "OK", time.monotonic() - began)
        self._reached = True
        return answer

    def _client(self, name: str) -> Any:
        with self._making:
            if self._channel is None:
                self._channel = channel(self.endpoint)
                self._clients = _clients(self._channel, self.endpoint.target)
            return self._clients[name]


class _Call(Data, frozen=True, kw_only=True):
    """One request, as often as it is sent."""

    method: str
    name: str
    about: Any  # `messages.Method`, which is not imported before it is needed
    request: Any
    twice: bool


def channel(endpoint: Endpoint) -> Any:
    """A connection that is made when it is first used, and made again when it is lost."""
    import grpc

    options = [
        ("grpc.primary_user_agent", "fleetflow"),
        ("grpc.max_receive_message_length", -1),
        # Back after a lost connection within our patience; gRPC's own two minutes are for who has no step to finish.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.min_reconnect_backoff_ms", int(CONNECTING * 1000)),  # so is the time for one attempt called there
        ("grpc.use_local_subchannel_pool", 1),  # ours alone: closed with us
    ]
    if endpoint.plain:  # no proxy, whatever the environment says: it would see the token
        return grpc.insecure_channel(endpoint.target, [*options, ("grpc.enable_http_proxy", 0)])
    return grpc.secure_channel(endpoint.target, grpc.ssl_channel_credentials(endpoint.roots or None), options)


def _clients(channel: Any, host: str) -> Mapping[str, Any]:
    """All of Google's stock clients that we use, upon one channel. They add no credentials to it."""
    from google.cloud import run_v2
    from google.cloud.run_v2.services.executions.transports import ExecutionsGrpcTransport
    from google.cloud.run_v2.services.jobs.transports import JobsGrpcTransport
    from google.cloud.run_v2.services.revisions.transports import RevisionsGrpcTransport
    from google.cloud.run_v2.services.services.transports import ServicesGrpcTransport
    from google.cloud.run_v2.services.tasks.transports import TasksGrpcTransport

    return {
        "services": run_v2.ServicesClient(transport=ServicesGrpcTransport(channel=channel, host=host)),
        "revisions": run_v2.RevisionsClient(transport=RevisionsGrpcTransport(channel=channel, host=host)),
        "jobs": run_v2.JobsClient(transport=JobsGrpcTransport(channel=channel, host=host)),
        "executions": run_v2.ExecutionsClient(transport=ExecutionsGrpcTransport(channel=channel, host=host)),
        "tasks": run_v2.TasksClient(transport=TasksGrpcTransport(channel=channel, host=host)),
    }


def _backoff(tries: int) -> float:
    return float(min(2.0, 0.1 * 2**tries) * random.uniform(0.75, 1.25))  # noqa: S311  (no secret hangs on it)
