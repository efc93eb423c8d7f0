# SPDX-License-Identifier: Apache-2.0
"""A real worker in a process of its own, with the recording runtime: `worker_process.py URL FOLDER KEY [name=seconds …]`.

`FLEETFLOW_TEST_PAUSE=after_claim` holds the worker at that point of each step; `after_claim:db:deploy` of that step alone.
It writes `paused.<pid>` into FOLDER, naming point, run and step, and goes on when the file is gone.
"""

import os
import sys
import time
from pathlib import Path

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
        keys=Keys(current=parse_key(key)),
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


def _pause(told: str, folder: Path) -> Pause:
    wanted, _, only = told.partition(":")

    def pause(point: Point, run: RunId, step: StepId) -> None:
        if point != wanted or only not in ("", step):
            return
        mark = folder / f"paused.{os.getpid()}"
        mark.write_text(f"{point} {run} {step}", encoding="ascii")
        while mark.exists():
            time.sleep(0.02)

    return pause if wanted else nowhere


if __name__ == "__main__":
    main(*sys.argv[1:])
