# SPDX-License-Identifier: Apache-2.0
"""The platform of a soak: each run deploys a new version of a service, so each run has an effect of its own.

    world/p07-api      a line for each version that was ever put there: generation and run. Who comes with a lower
                       generation than the last one's is refused, who finds its own version leaves it alone; reading and
                       writing is one step under a lock, as on a platform that has compare-and-set.

How a step goes is drawn from the seed, the run and the step, and so the same in every process and every time.
"""

import fcntl
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Step
from fleetflow_tasks.runtimes.base import Attempt, StaleError
from fleetflow_tasks.testing.recording import Behaviour, RecordingRuntime

PASSES = 0.03  # of steps: fail once or twice, and then do not
FAILS = 0.002  # of steps: fail for good
CRASHES = 0.001  # of steps: raise what nobody foresaw
POISON = 0.0003  # of steps: kill the process that takes them, up to three times
FORESEEN = "nobody foresaw this"  # what such a step says (testing.recording)


class Platform(RecordingRuntime):
    def __init__(self, folder: Path, seed: str) -> None:
        super().__init__(folder)
        self._seed = seed

    def _behaviour(self, step: Step, attempt: Attempt) -> Behaviour:
        return behaviour(self._seed, attempt.run, step.id)

    def _begun(self, step: Step, attempt: Attempt) -> int:
        return attempt.number

    def _made(self, step: Step, attempt: Attempt, asked: float) -> Literal["made", "found"]:
        with (self._world / str(step.service)).open("a+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            generation, run = (file.read().splitlines() or ["0 nobody"])[-1].split()
            if int(generation) > attempt.generation:
                self._landed("stale", step, attempt, asked)
                raise StaleError(Problem(code="stale", message=f"run {run} made a newer `{step.service}`"))
            if run == attempt.run:
                self._landed("found", step, attempt, asked)
                return "found"
            file.write(f"{attempt.generation} {attempt.run}\n")
        self._landed("made", step, attempt, asked)
        return "made"


def behaviour(seed: str, run: str, step: str) -> Behaviour:
    rng = random.Random(f"{seed} {run} {step}")
    return Behaviour(seconds=_seconds(rng), deaf=_deaf(rng), landing=_landing(rng), **_trouble(rng))


def effects(folder: Path) -> dict[str, list[str]]:
    """Service -> the runs that put a version of it there, one after the other."""
    return {
        file.name: [line.split()[1] for line in file.read_text(encoding="ascii").splitlines()]
        for file in sorted((folder / "world").glob("*"))
    }


def doubled(folder: Path) -> Iterator[str]:
    for service, runs in effects(folder).items():
        yield from (f"doubled: run {run} put {n} versions of {service}" for run, n in Counter(runs).items() if n > 1)


def _seconds(rng: random.Random) -> float:
    """Mostly next to nothing; now and then longer than a lease."""
    longest = rng.choices([0.02, 0.3, 1.0, 4.0], weights=[60, 32, 7, 1])[0]
    return round(rng.uniform(0, longest), 3)


def _deaf(rng: random.Random) -> float:
    return round(rng.uniform(0, 0.5), 3) if rng.random() < 0.05 else 0.0


def _landing(rng: random.Random) -> float:
    return round(rng.uniform(0, 0.4), 3) if rng.random() < 0.05 else 0.0


def _trouble(rng: random.Random) -> dict[str, Any]:
    what = rng.random()
    if what < POISON:
        return {"kill": rng.randint(1, 3)}
    if what < POISON + CRASHES:
        return {"crash": True}
    if what < POISON + CRASHES + FAILS:
        return {"fail": -1, "transient": False}
    if what < POISON + CRASHES + FAILS + PASSES:
        return {"fail": rng.randint(1, 2), "retry_after": round(rng.uniform(0.05, 0.5), 3)}
    return {}
