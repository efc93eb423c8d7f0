# SPDX-License-Identifier: Apache-2.0
"""The one Celery task: two ids in, nothing out. What Flower and the broker show can hold no secret."""

from collections.abc import Callable

from celery import Celery

from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.engine.publish import TASK
from fleetflow_tasks.plan.model import StepId


def serve(app: Celery, follow: Callable[[RunId, StepId], None]) -> None:
    """Hand each hint that *app* receives to *follow*."""

    def hint(run: str, step: str) -> None:
        follow(RunId(run), StepId(step))

    app.task(name=TASK, shared=False)(hint)
