# SPDX-License-Identifier: Apache-2.0
"""A real worker in a process of its own, with the recording runtime: `worker_process.py URL FOLDER KEY [name=seconds …]`."""

import sys
from pathlib import Path

from fleetflow_tasks.engine.boot import work
from fleetflow_tasks.engine.settings import Settings
from fleetflow_tasks.plan.codec import Keys, parse_key
from fleetflow_tasks.plan.model import QueueName
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
    work(queues, settings=settings, runtimes=lambda _: RecordingRuntime(Path(folder)), slots=slots)


if __name__ == "__main__":
    main(*sys.argv[1:])
