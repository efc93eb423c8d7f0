# SPDX-License-Identifier: Apache-2.0
"""Who we are towards Google: Application Default Credentials, found where every tool of Google's looks for them.

The file that GOOGLE_APPLICATION_CREDENTIALS names; what `gcloud auth application-default login` wrote; the metadata server
of a machine in Google's cloud. They are read through google-auth, so keys, users, impersonation and workload identity
federation all work. The wallet asks for a token in the thread that needs it, and not in one of gRPC's, where a refusal
would come out as a lost connection. It goes into the metadata of each call: only over TLS, or to this machine itself.
"""

import os
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.cloudrun.identity_token import identity_token

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
REFRESHING = 5.0  # seconds for one question to whoever issues tokens; google-auth asks up to three times
PINGING = 1.0  # seconds for the metadata server to say that it is there; it is on the machine or next to it
SHOWN = 300  # characters of what google-auth says: it may hold a whole page of a proxy
LOGIN = "gcloud auth application-default login"

Metadata = tuple[tuple[str, str], ...]


class Wallet:
    """The credentials, and their token of the moment. Safe for many threads."""

    def __init__(self, find: Callable[[], tuple[Any, str]], session: Any) -> None:
        """find: the credentials, and where they come from; raises UnavailableError where there are none."""
        self._find = find
        self._credentials, self.origin = find()
        self._session = session
        self._request = _request(session)
        self._lock = threading.Lock()
        self._failure: tuple[float, Problem] | None = None

    @property
    def account(self) -> str:
        """Whose they are, "" where they do not say."""
        found = getattr(self._credentials, "service_account_email", "") or getattr(self._credentials, "account", "")
        return "" if found == "default" else str(found or "")

    def metadata(self, url: str) -> Metadata:
        """What goes with a call to *url*. Raises UnavailableError where no token can be had."""
        asked = time.monotonic()
        with self._lock:
            self._failed_meanwhile(asked)
            headers: dict[str, str] = {}
            self._got(lambda: self._credentials.before_request(self._request, "POST", url, headers))
            return tuple((name.lower(), value) for name, value in headers.items())

    def renew(self, refused: Metadata, url: str) -> bool:
        """Whether there is another token than the *refused* one."""
        if self.metadata(url) == refused:
            with self._lock:
                self._got(lambda: self._credentials.refresh(self._request))
        return self.metadata(url) != refused

    def identity_token(self, audience: str) -> str:
        """ "" where these credentials can make none."""
        with self._lock:
            return identity_token(self._credentials, self._request, audience)

    def close(self) -> None:
        self._session.close()

    def _failed_meanwhile(self, asked: float) -> None:
        """One refusal is enough for all who waited for it: each would wait as long for the next one."""
        if self._failure is not None and self._failure[0] >= asked:
            raise UnavailableError(self._failure[1])

    def _got(self, renewed: Any) -> None:
        from google.auth import exceptions

        try:
            renewed()
        except exceptions.GoogleAuthError as error:
            problem = _refused(error, self.origin)
            self._failure = time.monotonic(), problem
            self._found_anew()
            raise UnavailableError(problem) from error

    def _found_anew(self) -> None:
        """For the next question: somebody may have logged in anew, and a worker is not started again for that."""
        with suppress(UnavailableError):
            self._credentials, self.origin = self._find()


def wallet(environ: Mapping[str, str]) -> Wallet:
    """Raises UnavailableError where there are no credentials; whether they are still good, a token says."""
    import requests

    session = requests.Session()

    def find() -> tuple[Any, str]:
        credentials, origin = _found(environ, session)
        return _billed(credentials, environ.get("GOOGLE_CLOUD_QUOTA_PROJECT", "")), origin

    try:
        return Wallet(find, session)
    except BaseException:
        session.close()
        raise


def well_known(environ: Mapping[str, str]) -> Path:
    """Where gcloud writes what `gcloud auth application-default login` got."""
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    folder = Path(environ["CLOUDSDK_CONFIG"]) if environ.get("CLOUDSDK_CONFIG") else home / ".config" / "gcloud"
    return folder / "application_default_credentials.json"


