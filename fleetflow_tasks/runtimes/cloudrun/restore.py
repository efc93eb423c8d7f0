# SPDX-License-Identifier: Apache-2.0
"""Turns one attempt round: the version before is put back, and what became of it is told.

What was read just before our own update is sent again (`last.as_read`). Where an earlier attempt sent that update, and
was lost, the revision that served then is known by the service's own note, and all that it was made from (`rebuilt`). What fails
here is told beside what it was for, and never instead.
"""

from collections.abc import Sequence
from time import monotonic

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.runtimes.base import Attempt, DeployError, StaleError, Stopped
from fleetflow_tasks.runtimes.cloudrun import iam
from fleetflow_tasks.runtimes.cloudrun.apply import TRIES, Hands
from fleetflow_tasks.runtimes.cloudrun.canary import short
from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError, Operation
from fleetflow_tasks.runtimes.cloudrun.conditions import judged
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.last import as_read, last, rebuilt, unnamed
from fleetflow_tasks.runtimes.cloudrun.place import Place
from fleetflow_tasks.runtimes.cloudrun.reading import text
from fleetflow_tasks.runtimes.cloudrun.waiting import Guard, Waiter
from fleetflow_tasks.runtimes.ready import Ready

SPARE = 10.0  # seconds of an attempt kept back for turning round; a fifth of the time where that is less

_FIRST = "there is no version before: what was made stays for you to look at, and the next run mends it"
_SERVES = "the version before goes on serving"


class Restore:
    """Of one attempt at one service."""

    def __init__(self, here: Place, name: str, attempt: Attempt, hands: Hands, guard: Guard) -> None:
        """name: full. guard: raises where a newer run has taken the service on."""
        self._here = here
        self._client = here.client
        self._name = name
        self._attempt = attempt
        self._hands = hands
        self._guard = guard
        self._before: Json | None = None
        self._shut_out: Sequence[str] = ()
        self._done = False

    def before(self, found: Json) -> None:
        """*found* is about to be updated."""
        if isinstance(judged(found), Ready):
            self._before = found

    def shut_out(self, members: Sequence[str]) -> None:
        """They could call it before."""
        self._shut_out = self._shut_out or members

    def done(self) -> None:
        """There is nothing to be put back."""
        self._done = True

    def turned_round(self) -> str:
        """Put the version before back; what came of it. Raises `Stopped` where the next attempt, or a person, goes on."""
        if self._done:
            return ""
        try:
            note = self._put_back()
            self._let_in_again()
        except Stopped as stopped:
            if stopped.reason != "timeout":
                raise
            return "and the version before could not be put back: the time was over"
        except StaleError:
            raise
        except (DeployError, UnavailableError) as error:
            return f"and the version before could not be put back: {_said(error)}"
        return note

    def _let_in_again(self) -> None:
        """Those alone whom the service notes, as the version before does: nobody would know of the others."""
        if self._shut_out:
            noted = iam.remembered(self._client.service(self._name))
            again = [each for each in self._shut_out if each in noted]
            iam.let_in(self._client, self._name, again, (), self._attempt)

    def _put_back(self) -> str:
        for _ in range(TRIES):
            self._attempt.checkpoint()
            found = self._client.service(self._name)
            self._guard(found)
            if found is None:
                return ""
            body = self._wanted(found)
            if body is None:
                return self._left(found)
            self._attempt.report("putting the version before back")
            operation = self._sent(body, found)
            if operation is not None:
                return self._came_back(operation)
        return "and the version before could not be put back: somebody else changes the service all the time"

    def _wanted(self, found: Json) -> Json | None:
        """None: there is nothing to go back to, or it is there already."""
        if isinstance(judged(found), Ready):
            return None
        if self._before is not None:
            return as_read(self._before, self._attempt.generation)
        before = last(found)
        if before is None or before.revision == short(text(found, "latestCreatedRevision")):
            return None
        revision = self._client.revision(f"{self._name}/revisions/{before.revision}")
        return rebuilt(found, before, revision, self._attempt.generation) if revision is not None else None

    def _left(self, found: Json) -> str:
        if isinstance(judged(found), Ready):
            return _SERVES
        serving = short(text(found, "latestReadyRevision"))
        return f"revision {serving} goes on serving" if serving else _FIRST

    def _sent(self, body: Json, found: Json) -> Operation | None:
        """Under the old revision's name, so that none is made; where that is refused, a new one is made of the same."""
        etag = text(found, "etag")
        try:
            return self._hands.update(self._name, body, etag)
        except CloudRunError as error:
            if error.code not in {"ALREADY_EXISTS", "INVALID_ARGUMENT", "FAILED_PRECONDITION"}:
                raise
            return self._hands.update(self._name, unnamed(body), etag)

    def _came_back(self, operation: Operation) -> str:
        """Its requests never left it; only the service's own word for it is waited for, and not for long."""
        deadline = min(self._attempt.deadline, monotonic() + SPARE)
        seen = Waiter(self._client, self._attempt, deadline).settled(self._name, operation, self._guard)
        return _SERVES if isinstance(seen.verdict, Ready) else f"the version before was put back: {seen.verdict.text}"


def _said(error: DeployError | UnavailableError) -> str:
    """In one line, in the platform's own words where there are some."""
    if isinstance(error, CloudRunError):
        return error.answer
    return error.problem.message if isinstance(error, DeployError) else error.problems[0].message
