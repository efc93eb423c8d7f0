# SPDX-License-Identifier: Apache-2.0
"""`flow plan`: what `up` or `submit` would do, from one look at what runs."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import (
    canary_option,
    colour,
    columns,
    json_option,
    leave_options,
    names,
    no_deps_option,
    only_option,
    project_options,
    unicode,
    warn,
)

EXIT_CHANGES = 1


@click.command("plan")
@project_options
@only_option
@no_deps_option
@leave_options
@canary_option
@json_option
@click.option("--exit-code", is_flag=True, help="Leave with 1 where something would change, as `git diff` does.")
def command(request: api.Request, only: tuple[str, ...], no_deps: bool, as_json: bool, exit_code: bool) -> int:
    """Show what `up` or `submit` would change, and change nothing."""
    from fleetflow_tasks.view import changes, tables

    planned = api.plan(request, only=names(only, no_deps=no_deps), with_dependencies=not no_deps)
    warn(planned.warnings)
    found = api.changes(request, planned.plan)
    if as_json:
        click.echo(tables.changes_json(planned.plan, found, planned.warnings))
    else:
        head = api.destination(request, planned.plan)
        click.echo(changes.text(planned.plan, found, head=head, colour=colour(), unicode=unicode(), columns=columns()))
    return EXIT_CHANGES if exit_code and any(change.kind != "none" for change in found.values()) else 0
