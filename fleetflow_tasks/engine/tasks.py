# SPDX-License-Identifier: Apache-2.0
"""The one Celery task: two ids in, nothing out. What Flower and the broker show can hold no secret."""

import logging
from collections.abc import Callable

from celery import Celery

from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.engine.publish import TASK
from fleetflow_tasks.plan.model import StepId

log = logging.getLogger(__name__)


def serve(app: Celery, follow: Callable[[RunId, StepId], None]) -> None:
    """Hand each hint that *app* receives to *follow*; whatever else comes under its name is dropped with a line."""

    def hint(*told: object, **_: object) -> None:
        match told:
            case (str(run), str(step)):
                follow(RunId(run), StepId(step))
            case _:
                log.warning("message.dropped", extra={"problem": "a hint is two ids, and this is not"})

    app.task(name=TASK, shared=False)(hint)
