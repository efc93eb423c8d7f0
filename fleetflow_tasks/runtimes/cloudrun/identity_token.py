# SPDX-License-Identifier: Apache-2.0
"""A token that says who calls, for a service that checks its callers.

Another thing than the token for Google's own calls: it is made for one audience, signed by Google. Accounts make one (by
their key, by their machine, or lent from another account); a person's login makes none for an address of their own.
"""

import logging
from typing import Any

log = logging.getLogger(__name__)


def identity_token(credentials: Any, request: Any, audience: str) -> str:
    """ "" where *credentials* can make none. request: a transport of google-auth's; asks the issuer of tokens."""
    import requests
    from google.auth import exceptions

    try:
        made = _for_audience(credentials, request, audience)
        if made is None:
            return ""
        made.refresh(request)
    except (exceptions.GoogleAuthError, requests.RequestException) as error:  # a lent one lets the latter through
        log.info("cloudrun.no_identity", extra={"audience": audience, "problem": str(error)})
        return ""
    return str(made.token or "")


def _for_audience(credentials: Any, request: Any, audience: str) -> Any:
    """Credentials of the other kind, of the same account; None where there are none."""
    from google.auth import compute_engine, impersonated_credentials
    from google.oauth2 import service_account

    key: Any = service_account  # they are untyped
    lent: Any = impersonated_credentials
    machine: Any = compute_engine
    if isinstance(credentials, key.Credentials):
        return key.IDTokenCredentials(
            signer=credentials.signer,
            service_account_email=credentials.service_account_email,
            token_uri=credentials._token_uri,  # noqa: SLF001  (there is no other way to know whom it asks)
            target_audience=audience,
        )
    if isinstance(credentials, lent.Credentials):
        return lent.IDTokenCredentials(credentials, target_audience=audience, include_email=True)
    if isinstance(credentials, machine.Credentials):
        return machine.IDTokenCredentials(request, audience, use_metadata_identity_endpoint=True)
    return None
