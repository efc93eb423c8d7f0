# SPDX-License-Identifier: Apache-2.0
"""`flow worker`: this process serves queues until it is stopped."""

import os

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.cli.options import span


@click.command("worker")
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE…", shell_complete=completing.runtimes)
@click.option(
    "-c",
    "--concurrency",
    type=click.IntRange(min=1, max=1000),
    help="Steps at once; by default 16 for docker, 100 for kubernetes, 32 for others.",
)
@click.option(
    "--recycle", callback=span, metavar="TIME", help="End after this time, when idle, to be started anew: 12h, 7d."
)
def command(queues: tuple[str, ...], concurrency: int | None, recycle: float | None) -> None:
    """Carry out the steps of one or more queues until stopped.

    A queue is named after its runtime, `docker`, or after one Docker host, `docker.web1`. SIGTERM or Ctrl-C: take
    nothing new, hand back what only waits, finish the rest within 30 seconds.
    """
    api.work(api.Request(environ=dict(os.environ)), queues, slots=concurrency, recycle=recycle)
