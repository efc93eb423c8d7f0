# SPDX-License-Identifier: Apache-2.0
"""`flow version`: what this FleetFlow is made of."""

import click

from fleetflow_tasks.cli.options import colour, json_option


@click.command("version")
@json_option
def command(as_json: bool) -> None:
    """Show the version, Python, the packages of each runtime, and the numbers that workers and programs have to fit.

    Nothing is asked and nothing is loaded: `flow doctor` looks whether it all works. `flow --version` prints the number alone.
    """
    from fleetflow_tasks import api
    from fleetflow_tasks.view import installed

    found = api.installed()
    click.echo(installed.as_json(found) if as_json else installed.text(found, colour=colour()))
