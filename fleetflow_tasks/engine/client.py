# SPDX-License-Identifier: Apache-2.0
"""An address becomes clients of Redis: of a server, of a socket, or of whichever server the Sentinels name today.

Beside the store, which uses them, the only module that makes any. Timeouts and retries are the caller's.
"""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, cast

import redis
from redis.exceptions import NoScriptError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from fleetflow_tasks.config.model import Secret
from fleetflow_tasks.engine.address import Address

log = logging.getLogger(__name__)

RESP2 = 2  # the replies that we read look the same in every redis-py; nothing of RESP3 is used
READS_ONLY = "flags=no-writes"  # in the first line of a script


class Script(Protocol):
    def __call__(self, *, keys: Sequence[str], args: Sequence[str | bytes]) -> object: ...


def client(address: Address, *, name: str, timeout: float, connect: float, retry: Retry) -> redis.Redis:
    """Nothing is sent before its first call. timeout: seconds that an answer may take; connect: that a connection may."""
    common: dict[str, Any] = {
        "client_name": name,
        "protocol": RESP2,
        "socket_timeout": timeout,
        "socket_connect_timeout": connect,
        "retry": retry,
        "db": address.database,
        **_login(address.username, address.password),
    }
    if address.master_name:
        return _led(address, common)
    if address.path:
        common |= {"connection_class": redis.UnixDomainSocketConnection, "path": address.path}
    else:
        host, port = address.hosts[0]
        common |= {"host": host, "port": port, **_tls(address, connection_class=redis.SSLConnection)}
    return _Timed.from_pool(redis.ConnectionPool(**common))


def script(of: redis.Redis, text: str) -> Script:
    """*text* as something to call. What only reads is sent as such, so that a user who may only read can use it."""
    return Reading(of, text) if READS_ONLY in text.partition("\n")[0] else of.register_script(text)


def sentinel_options(address: Address) -> Mapping[str, Any]:
    """How the Sentinels themselves are spoken to, in redis-py's words: they have a login of their own."""
    login = _login(address.sentinel_username, address.sentinel_password)
    return {**login, **_tls(address, ssl=True)}


class Reading:
    """As redis-py's `Script`, by EVALSHA_RO; where the server does not know it yet, EVAL_RO teaches it."""

    def __init__(self, of: redis.Redis, text: str) -> None:
        self._redis = of
        self._text = text
        self._sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, *, keys: Sequence[str], args: Sequence[str | bytes]) -> object:
        try:
            reply: object = self._redis.evalsha_ro(self._sha, len(keys), *keys, *args)
        except NoScriptError:
            reply = self._redis.eval_ro(self._text, len(keys), *keys, *args)
        return reply

    def each(self, *, keys: Sequence[str], args: Sequence[str | bytes]) -> Sequence[object]:
        """One call with each of these keys, on one way there and back."""
        batch = self._redis.pipeline(transaction=False)
        for key in keys:
            batch.evalsha_ro(self._sha, 1, key, *args)
        try:
            replies: list[object] = batch.execute()
        except NoScriptError:
            replies = [self(keys=[key], args=args) for key in keys]
        return replies


class _Timed(redis.Redis):
    """Tells the log of each command, for `--verbose`: its word, and how long it took; what it holds may be secret."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        began = time.monotonic()
        try:
            # redis-py's own types end here.
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        finally:
            log.debug("redis.asked", extra={"command": args[0], "took": time.monotonic() - began})


class _Led(_Timed):
    """A client of the server that Sentinels name; it closes its connections to those too."""

    def close(self) -> None:
        super().close()
        pool = self.connection_pool
        assert isinstance(pool, SentinelConnectionPool)  # noqa: S101
        pool.sentinel_manager.close()


def _led(address: Address, common: Mapping[str, Any]) -> redis.Redis:
    timeouts = {name: common[name] for name in ("socket_timeout", "socket_connect_timeout", "retry")}
    told = {"protocol": RESP2, **timeouts, **sentinel_options(address)}
    # redis-py's own types end at its Sentinel.
    sentinels = Sentinel(address.hosts, sentinel_kwargs=told)  # type: ignore[no-untyped-call]
    led = sentinels.master_for(address.master_name, _Led, **common, **_tls(address, ssl=True))  # type: ignore[no-untyped-call]
    return cast("redis.Redis", led)


def _login(username: str | None, password: Secret | None) -> Mapping[str, str]:
    given = {"username": username, "password": password.reveal() if password else None}
    return {name: value for name, value in given.items() if value is not None}


def _tls(address: Address, **asked: object) -> Mapping[str, Any]:
    return {**asked, **address.tls} if address.tls else {}
