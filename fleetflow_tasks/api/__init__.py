# SPDX-License-Identifier: Apache-2.0
"""The front door: load, plan, diff, up, submit, follow, status, logs, as functions.

One of the two places (the other is `engine/boot.py`) where the parts are put together. The rooms below are handed what
they need; they read no environment, open no Redis and import no platform by themselves. What costs time to import (the
Redis client, Celery, a platform's SDK) is imported by the function that needs it, so that `flow plan` loads no Redis
and `flow watch` no Celery.
"""

from fleetflow_tasks.api.connected import opened, which_redis
from fleetflow_tasks.api.doctor import checkup
from fleetflow_tasks.api.following import Follow, Following
from fleetflow_tasks.api.importing import imported
from fleetflow_tasks.api.interacting import Forward, Forwarded, declared_ports, execute, forwarded
from fleetflow_tasks.api.origin import actor, origin
from fleetflow_tasks.api.promoting import Promotion, promotion
from fleetflow_tasks.api.reading import Planned, changes, logs, plan, stages, status, teardown_plan
from fleetflow_tasks.api.rendering import rendered, written
from fleetflow_tasks.api.repeating import retried, rolled_back, rolled_back_here, version_before
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.api.running import followed, is_held, submitted, up, work
from fleetflow_tasks.api.telling import queue, runs, shown
from fleetflow_tasks.api.traffic import Shift, shift
from fleetflow_tasks.api.validating import validated

__all__ = [
    "Follow",
    "Following",
    "Forward",
    "Forwarded",
    "Planned",
    "Promotion",
    "Request",
    "Shift",
    "actor",
    "changes",
    "checkup",
    "declared_ports",
    "execute",
    "followed",
    "forwarded",
    "imported",
    "is_held",
    "logs",
    "opened",
    "origin",
    "plan",
    "promotion",
    "queue",
    "rendered",
    "retried",
    "rolled_back",
    "rolled_back_here",
    "runs",
    "shift",
    "shown",
    "stages",
    "status",
    "submitted",
    "teardown_plan",
    "up",
    "validated",
    "version_before",
    "which_redis",
    "work",
    "written",
]
