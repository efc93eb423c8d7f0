# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on the line to Cloud Run: its refusals, and answers that never came. Whether one passes by itself is
decided here and nowhere else.

An operation that ended badly is no refusal: the call that asked for it was answered well. It comes out of `Client` as
data, and its code says nothing of whether trying again helps: code 13 INTERNAL is a container that does not start.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.base import DeployError

WORDS = (  # gRPC's codes, in the order of their numbers
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)

_PASSING = frozenset({"ABORTED", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"})
_CUT = ("rst_stream", "stream removed", "goaway", "connection reset", "received http2")  # the line, not Cloud Run


class CloudRunError(DeployError):
    """Cloud Run refused, or did not answer.

    code: gRPC's word ("NOT_FOUND"). answer: its message, or the system's. reason: ErrorInfo's word ("SERVICE_DISABLED"),
    "" where it gave none; "Certificate" where the server's certificate is to blame. facts: ErrorInfo's metadata.
    details: what is wrong in particular, one line each (fields, quotas, preconditions). method, name: what was asked.
    answered: False where nobody gave that answer but the line itself.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        code: str,
        answer: str,
        reason: str = "",
        facts: Mapping[str, str] | None = None,
        details: Sequence[str] = (),
        method: str = "",
        name: str = "",
        answered: bool = True,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(problem, transient=transient, retry_after=retry_after)
        self.code = code
        self.answer = answer
        self.reason = reason
        self.facts = dict(facts or {})
        self.details = tuple(details)
        self.method = method
        self.name = name
        self.answered = answered


def refused(method: str, name: str, error: Any, endpoint: str) -> CloudRunError:
    """The error that a `google.api_core.exceptions.GoogleAPICallError` is."""
    code = error.grpc_status_code.name if error.grpc_status_code is not None else "UNKNOWN"
    said = " ".join((error.message or "").split())
    if not _answered(code, said):
        return lost(method, name, code, said, endpoint)
    found = _details(error.details)
    return CloudRunError(
        Problem(code="api-refused", message=f"Cloud Run did not {doing(method, name)}: {said or code}"),
        code=code,
        answer=said,
        reason=error.reason or "",
        facts=error.metadata,
        details=found,
        method=method,
        name=name,
        transient=passes(code, said),
        retry_after=_pause(error.details),
    )


def lost(method: str, name: str, code: str, said: str, endpoint: str) -> CloudRunError:
    """No answer came: the line, or the server's certificate."""
    words = spoken(said) if code != "DEADLINE_EXCEEDED" else "no answer came in time"
    wrong = any(words in said for words in ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification"))
    return CloudRunError(
        Problem(
            code="api-lost",
            message=f"Cloud Run at {endpoint} did not answer while asked to {doing(method, name)}: {words}",
            fix="see that it can be reached from here (network, proxy, firewall)",
        ),
        code=code,
        answer=words,
        reason="Certificate" if wrong else "",
        method=method,
        name=name,
        answered=False,
        transient=not wrong,
    )


def late(method: str, name: str, words: str, *, retry_after: float | None = None) -> CloudRunError:
    """Nobody was asked: the time of the call was over before, and what is sent late may meet another's work."""
    return CloudRunError(
        Problem(code="api-late", message=f"Cloud Run was not asked to {doing(method, name)}: {words}"),
        code="RESOURCE_EXHAUSTED" if retry_after is not None else "DEADLINE_EXCEEDED",
        answer=words,
        method=method,
        name=name,
        answered=False,
        transient=True,
        retry_after=retry_after,
    )


def passes(code: str, said: str) -> bool:
    """Whether an answer may be another one by itself in a while."""
    return code in _PASSING or (code in {"INTERNAL", "UNKNOWN"} and any(words in said.lower() for words in _CUT))


def never_begun(error: CloudRunError) -> bool:
    """Whether the server cannot have begun with it: no connection was made, or it refused for want of quota."""
    return error.code == "RESOURCE_EXHAUSTED" or (
        not error.answered and any(words in error.answer for words in _UNMADE)
    )


def word(number: int) -> str:
    """gRPC's word for a code: 13 -> "INTERNAL"."""
    return WORDS[number] if 0 <= number < len(WORDS) else "UNKNOWN"


def doing(method: str, name: str) -> str:
    """For people: "CreateService", "projects/p/locations/r/services/api" -> "create service `api`"."""
    verb, *nouns = re.findall("[A-Z][a-z]+", method.removesuffix("OfJob"))
    what = " ".join(noun.lower() if noun != "Iam" else "the IAM" for noun in nouns)
    if nouns[0] == "Iam":
        what += " of"
    shown = name.rpartition("/")[2] if verb != "List" else name
    verb = "show" if verb == "Get" else verb.lower()
    return f"{verb} {what}{' of' if verb == 'list' else ''} `{shown}`"


def spoken(said: str) -> str:
    """The words of the system's own error, out of what gRPC has wrapped around them."""
    for pattern, words in _SPOKEN:
        if found := pattern.search(said):
            return words.format(found.group(found.lastindex or 0).strip().lower())
    return _WRAPPED.sub("", said)


_WRAPPED = re.compile(r"^failed to connect to all addresses; (?:last error: )?(?:[A-Z]+: )?(?:ipv[46]:[^ ]+ )?")
_SPOKEN = (
    (re.compile(r"CERTIFICATE_VERIFY_FAILED: *([^:\]]+)"), "its certificate is not trusted: {}"),
    (re.compile("Hostname Verification"), "its certificate is for another name"),
    (re.compile("WRONG_VERSION_NUMBER"), "it does not speak TLS"),
    (re.compile(r"resolving ([^ ]+): "), "no address is known for {}"),
    (re.compile("Socket closed"), "it closed the connection"),
    (re.compile(r"(?:remote host|connect|recvmsg|sendmsg): *(?:connect: *)?([A-Z][A-Za-z ]+)"), "{}"),
)
_LINE = re.compile(
    "failed to connect|socket closed|dns resolution failed|name resol|errors resolving|recvmsg|sendmsg|connection (?:reset|refused)|"
    "broken pipe|handshake|backends|too many pings|stream removed|rst_stream|goaway|end of stream|endpoint closing|"
    "network is unreachable|no route to host",
    re.IGNORECASE,
)
_UNMADE = ("connection refused", "no address", "unreachable", "no route")


def _answered(code: str, said: str) -> bool:
    """Whether Cloud Run itself said so: the line has some of the same codes."""
    if code == "DEADLINE_EXCEEDED":
        return False
    return code not in {"UNAVAILABLE", "INTERNAL", "UNKNOWN"} or _LINE.search(said) is None


def _details(found: Sequence[Any]) -> tuple[str, ...]:
    """Fields, quotas and preconditions, each as one line."""
    return tuple(line for each in found for line in _lines(each))


def _lines(detail: Any) -> list[str]:
    lists = {"BadRequest": "field_violations", "QuotaFailure": "violations", "PreconditionFailure": "violations"}
    field = lists.get(getattr(getattr(detail, "DESCRIPTOR", None), "name", ""), "")
    return [_line(violation) for violation in getattr(detail, field, ())]


def _line(violation: Any) -> str:
    about = getattr(violation, "field", "") or getattr(violation, "subject", "")
    return f"{about}: {violation.description}" if about else str(violation.description)


def _pause(found: Sequence[Any]) -> float | None:
    waits = [each.retry_delay for each in found if hasattr(each, "retry_delay")]
    return float(waits[0].seconds + waits[0].nanos / 1e9) if waits else None
