# SPDX-License-Identifier: Apache-2.0
"""A static table of commands, each imported only when it is called, and the exit codes.

`flow --help` imports click and nothing else: the one-line help of a command stands in the table, not in its module.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING

import click

from fleetflow_tasks import __version__
from fleetflow_tasks.cli import failing, verbose
from fleetflow_tasks.errors import EXIT_UNREAD, EXITS, FleetFlowError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# name -> what it does, in one line. The module is `fleetflow_tasks.cli.<name>`, `_` for `-` and behind a word of Python's
# own; the command in it is called `command`.
COMMANDS = {
    "init": "Begin a project: write a first `fleet.kdl`.",
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
    "restart": "Start what runs of a stage anew, as it is.",
    "down": "Remove a stage's services; their data stays, unless told otherwise.",
    "plan": "Show what `up` or `submit` would change, and change nothing.",
    "diff": "Show what would change, field by field.",
    "render": "Print what would be sent to a platform, or write it as files.",
    "import": "Write KDL from what a platform runs already.",
    "validate": "Check the files, and change nothing.",
    "build": "Build the images of a stage, and push them where others deploy it.",
    "config": "Print a stage with everything filled in, and where each value came from.",
    "fmt": "Format KDL files; comments and meaning stay.",
    "graph": "Show a stage's steps and what waits for what.",
    "doctor": "Look at Redis, keys, workers and engines, and say what is wrong.",
    "version": "Show the version, and which runtimes are installed.",
    "completion": "Print what makes a shell complete commands and names on TAB.",
    "worker": "Carry out the steps of one or more queues until stopped.",
}

# What other tools call them. The nearest spelling would be another command: `restart` for `status`.
ELSEWHERE = {
    **dict.fromkeys(("apply", "create", "deploy", "install", "start", "upgrade"), "up"),
    **dict.fromkeys(("delete", "destroy", "rm", "stop", "uninstall"), "down"),
    **dict.fromkeys(("get", "list", "ls", "status"), "ps"),
    **dict.fromkeys(("check", "lint"), "validate"),
    **dict.fromkeys(("manifest", "template"), "render"),
    "format": "fmt",
    "history": "runs",
    "undo": "rollback",
}


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
        return verbose.told(cmd_name, command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            meant = ELSEWHERE.get(args[0]) or next(iter(get_close_matches(args[0], COMMANDS, n=1)), None)
            hint = f"; did you mean `{meant}`?" if meant else "; `flow --help` lists the commands"
            raise click.UsageError(f"unknown command `{args[0]}`{hint}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Raises UnreadError. click would end on a closed pipe by itself, and call it a failure."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as gone:
            raise UnreadError from gone

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """click would import every command for the line that stands in the table."""
        from click.shell_completion import CompletionItem

        commands = [CompletionItem(name, help=doc) for name, doc in COMMANDS.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXITS.items()])


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", "-V", prog_name="flow", message="%(prog)s %(version)s")
def flow() -> None:
    """One KDL file says what runs where; `flow` makes it so, on Docker here or through workers anywhere."""


def run(arguments: Sequence[str] | None = None) -> int:
    """`flow` with *arguments*; without, with the process's own. Returns the exit code.

    Each way to fail is told twice under `--json`: on stderr for people, and as one object on stdout.
    """
    words = sys.argv[1:] if arguments is None else arguments
    as_json = failing.asks_for_json(words)
    try:
        code = flow.main(args=list(words), prog_name="flow", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as left:
        return left.exit_code
    except click.Abort as abort:
        return failing.stopped(abort.__cause__, as_json=as_json)
    except click.ClickException as error:
        return failing.misused(error, as_json=as_json)
    except FleetFlowError as error:
        return failing.told(error, as_json=as_json)
    except KeyboardInterrupt as stopped:
        return failing.stopped(stopped, as_json=as_json)
    except UnreadError:
        # `flow logs | head` ends as whatever stands before a pipe does: as if by SIGPIPE, and without a word.
        failing.print_nowhere()
        return EXIT_UNREAD
    except OSError as error:
        full = failing.is_full(error, as_json=as_json)
        return failing.unwritten(error) if full else failing.reported(error, as_json=as_json)
    except Exception as unknown:  # the last of the three places that catch all  # noqa: BLE001
        return failing.reported(unknown, as_json=as_json)
