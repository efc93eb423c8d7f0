# SPDX-License-Identifier: Apache-2.0
"""Whose turn is next. No cluster."""

import threading
from contextlib import suppress

from fleetflow_tasks.runtimes.kubernetes.turns import Turns
from fleetflow_tasks.testing import eventually

WITHIN = 30.0


def begun(turns: Turns, urgency: int, had: list[int]) -> threading.Thread:
    """One that waits for its turn, and says in *had* that it had it."""

    def wait() -> None:
        with turns.turn(urgency, WITHIN) as came:
            assert came
            had.append(urgency)

    waiting = turns.waiting
    thread = threading.Thread(target=wait)
    thread.start()
    eventually(lambda: turns.waiting > waiting, WITHIN)
    return thread


def test_as_many_as_there_are_turns_go_at_once_and_the_next_one_does_not() -> None:
    turns = Turns(2)
    with turns.turn(0, 0) as first, turns.turn(0, 0) as second, turns.turn(9, 0) as third:
        assert (first, second, third) == (True, True, False)

    with turns.turn(0, 0) as again:
        assert again


def test_the_most_urgent_one_is_next_and_of_equals_who_came_first() -> None:
    turns, had = Turns(1), list[int]()
    with turns.turn(0, 0):
        threads = [begun(turns, urgency, had) for urgency in (1, 3, 2, 3)]

    for each in threads:
        each.join(WITHIN)
    assert had == [3, 3, 2, 1]


def test_who_has_given_up_is_passed_over() -> None:
    turns, had = Turns(1), list[int]()
    with turns.turn(0, 0):
        with turns.turn(5, 0.01) as came:
            assert not came
        thread = begun(turns, 1, had)

    thread.join(WITHIN)
    assert had == [1]


def test_a_turn_is_passed_on_however_it_ended() -> None:
    turns = Turns(1)
    with suppress(ValueError), turns.turn(0, 0):
        raise ValueError

    with turns.turn(0, 0) as again:
        assert again
