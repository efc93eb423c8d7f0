# SPDX-License-Identifier: Apache-2.0
"""Sealed plans through real workers: a key that changes under way, an old plan that comes back, messages of strangers."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fleetflow_tasks.engine import keys as redis_keys
from fleetflow_tasks.engine.model import Hint, RunId
from fleetflow_tasks.engine.publish import message
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.plan.codec import Keys, parse_key
from fleetflow_tasks.plan.model import QueueName, StepId
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.recording import Behaviour
from tests.engine.conftest import Server, plan_of
from tests.engine.security.conftest import KEY, OLD_KEY, raw
from tests.engine.test_workers import Bed, nobody

OLD = Keys(current=parse_key(OLD_KEY))
BOTH = Keys(current=parse_key(KEY), previous=parse_key(OLD_KEY))
NEW = Keys(current=parse_key(KEY))
ONE = plan_of("db:deploy")


@pytest.fixture
def bed(redis_server: Server, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(redis_server.database(), tmp_path)) as bed:
        bed.keys = NEW
        yield bed


def test_a_key_is_changed_while_runs_are_under_way(bed: Bed) -> None:
    bed.keys = OLD
    bed.world.behave(db__deploy=Behaviour(seconds=60))
    old = bed.worker(key=OLD_KEY)
    under_way = bed.submit(ONE)
    eventually(bed.began("db:deploy"), 60)
    bed.world.behave()

    both = bed.worker(key=f"{KEY}|{OLD_KEY}")
    old.terminate()
    old.wait(60)
    assert bed.ended(under_way) == "succeeded", bed.logs()
    assert bed.ended(bed.submit(ONE)) == "succeeded", "a submitter with the old key, workers with both"
    bed.keys = NEW
    assert bed.ended(bed.submit(ONE)) == "succeeded", "a submitter with the new key, workers with both"
    new = bed.worker(key=KEY)
    both.terminate()
    both.wait(60)
    assert bed.ended(bed.submit(ONE)) == "succeeded", "the old key is nowhere"
    assert new.poll() is None


def test_a_key_that_one_of_the_workers_does_not_hold_yet_is_refused_at_submit(bed: Bed) -> None:
    bed.worker(key=OLD_KEY)
    bed.worker(key=f"{KEY}|{OLD_KEY}")

    with pytest.raises(RefusedError) as refused:
        bed.submit(ONE)

    problem = refused.value.problems[0]
    assert problem.code == "other-key"
    assert problem.cause == (f"{_host(bed)} opens plans of key {OLD.current.id}, not {NEW.current.id}",)
    assert "on the workers first" in problem.fix
    bed.keys = OLD
    assert bed.ended(bed.submit(ONE)) == "succeeded"


def _host(bed: Bed) -> str:
    return bed.store.workers()[0].host


def test_an_older_run_s_plan_in_place_of_a_newer_one_s_is_refused(bed: Bed) -> None:
    older = bed.submitted(ONE, publish=nobody, wait_workers=True).run.id
    newer = bed.submitted(plan_of("db:deploy", stage="prd"), publish=nobody, wait_workers=True).run.id
    with closing(raw(bed.url)) as client:
        client.copy(_sealed("local", older), _sealed("prd", newer), replace=True)

    bed.worker(key=KEY)

    assert (bed.ended(older), bed.ended(newer)) == ("succeeded", "failed")
    assert bed.problem(newer, "db:deploy") == (
        f"the plan of run {newer} of shop/prd was sealed for run {older} of shop/local"
    )
    assert bed.world.count("begin", "db:deploy") == 1


def _sealed(stage: str, run: RunId) -> str:
    return redis_keys.part(f"shop/{stage}", run, "sealed")


def test_an_older_run_s_whole_state_put_back_does_not_undo_a_newer_one(bed: Bed) -> None:
    older = bed.submitted(ONE, publish=nobody, wait_workers=True).run.id
    with closing(raw(bed.url)) as client:
        kept = {key: client.dump(key) for key in client.keys("ff:*{shop/local}*")}
        bed.worker(key=KEY)
        assert bed.ended(older) == "succeeded", bed.logs()
        assert bed.ended(bed.submit(plan_of("db:remove"))) == "succeeded", bed.logs()
        newer = bed.submit(ONE)
        assert bed.ended(newer) == "succeeded", bed.logs()
        generations = [_generation(bed, run) for run in (older, newer)]
        done = len(bed.world.journal())

        client.delete(*client.keys("ff:*{shop/local}*"))
        for key, value in kept.items():
            client.restore(key, 0, value, replace=True)
        client.zadd("ff:active", {"shop/local": 1})

    assert bed.ended(older) == "failed", bed.logs()
    assert bed.problem(older, "db:deploy") == "a newer run made `db`"
    assert generations[0] < generations[1]
    assert (bed.folder / "world" / "db").read_text() == str(generations[1])
    again = [line.split() for line in bed.world.journal()[done:] if not line.startswith("tidy")]
    assert [word for word, *_ in again] == ["begin", "end", "stale"]
    assert all({f"run={older}", f"generation={generations[0]}"} <= set(words) for words in again)


def _generation(bed: Bed, run: RunId) -> int:
    found = bed.store.run(run)
    assert found is not None
    return found.generation


def test_messages_of_strangers_are_dropped_and_the_next_ones_followed(bed: Bed) -> None:
    hint = Hint(run=RunId("nobody"), step=StepId("db:deploy"), queue=QueueName("docker"))
    good = msgspec.json.decode(message(hint))
    worker = bed.worker(key=KEY)
    with closing(raw(bed.url)) as client:
        for strange in (
            {**good, "body": "bm8ganNvbg=="},
            {**good, "body": "!"},
            {**good, "content-type": "application/x-python-serialize", "body": "Y29zCnN5c3RlbQooUydpZCcKdFIu"},
            {**good, "content-type": "application/data", "content-encoding": "binary"},
            {**good, "headers": {**good["headers"], "task": "os.system"}},
            {**good, "headers": {}},
            {**good, "properties": {**good["properties"], "body_encoding": "rot13"}},
            {**good, "headers": {**good["headers"], "eta": "2999-01-01T00:00:00Z"}},
            {**good, "headers": {**good["headers"], "expires": "yesterday"}},
            {**good, "headers": {**good["headers"], "timelimit": ["a", {}]}},
        ):
            client.lpush("docker", json.dumps(strange))

    assert bed.ended(bed.submit(ONE)) == "succeeded", bed.logs()
    assert worker.poll() is None
    assert bed.world.count("begin", "db:deploy") == 1


@pytest.mark.parametrize("text", [b"no json", b"\xff\xfe", b"", b"[]", b"{}", b"null", b"[" * 100_000])
def test_what_is_no_message_at_all_does_not_keep_a_worker_from_the_next_one(bed: Bed, text: bytes) -> None:
    worker = bed.worker(key=KEY)
    with closing(raw(bed.url)) as client:
        client.lpush("docker", text)

        eventually(lambda: client.llen("docker") == 0, 60)

    assert bed.ended(bed.submit(ONE)) == "succeeded", bed.logs()
    assert worker.poll() is None
