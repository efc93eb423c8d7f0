# SPDX-License-Identifier: Apache-2.0
"""The front door: load, plan, diff, up, submit, follow, status, logs, as functions.

One of the two places (the other is `engine/boot.py`) where the parts are put together. The rooms below are handed what
they need; they read no environment, open no Redis and import no platform by themselves. What costs time to import (the
Redis client, Celery, a platform's SDK) is imported by the function that needs it, so that `flow plan` loads no Redis
and `flow watch` no Celery.
"""

from fleetflow_tasks.api.beginning import IGNORED, begun
from fleetflow_tasks.api.building import built, unpushed
from fleetflow_tasks.api.configuring import Configured, Known, configured, known_variables
from fleetflow_tasks.api.connected import opened, which_redis
from fleetflow_tasks.api.destination import destination
from fleetflow_tasks.api.doctor import checkup
from fleetflow_tasks.api.following import Follow, Following
from fleetflow_tasks.api.formatting import FormattedFile, Formatting, formatted_files, formatted_text
from fleetflow_tasks.api.importing import imported
from fleetflow_tasks.api.interacting import Forward, Forwarded, declared_ports, execute, forwarded
from fleetflow_tasks.api.origin import actor, origin
from fleetflow_tasks.api.promoting import Promotion, promotion
from fleetflow_tasks.api.reading import Planned, changes, logs, plan, stages, status, teardown_plan, volumes
from fleetflow_tasks.api.rendering import rendered, written
from fleetflow_tasks.api.repeating import retried, rolled_back, rolled_back_here, version_before
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.api.restarting import restart_plan
from fleetflow_tasks.api.running import followed, is_held, submitted, up, work
from fleetflow_tasks.api.surroundings import Surroundings, surroundings
from fleetflow_tasks.api.telling import queue, runs, shown
from fleetflow_tasks.api.traffic import Shift, shift
from fleetflow_tasks.api.validating import validated
from fleetflow_tasks.runtimes.installed import parts as installed

__all__ = [
    "IGNORED",
    "Configured",
    "Follow",
    "Following",
    "FormattedFile",
    "Formatting",
    "Forward",
    "Forwarded",
    "Known",
    "Planned",
    "Promotion",
    "Request",
    "Shift",
    "Surroundings",
    "actor",
    "begun",
    "built",
    "changes",
    "checkup",
    "configured",
    "declared_ports",
    "destination",
    "execute",
    "followed",
    "formatted_files",
    "formatted_text",
    "forwarded",
    "imported",
    "installed",
    "is_held",
    "known_variables",
    "logs",
    "opened",
    "origin",
    "plan",
    "promotion",
    "queue",
    "rendered",
    "restart_plan",
    "retried",
    "rolled_back",
    "rolled_back_here",
    "runs",
    "shift",
    "shown",
    "stages",
    "status",
    "submitted",
    "surroundings",
    "teardown_plan",
    "unpushed",
    "up",
    "validated",
    "version_before",
    "volumes",
    "which_redis",
    "work",
    "written",
]
