# SPDX-License-Identifier: Apache-2.0
"""A container's health check: exit 0 while a worker of this host has spoken within 15 s, else 1 and one line why.

    HEALTHCHECK CMD ["python", "workers/health.py"]

It asks Redis what the worker last said of itself, so a process that is there but no longer reaches Redis is unhealthy.
It starts nothing and needs no key.
"""

import os
import socket
import sys

from fleetflow_tasks.engine.embedded import socket_path
from fleetflow_tasks.engine.settings import state_folder
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import FleetFlowError


def health(environ: "os._Environ[str]") -> str:
    """What is wrong; empty while all is well."""
    url = environ.get("FLEETFLOW_REDIS_URL") or f"unix://{socket_path(state_folder(environ) / 'redis')}"
    try:
        present = Store.connect(url, client_name="ff-health").workers()
    except FleetFlowError as error:
        return str(error)
    host = socket.gethostname()
    return "" if any(worker.host == host for worker in present) else f"no worker on {host} has spoken within 15 s"


if __name__ == "__main__":
    sys.exit(health(os.environ) or 0)
