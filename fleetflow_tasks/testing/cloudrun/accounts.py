# SPDX-License-Identifier: Apache-2.0
"""Who may come in: service accounts with a key file, bearer tokens, and what each may do.

The way in is the real one: google-auth signs a JWT with the account's key and exchanges it at the file's `token_uri`, which is
this server's own (https://developers.google.com/identity/protocols/oauth2/service-account, "HTTP/REST"). A JWT that the
client signs for itself is taken too (https://google.aip.dev/auth/4111). Tokens live for an hour, by the server's clock.
"""

import json
import secrets
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from . import jwt
from .clock import Clock
from .refused import Refused, unauthenticated
from .roles import ACT_AS, permissions

Json = dict[str, Any]

LIFE = 3600.0  # seconds of a token
OWNER = "deployer@fleetflow.iam.gserviceaccount.com"


@dataclass
class Account:
    """held: roles and permissions; a test may change them. acts_as: those service accounts alone; None for any."""

    email: str
    held: frozenset[str] = frozenset()
    acts_as: frozenset[str] | None = None
    enabled: bool = True
    key_id: str = field(default_factory=lambda: secrets.token_hex(20))

    @cached_property
    def key(self) -> jwt.Key:
        return jwt.Key()

    def may(self, permission: str) -> bool:
        return permission in permissions(*self.held)

    def may_act_as(self, account: str) -> bool:
        return self.may(ACT_AS) and (self.acts_as is None or account in self.acts_as)


class Accounts:
    """There is one from the beginning, OWNER, who may everything."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[str, Account] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self.exchanges = 0
        """How many tokens were given out."""
        self.add(OWNER, "roles/owner")

    def add(self, email: str, *held: str, acts_as: frozenset[str] | None = None) -> Account:
        """held: roles and single permissions. One that is there keeps its key, and holds these alone from now on."""
        permissions(*held)
        with self._lock:
            account = self._accounts.setdefault(email, Account(email=email))
        account.held, account.acts_as, account.enabled = frozenset(held), acts_as, True
        return account

    def __getitem__(self, email: str) -> Account:
        return self._accounts[email]

    def file(self, email: str, path: Path, token_uri: str, project: str) -> Path:
        """Writes the account's key file, which GOOGLE_APPLICATION_CREDENTIALS may name."""
        account = self._accounts[email]
        told = {
            "type": "service_account",
            "project_id": project,
            "private_key_id": account.key_id,
            "private_key": account.key.pem,
            "client_email": email,
            "client_id": "100000000000000000000",
            "token_uri": token_uri,
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(told, indent=2), encoding="utf-8")
        return path

    def token(self, email: str = OWNER) -> str:
        """A new access token, for who asks without a key file."""
        given = f"ya29.{secrets.token_urlsafe(32)}"
        with self._lock:
            self.exchanges += 1
            self._tokens[given] = (email, self._clock.now() + LIFE)
        return given

    def forget(self) -> None:
        """No token is good any more; new ones are."""
        with self._lock:
            self._tokens.clear()

    def exchanged(self, assertion: str) -> Json:
        """What POST /token answers. Raises Refused."""
        claims = self._claims(assertion)
        email = str(claims["iss"])
        if "target_audience" in claims:
            return {"id_token": self.identity(email, str(claims["target_audience"]))}
        return {"access_token": self.token(email), "expires_in": int(LIFE), "token_type": "Bearer"}

    def identity(self, email: str, audience: str) -> str:
        """An ID token; https://cloud.google.com/run/docs/authenticating/service-to-service."""
        now = int(self._clock.now())
        claims = {"iss": email, "aud": audience, "email": email, "iat": now, "exp": now + int(LIFE)}
        return self._accounts[email].key.signed(claims)

    def who(self, token: str) -> Account:
        """Whose *token* is. Raises Refused: UNAUTHENTICATED."""
        with self._lock:
            email, until = self._tokens.get(token, ("", 0.0))
        if not email and token.count(".") == 2:
            email, until = self._self_signed(token)
        account = self._accounts.get(email)
        if account is None or not account.enabled or until < self._clock.now():
            raise unauthenticated()
        return account

    def _self_signed(self, token: str) -> tuple[str, float]:
        claims = self._claims(token)
        return str(claims["iss"]), float(claims["exp"])

    def _claims(self, assertion: str) -> Json:
        try:
            claims = jwt.claims(assertion)
            account = self._accounts[str(claims["iss"])]
            account.key.check(assertion)
        except (KeyError, ValueError) as error:
            raise Refused("INVALID_ARGUMENT", "Invalid JWT Signature.") from error
        return claims
