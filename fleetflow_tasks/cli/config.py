# SPDX-License-Identifier: Apache-2.0
"""`flow config`: a stage as it is once everything is read, and where each value came from."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import (
    colour,
    columns,
    json_option,
    names,
    no_deps_option,
    only_option,
    project_options,
    warn,
)


@click.command("config")
@project_options
@only_option
@no_deps_option
@click.option(
    "--variables", "variables_asked", is_flag=True, help="The stage's variables instead: value, origin, users."
)
@click.option("--no-origins", is_flag=True, help="Without the origins: a file to keep.")
@json_option
def command(
    request: api.Request,
    only: tuple[str, ...],
    no_deps: bool,
    variables_asked: bool,
    no_origins: bool,
    as_json: bool,
) -> None:
    """Print a stage with everything filled in, and where each value came from.

    What is printed is a file that makes the same plan: one stage, images with their tags, env_files as the variables in
    them, paths in full. Secrets stay hidden, named by their source. Nothing is asked of any platform, and what it would
    refuse is not looked at: `flow validate` does that.
    """
    chosen = names(only, no_deps=no_deps)
    if variables_asked and chosen:
        raise click.UsageError("--variables is of a whole stage; leave --only out")
    if variables_asked:
        _variables(request, as_json=as_json)
    else:
        found = api.configured(request, only=chosen, with_dependencies=not no_deps)
        _config(found, origins=not no_origins, as_json=as_json)


def _config(found: "api.Configured", *, origins: bool, as_json: bool) -> None:
    from fleetflow_tasks.view import settled

    if as_json:
        click.echo(settled.as_json(found.settled, found.warnings))
        return
    warn(found.warnings)
    aligned = columns() is not None
    click.echo(settled.text(found.settled, found.row, origins=origins, aligned=aligned, colour=colour()))


def _variables(request: api.Request, *, as_json: bool) -> None:
    from fleetflow_tasks.view import settled

    known = api.known_variables(request)
    if as_json:
        click.echo(settled.variables_json(known.project, known.stage, known.variables, known.warnings))
        return
    warn(known.warnings)
    click.echo(settled.variables(known.variables, colour=colour()))
