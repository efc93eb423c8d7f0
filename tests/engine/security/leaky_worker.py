# SPDX-License-Identifier: Apache-2.0
"""A real worker whose runtime says whatever it was given: as a careless library does in its errors, progress and results.

`leaky_worker.py FOLDER`; all else it is told by its environment, as `flow worker` is.
"""

import os
import sys
from pathlib import Path

from fleetflow_tasks.engine.boot import work
from fleetflow_tasks.engine.settings import from_environ
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, QueueName, Step
from fleetflow_tasks.runtimes.base import Attempt, DeployError, Outcome
from fleetflow_tasks.testing.recording import RecordingRuntime


class Leaky(RecordingRuntime):
    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        given = " ".join(value.reveal() for service in plan.services for value in service.secrets.values())
        attempt.report(f"connecting with {given}", 1, 2)
        match step.service:
            case "refused":
                raise DeployError(
                    Problem(
                        code="refused", message=f"login failed: {given}", cause=(given, "x" + given), fix=f"not {given}"
                    )
                )
            case "crashed":
                raise ValueError(f"cannot parse {given}")
            case _:
                return Outcome(changed=True, text=f"serves with {given}", facts={"url": f"db://{given}@db"})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    work([QueueName("docker")], settings=from_environ(os.environ), runtimes=lambda _: Leaky(folder))
