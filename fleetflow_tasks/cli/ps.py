# SPDX-License-Identifier: Apache-2.0
"""`flow ps`: what runs in a stage, asked of the platform itself."""

import time

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import colour, json_option, project_options


@click.command("ps")
@project_options
@json_option
def command(request: api.Request, as_json: bool) -> None:
    """Show what runs in a stage: state, health, ports, age, image."""
    from fleetflow_tasks.view import tables

    found = api.status(request, api.plan(request).plan)
    if as_json:
        click.echo(tables.services_json(found))
    else:
        click.echo(tables.services(found, now=time.time(), colour=colour()))
