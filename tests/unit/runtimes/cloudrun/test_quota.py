# SPDX-License-Identifier: Apache-2.0
"""The quota of requests, on a clock that the tests move."""

from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.runtimes.cloudrun.quota import MINUTE, Bucket, Quota

PLACE = "projects/p/locations/europe-west1"
TOKENS = 10


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_full_bucket_lets_as_many_through_at_once_as_it_holds() -> None:
    bucket = Bucket(TOKENS, Clock())

    assert [bucket.take(60) for _ in range(12)] == [0.0] * 10 + [60.0, 60.0]


def test_a_token_comes_back_a_minute_after_it_was_taken() -> None:
    clock = Clock()
    bucket = Bucket(TOKENS, clock)
    for _ in range(10):
        bucket.take(0)
        clock.now += 1

    assert [bucket.take(60) for _ in range(2)] == [50.0, 51.0]
    clock.now += 52
    assert [bucket.take(60) for _ in range(2)] == [0.0, 1.0]


def test_who_would_not_wait_takes_no_token_away_from_the_others() -> None:
    bucket = Bucket(TOKENS, Clock())
    for _ in range(10):
        bucket.take(0)

    refused = [bucket.take(59.9) for _ in range(5)]

    assert (refused, bucket.take(60)) == ([None] * 5, 60.0)


def test_who_has_no_patience_left_gets_what_is_there() -> None:
    bucket = Bucket(1, Clock())

    assert [bucket.take(-0.1), bucket.take(-0.1)] == [0.0, None]


def test_nobody_asks_while_google_wants_to_be_left_alone() -> None:
    clock = Clock()
    bucket = Bucket(TOKENS, clock)

    bucket.drained(20)
    bucket.drained(5)

    assert (bucket.take(19), bucket.take(60)) == (None, 20.0)
    clock.now += 21
    assert bucket.take(0) == 0.0


@given(st.lists(st.floats(min_value=0, max_value=20), min_size=1, max_size=100))
def test_in_no_minute_more_is_sent_than_the_bucket_holds(pauses: list[float]) -> None:
    clock = Clock()
    bucket = Bucket(TOKENS, clock)
    sent = []
    for pause in pauses:
        clock.now += pause
        wait = bucket.take(float("inf"))
        assert wait is not None
        sent.append(clock.now + wait)

    assert max(sum(1 for each in sent if begin <= each < begin + MINUTE - 1e-6) for begin in sent) <= TOKENS


def test_each_project_and_region_has_its_own_for_reading_and_writing() -> None:
    quota = Quota()

    of_service = quota.bucket(f"{PLACE}/services/api", writes=True)

    assert quota.bucket(f"{PLACE}/jobs/seed/executions/seed-1", writes=True) is of_service
    assert quota.bucket(PLACE, writes=True) is of_service
    assert quota.bucket(PLACE, writes=False) is not of_service
    assert quota.bucket("projects/p/locations/us-east1", writes=True) is not of_service
    assert quota.bucket("projects/q/locations/europe-west1", writes=True) is not of_service
