# SPDX-License-Identifier: Apache-2.0
"""Which cluster, and as whom: found as kubectl finds it, and asked once whether it is there.

The files that KUBECONFIG lists, else ~/.kube/config; the context that the stage names, else the current one; where
there is no kubeconfig, inside of a cluster, the service account of the pod. Everything that can be wrong with that is
said here, before anything else happens: no step should fail in its middle for a plugin that is not installed.
"""

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.kubernetes import kubeconfig
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.credentials import Issuer, Pass, Wallet, token_file
from fleetflow_tasks.runtimes.kubernetes.reach import Target
from fleetflow_tasks.runtimes.kubernetes.settings import OLDEST
from fleetflow_tasks.runtimes.kubernetes.trouble import KubernetesError
from fleetflow_tasks.runtimes.kubernetes.wire import TIMEOUT, Line, Trace

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")  # where the kubelet puts a pod's token and authority


def connect(
    environ: Mapping[str, str],
    context: str = "",
    trace: Trace | None = None,
    *,
    account: Path = ACCOUNT,
    timeout: float = TIMEOUT,
) -> Client:
    """A client of the cluster that *context* names, "" for the current one; it has answered once.

    Raises UnavailableError: one complete line, the cause, and what to do.
    """
    target, wallet = access(environ, context, account=account)
    wallet.current()  # a plugin may take longer than a call
    client = Client(Line(target, wallet, trace, timeout=timeout))
    try:
        _met(client, wallet)
    except BaseException:
        client.close()
        raise
    return client


def access(environ: Mapping[str, str], context: str = "", *, account: Path = ACCOUNT) -> tuple[Target, Wallet]:
    """Where the cluster is, and who we are there; nobody is asked yet."""
    _installed()
    target, issuer = _found(environ, context, account)
    return target, Wallet(issuer)


def named(environ: Mapping[str, str], context: str = "") -> str:
    """Which cluster is meant, in words and from what lies here: `context gke_stg`. Raises nothing."""
    try:
        known = kubeconfig.read([file for file in files(environ) if os.path.lexists(file)])
    except (UnavailableError, ImportError):
        known = kubeconfig.read(())
    if name := context or known.current:
        return f"context {name}"
    return "the cluster that this runs in" if environ.get("KUBERNETES_SERVICE_HOST") else "no context"


def files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Where a kubeconfig may be; some may not be there, as kubectl allows."""
    listed = [name for name in environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return tuple(Path(name).expanduser() for name in listed) or (home / ".kube" / "config",)


def stamp(environ: Mapping[str, str]) -> tuple[tuple[int, int] | None, ...]:
    """Changes when one of these files does; None for one that is not there."""
    return tuple(_written(file) for file in files(environ))


def _written(file: Path) -> tuple[int, int] | None:
    """(when, of which inode): a file may be put in the place of another."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _installed() -> None:
    missing = next((name for name in ("urllib3", "yaml") if find_spec(name) is None), None)
    if missing:
        raise UnavailableError(
            Problem(
                code="runtime-not-installed",
                message=f"the runtime `kubernetes` is not installed: Python module `{missing}` is missing",
                fix="run `pip install 'fleetflow[kubernetes]'`",
            )
        )


def _found(environ: Mapping[str, str], context: str, account: Path) -> tuple[Target, Issuer]:
    looked = files(environ)
    config = kubeconfig.read([file for file in looked if os.path.lexists(file)])
    if config.contexts or (context and config.files):
        return kubeconfig.chosen(config, context, environ)
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return _inside(environ, context, account)
    raise UnavailableError(
        Problem(
            code="no-kubeconfig",
            message="no Kubernetes cluster is known: there is no kubeconfig",
            cause=(
                f"looked for {', '.join(map(str, looked))}"
                + (" (KUBECONFIG)" if environ.get("KUBECONFIG") else ", and KUBECONFIG is not set"),
                "and this is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set",
            ),
            fix="have one written (`gcloud container clusters get-credentials …`, `aws eks update-kubeconfig …`), "
            "or say where it is: KUBECONFIG=…",
        )
    )


