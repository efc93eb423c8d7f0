# SPDX-License-Identifier: Apache-2.0
"""Waits for an operation, and then for what counts: the object itself.

An operation ends well while its revision never becomes ready, and badly while the revision of before goes on serving; so
its end only says when to look. A worker that did not begin it does not need it either: it looks at the object all the
time. Pauses grow with the time that has gone by, for the quota of reads is a whole project's: who has waited for a minute
is told the end some seconds late, who has waited for a second at once.

A call that gets no answer is no answer of the object's: it is asked again, until the time is over.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.base import Attempt
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError, Failure, Operation
from fleetflow_tasks.runtimes.cloudrun.conditions import judged
from fleetflow_tasks.runtimes.cloudrun.form import Json
from fleetflow_tasks.runtimes.cloudrun.reading import at, text
from fleetflow_tasks.runtimes.ready import Broken, Ready, Verdict, Waiting

FIRST, MOST = 0.1, 5.0  # seconds between two questions
SOON = 0.5  # seconds between two questions at least, once it has begun to take time
PART = 0.04  # of the time that has gone by
GROWTH, JITTER = 1.6, 0.2
PATIENCE = 10.0  # seconds in which an object may still be on its way after its operation has failed

Answer = TypeVar("Answer")
Before = TypeVar("Before")
Guard = Callable[[Json | None], None]  # raises where a newer run has taken it on


class Seen(Data, frozen=True, kw_only=True):
    """An object at the end of waiting. found: None: it is gone. revision: its newest, where it was looked at.

    operation: the words in which the operation failed, "" where it did not. trouble: why nobody answered at last.
    """

    verdict: Verdict
    found: Json | None = None
    revision: Json | None = None
    operation: str = ""
    trouble: str = ""


class Waiter:
    """Of one attempt. deadline: a moment on `time.monotonic`'s clock."""

    def __init__(self, client: Client, attempt: Attempt, deadline: float) -> None:
        self._client = client
        self._attempt = attempt
        self._deadline = deadline
        self._began = time.monotonic()
        self._pause = FIRST
        self.trouble = ""

    @property
    def over(self) -> bool:
        return time.monotonic() >= self._deadline

    def ended(self, operation: Operation | None, told: str = "") -> Failure | None:
        """Return when *operation* has ended, or nobody knows it, or the time is over; with how it failed.

        told: what is being waited for, where the operation itself does not say it.
        """
        while operation is not None and not operation.done and operation.name and not self.over:
            self.rest(_progress(operation) or told)
            operation = self.heard(partial(self._client.operation, operation.name), operation)
        return operation.error if operation is not None else None

    def settled(self, name: str, operation: Operation | None, guard: Guard) -> Seen:
        """Return when the service *name* is ready or broken, or the time is over."""
        failure = self.ended(operation, "waiting for Cloud Run")
        failed_at, words = time.monotonic(), failure.message or failure.code if failure else ""
        seen = Seen(verdict=Waiting(text="waiting for Cloud Run"), operation=words)
        while True:
            seen = self.heard(partial(self._looked, name, words), seen)
            guard(seen.found)
            if not isinstance(seen.verdict, Waiting) or self.over:
                return msgspec.structs.replace(seen, trouble=self.trouble)
            if failure and not at(seen.found, "reconciling") and time.monotonic() - failed_at > PATIENCE:
                return msgspec.structs.replace(seen, verdict=Broken(text=words))
            self.rest(seen.verdict.text)

    def heard(self, ask: Callable[[], Answer], before: Before) -> Answer | Before:
        """The answer; *before* where none came that says anything of the object."""
        try:
            answer, self.trouble = ask(), ""
        except CloudRunError as error:
            if not error.transient:
                raise
            self.trouble = error.answer or error.code
            return before
        return answer

    def rest(self, text: str) -> None:
        self._attempt.report(f"asking Cloud Run again: {self.trouble}" if self.trouble else text)
        now = time.monotonic()
        jitter = 1 + JITTER * random.random()  # noqa: S311  (no secret)
        self._attempt.sleep(max(0.0, min(self._pause * jitter, self._deadline - now)))
        most = min(MOST, max(SOON, PART * (now - self._began)))
        self._pause = min(most, self._pause * GROWTH)

    def _looked(self, name: str, operation: str) -> Seen:
        """The newest revision is asked for where the service alone does not say enough."""
        found = self._client.service(name)
        if found is None:
            return Seen(verdict=Broken(text="somebody removed it"), operation=operation)
        verdict, newest = judged(found), text(found, "latestCreatedRevision")
        if isinstance(verdict, Ready) or at(found, "reconciling") or not newest:
            return Seen(verdict=verdict, found=found, operation=operation)
        revision = self._client.revision(newest)
        return Seen(verdict=judged(found, revision), found=found, revision=revision, operation=operation)


def _progress(operation: Operation) -> str:
    verdict = judged(operation.metadata) if operation.metadata else None
    return verdict.text if isinstance(verdict, Waiting) else ""
