# SPDX-License-Identifier: Apache-2.0
"""A run that workers carry out: told of in a line, or followed to its end and, if it is rolled back, to the end of that."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import say, warn, warn_along
from fleetflow_tasks.cli.screen import Screen
from fleetflow_tasks.errors import EXIT_FAILED, EXIT_OK, Problem

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import Run

SILENCE = 2.0  # seconds that one waits without a word
GOES_ON = "the run goes on: `flow watch {run}` follows it again, `flow cancel {run}` stops it"
SOON = "it is to be rolled back; the run that does it has not begun yet"
NOT_YET = "its rollback has not begun yet: `flow queue` says what it waits for"


def told_or_followed(
    following: "api.Following", *, wait: bool, as_json: bool, quiet: bool, warnings: Sequence[Problem] = ()
) -> int:
    """After a submit of any kind: the exit code, which with *wait* is the run's. warnings: that were said already."""
    found = [*warnings, *(_tell_again(following) if following.repeated else ())]
    if following.superseded and not quiet:
        say(_cancels(following.superseded))
    if not wait:
        return _told(following, found, as_json=as_json, quiet=quiet)
    if as_json and found:
        from fleetflow_tasks.view import jsonl

        click.echo(jsonl.problems(found))
    with nullcontext() if quiet or following.repeated else following.warned():
        return followed(following, as_json=as_json, quiet=quiet)


def followed(following: "api.Following", *, as_json: bool, quiet: bool) -> int:
    """The run's exit code. One that failed stays failed, however well it was rolled back."""
    screen = Screen(as_json=as_json, quiet=quiet, interrupted=GOES_ON)
    screen.follow(following)
    screen.end()
    if screen.exit_code == EXIT_FAILED and following.snapshot().run.rollback:
        _follow_rollback(following, as_json=as_json, quiet=quiet)
    return screen.exit_code


def _follow_rollback(failed: "api.Following", *, as_json: bool, quiet: bool) -> None:
    from fleetflow_tasks.view import because

    undoing = failed.undoing(patience=SILENCE)
    if undoing is None and failed.is_held():
        say(SOON)
        undoing = failed.undoing()
    if undoing is None:
        problem = failed.snapshot().run.problem
        return warn_along((problem,), as_json=as_json) if problem else say(NOT_YET)
    run = undoing.snapshot().run
    click.echo(because.rolling_back_json(failed.run, run) if as_json else f"\n{because.rolling_back(run)}")
    screen = Screen(as_json=as_json, quiet=quiet, interrupted=GOES_ON)
    screen.follow(undoing)
    screen.end()
    if not as_json:
        click.echo(because.rolled_back(failed.snapshot().run, undoing.snapshot().run))
    return None


def _told(following: "api.Following", warnings: Sequence[Problem], *, as_json: bool, quiet: bool) -> int:
    if as_json:
        return _told_as_json(following, warnings)
    from fleetflow_tasks.view.ink import queued

    run = following.snapshot().run
    click.echo(
        f"run {run.id} of {run.project}/{run.stage}: {queued(run.ahead) if run.status == 'queued' else run.status}"
    )
    if not quiet:
        say(f"follow it: flow watch {run.id}")
        warn(_unsafe(following))
    return EXIT_OK


def _told_as_json(following: "api.Following", warnings: Sequence[Problem]) -> int:
    from fleetflow_tasks.view import jsonl

    found = _unsafe(following)
    warn(found)
    again = {"repeated": following.repeated, "key": following.key}
    run = jsonl.of_run(following.snapshot().run)
    click.echo(jsonl.document("run", {**run, **again, "warnings": [*warnings, *found]}))
    return EXIT_OK


def _unsafe(following: "api.Following") -> Sequence[Problem]:
    problem = None if following.repeated else following.unsafe()
    return (problem,) if problem else ()


def _tell_again(following: "api.Following") -> Sequence[Problem]:
    """A run that was there already may have ended: then nobody should take its end for that of something done now."""
    from fleetflow_tasks.engine.dispatch import ago

    run = following.snapshot().run
    found = f"run {run.id} was found again by its key{_named(following.key)}"
    if run.ended is None:
        say(found)
        return ()
    if run.status == "succeeded":
        say(f"{found}: it ended {ago(following.clock()() - run.ended)} ago; nothing was done now")
        return ()
    problem = Problem(
        code="ended-then",
        message=f"{found}: it {'was cancelled' if run.status == 'cancelled' else 'failed'} then; nothing was tried now",
        fix=f"flow retry {run.id}, or submit with --idempotency-key=''",
        severity="warning",
    )
    warn((problem,))
    return (problem,)


def _cancels(runs: Sequence["Run"]) -> str:
    """`cancels run vqzgg02g of root@vm, running, and 1 in line`."""
    from fleetflow_tasks.view.because import short
    from fleetflow_tasks.view.ink import clean

    begun = [run for run in runs if run.status != "queued"]
    queued = len(runs) - len(begun)
    told = [f"run {short(run.id)}{f' of {clean(run.actor)}' if run.actor else ''}, {run.status}" for run in begun]
    return "cancels " + ", and ".join([*told, *([f"{queued} in line"] if queued else [])])


def _named(key: str | None) -> str:
    return f" `{key}`" if key else ""
