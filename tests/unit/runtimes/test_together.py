# SPDX-License-Identifier: Apache-2.0
"""One asks for all who wait. No cluster."""

import threading
import time
from collections.abc import Callable

import pytest

from fleetflow_tasks.runtimes.base import Stopped
from fleetflow_tasks.runtimes.together import Recent, Together
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


Asked = Callable[[Callable[[], str], Callable[[], None] | None], str]


def crowd(question: Question, together: Asked, many: int) -> list[str]:
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

    assert crowd(question, Together[str](), 12) == ["yes"] * 12

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


def test_an_answer_is_believed_until_it_is_too_old() -> None:
    recent, asked = Recent[int](), list[int]()

    def ask() -> int:
        asked.append(len(asked) + 1)
        return asked[-1]

    before = time.monotonic()
    assert (recent.taken, recent.since(before, ask), recent.since(before, ask)) == (None, 1, 1)
    assert (recent.since(time.monotonic(), ask), recent.taken, asked) == (2, 2, [1, 2])


def test_who_finds_an_answer_too_old_asks_once_for_all_who_do() -> None:
    recent, question = Recent[str](), Question(lambda: "yes")
    wanted = time.monotonic()

    heard = crowd(question, lambda ask, pause: recent.since(wanted, ask, pause), 6)

    assert (heard, question.asked) == (["yes"] * 6, 1)
