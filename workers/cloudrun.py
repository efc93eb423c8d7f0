# SPDX-License-Identifier: Apache-2.0
"""Start a worker for Cloud Run: `python workers/cloudrun.py`, the same as `flow worker cloudrun`.

Which project and region, the stage says; as whom, Application Default Credentials do: a key file that
GOOGLE_APPLICATION_CREDENTIALS names, or the service account of the machine that the worker runs on.
"""

import os
import sys
from pathlib import Path

# A script's own folder comes first on the path, and `docker.py` and `kubernetes.py` there would be taken for packages.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

from fleetflow_tasks.engine.boot import work  # noqa: E402
from fleetflow_tasks.engine.settings import from_environ  # noqa: E402
from fleetflow_tasks.errors import FleetFlowError  # noqa: E402
from fleetflow_tasks.plan.model import QueueName  # noqa: E402
from fleetflow_tasks.runtimes.registry import get  # noqa: E402

if __name__ == "__main__":
    try:
        work([QueueName("cloudrun")], settings=from_environ(os.environ), runtimes=get)
    except FleetFlowError as error:
        sys.stderr.write("".join(f"{problem.message}\n  fix: {problem.fix}\n" for problem in error.problems))
        sys.exit(error.exit_code)
