# SPDX-License-Identifier: Apache-2.0
"""Leave for what cannot be undone: a question on the terminal, or `--yes`.

The question goes to stderr, so that stdout stays what was asked for. Where nobody can answer (no terminal, `--no-input`)
nobody is taken to agree: the command is refused before it does anything, and says how to call it.
"""

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import click

from fleetflow_tasks.errors import CancelledError, Problem, RefusedError

AnyCommand = Callable[..., Any]

yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask: yes, data may be lost.")
no_input_option = click.option("--no-input", is_flag=True, help="Never ask; what needs an answer is refused.")


class Confirm(Protocol):
    """`confirmed`, with what was said on the command line."""

    def __call__(self, question: str, *, about: Sequence[str] = ()) -> None: ...


def confirm_options(command: AnyCommand) -> AnyCommand:
    """`--yes` and `--no-input`: the command gets them as `confirm`, which it calls with its question."""

    @functools.wraps(command)
    def asking(yes: bool, no_input: bool, **given: Any) -> Any:
        return command(confirm=functools.partial(confirmed, yes=yes, no_input=no_input), **given)

    wrapped: AnyCommand = yes_option(no_input_option(asking))
    return wrapped


def confirmed(question: str, *, about: Sequence[str] = (), yes: bool, no_input: bool = False) -> None:
    """Return if the answer is yes. question: a whole sentence, `Remove 2 volumes and the data in them?`.

    about: lines that say what it is about, above it.
    Raises CancelledError for a no, RefusedError where nobody can be asked, and click.Abort for Ctrl-C and Ctrl-D.
    """
    if not yes and (no_input or not somebody_is_there()):
        raise RefusedError(_unasked(question, about, no_input=no_input))
    for line in about:
        click.echo(line, err=True)
    if not yes and not click.confirm(question, default=False, err=True):
        raise CancelledError(Problem(code="declined", message="nothing was done: the answer was no"))


def somebody_is_there() -> bool:
    """Who cannot see the question cannot have answered it, whatever stdin holds."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _unasked(question: str, about: Sequence[str], *, no_input: bool) -> Problem:
    why = "`--no-input` forbids to ask" if no_input else "there is no terminal to ask on"
    return Problem(
        code="not-confirmed",
        message=f"not confirmed, so nothing was done: {question}",
        cause=(*about, why),
        fix="if that is meant, add `--yes`",
    )
