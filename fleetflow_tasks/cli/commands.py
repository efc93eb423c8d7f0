# SPDX-License-Identifier: Apache-2.0
"""A static table of commands, each imported only when it is called, and the exit codes.

`flow --help` imports click and nothing else: the one-line help of a command stands in the table, not in its module.
"""

import errno
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from pathlib import Path

import click

from fleetflow_tasks import __version__
from fleetflow_tasks.cli.interrupted import exit_code
from fleetflow_tasks.errors import EXIT_INTERRUPTED, EXIT_UNREAD, EXIT_UNWRITTEN, Bug, FleetFlowError, Problem

# name -> what it does, in one line. The module is `fleetflow_tasks.cli.<name>`, `_` for `-` and behind a word of Python's
# own; the command in it is called `command`.
COMMANDS = {
    "up": "Deploy a stage from this machine and wait until it serves.",
    "submit": "Hand a stage to the workers.",
    "watch": "Follow a run that is under way, or read one that has ended.",
    "runs": "Show the newest runs: whose, when, how they ended.",
    "show": "Show how a run went: its plan, each step's times, what it changed.",
    "queue": "Show what runs and what waits in all stages, and why.",
    "cancel": "Stop a run: nothing new begins, what runs stops at its next safe point.",
    "retry": "Do again what a run did not; what it did is kept.",
    "rollback": "Deploy an earlier plan of a stage again.",
    "promote": "Deploy to one stage the very images that another one runs.",
    "promote-traffic": "Give a new version on Cloud Run more of the requests, or all.",
    "ps": "Show what runs in a stage.",
    "logs": "Show what the services of a stage print.",
    "exec": "Run a command inside a running service.",
    "port-forward": "Carry ports of this machine to a running service.",
    "down": "Remove a stage's services; volumes and their data stay.",
    "plan": "Show what `up` or `submit` would change, and change nothing.",
    "diff": "Show what would change, field by field.",
    "render": "Print what would be sent to a platform, or write it as files.",
    "import": "Write KDL from what a platform runs already.",
    "validate": "Check the files, and change nothing.",
    "graph": "Show a stage's steps and what waits for what.",
    "doctor": "Look at Redis, keys, workers and engines, and say what is wrong.",
    "worker": "Carry out the steps of one or more queues until stopped.",
}


_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class UnreadError(Exception):
    """Whoever read what `flow` prints has gone."""


class LazyCommands(click.Group):
    """A group that knows its commands by the table and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_") + ("_" if iskeyword(cmd_name) else "")
        command = import_module(f"fleetflow_tasks.cli.{name}").command
        assert isinstance(command, click.Command)  # noqa: S101
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"; did you mean `{near[0]}`?" if near else "; `flow --help` lists the commands"
            raise click.UsageError(f"unknown command `{args[0]}`{hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Raises UnreadError. click would end on a closed pipe by itself, and call it a failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as gone:
            raise UnreadError from gone

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", "-V", prog_name="flow", message="%(prog)s %(version)s")
def flow() -> None:
    """One KDL file says what runs where; `flow` makes it so, on Docker here or through workers anywhere.

    \b
    Exit codes:
      0  done                       4  Redis, an engine or a worker is not there
      1  the run ended badly        5  refused: a busy stage, another key
      2  the command line is wrong  6  the run was cancelled
      3  the files are wrong       70  a mistake in FleetFlow itself
    130  interrupted; it may go on 74  the output could not be written
    """


def run(arguments: Sequence[str] | None = None) -> int:
    """`flow` with *arguments*; without, with the process's own. Returns the exit code."""
    try:
        code = flow.main(args=arguments, prog_name="flow", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as left:
        return left.exit_code
    except click.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except FleetFlowError as error:
        _show(error)
        return error.exit_code
    except KeyboardInterrupt as stopped:
        return exit_code(stopped)
    except UnreadError:
        # `flow logs | head` ends as whatever stands before a pipe does: as if by SIGPIPE, and without a word.
        _print_nowhere()
        return EXIT_UNREAD
    except OSError as error:
        return _unwritten(error) if _is_full(error) else _report(error)
    except Exception as unknown:  # the last of the three places that catch all  # noqa: BLE001
        return _report(unknown)


def _is_full(error: OSError) -> bool:
    """Whether it is the output that finds no room, and not some file of ours: it is tried once more."""
    if error.errno not in _NO_ROOM:
        return False
    try:
        print(flush=True)
    except OSError:
        return True
    return False


def _unwritten(error: OSError) -> int:
    _print_nowhere()
    _show(FleetFlowError(Problem(code="unwritten", message=f"the output could not be written: {error.strerror}")))
    return EXIT_UNWRITTEN


def _print_nowhere() -> None:
    """Python would complain at its end of what it could not print."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(unknown: Exception) -> int:
    bug = _bug(unknown)
    _show(bug)
    return bug.exit_code


def _show(error: FleetFlowError) -> None:
    from fleetflow_tasks.cli.options import warn

    warn(error.problems)


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
