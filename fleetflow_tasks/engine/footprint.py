# SPDX-License-Identifier: Apache-2.0
"""How much of its Redis FleetFlow takes: counted by stage, weighed by sample.

Redis knows what a key takes, but to ask for every key of a year would keep it busy. Runs are much alike, so some that lie
evenly between the first and the last are weighed, and the rest is taken to be like them. What is asked grows with the
number of stages, one small question each, and not with that of runs.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, TypeVar, cast

import redis

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.engine import keys
from fleetflow_tasks.engine.model import RunId

T = TypeVar("T")

SAMPLE: Final = 50  # runs, and as many stages, that are weighed at most

# What a run and a stage consist of, but for the sets of ready steps: those are small, and gone when a run ends.
RUN: Final = ("", ":sealed", ":order", ":steps", ":events", ":answers", ":after", ":remaining", ":leases", ":delayed")
STAGE: Final = (":stage", ":line", ":runs", ":ended", ":answers", ":deadlines")


class Footprint(Data, frozen=True, kw_only=True):
    """stages: those that had a run within a year. runs: all that are kept, about. bytes: of both, about.

    used: bytes of all that lies in this Redis, whosever it is. limit: how many it may use, 0: as many as there are.
    """

    stages: int = 0
    runs: int = 0
    bytes: int = 0
    used: int = 0
    limit: int = 0


def footprint(of: redis.Redis) -> Footprint:
    stages = [keys.tag(name.decode()) for name in cast("list[bytes]", of.zrange(keys.STAGES, 0, -1))]
    runs, lying = _weighed_runs(of, stages)
    memory = of.info("memory")
    return Footprint(
        stages=len(stages),
        runs=runs,
        bytes=lying + _weighed_stages(of, stages),
        used=memory["used_memory"],
        limit=memory["maxmemory"],
    )


def _weighed_runs(of: redis.Redis, stages: Sequence[str]) -> tuple[int, int]:
    """How many there are and what they take. Those whose time is over still stand in their stage's list, and weigh nothing."""
    ends = list(accumulate(_asked(of, lambda batch, stage: batch.zcard(f"{stage}:runs"), stages)))
    listed = ends[-1] if ends else 0
    places = [_place(ends, index) for index in _evenly(listed)]
    found = _asked(of, lambda batch, at: batch.zrange(f"{stages[at[0]]}:runs", at[1], at[1]), places)
    runs = [(stages[stage], run.decode()) for (stage, _), entry in zip(places, found, strict=True) for run in entry]
    there = sum(_asked(of, lambda batch, run: batch.exists(f"{run[0]}:run:{run[1]}"), runs))
    taken = _weight(of, [key for stage, run in runs for key in (keys.index(RunId(run)), *_parts(stage, run))])
    return _scaled(there, places, listed), _scaled(taken, places, listed)


def _weighed_stages(of: redis.Redis, stages: Sequence[str]) -> int:
    chosen = [stages[index] for index in _evenly(len(stages))]
    return _scaled(_weight(of, [stage + part for stage in chosen for part in STAGE]), chosen, len(stages))


def _parts(stage: str, run: str) -> Iterator[str]:
    return (f"{stage}:run:{run}{part}" for part in RUN)


def _evenly(count: int) -> Sequence[int]:
    """Up to SAMPLE numbers below *count*."""
    sample = min(count, SAMPLE)
    return [index * count // sample for index in range(sample)]


def _place(ends: Sequence[int], index: int) -> tuple[int, int]:
    """In which stage the run of that number stands, and at which place. ends: the sum of runs up to and with each stage."""
    stage = bisect_right(ends, index)
    return stage, index - (ends[stage - 1] if stage else 0)


def _scaled(found: int, sample: Sequence[object], count: int) -> int:
    return round(found / len(sample) * count) if sample else 0


def _weight(of: redis.Redis, those: Sequence[str]) -> int:
    return sum(weight or 0 for weight in _asked(of, lambda batch, key: batch.memory_usage(key), those))


def _asked(of: redis.Redis, ask: Callable[[redis.client.Pipeline, T], object], those: Iterable[T]) -> list[Any]:
    """The same question about each, on one way there and back."""
    batch = of.pipeline(transaction=False)
    for each in those:
        ask(batch, each)
    return batch.execute()
