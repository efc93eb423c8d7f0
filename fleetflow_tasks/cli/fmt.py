# SPDX-License-Identifier: Apache-2.0
"""`flow fmt`: KDL in the one form that it has here, comments and meaning kept."""

import os
import sys
from collections.abc import Sequence

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.options import colour, columns, json_option, say, warn
from fleetflow_tasks.config.limits import MAX_SIZE
from fleetflow_tasks.errors import EXIT_FAILED, EXIT_OK

STDIN = "standard input"


@click.command("fmt")
@click.argument("files", nargs=-1, type=click.Path(allow_dash=True), metavar="[FILE]...")
@click.option("-f", "--file", type=click.Path(), help="The project's KDL file; else it is looked for upwards.")
@click.option(
    "-C", "--directory", type=click.Path(exists=True, file_okay=False), default=".", help="Begin in this folder."
)
@click.option(
    "--check", is_flag=True, help="Write nothing; name what would change, and leave with 1 if anything would."
)
@click.option("--diff", is_flag=True, help="As --check, and show what would change.")
@json_option
def command(files: tuple[str, ...], file: str | None, directory: str, check: bool, diff: bool, as_json: bool) -> int:
    """Format KDL: these files, or all of the project; `-` reads standard input and prints the result.

    \b
      flow fmt                       every file of the project, includes and all stages too
      flow fmt services/api.kdl      this one
      flow fmt --check               for CI: names what is not formatted, and leaves with 1
      flow fmt - < fleet.kdl         for an editor

    Comments, templates, strings and the version of KDL stay as they are. A file with an error in it is left alone.
    """
    if "-" in files and len(files) > 1:
        raise click.UsageError("`-` cannot be formatted together with files")
    if files and file:
        raise click.UsageError("--file names a project, FILE single files: only one of them can be meant")
    if files == ("-",) and as_json:
        raise click.UsageError("`-` prints what standard input becomes: --json and it exclude each other")
    if files == ("-",):
        return _stdin(check=check, diff=diff)
    request = api.Request(directory=directory, file=file, environ=dict(os.environ))
    wrote = not (check or diff)
    done = api.formatted_files(request, files, write=wrote)
    code = EXIT_OK if wrote or not done.changed else EXIT_FAILED
    if as_json:
        return _tell_as_json(done, code, wrote=wrote)
    _tell(done.changed, diff=diff)
    warn(done.warnings)
    _summarise(done, wrote=wrote)
    if done.error is not None:
        raise done.error
    return code


def _tell_as_json(done: "api.Formatting", code: int, *, wrote: bool) -> int:
    from fleetflow_tasks.view import formatted

    problems = [*(done.error.problems if done.error else ()), *done.warnings]
    warn(problems)
    changed = [file.name for file in done.changed]
    same = [file.name for file in done.files if not file.changed]
    click.echo(formatted.as_json(changed, same, problems, wrote=wrote))
    return done.error.exit_code if done.error else code


def _stdin(*, check: bool, diff: bool) -> int:
    file, data = api.formatted_text(sys.stdin.buffer.read(MAX_SIZE + 1), STDIN)
    warn(file.warnings)
    if not (check or diff):
        click.echo(data, nl=False)
        return EXIT_OK
    _tell([file] if file.changed else [], diff=diff)
    return EXIT_FAILED if file.changed else EXIT_OK


def _tell(changed: "Sequence[api.FormattedFile]", *, diff: bool) -> None:
    for file in changed:
        if diff:
            from fleetflow_tasks.view import formatted

            click.echo(formatted.diff(file.name, file.old, file.new, colour=colour(), terminal=columns() is not None))
        else:
            click.echo(file.name)


def _summarise(done: "api.Formatting", *, wrote: bool) -> None:
    from fleetflow_tasks.view import formatted

    changed = len(done.changed)
    say(formatted.summary(changed, len(done.files) - changed, len(done.errors), wrote=wrote))
