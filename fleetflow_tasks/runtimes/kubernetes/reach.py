# SPDX-License-Identifier: Apache-2.0
"""Where an API server is, how it proves itself and we do, and which proxy stands in between."""

import ssl
import tempfile
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.kubernetes.credentials import Pass


class Target(Data, frozen=True, kw_only=True):
    """One API server. server: "https://host:port". authority: PEM, empty for the system's own.

    origin: where it is written, for people ("context `gke` of /home/ann/.kube/config"). proxy: "" for none.
    server_name: whose certificate is expected, "" for the host's own.
    """

    server: str
    origin: str
    authority: bytes = b""
    insecure: bool = False
    server_name: str = ""
    proxy: str = ""

    @property
    def proved(self) -> bool:
        """Whether nobody but this cluster's own authority can vouch for who answers."""
        return self.server.startswith("https://") and bool(self.authority) and not self.insecure


def context(target: Target, held: Pass) -> ssl.SSLContext:
    """How the server proves itself, and we with a certificate. Raises UnavailableError where one of them is no such thing."""
    try:
        made = ssl.create_default_context(cadata=target.authority.decode() or None)
        if held.certificate:
            _certified(made, held)
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise UnavailableError(
            Problem(
                code="bad-certificate",
                message=f"a certificate or key for {target.server} cannot be used: {error}",
                cause=(f"it comes with {target.origin}",),
                fix="have the kubeconfig written anew",
            )
        ) from error
    # Authorities that Kubernetes' own tools have made lack what this flag of newer Pythons asks for.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if target.insecure:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _certified(made: ssl.SSLContext, held: Pass) -> None:
    """OpenSSL reads these from files alone; the key is on disk for as long as that takes, for nobody else to read."""
    with tempfile.NamedTemporaryFile() as both:
        both.write(held.certificate + b"\n" + held.key)
        both.flush()
        made.load_cert_chain(both.name)


def bare(url: str) -> str:
    """An address without the name and the password that it may hold: to be shown, and to be handed on."""
    before, _, host = url.rpartition("@")
    scheme, sign, _ = before.partition("://")
    return f"{scheme}{sign}{host}" if sign else host


def proxy(server: str, environ: Mapping[str, str]) -> str:
    """The proxy that the environment names for *server*, "" for none."""
    url = urlsplit(server)
    for name in (f"{url.scheme}_proxy", "all_proxy"):
        found = environ.get(name) or environ.get(name.upper(), "")
        if found:
            spared = environ.get("no_proxy") or environ.get("NO_PROXY", "")
            return "" if _spared(url.hostname or "", spared) else found
    return ""


def _spared(host: str, rules: str) -> bool:
    """Whether NO_PROXY names *host*: itself, a domain above it, or a network that holds it."""
    for rule in filter(None, (each.strip().lower().lstrip(".") for each in rules.split(","))):
        if rule in {"*", host} or host.endswith(f".{rule}") or _within(host, rule):
            return True
    return False


def _within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
