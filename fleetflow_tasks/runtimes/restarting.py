# SPDX-License-Identifier: Apache-2.0
"""A restart, asked of a runtime that may not be able to."""

from typing import cast

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan, Step
from fleetflow_tasks.runtimes.base import Attempt, DeployError, Outcome, Restarting, Runtime


def restarts(runtime: Runtime) -> bool:
    return callable(getattr(runtime, "restart", None))


def restarted(runtime: Runtime, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
    """Raises DeployError where *runtime* cannot."""
    if not restarts(runtime):
        raise DeployError(cannot(runtime))
    return cast(Restarting, runtime).restart(plan, step, attempt)


def cannot(runtime: Runtime) -> Problem:
    return Problem(
        code="not-restartable",
        message=f"the runtime `{runtime.name}` offers no way to restart what runs",
        fix="use the platform's own tool",
    )