def _found(environ: Mapping[str, str], session: Any) -> tuple[Any, str]:
    named = environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if named:
        return _read(Path(named)), f"{named} (GOOGLE_APPLICATION_CREDENTIALS)"
    usual = well_known(environ)
    if usual.is_file():
        return _read(usual), str(usual)
    if environ.get("NO_GCE_CHECK", "").lower() != "true" and _in_the_cloud(session):
        from google.auth import compute_engine

        credentials: Any = compute_engine.Credentials  # it has no types, nor have its fellows here
        return credentials(scopes=SCOPES), "the metadata server of this machine"
    raise UnavailableError(
        Problem(
            code="no-credentials",
            message="no credentials for Google Cloud are known",
            cause=(
                f"GOOGLE_APPLICATION_CREDENTIALS is not set, and there is no {usual}",
                "and no metadata server answers: this is no machine in Google's cloud",
            ),
            fix=f"log in: `{LOGIN}`; in CI, let GOOGLE_APPLICATION_CREDENTIALS name the file of a service account "
            "or of workload identity federation",
        )
    )


def _read(file: Path) -> Any:
    import google.auth
    from google.auth import exceptions

    load: Any = google.auth.load_credentials_from_file
    try:
        with warnings.catch_warnings():
            # The file is the user's own, as for `google.auth.default`, which silences this too.
            warnings.simplefilter("ignore", DeprecationWarning)
            credentials, _ = load(os.fspath(file), scopes=SCOPES)
    except (exceptions.GoogleAuthError, OSError, ValueError) as error:
        raise UnavailableError(
            Problem(
                code="no-credentials",
                message=f"the credentials file {file} cannot be used: {_words(error)}",
                fix=f"let GOOGLE_APPLICATION_CREDENTIALS name another file, or log in: `{LOGIN}`",
            )
        ) from error
    return credentials


def _in_the_cloud(session: Any) -> bool:
    """google-auth's own question takes twelve seconds where nobody answers, at home behind a firewall."""
    from google.auth.compute_engine import _metadata

    metadata: Any = _metadata
    answers = metadata.ping(_request(session), timeout=PINGING, retry_count=1)
    return bool(answers or metadata.detect_gce_residency_linux())


def _request(session: Any) -> Any:
    """How google-auth asks over HTTP. Its own patience is two minutes, longer than a lease."""
    from google.auth.transport.requests import Request

    class Hurried(Request):
        def __call__(self, *args: Any, timeout: float = REFRESHING, **more: Any) -> Any:
            ask: Any = super().__call__
            return ask(*args, timeout=timeout, **more)

    make: Any = Hurried
    return make(session)


def _billed(credentials: Any, project: str) -> Any:
    """A user's credentials count against the project of whoever made the login client, unless another is named."""
    return (
        credentials.with_quota_project(project)
        if project and hasattr(credentials, "with_quota_project")
        else credentials
    )


def _refused(error: Exception, origin: str) -> Problem:
    from google.auth import exceptions

    if isinstance(error, exceptions.RefreshError) and not getattr(error, "retryable", False):
        return Problem(
            code="expired-credentials",
            message=f"Google does not accept our credentials: {_words(error)}",
            cause=(f"they come from {origin}", "they have expired, or were revoked or deleted"),
            fix=f"log in anew: `{LOGIN}`; or have a new key made for the service account",
        )
    return Problem(
        code="bad-credentials",
        message=f"the token for Google Cloud could not be had: {_words(error)}",
        cause=(f"the credentials come from {origin}",),
        fix="see that the network lets us out (proxy, firewall), and try again",
    )


def _words(error: BaseException) -> str:
    """The system's own error, without the layers of HTTP libraries around it; else what google-auth says first."""
    system = next((each for each in _chain(error) if isinstance(each, OSError) and each.strerror), None)
    if system is not None and system.strerror:
        return system.strerror
    first: object = error
    while isinstance(args := getattr(first, "args", first), tuple) and args:  # some hold a tuple as their only word
        first = args[0]
    return " ".join(str(first).split())[:SHOWN] or type(error).__name__


def _chain(error: BaseException) -> list[BaseException]:
    """An error and what it came from, the innermost first."""
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in chain:
        chain.insert(0, seen)
        seen = seen.__cause__ or seen.__context__
    return chain
