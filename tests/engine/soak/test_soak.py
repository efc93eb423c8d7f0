# SPDX-License-Identifier: Apache-2.0
"""A soak of a quarter of a minute and what it takes to come to rest, on each server; ten minutes of it: `make soak`."""

import random
import shutil
import tempfile
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from fleetflow_tasks.runtimes.base import StaleError
from fleetflow_tasks.testing import Trial
from tests.engine.conftest import BINARIES
from tests.engine.soak.orders import orders
from tests.engine.soak.schedule import Fault, schedule
from tests.engine.soak.soak import LEASE, soak, unforeseen
from tests.engine.soak.world import Platform, behaviour, doubled, effects

SECONDS, STAGES, WORKERS = 15, 10, 3


@pytest.mark.parametrize(("server", "seed"), [("redis", "1"), ("valkey", None)])
def test_whatever_breaks_each_step_has_its_one_effect_and_each_run_ends(server: str, seed: str | None) -> None:
    folder = Path(tempfile.mkdtemp(prefix="ff-soak-"))  # not tmp_path: a socket's path has 107 characters at most

    found = soak(
        folder,
        seed or str(random.SystemRandom().randrange(10**6)),
        seconds=SECONDS,
        stages=STAGES,
        workers=WORKERS,
        binary=BINARIES[server](),
    )

    assert not found.wrong, f"{found.told()}\nkept in {folder}"
    assert found.runs.total() >= STAGES
    assert found.effects > 0
    assert found.faults.total() > 0
    shutil.rmtree(folder)


def test_a_seed_asks_for_the_same_and_breaks_the_same_each_time() -> None:
    one, same, other = ([list(islice(orders(seed, 3), 20)), _faults(seed)] for seed in ("7", "7", "8"))

    assert one == same
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_ten_minutes_break_enough_of_each_kind() -> None:
    counts = Counter(fault.kind for fault in _faults("42"))

    assert counts.total() >= 200
    assert len(counts) == 15


def test_plans_are_of_all_sizes_and_each_step_stands_behind_its_needs() -> None:
    plans = [order.plan for number in range(10) for order in islice(orders("42", number), 30)]

    sizes = sorted(len(plan.steps) for plan in plans)
    assert (sizes[0], sizes[-1] > 150) == (5, True)
    for plan in plans:
        before = set[str]()
        for step in plan.steps:
            assert {need.step for need in step.needs} <= before
            before.add(step.id)


def test_the_world_keeps_each_version_and_refuses_an_older_one(tmp_path: Path) -> None:
    order = next(orders("7", 0))
    step = next(step for step in order.plan.steps if step.action == "deploy")
    seed = next(seed for seed in map(str, range(100)) if not _troubled(seed, step.id))
    world = Platform(tmp_path, seed)

    outcomes = [world.deploy(order.plan, step, Trial(generation, run="a")) for generation in (2, 2)]
    with pytest.raises(StaleError):
        world.deploy(order.plan, step, Trial(1, run="a"))

    assert [outcome.text for outcome in outcomes] == ["made", "found"]
    assert effects(tmp_path) == {str(step.service): ["a"]}
    assert list(doubled(tmp_path)) == []
    (tmp_path / "world" / str(step.service)).write_text("2 a\n3 b\n4 a\n")
    assert list(doubled(tmp_path)) == [f"doubled: run a put 2 versions of {step.service}"]


def test_a_traceback_that_no_step_was_told_to_cause_is_found(tmp_path: Path) -> None:
    log = tmp_path / "worker-0.log"
    log.write_text('{"event": "step.bug", "traceback": "Traceback …ZeroDivisionError: nobody foresaw this"}\n')
    assert list(unforeseen(tmp_path)) == []

    log.write_text("Traceback (most recent call last):\n")

    assert list(unforeseen(tmp_path)) == ["a traceback in worker-0.log: Traceback (most recent call last):"]


def _faults(seed: str) -> list[Fault]:
    return schedule(seed, seconds=600, workers=4, lease=LEASE)


def _troubled(seed: str, step: str) -> bool:
    told = behaviour(seed, "a", step)
    return bool(told.fail or told.crash or told.kill)
