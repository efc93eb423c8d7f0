# SPDX-License-Identifier: Apache-2.0
"""`flow down`: what is there of a stage, removed in the reverse order of its dependencies."""

import time

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.confirm import Confirm, confirm_options
from fleetflow_tasks.cli.options import (
    json_option,
    named_alone_option,
    names,
    project_options,
    quiet_option,
    warn_along,
)
from fleetflow_tasks.plan.model import Plan


@click.command("down")
@project_options
@named_alone_option
@click.option("--volumes", is_flag=True, help="Remove the stage's named volumes or claims too: their data is lost.")
@confirm_options
@json_option
@quiet_option
def command(
    request: api.Request, only: tuple[str, ...], volumes: bool, confirm: Confirm, as_json: bool, quiet: bool
) -> int:
    """Remove a stage's services, and its network or its namespace.

    The data stays: named volumes on Docker, claims on Kubernetes, and then the namespace that holds them. With --volumes
    they go too, once they were named and you have said yes. Buckets are never touched. A namespace that FleetFlow did not
    make, or that holds something else, stays.
    """
    from fleetflow_tasks.cli.here import carried_out

    if volumes and only:
        raise click.UsageError("--volumes and --only exclude each other: volumes belong to the stage, not to a service")
    planned = api.teardown_plan(request, only=names(only), volumes=volumes)
    warn_along(planned.warnings, as_json=as_json)
    asked = volumes and _asked(request, planned.plan, confirm)
    return carried_out(request, planned.plan, as_json=as_json, quiet=quiet, named=asked)


def _asked(request: api.Request, plan: Plan, confirm: Confirm) -> bool:
    """Not where there is nothing to lose."""
    from fleetflow_tasks.view import volumes as view

    held = [volume for found in api.volumes(request, plan).values() for volume in found]
    if held:
        about = (f"{api.destination(request, plan)}: with it go", *view.lines(held, time.time()))
        confirm(view.question(held), about=about)
    return bool(held)
