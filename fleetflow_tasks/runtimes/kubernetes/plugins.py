# SPDX-License-Identifier: Apache-2.0
"""Credential plugins: programs that a kubeconfig names (`gke-gcloud-auth-plugin`), and that print a pass.

They fail in many ways, and people must see why. So their own last words are shown, and how to run them by hand; without
what the kubeconfig hands to them in secret.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.kubernetes.credentials import Issuer, Pass, bearer

PATIENCE = 60.0  # seconds that it may take; some ask a server far away

_SECRET = re.compile(r"(?i)secret|token|passw|credential|api[-_]?key|private")  # in the name of an option or a variable
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=[Bb]earer )\S+")  # JSON's web tokens begin so, whoever made them
_SHORTEST = 4  # signs of a secret: of less, any line is full


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


def _secrets(told: Plugin) -> Iterator[str]:
    """What a kubeconfig hands to it and nobody else should read: the values whose names say so."""
    for argument, after in pairwise((*told.arguments, "")):
        name, sign, value = argument.partition("=")
        if name.startswith("-") and _SECRET.search(name):
            yield value if sign else after
    yield from (value for name, value in told.environment.items() if _SECRET.search(name))


def _hidden(told: Plugin, text: str) -> str:
    for secret in sorted(_secrets(told), key=len, reverse=True):
        text = text.replace(secret, "***") if len(secret) >= _SHORTEST else text
    return _TOKEN.sub("***", text)


def _failed(told: Plugin, why: str, said: Sequence[str] = (), fix: str = "") -> UnavailableError:
    command = _hidden(told, " ".join((told.command, *told.arguments)))
    return UnavailableError(
        Problem(
            code="credential-plugin",
            message=f"no credentials for Kubernetes: the plugin `{told.command}` failed: {why}",
            cause=(*(f"it says: {_hidden(told, line)}" for line in said), f"named by {told.origin}"),
            fix=fix or f"run it by hand, and log in if it says so: `{command}`",
        )
    )
