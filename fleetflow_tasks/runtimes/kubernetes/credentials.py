# SPDX-License-Identifier: Apache-2.0
"""Who we are towards an API server: a pass, and where a new one comes from when the old one is worn out.

A pass is a value; an issuer makes one whenever it is asked. Some always make the same (a token in a kubeconfig), some
read a file that somebody renews (a service account's), some run a program (`plugins`). The wallet keeps the pass of the
moment, so that the program runs once in an hour and not once in a request. Nothing here talks to the API server.
"""

import base64
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.together import Together

REREAD = 60.0  # seconds that a token from a file is taken for good; the kubelet renews it long before it ends
EARLY = 10.0  # seconds before its end that a pass is no longer used: a request takes its time, and clocks differ


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
        self._together: Together[Pass] = Together()

    def current(self) -> Pass:
        """Raises UnavailableError where none can be had."""
        held = self._held
        return self._issued(held) if held is None or _worn(held) else held

    def renewed(self, refused: Pass) -> bool:
        """Whether there is another pass than *refused*: the server does not know that one any more."""
        held = self._held
        return (self._issued(held) if held is None or held == refused else held) != refused

    def _issued(self, old: Pass | None) -> Pass:
        """One instead of *old*, for all who wait: a program that fails takes its time, and would do so for each of them."""

        def issue() -> Pass:
            if self._held is None or self._held is old:  # else somebody was done just now
                self._held = self._issuer()
            return self._held

        return self._together(issue)


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


def _unusable(why: str, origin: str) -> UnavailableError:
    return UnavailableError(
        Problem(
            code="bad-credentials",
            message=f"no credentials for Kubernetes: {why}",
            fix=f"see to {origin}, or log in anew",
        )
    )


def openid(provider: Mapping[str, Any], origin: str, headers: tuple[tuple[str, str], ...] = ()) -> Issuer:
    """The kubeconfig's own OpenID Connect, where an identity token is renewed by a refresh token."""
    if provider.get("name") != "oidc":
        raise UnavailableError(
            Problem(
                code="bad-credentials",
                message=f"no credentials for Kubernetes: `auth-provider` `{provider.get('name')}` is no longer known",
                cause=(f"named by {origin}", "Kubernetes gave these up for credential plugins"),
                fix="have the kubeconfig written anew: for GKE, `gcloud container clusters get-credentials …`",
            )
        )

    def issued() -> Pass:
        return Pass(
            headers=(("Authorization", _renewed(provider, origin)), *headers), expires=time.time() + EARLY + REREAD
        )

    return issued


def _renewed(provider: Mapping[str, Any], origin: str) -> str:
    """The official client knows how; it is given a kubeconfig that holds no more than that."""
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
    return str(found.api_key.get("BearerToken", ""))
