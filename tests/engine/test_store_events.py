# SPDX-License-Identifier: Apache-2.0
"""What a watcher sees: one event for each move, decoded whole; a snapshot to begin with; a word when it came too late."""

import time

import redis

from fleetflow_tasks.engine.model import EventId, Noted, StepMoved, StepProgressed
from fleetflow_tasks.engine.store import BEGINNING, Store
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import StepId
from tests.engine.conftest import BROKEN, Driver, lines, plan_of

CHAIN = plan_of("a:deploy", "b:deploy <- a:deploy")


def test_each_move_is_told_once_and_in_order(driver: Driver) -> None:
    run = driver.submit(CHAIN).run.id
    driver.do(run, "a:deploy")
    driver.break_(run, "b:deploy", retry_in=5.0)
    driver.store.cancel(run, request="ctrl-c")

    assert driver.told(run) == lines(
        "run queued behind 0",
        "run started",
        "a:deploy ready",
        "a:deploy running",
        "a:deploy succeeded",
        "b:deploy ready",
        "b:deploy running",
        "b:deploy delayed: the image `shop/api:9` does not exist",
        "run ending: cancelled",
        "b:deploy cancelled",
        "run cancelled",
    )


def test_a_snapshot_and_the_events_after_it_miss_nothing(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id
    driver.do(run, "a:deploy")
    snapshot = store.snapshot(run)
    assert snapshot is not None
    assert store.events(run, after=snapshot.last) == []

    driver.claim(run, "b:deploy")

    (event,) = store.events(run, after=snapshot.last)
    assert isinstance(event, StepMoved)
    assert (event.step, event.status) == ("b:deploy", "running")


def test_a_fence_arrives_with_all_its_digits(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id
    claim = driver.claim(run, "a:deploy")

    (event,) = [event for event in store.events(run) if isinstance(event, StepMoved) and event.status == "running"]

    assert event.fence == claim.fence == driver.state(run, "a:deploy").fence
    assert claim.fence > 10**15


def test_a_problem_arrives_as_it_was_sent(driver: Driver, store: Store) -> None:
    problem = Problem(
        code="port-taken",
        message='port `8080` is taken by "nginx" \\ 日本',
        cause=(),
        fix="",
        place=Place(file="fleet.kdl", line=3, text='    port 8080 "{}" []'),
    )
    run = driver.submit(CHAIN).run.id

    store.finish_badly(driver.claim(run, "a:deploy"), problem, retry_in=None)

    assert driver.state(run, "a:deploy").problem == problem
    assert [e.problem for e in store.events(run) if isinstance(e, StepMoved) and e.status == "failed"] == [problem]


def test_progress_is_told_by_the_holder_alone_and_moves_nothing(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id
    claim = driver.claim(run, "a:deploy")

    store.progress(claim, "1 of 3 ready", 1, 3)
    store.progress(claim, "pulling", None, None)
    driver.store.release(claim, reason="the worker ends")
    store.progress(claim, "2 of 3 ready", 2, 3)

    told = [event for event in store.events(run) if isinstance(event, StepProgressed)]
    assert [(event.text, event.current, event.total) for event in told] == [
        ("1 of 3 ready", 1, 3),
        ("pulling", None, None),
    ]


def test_notes_are_told_while_the_run_goes_on(driver: Driver, store: Store) -> None:
    run = driver.submit(plan_of("a:deploy")).run.id
    store.note(run, BROKEN, StepId("a:deploy"))
    store.note(run, BROKEN)
    driver.do(run, "a:deploy")
    store.note(run, BROKEN)

    told = [event for event in store.events(run) if isinstance(event, Noted)]
    assert [(event.problem, event.step) for event in told] == [(BROKEN, "a:deploy"), (BROKEN, None)]


def test_a_reader_waits_for_the_first_event_and_no_longer_than_asked(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id
    last = store.events(run)[-1].id

    before = time.monotonic()
    assert store.events(run, after=last, block=0.2) == []
    assert 0.15 < time.monotonic() - before < 5

    driver.claim(run, "a:deploy")
    assert len(store.events(run, after=last, block=2)) == 1


def test_a_reader_who_comes_too_late_is_told_so(driver: Driver, store: Store, raw: "redis.Redis") -> None:
    run = driver.submit(CHAIN).run.id
    first = store.events(run)[0].id
    assert not store.missed(run, after=first)
    assert not store.missed(run, after=BEGINNING)

    driver.do(run, "a:deploy")
    raw.xtrim(f"ff:{{shop/local}}:run:{run}:events", maxlen=2, approximate=False)

    assert store.missed(run, after=first)
    assert store.missed(run, after=BEGINNING)
    assert not store.missed(run, after=store.events(run)[0].id)
    snapshot = store.snapshot(run)
    assert snapshot is not None
    assert not store.missed(run, after=snapshot.last)


def test_a_long_story_comes_in_parts(driver: Driver, store: Store) -> None:
    run = driver.submit(CHAIN).run.id
    claim = driver.claim(run, "a:deploy")
    for number in range(1100):
        store.progress(claim, f"{number}", None, None)

    first = store.events(run)
    rest = store.events(run, after=first[-1].id)

    assert (len(first), len(first) + len(rest)) == (1000, 1104)
    assert store.events(run, after=EventId(rest[-1].id)) == []
