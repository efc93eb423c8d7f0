# SPDX-License-Identifier: Apache-2.0
"""A real worker in a process of its own, with the recording runtime: `worker_process.py URL FOLDER KEY [name=seconds …]`.

`FLEETFLOW_TEST_PAUSE=after_claim` holds the worker at that point of each step, once; `after_claim:db:deploy` of that step alone;
several of them stand with a space between. It writes `paused.<pid>.<point>.<step>` into FOLDER, naming the run, and goes on
when the file is gone.
"""

import os
import sys
import time
from pathlib import Path

if shift := float(os.environ.get("FLEETFLOW_TEST_CLOCK", "0")):  # before anybody takes the function away by name
    _true = time.time
    time.time = lambda: _true() + shift

from fleetflow_tasks.engine.boot import work
from fleetflow_tasks.engine.execute import Pause, Point, nowhere
from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.engine.settings import Settings
from fleetflow_tasks.plan.codec import Keys, parse_key
from fleetflow_tasks.plan.model import QueueName, StepId
from fleetflow_tasks.testing.recording import RecordingRuntime


def main(url: str, folder: str, key: str, *options: str) -> None:
    told = dict(option.split("=") for option in options)
    slots = int(told.pop("slots", "8"))
    queues = [QueueName(queue) for queue in told.pop("queues", "docker").split(",")]
    settings = Settings(
        redis_url=url,
        keys=keys(key),
        state=Path(folder) / "state",
        **{name: float(seconds) for name, seconds in told.items()},
    )
    work(
        queues,
        settings=settings,
        runtimes=lambda _: RecordingRuntime(Path(folder)),
        slots=slots,
        pause=_pause(os.environ.get("FLEETFLOW_TEST_PAUSE", ""), Path(folder)),
    )


def keys(text: str) -> Keys:
    """`NEW|OLD`, or one alone: the tests' keys may hold a comma."""
    current, _, previous = text.partition("|")
    return Keys(current=parse_key(current), previous=parse_key(previous) if previous else None)


def _pause(told: str, folder: Path) -> Pause:
    wanted = [word.partition(":")[::2] for word in told.split()]
    over: set[tuple[Point, StepId]] = set()

    def pause(point: Point, run: RunId, step: StepId) -> None:
        if (point, step) in over or not any(point == each and only in ("", step) for each, only in wanted):
            return
        over.add((point, step))
        mark = folder / f"paused.{os.getpid()}.{point}.{step}"
        mark.write_text(run, encoding="ascii")
        while mark.exists():
            time.sleep(0.02)

    return pause if wanted else nowhere


if __name__ == "__main__":
    main(*sys.argv[1:])
