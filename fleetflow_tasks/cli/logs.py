# SPDX-License-Identifier: Apache-2.0
"""`flow logs`: what the services of a stage print, interleaved as it comes."""

import time

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import (
    colour,
    json_option,
    long_file_options,
    named_alone_option,
    names,
    say,
    span,
)
from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import LogOptions


@click.command("logs")
@click.argument("services", nargs=-1, metavar="[SERVICE]…", shell_complete=completing.services)
@long_file_options
@named_alone_option
@click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
@click.option("-n", "--tail", type=click.IntRange(min=0), help="Only the last N lines of each service.")
@click.option("--since", callback=span, metavar="AGE", help="Only what is younger: 90, 30s, 5m, 1h.")
@click.option("-t", "--timestamps", is_flag=True, help="Put the time before each line.")
@click.option("-p", "--previous", is_flag=True, help="Kubernetes: what each container printed before its last restart.")
@json_option
def command(
    request: api.Request,
    services: tuple[str, ...],
    only: tuple[str, ...],
    follow: bool,
    tail: int | None,
    since: float | None,
    timestamps: bool,
    previous: bool,
    as_json: bool,
) -> None:
    """Show what the services of a stage print: all of them, or those that are named.

    Where a service has several pods each line says which, `api/x2kqp`. With --follow pods that come are followed too, and
    restarted containers go on. Kubernetes does not say on which stream a line came; --json calls it stdout.
    """
    from fleetflow_tasks.view import logs

    if previous and follow:
        raise click.UsageError("--previous and --follow exclude each other: what is over says nothing more")
    planned = api.plan(request, values=False)
    # Unix seconds of this machine; the platform compares them with its own clock.
    options = LogOptions(
        follow=follow,
        tail=tail,
        since=time.time() - since if since is not None else None,
        timestamps=timestamps,
        previous=previous,
    )
    lines = api.logs(request, planned.plan, [ServiceName(name) for name in (*services, *names(only))], options)
    shown = logs.Logs([service.name for service in planned.plan.services], timestamps=timestamps, colour=colour())
    silent = True
    for line in lines:
        click.echo(logs.as_json(line) if as_json else shown.line(line))
        silent = False
    if silent and previous:
        say("nothing that ran before a restart is known")
    elif silent and all(each.state == "missing" for each in api.status(request, planned.plan)):
        say(f"nothing of {planned.plan.project}/{planned.plan.stage} runs")
