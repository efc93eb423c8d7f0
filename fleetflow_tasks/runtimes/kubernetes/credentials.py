# SPDX-License-Identifier: Apache-2.0
"""Who we are towards an API server: a pass, and where a new one comes from when the old one is worn out.

A pass is a value; an issuer makes one whenever it is asked. Some always make the same (a token in a kubeconfig), some
read a file that somebody renews (a service account's), some run a program (`gke-gcloud-auth-plugin`). The wallet keeps
the pass of the moment, so that the program runs once in an hour and not once in a request. Nothing here talks to the
API server.
"""

import base64
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem, UnavailableError

REREAD = 60.0  # seconds that a token from a file is taken for good; the kubelet renews it long before it ends
EARLY = 10.0  # seconds before its end that a pass is no longer used: a request takes its time, and clocks differ
PATIENCE = 60.0  # seconds that a credential plugin may take; some ask a server far away


class Pass(Data, frozen=True, kw_only=True):
    """headers: to be sent with each request. certificate, key: of the client, as PEM; both or none.

    expires: Unix seconds, None where it does not say.
    """

    headers: tuple[tuple[str, str], ...] = ()
    certificate: bytes = b""
    key: bytes = b""
    expires: float | None = None


Issuer = Callable[[], Pass]


class Wallet:
    """The pass of the moment. Safe for many threads."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._held: Pass | None = None
        self._issuing = threading.Lock()

    def current(self) -> Pass:
        """Raises UnavailableError where none can be had."""
        with self._issuing:
            if self._held is None or _worn(self._held):
                self._held = self._issuer()
            return self._held

    def renewed(self, refused: Pass) -> bool:
        """Whether there is another pass than *refused*: the server does not know that one any more."""
        with self._issuing:
            if self._held == refused:
                self._held = self._issuer()
            return self._held != refused


def _worn(held: Pass) -> bool:
    return held.expires is not None and time.time() > held.expires - EARLY


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {token}"),)


def basic(user: str, password: str) -> tuple[tuple[str, str], ...]:
    both = base64.b64encode(f"{user}:{password}".encode()).decode()
    return (("Authorization", f"Basic {both}"),)


def token_file(path: Path, headers: tuple[tuple[str, str], ...] = ()) -> Issuer:
    """Of a service account: the kubelet writes a new token before the old one ends."""

    def issued() -> Pass:
        try:
            token = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise _unusable(f"the token file {path} cannot be read: {error.strerror}", origin=str(path)) from error
        if not token:
            raise _unusable(f"the token file {path} is empty", origin=str(path))
        return Pass(headers=(*bearer(token), *headers), expires=time.time() + EARLY + REREAD)

    return issued


class Plugin(Data, frozen=True, kw_only=True):
    """A program that prints a credential, as a kubeconfig names it under `exec`.

    cluster: what it is told of the cluster, where it asks for it. hint: how to install it, in its author's words.
    """

    command: str
    version: str
    origin: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}
    folder: str
    cluster: Mapping[str, Any] | None = None
    hint: str = ""
    asks: bool = False


class _Credential(msgspec.Struct, rename="camel"):
    token: str = ""
    client_certificate_data: str = ""
    client_key_data: str = ""
    expiration_timestamp: str = ""


class _Printed(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    status: _Credential | None = None


def plugin(told: Plugin, environ: Mapping[str, str], headers: tuple[tuple[str, str], ...] = ()) -> Issuer:
    """Runs *told* for each new pass. It cannot ask questions: a worker has nobody who could answer."""

    def issued() -> Pass:
        if told.asks:
            raise _failed(told, "it wants to ask questions, and nobody is there to answer (`interactiveMode: Always`)")
        return _read(told, _run(told, environ), headers)

    return issued


def _run(told: Plugin, environ: Mapping[str, str]) -> bytes:
    spec = {"interactive": False, **({"cluster": told.cluster} if told.cluster else {})}
    asked = {"kind": "ExecCredential", "apiVersion": told.version, "spec": spec}
    try:
        done = subprocess.run(
            [_program(told), *told.arguments],
            env={**environ, **told.environment, "KUBERNETES_EXEC_INFO": msgspec.json.encode(asked).decode()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except FileNotFoundError as missing:
        raise _failed(told, "there is no such program here", fix=_install(told)) from missing
    except OSError as error:
        raise _failed(told, f"it cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as slow:
        raise _failed(told, f"it did not end within {PATIENCE:g} s") from slow
    if done.returncode:
        raise _failed(told, f"it ended with exit code {done.returncode}", _words(done.stderr))
    return done.stdout


def _program(told: Plugin) -> str:
    """A path with a slash in it starts at the kubeconfig's folder; a bare name is looked for in PATH."""
    return os.path.join(told.folder, told.command) if os.sep in told.command else told.command  # noqa: PTH118  (a name must stay bare)


