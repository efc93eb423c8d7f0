# SPDX-License-Identifier: Apache-2.0
"""A worker of a soak: `worker.py URL FOLDER KEY SEED LEASE`. Its lease is short, so that faults bite."""

import sys
from pathlib import Path

from fleetflow_tasks.engine.boot import work
from fleetflow_tasks.engine.settings import Settings
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.codec import Keys, parse_key
from tests.engine.soak.orders import QUEUES
from tests.engine.soak.world import Platform

SLOTS = 8
GRACE = 6.0  # seconds from SIGTERM to the end


def main(url: str, folder: str, key: str, seed: str, lease: str) -> None:
    settings = Settings(
        redis_url=url,
        keys=Keys(current=parse_key(key)),
        state=Path(folder) / "state",
        lease=float(lease),
        renew=float(lease) / 5,
        beat=0.5,
        grace=GRACE,
    )
    work(QUEUES, settings=settings, runtimes=lambda _: Platform(Path(folder), seed), slots=SLOTS)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except UnavailableError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
