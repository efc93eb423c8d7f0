# SPDX-License-Identifier: Apache-2.0
"""A hint onto the queue of its runtime or host: one message of two ids."""

from celery import Celery
from kombu.exceptions import OperationalError

from fleetflow_tasks.engine.abandoned import LOCAL
from fleetflow_tasks.engine.app import TASK, queue
from fleetflow_tasks.engine.model import Hint, Publish
from fleetflow_tasks.errors import Problem, UnavailableError


def publisher(app: Celery) -> Publish:
    """A function that sends hints with *app*; threads may share it."""

    def publish(hint: Hint) -> None:
        if hint.queue.startswith(LOCAL):
            return  # the process that made this queue looks for its ready steps itself
        try:
            app.send_task(TASK, args=(hint.run, hint.step), queue=queue(hint.queue), ignore_result=True)
        except OperationalError as error:
            raise UnavailableError(
                Problem(code="redis-away", message=f"the hint for `{hint.step}` could not be sent", cause=(str(error),))
            ) from error

    return publish