def _inside(environ: Mapping[str, str], context: str, account: Path) -> tuple[Target, Issuer]:
    """As a pod's service account. A context would mean another cluster, perhaps; that is nothing to guess."""
    if context:
        raise UnavailableError(
            Problem(
                code="unknown-context",
                message=f"unknown Kubernetes context `{context}`: here is no kubeconfig, only a pod's service account",
                cause=("the stage names the context",),
                fix="give the worker a kubeconfig with that context, or take `context` out of the stage",
            )
        )
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT") or "443"
    try:
        authority = (account / "ca.crt").read_bytes()
    except OSError as error:
        raise UnavailableError(
            Problem(
                code="no-service-account",
                message=f"this pod has no service account: {account / 'ca.crt'} cannot be read: {error.strerror}",
                cause=("KUBERNETES_SERVICE_HOST is set, and there is no kubeconfig",),
                fix="give the pod one (`serviceAccountName`, `automountServiceAccountToken: true`), or a kubeconfig",
            )
        ) from error
    target = Target(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        origin=f"the service account in {account}",
        authority=authority,
    )
    return target, token_file(account / "token")


def _met(client: Client, wallet: Wallet) -> None:
    """Ask for the version, which everybody may know: so the line, the certificate and the pass have all been tried."""
    try:
        version = client.version()
    except KubernetesError as error:
        if error.status == 403:  # it hides its version, but it knows us
            return
        raise UnavailableError(_unmet(error, client, wallet)) from error
    if version < OLDEST:
        raise UnavailableError(
            Problem(
                code="cluster-too-old",
                message=f"the Kubernetes at {client.server} is too old: it is {version[0]}.{version[1]}",
                cause=(f"it comes from {client.origin}",),
                fix=f"update it: FleetFlow needs {OLDEST[0]}.{OLDEST[1]}",
            )
        )


def _unmet(error: KubernetesError, client: Client, wallet: Wallet) -> Problem:
    at, cause = client.server, (f"it comes from {client.origin}",)
    if error.status == 401:
        return _unknown(error, client, wallet)
    if error.reason == "Certificate":
        return Problem(
            code="cluster-certificate",
            message=f"the API server at {at} cannot be trusted: {error.answer}",
            cause=cause,
            fix="have the kubeconfig written anew: the cluster may have been made anew, or something stands in between",
        )
    if error.status == 0:
        return Problem(
            code="no-cluster",
            message=f"no Kubernetes answers at {at}: {error.answer}",
            cause=cause,
            fix="see that it runs and can be reached from here (VPN, firewall, proxy), or choose another context",
        )
    return Problem(
        code="no-cluster",
        message=f"what answers at {at} is no Kubernetes: {error.answer}",
        cause=(f"the answer has status {error.status}", *cause),
        fix="see to `server` in the kubeconfig, and to proxies in between",
    )


def _unknown(error: KubernetesError, client: Client, wallet: Wallet) -> Problem:
    ended = _ended(wallet.current())
    return Problem(
        code="expired-credentials",
        message=f"the API server at {client.server} does not accept our credentials: "
        + (f"the client's certificate ended on {ended}" if ended else "they are wrong, or they have expired"),
        cause=(f"the answer (401): {error.answer}", f"they come from {client.origin}"),
        fix="log in anew, or have the kubeconfig written anew",
    )


def _ended(held: Pass) -> str:
    """The day on which our certificate ended, "" where it has none or goes on."""
    if not held.certificate:
        return ""
    from datetime import UTC, datetime

    from cryptography import x509

    end = x509.load_pem_x509_certificate(held.certificate).not_valid_after_utc
    return f"{end:%Y-%m-%d}" if end < datetime.now(UTC) else ""
