# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens with RS256 (RFC 7515, 7518 3.3, 7519), as service accounts sign them."""

import base64
import json
from typing import Any, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

Json = dict[str, Any]


class Key:
    """An RSA key of its own."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def pem(self) -> str:
        form = serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    def signed(self, claims: Json) -> str:
        head = f"{_written({'alg': 'RS256', 'typ': 'JWT'})}.{_written(claims)}"
        signature = self._key.sign(head.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{head}.{_coded(signature)}"

    def check(self, token: str) -> None:
        """Raises ValueError where this key did not sign *token*."""
        head, _, signature = token.rpartition(".")
        try:
            self._key.public_key().verify(_decoded(signature), head.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature as error:
            raise ValueError("another key has signed it") from error


def claims(token: str) -> Json:
    """Raises ValueError for what is no token."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("it has not three parts")
    return cast("Json", json.loads(_decoded(parts[1])))


def _written(said: Json) -> str:
    return _coded(json.dumps(said, separators=(",", ":")).encode())


def _coded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decoded(said: str) -> bytes:
    return base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))
