# SPDX-License-Identifier: Apache-2.0
"""`flow restart`: what runs of a stage, started anew as it is, in the order of its dependencies."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import (
    json_option,
    named_alone_option,
    names,
    project_options,
    quiet_option,
    timeout_option,
    warn_along,
)


@click.command("restart")
@project_options
@named_alone_option
@timeout_option
@json_option
@quiet_option
def command(request: api.Request, only: tuple[str, ...], timeout: float | None, as_json: bool, quiet: bool) -> int:
    """Start what runs of a stage anew, and wait until it serves again.

    Nothing is deployed: each service keeps the content it has, even where the files say another one by now. Where it can,
    the old one serves until the new one is ready. What depends on a service restarts after it. Jobs, and what does not
    run, are left alone.
    """
    from fleetflow_tasks.cli.here import carried_out

    planned = api.restart_plan(request, only=names(only))
    warn_along(planned.warnings, as_json=as_json)
    return carried_out(request, planned.plan, as_json=as_json, quiet=quiet, timeout=timeout)
