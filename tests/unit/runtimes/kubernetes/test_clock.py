# SPDX-License-Identifier: Apache-2.0
"""What an API server's answers tell of its clock. The machine's own clock has no say in it."""

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from fleetflow_tasks.runtimes.kubernetes.clock import Clock

_ROUNDED = 1e-4  # seconds; a moment is kept in microseconds
THEN = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


class Server:
    """Whose clock said THEN at the moment at which this was made. It answers at once."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.ahead = 0.0
        self.clock = Clock()

    def answers(self, after: float, *, asked: float = 0.0, arrived: float = 0.0) -> None:
        """after: seconds since then. asked, arrived: seconds before and after that moment."""
        date = format_datetime(THEN + timedelta(seconds=after + self.ahead), usegmt=True)  # it cuts fractions off
        self.clock.heard(date, self.began + after - asked, self.began + after + arrived)

    def is_taken_for(self, ahead: float) -> bool:
        """Whether the clock is held to be *ahead* seconds ahead of what it is; two looks at time leave room between them."""
        before = time.monotonic()
        taken = (self.clock.now() - THEN).total_seconds() - self.ahead + self.began
        after = time.monotonic()
        return taken - after - _ROUNDED <= ahead <= taken - before + _ROUNDED


def test_before_any_answer_the_machines_own_clock_counts() -> None:
    before = datetime.now(UTC)
    clock = Clock()

    clock.heard("", 0, 0)
    clock.heard("tomorrow", 0, 0)

    assert before <= clock.now() <= datetime.now(UTC)


def test_an_answer_tells_the_servers_time_and_the_machines_own_is_of_no_matter() -> None:
    server = Server()

    server.answers(0)

    assert server.is_taken_for(0.0)


def test_what_is_not_known_is_taken_to_be_early_so_that_no_grace_ends_too_soon() -> None:
    server = Server()

    server.answers(0.9)
    assert server.is_taken_for(-0.9)

    server.answers(10.5, asked=0.2, arrived=2)
    assert server.is_taken_for(-0.9)  # an answer that took long tells less

    server.answers(11.1)
    assert server.is_taken_for(-0.1)


def test_a_server_whose_clock_is_set_is_believed_anew() -> None:
    server = Server()
    server.answers(0)

    server.ahead = -3600
    server.answers(1.5)
    assert server.is_taken_for(-0.5)

    server.ahead = 60
    server.answers(2)
    assert server.is_taken_for(0.0)
