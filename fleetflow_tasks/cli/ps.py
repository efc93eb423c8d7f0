# SPDX-License-Identifier: Apache-2.0
"""`flow ps`: what runs in a stage, asked of the platform itself."""

import time

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import colour, columns, json_option, named_alone_option, names, project_options


@click.command("ps")
@project_options
@named_alone_option
@json_option
def command(request: api.Request, only: tuple[str, ...], as_json: bool) -> None:
    """Show what runs in a stage: state, health, ports, age, image."""
    from fleetflow_tasks.view import tables

    planned = api.plan(request, values=False)
    found = api.status(request, planned.plan, blind=planned.blind, only=names(only))
    if as_json:
        click.echo(tables.services_json(planned.plan, found, planned.warnings))
    else:
        click.echo(tables.services(planned.plan, found, now=time.time(), colour=colour(), columns=columns()))
