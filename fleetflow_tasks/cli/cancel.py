# SPDX-License-Identifier: Apache-2.0
"""`flow cancel`: a run told to stop. What has begun comes to its end; a step at a safe point stops within five seconds."""

import os

import click

from fleetflow_tasks import api


@click.command("cancel")
@click.argument("run")
def command(run: str) -> None:
    """Stop a run: what has begun ends, nothing new begins. RUN is its id, or the last letters of it."""
    with api.followed(api.Request(environ=dict(os.environ)), run) as following:
        following.cancel()
        status = following.snapshot().run.status
    click.echo(f"run {following.run}: {status}")
