# SPDX-License-Identifier: Apache-2.0
"""A revision on trial, asked at an address that no visitor knows, before it gets its share of the requests.

It is asked for the service's `readiness` path from where the step is carried out, as the first visitor would. That is not
always possible: a service that only a private network reaches is not asked from outside, and one that checks its callers
wants a token of identity, which a person's login cannot make. Then that is said, and being ready has to be enough. Only
an answer of the service itself can fail a trial, never our not being let in.
"""

import time
from collections.abc import Callable, Mapping

from fleetflow_tasks.config.model import Data, Readiness, ServiceName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.cloudrun.canary import Canary
from fleetflow_tasks.runtimes.ready import Broken, Ready, Waiting

ANSWER = 5.0  # seconds for one question: an instance may have to start first; the next question follows anyway
NOT_LET_IN = (401, 403)

Identity = Callable[[str], str]


class Question(Data, frozen=True, kw_only=True):
    """uri: of the revision. audience: the service's own address, for which a token has to be, whichever revision is asked.

    checked: whether callers are. inside: whether only a private network reaches it.
    """

    uri: str
    audience: str
    readiness: Readiness
    checked: bool = False
    inside: bool = False


def asked(question: Question, attempt: Attempt, identity: Identity) -> Ready | Broken:
    """Ask until the answer is good, at most `readiness.timeout` seconds.

    identity: the token of ours for an audience; "" where our credentials can make none.
    Raises what `attempt.sleep` raises.
    """
    if question.inside:
        return _unasked("only a private network reaches it")
    token = identity(question.audience) if question.checked else ""
    if question.checked and not token:
        return _unasked("it checks its callers, and our login makes no token")
    return _answered(question, attempt, {"Authorization": f"Bearer {token}"} if token else {})


def bad(service: ServiceName, found: Canary, readiness: Readiness, said: str) -> Problem:
    """The end of a roll-out."""
    return Problem(
        code="canary-failed",
        message=f"service `{service}`: the new revision {found.new} does not answer well, so no request goes to it",
        cause=(
            f"`{readiness.path}` at {found.uri}: {said}",
            f"revision {found.before.revision} goes on serving all requests",
        ),
        fix="mend it and deploy again; until then the revision is there to be looked at",
    )


def _unasked(why: str) -> Ready:
    return Ready(text=f"ready; it was not asked before its first requests: {why}")


def _answered(question: Question, attempt: Attempt, headers: Mapping[str, str]) -> Ready | Broken:
    readiness = question.readiness
    url = question.uri.rstrip("/") + readiness.path
    deadline = min(time.monotonic() + readiness.timeout, attempt.deadline)
    while True:
        attempt.checkpoint()
        verdict = _judged(_status(url, headers), headers)
        if isinstance(verdict, Ready):
            return verdict
        if (left := deadline - time.monotonic()) <= 0:
            return Broken(text=verdict.text)
        attempt.report(f"asking the new revision for {readiness.path}: {verdict.text}")
        attempt.sleep(min(left, readiness.interval))


def _judged(answer: int | str, headers: Mapping[str, str]) -> Ready | Waiting:
    if isinstance(answer, str):
        return Waiting(text=answer)
    if answer in NOT_LET_IN and headers:
        return _unasked(f"our account is not let in (it answered {answer})")
    return Ready(text="it answers") if 200 <= answer < 400 else Waiting(text=f"it answered {answer}")


def _status(url: str, headers: Mapping[str, str]) -> int | str:
    """The status of the answer, or in words why there is none."""
    import requests

    try:
        with requests.get(url, headers=headers, timeout=ANSWER, allow_redirects=False, stream=True) as answer:
            return answer.status_code
    except requests.Timeout:
        return f"no answer within {ANSWER:g} s"
    except requests.RequestException as error:
        return _words(error)


def _words(error: BaseException) -> str:
    """What the system says, out of what was wrapped around it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror.lower()
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__
