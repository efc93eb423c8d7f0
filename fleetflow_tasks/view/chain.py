# SPDX-License-Identifier: Apache-2.0
"""Which services a run is waiting for in the end: the longest chain of steps that are still to be done.

The others may take their time. How long a step will take nobody knows beforehand, so each counts as one.
"""

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.engine.model import STEP_ENDS
from fleetflow_tasks.plan import graph
from fleetflow_tasks.view.fold import Picture, service_of


def chain(picture: Picture) -> tuple[ServiceName, ...]:
    """In the order in which they come; empty where at most one service is left, or the plan was not at hand."""
    left = {step for step, state in picture.steps.items() if state.status not in STEP_ENDS}
    needs = {step: [need for need in before if need in left] for step, before in picture.needs.items() if step in left}
    found = dict.fromkeys(service for step in graph.critical_path(needs) if (service := service_of(step)) is not None)
    return tuple(found) if len(found) > 1 else ()
