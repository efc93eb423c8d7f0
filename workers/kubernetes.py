# SPDX-License-Identifier: Apache-2.0
"""Start a worker for Kubernetes: `python workers/kubernetes.py`, the same as `flow worker kubernetes`.

Which cluster, the stage and the kubeconfig say; inside of one, the service account of the worker's pod does.
"""

import os
import sys
from pathlib import Path

# A script's own folder comes first on the path, and there this file would be taken for the `kubernetes` package.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

from fleetflow_tasks.engine.boot import work  # noqa: E402
from fleetflow_tasks.engine.settings import from_environ  # noqa: E402
from fleetflow_tasks.errors import FleetFlowError  # noqa: E402
from fleetflow_tasks.plan.model import QueueName  # noqa: E402
from fleetflow_tasks.runtimes.registry import get  # noqa: E402

if __name__ == "__main__":
    try:
        work([QueueName("kubernetes")], settings=from_environ(os.environ), runtimes=get)
    except FleetFlowError as error:
        sys.stderr.write("".join(f"{problem.message}\n  fix: {problem.fix}\n" for problem in error.problems))
        sys.exit(error.exit_code)
