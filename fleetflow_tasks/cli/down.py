# SPDX-License-Identifier: Apache-2.0
"""`flow down`: what is there of a stage, removed in the reverse order of its dependencies."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option, names, only_option, project_options, quiet_option, warn


@click.command("down")
@project_options
@only_option
@click.option("--volumes", is_flag=True, help="Remove the stage's named volumes or claims too: their data is lost.")
@json_option
@quiet_option
def command(request: api.Request, only: tuple[str, ...], volumes: bool, as_json: bool, quiet: bool) -> int:
    """Remove a stage's services, and its network or its namespace.

    The data stays: named volumes on Docker, claims on Kubernetes, and then the namespace that holds them. With --volumes
    they go too; which, the last step says. A namespace that FleetFlow did not make, or that holds something else, stays.
    """
    from fleetflow_tasks.cli.here import carried_out

    planned = api.teardown_plan(request, only=names(only), volumes=volumes)
    warn(planned.warnings)
    return carried_out(request, planned.plan, as_json=as_json, quiet=quiet)
