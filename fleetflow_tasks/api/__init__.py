# SPDX-License-Identifier: Apache-2.0
"""The front door: load, plan, diff, up, submit, follow, status, logs, as functions.

One of the two places (the other is `engine/boot.py`) where the parts are put together. The rooms below are handed what
they need; they read no environment, open no Redis and import no platform by themselves. What costs time to import (the
Redis client, Celery, a platform's SDK) is imported by the function that needs it, so that `flow plan` loads no Redis
and `flow watch` no Celery. The modules behind this door are opened by the first who asks for something in them, so that a
shell's TAB is answered while most are closed. None of them may have the name of something that is exported: Python would
put the module in that thing's place.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetflow_tasks.api.beginning import IGNORED, begun
    from fleetflow_tasks.api.building import built, unpushed
    from fleetflow_tasks.api.configuring import Configured, Known, configured, known_variables
    from fleetflow_tasks.api.connected import opened, which_redis
    from fleetflow_tasks.api.destinations import destination
    from fleetflow_tasks.api.doctor import checkup
    from fleetflow_tasks.api.following import Follow, Following
    from fleetflow_tasks.api.formatting import FormattedFile, Formatting, formatted_files, formatted_text
    from fleetflow_tasks.api.importing import imported
    from fleetflow_tasks.api.interacting import Forward, Forwarded, declared_ports, execute, forwarded
    from fleetflow_tasks.api.origins import actor, origin
    from fleetflow_tasks.api.promoting import Promotion, promotion
    from fleetflow_tasks.api.reading import Planned, changes, logs, plan, stages, status, teardown_plan, volumes
    from fleetflow_tasks.api.rendering import rendered, written
    from fleetflow_tasks.api.repeating import retried, rolled_back, rolled_back_here, version_before
    from fleetflow_tasks.api.request import Request, reading_once
    from fleetflow_tasks.api.restarting import restart_plan
    from fleetflow_tasks.api.running import followed, is_held, submitted, up, work
    from fleetflow_tasks.api.surrounding import Surroundings, surroundings
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
    "reading_once",
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

_HOMES = {
    "api.beginning": "IGNORED, begun",
    "api.building": "built, unpushed",
    "api.configuring": "Configured, Known, configured, known_variables",
    "api.connected": "opened, which_redis",
    "api.destinations": "destination",
    "api.doctor": "checkup",
    "api.following": "Follow, Following",
    "api.formatting": "FormattedFile, Formatting, formatted_files, formatted_text",
    "api.importing": "imported",
    "api.interacting": "Forward, Forwarded, declared_ports, execute, forwarded",
    "api.origins": "actor, origin",
    "api.promoting": "Promotion, promotion",
    "api.reading": "Planned, changes, logs, plan, stages, status, teardown_plan, volumes",
    "api.rendering": "rendered, written",
    "api.repeating": "retried, rolled_back, rolled_back_here, version_before",
    "api.request": "Request, reading_once",
    "api.restarting": "restart_plan",
    "api.running": "followed, is_held, submitted, up, work",
    "api.surrounding": "Surroundings, surroundings",
    "api.telling": "queue, runs, shown",
    "api.traffic": "Shift, shift",
    "api.validating": "validated",
    "runtimes.installed": "parts as installed",
}
"""Module -> what is exported of it; the imports above say the same to whoever only reads."""


def __getattr__(name: str) -> object:
    """What is exported, from its home, the first time that somebody asks for it."""
    for home, names in _HOMES.items():
        for original, _, alias in (each.partition(" as ") for each in names.split(", ")):
            if name == (alias or original):
                found: object = getattr(import_module(f"fleetflow_tasks.{home}"), original)
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
