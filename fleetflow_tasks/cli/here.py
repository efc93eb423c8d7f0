# SPDX-License-Identifier: Apache-2.0
"""A plan carried out in this process, on the screen: what `up`, `down`, `restart` and, after an `up`, `rollback` share."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import say
from fleetflow_tasks.cli.screen import Screen
from fleetflow_tasks.plan.model import Plan

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import Conflict
    from fleetflow_tasks.engine.record import Version

STOPPING = "stopping: what has begun comes to its end, nothing new begins; Ctrl-C again leaves now"


def carried_out(
    request: api.Request,
    plan: Plan,
    *,
    as_json: bool,
    quiet: bool,
    timeout: float | None = None,
    adopt: bool = False,
    named: bool = False,
) -> int:
    """The exit code. Says where it goes (named: that was said already), what happens, and how it ended; quiet: only that."""
    screen = _screen(as_json=as_json, quiet=quiet)
    if not (as_json or quiet or named):
        say(api.destination(request, plan))
    api.up(request, plan, follow=screen.follow, say=_beside(quiet=quiet), timeout=timeout, adopt=adopt)
    screen.end()
    return screen.exit_code


def rolled_back(
    request: api.Request,
    version: "Version",
    *,
    conflict: "Conflict",
    fail_fast: bool,
    as_json: bool,
    quiet: bool,
    timeout: float | None,
    adopt: bool,
) -> int:
    """The exit code, of an earlier plan that is deployed again."""
    screen = _screen(as_json=as_json, quiet=quiet)
    api.rolled_back_here(
        request,
        version,
        follow=screen.follow,
        say=_beside(quiet=quiet),
        conflict=conflict,
        fail_fast=fail_fast,
        timeout=timeout,
        adopt=adopt,
    )
    screen.end()
    return screen.exit_code


def _beside(*, quiet: bool) -> Callable[[str], None]:
    """What is told of the Redis that was started for this."""
    return (lambda text: None) if quiet else say


def _screen(*, as_json: bool, quiet: bool) -> Screen:
    return Screen(as_json=as_json, quiet=quiet, interrupted=STOPPING, here=True)
