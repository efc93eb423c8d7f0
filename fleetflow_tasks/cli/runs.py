# SPDX-License-Identifier: Apache-2.0
"""`flow runs`: what was deployed, by whom, and how it ended."""

from typing import get_args

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import colour, columns, here, json_option, place, say, span, stage_name_options, word
from fleetflow_tasks.engine.model import RunStatus


@click.command("runs")
@stage_name_options
@click.option("--status", multiple=True, metavar="STATUS[,…]", help=f"Only these: {', '.join(get_args(RunStatus))}.")
@click.option("--actor", metavar="USER[@HOST]", help="Only what this user began.")
@click.option("--mine", is_flag=True, help="Only what you began from this machine.")
@click.option("--since", callback=span, metavar="AGE", help="Only what is younger: 30m, 2h, 7d.")
@click.option("-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@json_option
def command(
    stage_argument: str | None,
    stage: str | None,
    project: str | None,
    status: tuple[str, ...],
    actor: str | None,
    mine: bool,
    since: float | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the newest runs on this Redis: of all stages, or of STAGE, which may be written PROJECT/STAGE."""
    from fleetflow_tasks.view import tables

    if mine and actor:
        raise click.UsageError("--mine and --actor exclude each other")
    named_project, named_stage = place(stage_argument, stage, project)
    found, now = api.runs(
        here(),
        project=named_project,
        stage=named_stage,
        statuses=[word(each, get_args(RunStatus), "status") for given in status for each in given.split(",")],
        actor=api.actor(here()) if mine else actor,
        since=since,
        limit=limit,
    )
    narrowed = any((status, actor, mine, since))
    if as_json:
        click.echo(tables.runs_json(found))
    else:
        text = tables.runs(found, now=now, colour=colour(), columns=columns())
        click.echo(text if found else tables.no_runs(named_project, named_stage, narrowed=narrowed))
    if not (found or narrowed or named_project or named_stage) and (redis := api.which_redis(here())):
        say(redis)
