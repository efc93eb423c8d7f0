# SPDX-License-Identifier: Apache-2.0
"""The front door: load, plan, diff, up, submit, follow, status, logs, as functions.

One of the two places (the other is `engine/boot.py`) where the parts are put together. The rooms below are handed what
they need; they read no environment, open no Redis and import no platform by themselves. What costs time to import (the
Redis client, Celery, a platform's SDK) is imported by the function that needs it, so that `flow plan` loads no Redis
and `flow watch` no Celery.
"""

from fleetflow_tasks.api.following import Follow, Following
from fleetflow_tasks.api.reading import Planned, changes, logs, plan, stages, status, teardown_plan
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.api.running import actor, followed, is_held, opened, origin, submitted, up, work

__all__ = [
    "Follow",
    "Following",
    "Planned",
    "Request",
    "actor",
    "changes",
    "followed",
    "is_held",
    "logs",
    "opened",
    "origin",
    "plan",
    "stages",
    "status",
    "submitted",
    "teardown_plan",
    "up",
    "work",
]
