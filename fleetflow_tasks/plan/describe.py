# SPDX-License-Identifier: Apache-2.0
"""A plan as text, one line per step, in the plan's order: id, needs, cause. What tests compare, and people can read."""

from fleetflow_tasks.plan.build import DECLARED
from fleetflow_tasks.plan.model import Plan, Step


def describe(plan: Plan) -> list[str]:
    """`api:deploy <- api:prepare, migrate:deploy (waits for completed migrate)`, in columns; `-` where nothing is needed."""
    needs = [", ".join(need.step for need in step.needs) or "-" for step in plan.steps]
    left = max((len(step.id) for step in plan.steps), default=0)
    middle = max((len(text) for text in needs), default=0)
    return [
        f"{step.id:{left}} <- {text:{middle}} ({cause_of(step)})" for step, text in zip(plan.steps, needs, strict=True)
    ]


def cause_of(step: Step) -> str:
    """Why it waits, each reason once; a step that waits for nothing but its own is simply declared."""
    causes = dict.fromkeys(need.cause for need in step.needs if need.cause != DECLARED)
    return "; ".join(causes) or DECLARED
