# SPDX-License-Identifier: Apache-2.0
"""`flow graph`: a stage's services and steps and what waits for what, as text or for a drawing program."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option, names, no_deps_option, only_option, project_options, unicode, warn


@click.command("graph")
@project_options
@only_option
@no_deps_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "steps", "dot", "mermaid"]),
    default="tree",
    show_default=True,
    help="tree: services; steps: each step with the cause of each wait; the others for programs.",
)
@json_option
def command(request: api.Request, only: tuple[str, ...], no_deps: bool, form: str, as_json: bool) -> None:
    """Show what waits for what in a stage."""
    from fleetflow_tasks.view import graph

    chosen = names(only, no_deps=no_deps)
    planned = api.plan(request, only=chosen, with_dependencies=not no_deps, values=False)
    warn(planned.warnings)
    if as_json:
        click.echo(graph.as_json(planned.plan, planned.warnings))
        return
    match form:
        case "tree":
            click.echo(graph.tree(planned.plan, unicode=unicode()))
        case "steps":
            click.echo(graph.steps(planned.plan))
        case "dot":
            click.echo(graph.dot(planned.plan))
        case _:
            click.echo(graph.mermaid(planned.plan))
