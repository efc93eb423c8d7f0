# SPDX-License-Identifier: Apache-2.0
"""Where the requests to a service's URLs go, by what the server remembers of it, and who may call there.

cloud.google.com/run/docs/securing/managing-access: without `roles/run.invoker` for allUsers, and with the check of invokers on,
a caller shows an ID token that is made for the service's URL; none is 403, one that is not good 401. `ingress` is not played: all
that comes here comes from this machine.
"""

from collections.abc import Mapping

from .accounts import Accounts
from .front import Route
from .jwt import claims
from .reconcile import routes, shares
from .refused import Refused
from .state import ServiceState, State

INVOKER = "roles/run.invoker"
INVOKE = "run.routes.invoke"
ANYBODY = "allUsers"


def route(state: State, accounts: Accounts, service: str, tag: str) -> Route | None:
    """None: there is no such service."""
    with state.look():
        found = state.services.get(service)
        if found is None:
            return None
        drawn = _shares(found, tag)
        url, members, unchecked = state.url(service, ""), _invokers(found), bool(found.body.get("invokerIamDisabled"))
    if unchecked or ANYBODY in members:
        return Route(shares=drawn, admit=lambda _: 0)
    return Route(shares=drawn, admit=lambda headers: _admitted(headers, accounts, members, url))


def _shares(service: ServiceState, tag: str) -> dict[str, int]:
    """Revisions by their full names. Empty where there is no such tag, or nothing is ready yet."""
    drawn = {id_: 100 for name, id_ in routes(service).items() if name == tag} if tag else shares(service)
    return {f"{service.body['name']}/revisions/{id_}": percent for id_, percent in drawn.items()}


def _invokers(found: ServiceState) -> frozenset[str]:
    bindings = found.policy.get("bindings", ())
    return frozenset(member for each in bindings if each.get("role") == INVOKER for member in each.get("members", ()))


def _admitted(headers: Mapping[str, str], accounts: Accounts, members: frozenset[str], url: str) -> int:
    """0, or the status with which the caller is sent away."""
    _, _, token = headers.get("authorization", "").partition(" ")
    if not token:
        return 403
    try:
        account = accounts.who(token)
        meant = claims(token).get("aud")
    except (Refused, ValueError):
        return 401
    if meant != url:
        return 401
    known = {f"serviceAccount:{account.email}", "allAuthenticatedUsers"}
    return 0 if account.may(INVOKE) or known & members else 403