def _install(told: Plugin) -> str:
    first = next((line.strip() for line in told.hint.splitlines() if line.strip()), "")
    return f"install `{told.command}`, or put it into PATH" + (f": {first}" if first else "")


def _read(told: Plugin, printed: bytes, headers: tuple[tuple[str, str], ...]) -> Pass:
    try:
        answer = msgspec.json.decode(printed, type=_Printed)
    except msgspec.DecodeError as error:
        raise _failed(told, f"what it prints is no ExecCredential: {error}") from error
    given = answer.status
    if answer.kind != "ExecCredential" or given is None:
        raise _failed(told, "what it prints is no ExecCredential with a status")
    if answer.api_version != told.version:
        raise _failed(told, f"it speaks `{answer.api_version}`, and the kubeconfig wants `{told.version}`")
    if not given.token and not (given.client_certificate_data and given.client_key_data):
        raise _failed(told, "it gave neither a token nor a certificate with its key")
    return Pass(
        headers=(*(bearer(given.token) if given.token else ()), *headers),
        certificate=given.client_certificate_data.encode(),
        key=given.client_key_data.encode(),
        expires=_moment(told, given.expiration_timestamp),
    )


def _moment(told: Plugin, text: str) -> float | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise _failed(told, f"its `expirationTimestamp` is no time: `{text}`") from error


def _words(output: bytes) -> Sequence[str]:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return tuple(lines[-5:])


def _failed(told: Plugin, why: str, said: Sequence[str] = (), fix: str = "") -> UnavailableError:
    return UnavailableError(
        Problem(
            code="credential-plugin",
            message=f"no credentials for Kubernetes: the plugin `{told.command}` failed: {why}",
            cause=(*(f"it says: {line}" for line in said), f"named by {told.origin}"),
            fix=fix or f"run it by hand, and log in if it says so: `{' '.join((told.command, *told.arguments))}`",
        )
    )


def _unusable(why: str, origin: str) -> UnavailableError:
    return UnavailableError(
        Problem(
            code="credentials", message=f"no credentials for Kubernetes: {why}", fix=f"see to {origin}, or log in anew"
        )
    )


def openid(provider: Mapping[str, Any], origin: str, headers: tuple[tuple[str, str], ...] = ()) -> Issuer:
    """The kubeconfig's own OpenID Connect, where an identity token is renewed by a refresh token."""
    if provider.get("name") != "oidc":
        raise UnavailableError(
            Problem(
                code="credentials",
                message=f"no credentials for Kubernetes: `auth-provider` `{provider.get('name')}` is no longer known",
                cause=(f"named by {origin}", "Kubernetes gave these up for credential plugins"),
                fix="have the kubeconfig written anew: for GKE, `gcloud container clusters get-credentials …`",
            )
        )

    def issued() -> Pass:
        from kubernetes import config
        from kubernetes.client import Configuration

        told = {
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": {"server": "https://unused"}}],
            "users": [{"name": "it", "user": {"auth-provider": provider}}],
        }
        found = Configuration()
        load: Any = config.load_kube_config_from_dict  # it has no types
        try:
            load(told, client_configuration=found)
        except (config.ConfigException, OSError, KeyError, ValueError) as error:
            raise _unusable(f"the identity token could not be renewed: {error}", origin) from error
        return Pass(
            headers=(("Authorization", str(found.api_key.get("BearerToken", ""))), *headers),
            expires=time.time() + EARLY + REREAD,
        )

    return issued
