# SPDX-License-Identifier: Apache-2.0
"""One asks for all who wait. No cluster."""

import threading
from collections.abc import Callable

import pytest

from fleetflow_tasks.runtimes.base import Stopped
from fleetflow_tasks.runtimes.kubernetes.together import Together
from fleetflow_tasks.testing import eventually

WITHIN = 30.0


class Question:
    """Its answer comes when the test says so."""

    def __init__(self, answer: Callable[[], str]) -> None:
        self.asked = 0
        self.answered = threading.Event()
        self._answer = answer

    def __call__(self) -> str:
        self.asked += 1
        self.answered.wait(WITHIN)
        return self._answer()


def crowd(question: Question, together: Together[str], many: int) -> list[str]:
    """What *many* threads hear that come while the question is on its way."""
    heard: list[str] = []
    waiting = threading.Semaphore(0)

    def ask() -> None:
        try:
            heard.append(together(question, waiting.release))
        except RuntimeError as error:
            heard.append(f"failed: {error}")

    threads = [threading.Thread(target=ask) for _ in range(many)]
    for each in threads:
        each.start()
    for _ in range(many - 1):  # each of them has waited for a while
        assert waiting.acquire(timeout=WITHIN)
    question.answered.set()
    for each in threads:
        each.join(WITHIN)
    return heard


def test_one_asks_for_all() -> None:
    question = Question(lambda: "yes")

    assert crowd(question, Together(), 12) == ["yes"] * 12

    assert question.asked == 1


def test_a_failure_is_everybodys_who_waits_and_nobodys_who_comes_later() -> None:
    def fail() -> str:
        raise RuntimeError("no")

    question, together = Question(fail), Together[str]()

    assert crowd(question, together, 12) == ["failed: no"] * 12

    assert question.asked == 1
    assert together(lambda: "yes") == "yes"


def test_who_is_wanted_elsewhere_does_not_wait() -> None:
    question, together = Question(lambda: "yes"), Together[str]()
    first = threading.Thread(target=lambda: together(question))
    first.start()
    eventually(lambda: question.asked, WITHIN)

    def stop() -> None:
        raise Stopped("cancelled")

    with pytest.raises(Stopped):
        together(question, stop)

    question.answered.set()
    first.join(WITHIN)
    assert question.asked == 1
