# SPDX-License-Identifier: Apache-2.0
"""Flower's way in: `celery -A fleetflow_tasks.engine.monitor flower …` (docs/security.md has the whole command).

The app is made from the environment that `flow` reads, so the address is written one way and no password stands on a
command line. Without one it is that of the embedded Redis, which a worker or `flow up` has to have started.
"""

import os
import sys
from collections.abc import Mapping

from celery import Celery

from fleetflow_tasks.engine.app import onlooker
from fleetflow_tasks.engine.embedded import socket_path
from fleetflow_tasks.engine.settings import place
from fleetflow_tasks.errors import FleetFlowError


def _made(environ: Mapping[str, str]) -> Celery:
    try:
        found = place(environ)
    except FleetFlowError as error:  # Celery would show whatever else is raised with its traceback
        sys.stderr.write("".join(f"{problem.message}\n  fix: {problem.fix}\n" for problem in error.problems))
        sys.exit(error.exit_code)
    return onlooker(found.redis_url or f"unix://{socket_path(found.state / 'redis')}")


app = _made(os.environ)
