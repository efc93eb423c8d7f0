# SPDX-License-Identifier: Apache-2.0
"""Where Cloud Run is, and as whom we go there: `connect`.

Regional endpoints by default: what a region's own API answers does not hang on another region. An own one comes from
FLEETFLOW_CLOUDRUN_ENDPOINT: for private Google access, for a proxy of the house, for tests. Without TLS it is taken on this
machine alone, for a token goes there. What can be wrong with that is said here, before anything else happens.
"""

import re
from collections.abc import Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.runtimes.cloudrun.credentials import wallet
from fleetflow_tasks.runtimes.cloudrun.quota import Quota
from fleetflow_tasks.runtimes.cloudrun.wire import TIMEOUT, Endpoint, Line, Trace

VARIABLE = "FLEETFLOW_CLOUDRUN_ENDPOINT"
LOGS_VARIABLE = "FLEETFLOW_LOGGING_ENDPOINT"
ROOTS = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"  # gRPC's own name for a file of authorities to trust


def connect(
    environ: Mapping[str, str],
    region: str,
    trace: Trace | None = None,
    *,
    quota: Quota | None = None,
    timeout: float = TIMEOUT,
) -> Client:
    """A client for *region*; it has a token, and nobody was asked anything else yet.

    quota: shared with the clients of other regions, where there are any. Raises UnavailableError: one complete line, the
    cause, and what to do.
    """
    _installed()
    there = endpoint(environ, region)
    held = wallet(environ)
    try:
        held.metadata(there.url)
    except BaseException:
        held.close()
        raise
    return Client(Line(there, held, trace, quota=quota, timeout=timeout))


def endpoint(environ: Mapping[str, str], region: str) -> Endpoint:
    """Raises UnavailableError where FLEETFLOW_CLOUDRUN_ENDPOINT names none that we would go to."""
    said = environ.get(VARIABLE, "")
    origin = VARIABLE if said else f"the region `{region}`"
    return _endpoint(said or f"https://{region}-run.googleapis.com", origin, environ)


def logs_endpoint(environ: Mapping[str, str]) -> Endpoint:
    """Of Cloud Logging. Raises UnavailableError where FLEETFLOW_LOGGING_ENDPOINT names none that we would go to."""
    said = environ.get(LOGS_VARIABLE, "")
    return _endpoint(said or "https://logging.googleapis.com", LOGS_VARIABLE if said else "Cloud Logging", environ)


def _endpoint(url: str, origin: str, environ: Mapping[str, str]) -> Endpoint:
    parts, port = _split(url, origin)
    plain = parts.scheme == "http"
    host = parts.hostname or ""
    target = f"{f'[{host}]' if ':' in host else host}:{port or (80 if plain else 443)}"
    return Endpoint(url=url.rstrip("/"), target=target, origin=origin, plain=plain, roots=_roots(environ))


def _installed() -> None:
    needed = ("grpc", "google.auth", "google.cloud.run_v2", "requests")
    missing = next((name for name in needed if not _there(name)), None)
    if missing:
        raise UnavailableError(
            Problem(
                code="runtime-not-installed",
                message=f"the runtime `cloudrun` is not installed: Python module `{missing}` is missing",
                fix="run `pip install 'fleetflow[cloudrun]'`",
            )
        )


def _there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package around it
        return False


def _split(url: str, origin: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _wrong(url, str(error).lower(), origin) from error
    if parts.scheme not in {"http", "https"}:
        raise _wrong(url, "it does not begin with `https://`", origin)
    if not parts.hostname or not re.fullmatch(r"[A-Za-z0-9.:-]+", parts.hostname):
        raise _wrong(url, "it names no host", origin)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
        raise _wrong(url, "there is more in it than scheme, host and port", origin)
    if parts.scheme == "http" and not _here(parts.hostname):
        raise _wrong(url, f"without TLS, everybody on the way to `{parts.hostname}` could read our token", origin)
    return parts, port


def _here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _wrong(url: str, why: str, origin: str) -> UnavailableError:
    whose = "Cloud Logging" if origin == LOGS_VARIABLE else "Cloud Run"
    return UnavailableError(
        Problem(
            code="wrong-endpoint",
            message=f"`{url}` is no endpoint of {whose}: {why}",
            cause=(f"it comes from {origin}",),
            fix="write it as `https://HOST`, or `http://127.0.0.1:PORT` for one on this machine; or leave it unset",
        )
    )


def _roots(environ: Mapping[str, str]) -> bytes:
    """gRPC reads the same variable, but says nothing where it names no file."""
    named = environ.get(ROOTS, "")
    if not named:
        return b""
    try:
        return Path(named).read_bytes()
    except OSError as error:
        raise UnavailableError(
            Problem(
                code="wrong-endpoint",
                message=f"the authorities to trust cannot be read from {named}: {error.strerror}",
                cause=(f"it comes from {ROOTS}",),
                fix="let it name a file of certificates as PEM, or leave it unset",
            )
        ) from error
