# SPDX-License-Identifier: Apache-2.0
"""`flow cancel`: a run told to stop. What runs hears of it within five seconds and stops at its next safe point."""

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import colour, here, json_option, quiet_option, run_argument
from fleetflow_tasks.errors import EXIT_OK, CancelledError


@click.command("cancel")
@run_argument
@click.option("--now", is_flag=True, help="Take its running steps from their workers, instead of waiting for them.")
@click.option("-w", "--wait", is_flag=True, help="Follow the run until it has ended.")
@json_option
@quiet_option
def command(run: str, now: bool, wait: bool, as_json: bool, quiet: bool) -> int:
    """Stop a run: nothing new begins, what runs stops at its next safe point. RUN is its id, or its last letters, at least 4.

    With --now nobody waits for what runs. What a worker is in the middle of may still land then; the stage's next run
    waits until that cannot be any more.
    """
    from fleetflow_tasks.view import cancelling

    with api.followed(here(), run) as following:
        before = following.stoppable()
        following.cancel(now=now)
        after = following.snapshot()
        if wait and not cancelling.is_over(after):
            return _waited(following, as_json=as_json, quiet=quiet)
        click.echo(cancelling.as_json(after) if as_json else cancelling.text(before, after, now=now, colour=colour()))
    return EXIT_OK


def _waited(following: "api.Following", *, as_json: bool, quiet: bool) -> int:
    from fleetflow_tasks.cli.follow import followed

    code = followed(following, as_json=as_json, quiet=quiet)
    return EXIT_OK if code == CancelledError.exit_code else code
