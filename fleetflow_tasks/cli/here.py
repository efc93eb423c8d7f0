# SPDX-License-Identifier: Apache-2.0
"""A plan carried out in this process, on the screen: what `up` and `down` share."""

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import say
from fleetflow_tasks.cli.screen import Screen
from fleetflow_tasks.plan.model import Plan

STOPPING = "stopping: what has begun comes to its end, nothing new begins; Ctrl-C again leaves now"


def carried_out(
    request: api.Request,
    plan: Plan,
    *,
    as_json: bool,
    quiet: bool,
    timeout: float | None = None,
    adopt: bool = False,
) -> int:
    """The exit code. Says how it ended, and before that what happens, unless told to be quiet."""
    screen = Screen(as_json=as_json, quiet=quiet, interrupted=STOPPING, here=True)
    api.up(request, plan, follow=screen.follow, say=say, timeout=timeout, adopt=adopt)
    screen.end()
    return screen.exit_code
