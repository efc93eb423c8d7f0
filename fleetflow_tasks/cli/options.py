# SPDX-License-Identifier: Apache-2.0
"""The options that many commands share, and how they become an `api.Request`."""

import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import click

from fleetflow_tasks import api
from fleetflow_tasks.errors import Problem

AnyCommand = Callable[..., Any]


def project_options(command: AnyCommand) -> AnyCommand:
    """Which file, which stage (also as the first word), which variables: the command gets them as one argument, `request`."""
    return click.argument("stage_argument", metavar="[STAGE]", required=False)(named_stage_options(command))


def named_stage_options(command: AnyCommand) -> AnyCommand:
    """As `project_options`, for commands whose words are something else than a stage."""

    @functools.wraps(command)
    def bundled(stage_argument: str | None = None, **given: Any) -> Any:
        shared = {name: given.pop(name) for name in _SHARED}
        return command(request=_request(stage_argument, **shared), **given)

    wrapped: AnyCommand = bundled
    for option in reversed(_PROJECT):
        wrapped = option(wrapped)
    return wrapped


_SHARED = ("stage", "file", "directory", "variables", "runtime", "strict")

_PROJECT: tuple[Callable[[Any], Any], ...] = (
    click.option("-s", "--stage", help="The stage; else FLEETFLOW_STAGE, `local`, or the only one."),
    click.option(
        "-f",
        "--file",
        type=click.Path(),
        help="The KDL file, relative to -C; else it is looked for from there upwards.",
    ),
    click.option(
        "-C", "--directory", type=click.Path(exists=True, file_okay=False), default=".", help="Begin in this folder."
    ),
    click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; may be repeated."),
    click.option("--runtime", help="Deploy to this runtime instead of the stage's own."),
    click.option("--strict", is_flag=True, help="Take warnings as errors."),
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say only how it ended.")
only_option = click.option(
    "--only", multiple=True, metavar="SERVICE[,…]", help="Only these services and what they depend on."
)


def names(only: tuple[str, ...]) -> tuple[str, ...]:
    """`--only api,web --only db` -> ("api", "web", "db")."""
    return tuple(name.strip() for each in only for name in each.split(",") if name.strip())


def say(text: str) -> None:
    """A word beside the answer: it goes to stderr, so that stdout stays what was asked for."""
    click.echo(text, err=True)


def warn(problems: Sequence[Problem]) -> None:
    """Warnings and notes, to stderr."""
    if problems:
        from fleetflow_tasks.view.problems import render_all

        say(render_all(problems, colour=_is_coloured(sys.stderr)))


def unicode() -> bool:
    """Whether the answer may hold more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def colour() -> bool:
    """Whether the answer may be coloured."""
    return _is_coloured(sys.stdout)


def _is_coloured(stream: TextIO) -> bool:
    return not os.environ.get("NO_COLOR") and stream.isatty()


def _request(
    stage_argument: str | None,
    stage: str | None,
    file: str | None,
    directory: str,
    variables: tuple[str, ...],
    runtime: str | None,
    strict: bool,
) -> api.Request:
    """The shared options as one value. Raises click.UsageError for what cannot be meant."""
    if stage and stage_argument and stage != stage_argument:
        raise click.UsageError(f"two stages are named: `{stage_argument}` and `--stage={stage}`")
    return api.Request(
        directory=directory,
        file=file,
        stage=stage or stage_argument,
        variables=dict(_pair(each) for each in variables),
        runtime=runtime,
        strict=strict,
        environ=dict(os.environ),
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise click.UsageError(f"`--var {text}` is not of the form NAME=VALUE")
    return name.strip(), value
