# SPDX-License-Identifier: Apache-2.0
"""`flow graph`: a stage's services and steps and what waits for what, as text or for a drawing program."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import names, only_option, project_options, unicode, warn


@click.command("graph")
@project_options
@only_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "steps", "dot", "mermaid", "json"]),
    default="tree",
    show_default=True,
    help="tree: services; steps: each step with the cause of each wait; the others for programs.",
)
def command(request: api.Request, only: tuple[str, ...], form: str) -> None:
    """Show what waits for what in a stage."""
    from fleetflow_tasks.view import graph

    planned = api.plan(request, only=names(only))
    warn(planned.warnings)
    match form:
        case "tree":
            click.echo(graph.tree(planned.plan, unicode=unicode()))
        case "steps":
            click.echo(graph.steps(planned.plan))
        case "dot":
            click.echo(graph.dot(planned.plan))
        case "mermaid":
            click.echo(graph.mermaid(planned.plan))
        case _:
            click.echo(graph.as_json(planned.plan))
