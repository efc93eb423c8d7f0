# SPDX-License-Identifier: Apache-2.0
"""How a command that fails says so: on stderr for people, under `--json` as one object on stdout too, and by its exit code.

Whether JSON was asked for is read from the words themselves: a command line may be wrong before click has got that far.
"""

import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from fleetflow_tasks.cli.interrupted import exit_code
from fleetflow_tasks.errors import EXIT_INTERRUPTED, EXIT_UNWRITTEN, Bug, FleetFlowError, Problem

_EXTRA = "Got unexpected extra argument"  # click's words
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def asks_for_json(words: Sequence[str]) -> bool:
    """What stands behind `--` belongs to another command."""
    ours = words[: words.index("--")] if "--" in words else words
    return "--json" in ours


def told(error: FleetFlowError, *, as_json: bool) -> int:
    from fleetflow_tasks.cli.options import warn

    warn(error.problems)
    return _left(error.exit_code, *error.problems, as_json=as_json)


def misused(error: click.ClickException, *, as_json: bool) -> int:
    """The command line is wrong, which click says in its own way."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    error = _hinted(error, context)
    error.show()
    fix = f"{context.command_path} --help" if context else ""
    return _left(error.exit_code, Problem(code="usage", message=error.format_message(), fix=fix), as_json=as_json)


def _hinted(error: click.ClickException, context: click.Context | None) -> click.ClickException:
    hint = _hint(error, context) if context else ""
    return click.UsageError(f"{error.message.rstrip('.')}; {hint}", context) if hint else error


def _hint(error: click.ClickException, context: click.Context) -> str:
    """For who comes from another tool, where its habits end in something that click's words do not explain."""
    if isinstance(error, click.NoSuchOption) and context.parent is None:
        return "a command's options stand behind it, as in `flow up --file=fleet.kdl`"
    # Where a command takes a stage alone, a second word is a service.
    takes_services = any(param.name == "only" for param in context.command.params)
    return "services are named with --only" if takes_services and error.message.startswith(_EXTRA) else ""


def stopped(by: BaseException | None, *, as_json: bool) -> int:
    """By a signal, or at a question. Whoever did it sees that it ended; what is still worth knowing stands in *by*'s notes."""
    code = exit_code(by) if isinstance(by, KeyboardInterrupt) else EXIT_INTERRUPTED
    signaled = f"interrupted by {signal.Signals(code - 128).name}"
    problem = Problem(
        code="interrupted",
        message=signaled if isinstance(by, KeyboardInterrupt) else "a question was not answered",
        cause=tuple(getattr(by, "__notes__", ())),
    )
    return _left(code, problem, as_json=as_json)


def reported(unknown: Exception, *, as_json: bool) -> int:
    return told(_bug(unknown), as_json=as_json)


def _left(code: int, *problems: Problem, as_json: bool) -> int:
    if as_json:
        from fleetflow_tasks.view import jsonl

        try:
            click.echo(jsonl.problems(problems, code))
        except OSError:  # nobody reads it any more, or there is no room: the exit code still says it
            print_nowhere()
    return code


def is_full(error: OSError, *, as_json: bool) -> bool:
    """Whether it is the output that finds no room, and not some file of ours.

    Most of it goes through click; for the rest one more byte is tried, though not between lines that a program reads.
    """
    if error.errno not in _NO_ROOM:
        return False
    printed = any(frame.name == click.echo.__name__ for frame in traceback.extract_tb(error.__traceback__))
    if printed or as_json:
        return printed
    try:
        print(flush=True)
    except OSError:
        return True
    return False


def unwritten(error: OSError) -> int:
    print_nowhere()
    full = FleetFlowError(
        Problem(code="output-unwritten", message=f"the output could not be written: {error.strerror}")
    )
    told(full, as_json=False)
    return EXIT_UNWRITTEN


def print_nowhere() -> None:
    """Python would complain at its end of what it could not print."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _bug(unknown: Exception) -> Bug:
    """Keep the traceback where it can be sent from, and say in one line what happened."""
    logging.getLogger(__name__).debug("bug", exc_info=unknown)
    kept = _kept_traceback(unknown)
    where = f"the traceback is in {kept}" if kept else "".join(traceback.format_exception(unknown))
    return Bug(
        Problem(
            code="bug",
            message=f"a mistake in FleetFlow itself: {type(unknown).__name__}: {unknown}",
            cause=(where,),
            fix="report it, with that file",
        )
    )


def _kept_traceback(unknown: Exception) -> Path | None:
    from fleetflow_tasks.engine.settings import private_folder, state_folder

    try:
        path = private_folder(state_folder(os.environ)) / "last-bug.txt"
        path.write_text("".join(traceback.format_exception(unknown)), encoding="utf-8")
    except (OSError, FleetFlowError):
        return None
    return path
