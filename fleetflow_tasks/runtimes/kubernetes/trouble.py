# SPDX-License-Identifier: Apache-2.0
"""What an API server refuses, and what it leaves unanswered, as our errors.

Every refusal is a Status object: a reason that machines know, a message, and causes that name fields. Whether it may
pass by itself is decided here and nowhere else.
"""

import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.base import DeployError

_SHOWN = 500  # characters of an answer that is no Status: a proxy's page

_PASSING = (  # what a 500 says when trying again may help
    "etcdserver",
    "leader changed",
    "connection refused",
    "connection reset",
    "no endpoints available",
    "i/o timeout",
    "context deadline exceeded",
    "request timed out",
    "the server was unable to return a response in the time allotted",
    ": eof",
    "unexpected eof",
)


class Cause(Data, frozen=True, kw_only=True):
    """One entry of `details.causes`. field: "" where the cause is about none."""

    field: str = ""
    message: str = ""
    reason: str = ""


class KubernetesError(DeployError):
    """The API server refused, or did not answer.

    status: of HTTP, 0 where no answer came. reason: the API's own word ("Forbidden", "Conflict"), "" where it gave none;
    for status 0 "Certificate" where the server's certificate is to blame. answer: its message, or the system's.
    kind, name: of the object that the answer is about, as the API says them ("deployments", "api").
    """

    def __init__(
        self,
        problem: Problem,
        *,
        status: int,
        reason: str = "",
        answer: str = "",
        causes: Sequence[Cause] = (),
        kind: str = "",
        group: str = "",
        name: str = "",
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(problem, transient=transient, retry_after=retry_after)
        self.status = status
        self.reason = reason
        self.answer = answer
        self.causes = tuple(causes)
        self.kind = kind
        self.group = group
        self.name = name


class _Details(msgspec.Struct, rename="camel"):
    causes: list[Cause] | None = None
    retry_after_seconds: float = 0
    kind: str = ""
    group: str = ""
    name: str = ""


class _Status(msgspec.Struct):
    kind: str
    message: str = ""
    reason: str = ""
    details: _Details | None = None
    code: int = 0


def refused(doing: str, status: int, body: bytes, headers: Mapping[str, str]) -> KubernetesError:
    """The error that an answer outside of 2xx is."""
    told = _status(status, body, headers)
    details = told.details or _Details()
    causes = tuple(details.causes or ())
    return KubernetesError(
        Problem(code="api-refused", message=f"the API server did not {doing}: {told.message}"),
        status=status,
        reason=told.reason,
        answer=told.message,
        causes=causes,
        kind=details.kind,
        group=details.group,
        name=details.name,
        transient=passes(status, told.reason, told.message.lower(), causes),
        retry_after=_pause(headers, details.retry_after_seconds),
    )


def decoded(doing: str, body: bytes) -> dict[str, Any]:
    """A good answer. What is no JSON was not said by an API server, whatever its status."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise refused(doing, 200, body, {}) from error


def reported(doing: str, event: Mapping[str, Any]) -> KubernetesError:
    """The error that an ERROR event in the middle of a watch is: a Status too."""
    return refused(doing, int(event.get("code") or 500), msgspec.json.encode(event), {})


def lost(doing: str, error: Exception, server: str) -> KubernetesError:
    """No answer came: the line, or the server's certificate."""
    words = _innermost(error)
    wrong = _certificate(error)
    return KubernetesError(
        Problem(
            code="api-lost",
            message=f"the API server at {server} did not answer while asked to {doing}: {words}",
            fix="see that it runs, and that it can be reached from here: `kubectl version`",
        ),
        status=0,
        reason="Certificate" if wrong else "",
        answer=words,
        transient=not wrong,
    )


def late(doing: str, words: str) -> KubernetesError:
    """Nobody was asked: all the time of the call was gone before, and what is sent late may meet another's work."""
    return _unanswered("api-lost", f"the API server was not asked to {doing}", words)


def slow(doing: str, timeout: float) -> KubernetesError:
    """It goes on answering, and has not come to its end."""
    return _unanswered("api-slow", f"the API server was asked to {doing}", f"not done after {timeout:g} s")


def broken(doing: str, error: Exception) -> KubernetesError:
    """A mistake of ours, or an answer that no API server gives, ended what goes on behind the steps."""
    said = f"what the API server says cannot be followed ({doing})"
    return _unanswered("api-broken", said, f"{type(error).__name__}: {error}")


def _unanswered(code: str, said: str, words: str) -> KubernetesError:
    return KubernetesError(Problem(code=code, message=f"{said}: {words}"), status=0, answer=words, transient=True)


def passes(status: int, reason: str, said: str, causes: Sequence[Cause] = ()) -> bool:
    """Whether an answer may be another one by itself in a while. *said* is in lower case."""
    if status in {408, 429, 502, 503, 504}:
        return True
    if status == 403:  # the namespace is going, and may be made anew
        return any(cause.reason == "NamespaceTerminating" for cause in causes)
    if status == 409:  # somebody else was first, or the one before is still going
        return "been modified" in said or "is being deleted" in said
    return status >= 500 and (reason == "ServerTimeout" or any(words in said for words in _PASSING))


def _status(status: int, body: bytes, headers: Mapping[str, str]) -> _Status:
    try:
        told = msgspec.json.decode(body, type=_Status)
    except msgspec.DecodeError:
        told = _Status(kind="")
    if told.kind == "Status" and told.message:
        return told
    if 300 <= status < 400:
        return _Status(kind="", message=_elsewhere(status, headers))
    words = " ".join(body.decode(errors="replace").split())[:_SHOWN]
    return _Status(kind="", message=words or f"HTTP {status} without a word")


def _elsewhere(status: int, headers: Mapping[str, str]) -> str:
    """An API server sends nobody on; a proxy's page to log in does. Nothing of ours goes there."""
    location = next((value for name, value in headers.items() if name.lower() == "location"), "")
    where = location.partition("?")[0].rpartition("@")[2] or "nowhere"
    return f"HTTP {status} sends us on to {where}, where we do not go with our credentials"


def _pause(headers: Mapping[str, str], said: float) -> float | None:
    waits = headers.get("Retry-After", "")
    return float(waits) if waits.isdigit() else said or None


def _chain(error: BaseException) -> list[BaseException]:
    """An error and those inside of it, the innermost last. HTTP libraries wrap three deep."""
    chain = [error]
    while True:
        seen = chain[-1]
        inner = (
            getattr(seen, "reason", None)
            or seen.__cause__
            or seen.__context__
            or next((each for each in seen.args if isinstance(each, BaseException)), None)
        )
        if not isinstance(inner, BaseException) or inner in chain:
            return chain
        chain.append(inner)


def _certificate(error: BaseException) -> bool:
    return any(isinstance(each, ssl.SSLCertVerificationError) for each in _chain(error))


def _innermost(error: BaseException) -> str:
    """The words of the system's own error, without the layers of HTTP libraries around it."""
    seen = _chain(error)[-1]
    if isinstance(seen, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {seen.verify_message or seen}"
    if isinstance(seen, TimeoutError) and not seen.strerror:
        return "timed out"
    if isinstance(seen, ValueError):  # what urllib3 makes of an answer without its end
        return "the connection was cut in the middle of the answer"
    words = seen.strerror if isinstance(seen, OSError) and seen.strerror else str(seen)
    return words or type(seen).__name__
