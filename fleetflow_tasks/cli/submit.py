# SPDX-License-Identifier: Apache-2.0
"""`flow submit`: a stage handed to the workers; they carry it out whether anybody watches or not."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import json_option, names, only_option, project_options, quiet_option, say, warn
from fleetflow_tasks.engine.model import Conflict


@click.command("submit")
@project_options
@only_option
@click.option("-w", "--wait", is_flag=True, help="Follow the run; the exit code is then the run's.")
@click.option("--no-wait", is_flag=True, help="Fail where another run has the stage, instead of waiting in line.")
@click.option("--supersede", is_flag=True, help="Cancel the stage's other runs and take their place.")
@click.option("--fail-fast", is_flag=True, help="Begin nothing new once a step has failed.")
@click.option("--wait-workers", is_flag=True, help="Submit even where no worker serves a queue yet.")
@click.option("--idempotency-key", "key", help="A submit with a key that was used before finds its run.")
@json_option
@quiet_option
def command(
    request: api.Request,
    only: tuple[str, ...],
    wait: bool,
    no_wait: bool,
    supersede: bool,
    fail_fast: bool,
    wait_workers: bool,
    key: str | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Hand a stage to the workers.

    With --wait the run is followed to its end. Ctrl-C then ends the following, not the run.
    """
    planned = api.plan(request, only=names(only))
    warn(planned.warnings)
    with api.submitted(
        request,
        planned.plan,
        conflict=_conflict(no_wait=no_wait, supersede=supersede),
        key=key,
        fail_fast=fail_fast,
        wait_workers=wait_workers,
    ) as following:
        return _followed(following, as_json=as_json, quiet=quiet) if wait else _told(following, as_json=as_json)


def _conflict(*, no_wait: bool, supersede: bool) -> Conflict:
    if no_wait and supersede:
        raise click.UsageError("--no-wait and --supersede exclude each other")
    return "fail" if no_wait else "supersede" if supersede else "wait"


def _followed(following: api.Following, *, as_json: bool, quiet: bool) -> int:
    from fleetflow_tasks.cli.show import Screen

    if following.repeated:
        say(f"run {following.run} was found again by its key")
    screen = Screen(as_json=as_json, quiet=quiet, interrupted=GOES_ON)
    screen.follow(following)
    screen.end()
    return screen.exit_code


GOES_ON = "the run goes on: `flow watch {run}` follows it again, `flow cancel {run}` stops it"


def _told(following: api.Following, *, as_json: bool) -> int:
    from fleetflow_tasks.view.ink import queued

    run = following.snapshot().run
    if as_json:
        from fleetflow_tasks.view import jsonl

        click.echo(jsonl.document("run", {"run": run}))
        return 0
    found = ", found again by its key" if following.repeated else ""
    status = queued(run.ahead) if run.status == "queued" else run.status
    click.echo(f"run {run.id} of {run.project}/{run.stage}: {status}{found}")
    click.echo(f"follow it: flow watch {run.id}", err=True)
    return 0
