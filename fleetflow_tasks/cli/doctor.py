# SPDX-License-Identifier: Apache-2.0
"""`flow doctor`: is everything there that a deployment needs, and is it fit?"""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import colour, columns, json_option, project_options, unicode
from fleetflow_tasks.errors import EXIT_OK, UnavailableError


@click.command("doctor")
@project_options
@json_option
def command(request: api.Request, as_json: bool) -> int:
    """Look at Redis, keys, workers and engines, and say what is wrong and how it is mended.

    Nothing is started for it. The exit code is 4 where something keeps a deployment from going through.
    """
    from fleetflow_tasks.view import checkup

    found = api.checkup(request)
    click.echo(
        checkup.as_json(found)
        if as_json
        else checkup.text(found, colour=colour(), unicode=unicode(), columns=columns())
    )
    return EXIT_OK if checkup.is_well(found) else UnavailableError.exit_code
