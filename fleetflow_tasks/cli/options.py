# SPDX-License-Identifier: Apache-2.0
"""The options that many commands share, and how they become an `api.Request`."""

import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click
from msgspec.structs import replace

from fleetflow_tasks import api
from fleetflow_tasks.cli import completing
from fleetflow_tasks.errors import Problem

AnyCommand = Callable[..., Any]
Known = TypeVar("Known", bound=str)


def project_options(command: AnyCommand) -> AnyCommand:
    """Which file, which stage (also as the first word), which variables: the command gets them as one argument, `request`."""
    return click.argument("stage_argument", metavar="[STAGE]", required=False, shell_complete=completing.stages)(
        named_stage_options(command)
    )


def named_stage_options(command: AnyCommand) -> AnyCommand:
    """As `project_options`, for commands whose words are something else than a stage."""
    return _bundled(command, _PROJECT)


def long_file_options(command: AnyCommand) -> AnyCommand:
    """As `named_stage_options`, for a command whose `-f` follows, as it does with every other tool that shows logs."""
    return _bundled(command, tuple(_LONG_FILE if option is _FILE else option for option in _PROJECT))


def file_options(command: AnyCommand) -> AnyCommand:
    """As `project_options`, for commands that name their stages in another way: the request names none."""
    return _bundled(command, _PROJECT[1:])


def _bundled(command: AnyCommand, options: Sequence[Callable[[Any], Any]]) -> AnyCommand:
    @functools.wraps(command)
    def bundled(stage_argument: str | None = None, **given: Any) -> Any:
        shared = {name: given.pop(name, None) for name in _SHARED}
        return command(request=_request(stage_argument, **shared), **given)

    wrapped: AnyCommand = bundled
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


_SHARED = ("stage", "file", "directory", "variables", "runtime", "strict")

_FILE_HELP = "The KDL file, relative to -C; else it is looked for from there upwards."
_FILE = click.option("-f", "--file", type=click.Path(), help=_FILE_HELP)
_LONG_FILE = click.option("--file", type=click.Path(), help=_FILE_HELP)

_PROJECT: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "-s",
        "--stage",
        shell_complete=completing.stages,
        help="The stage; else FLEETFLOW_STAGE, `local`, or the only one.",
    ),
    _FILE,
    click.option(
        "-C", "--directory", type=click.Path(exists=True, file_okay=False), default=".", help="Begin in this folder."
    ),
    click.option("--var", "variables", multiple=True, metavar="NAME=VALUE", help="Set a variable; may be repeated."),
    click.option("--runtime", shell_complete=completing.runtimes, help="Take this runtime instead of the stage's own."),
    click.option("--strict", is_flag=True, help="Take warnings as errors."),
)


def span(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """An option's callback: a length of time as people write it -> seconds."""
    from fleetflow_tasks.config.quantity import seconds

    passed = seconds(text) if text is not None else None
    if text is not None and not passed:
        raise click.BadParameter(f"`{text}` is no length of time; write 90, 30s, 5m or 1h30m")
    return passed


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say only how it ended.")
only_option = click.option(
    "--only",
    multiple=True,
    metavar="SERVICE[,…]",
    shell_complete=completing.several_services,
    help="Only these services and what they depend on.",
)

named_alone_option = click.option(
    "--only",
    multiple=True,
    metavar="SERVICE[,…]",
    shell_complete=completing.several_services,
    help="Only these services, not what they depend on.",
)


no_deps_option = click.option("--no-deps", is_flag=True, help="With --only: leave what they depend on as it is.")
timeout_option = click.option(
    "--timeout", callback=span, metavar="TIME", help="End the run if it is not done by then: 90, 30s, 10m, 1h."
)
adopt_option = click.option(
    "--adopt-engine", "adopt", is_flag=True, help="Take the stage to the engine that answers now, if it was on another."
)
wait_option = click.option("-w", "--wait", is_flag=True, help="Follow the run; the exit code is then the run's.")
run_argument = click.argument("run", shell_complete=completing.runs)
pod_option = click.option(
    "--pod",
    default="",
    metavar="N",
    help="Which of several: its number from 1, the oldest first, or how its name ends.",
)


rollback_option = click.option(
    "--rollback", is_flag=True, help="Should the run fail, deploy the stage's last good plan again."
)
fail_fast_option = click.option("--fail-fast", is_flag=True, help="Begin nothing new once a step has failed.")
wait_workers_option = click.option(
    "--wait-workers", is_flag=True, help="Submit even where no worker serves a queue yet."
)


def leave_options(command: AnyCommand) -> AnyCommand:
    """What this one deployment may take over or lose, on Kubernetes: it goes into `request`, which is made where none is."""

    @functools.wraps(command)
    def allowed(
        force_conflicts: bool, replaced: tuple[str, ...], request: api.Request | None = None, **given: Any
    ) -> Any:
        leave = {"force_conflicts": force_conflicts, "replaced": _several(replaced)}
        return command(request=replace(request or here(), **leave), **given)

    force = click.option(
        "--force-conflicts", is_flag=True, help="Kubernetes: take over fields that another tool has set."
    )
    replaced = click.option(
        "--replace",
        "replaced",
        multiple=True,
        metavar="SERVICE[,…]",
        shell_complete=completing.several_services,
        help="Kubernetes: make it anew where a change is not taken otherwise; it is away meanwhile.",
    )
    wrapped: AnyCommand = force(replaced(allowed))
    return wrapped


def canary_option(command: AnyCommand) -> AnyCommand:
    """How many of the requests a new version gets in this one deployment, on Cloud Run: it goes into `request`."""

    @functools.wraps(command)
    def shared(canary: int | None, request: api.Request, **given: Any) -> Any:
        return command(request=replace(request, canary=canary), **given)

    option = click.option(
        "--canary",
        type=click.IntRange(0, 100),
        metavar="N",
        help="Cloud Run: a new version gets N percent of the requests, until `promote-traffic` or `rollback`.",
    )
    wrapped: AnyCommand = option(shared)
    return wrapped


def conflict_options(command: AnyCommand) -> AnyCommand:
    """What to do about the stage's other runs: the command gets it as `conflict`."""

    @functools.wraps(command)
    def decided(no_wait: bool, supersede: bool, **given: Any) -> Any:
        if no_wait and supersede:
            raise click.UsageError("--no-wait and --supersede exclude each other")
        return command(conflict="fail" if no_wait else "supersede" if supersede else "wait", **given)

    supersede = click.option("--supersede", is_flag=True, help="Cancel the stage's other runs and take their place.")
    no_wait = click.option(
        "--no-wait", is_flag=True, help="Fail where another run has the stage, instead of waiting in line."
    )
    wrapped: AnyCommand = no_wait(supersede(decided))
    return wrapped


def stage_name_options(command: AnyCommand) -> AnyCommand:
    """A stage as Redis knows it, for commands that read no files; `place` makes sense of the three."""
    for option in (
        click.option("-p", "--project", help="The project."),
        click.option("-s", "--stage", shell_complete=completing.stages, help="The stage."),
        click.argument("stage_argument", metavar="[STAGE]", required=False, shell_complete=completing.stages),
    ):
        command = option(command)
    return command


def place(stage_argument: str | None, stage: str | None, project: str | None) -> tuple[str | None, str | None]:
    """Project and stage, either None where it was not said. `shop/stg` says both. Raises click.UsageError."""
    first, slash, second = (stage_argument or "").partition("/")
    said = {"project": first if slash else "", "stage": second if slash else first}
    for name, option in (("project", project), ("stage", stage)):
        if option and said[name] and option != said[name]:
            raise click.UsageError(f"two {name}s are named: `{said[name]}` and `--{name}={option}`")
    return project or said["project"] or None, stage or said["stage"] or None


def project_here(named: str | None) -> str | None:
    """*named*, else the project in whose folder one stands: a verb without a name never means another one's stage."""
    from fleetflow_tasks.config.names import names as written

    return named or written(Path.cwd()).project or None


def word(given: str, known: Sequence[Known], kind: str) -> Known:
    """One of a few words. Raises click.UsageError, with the one that was probably meant."""
    found = next((each for each in known if each == given.strip()), None)
    if found is None:
        from fleetflow_tasks.config.nearest import suggestion

        raise click.UsageError(f"unknown {kind} `{given}`; {suggestion(given, known)}")
    return found


def names(only: tuple[str, ...], *, no_deps: bool = False) -> tuple[str, ...]:
    """`--only api,web --only db` -> ("api", "web", "db"). Raises click.UsageError for --no-deps without it, or no name in it."""
    found = _several(only)
    if only and not found:
        raise click.UsageError("--only names no service")
    if no_deps and not found:
        raise click.UsageError("--no-deps needs --only: which services are meant?")
    return found


def _several(given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for each in given for name in each.split(",") if name.strip())


def say(text: str) -> None:
    """A word beside the answer: it goes to stderr, so that stdout stays what was asked for."""
    from fleetflow_tasks.view.ink import wrapped

    wide = _columns(sys.stderr)
    click.echo("\n".join(part for line in text.splitlines() for part in wrapped(line, wide, hang=2)), err=True)


@contextmanager
def told_if_interrupted(text: str) -> Iterator[None]:
    """Ctrl-C in the block still ends the command, but not without *text*."""
    try:
        yield
    except KeyboardInterrupt as stopped:
        say(text)
        stopped.add_note(text)
        raise


def warn(problems: Sequence[Problem]) -> None:
    """Warnings and notes, to stderr."""
    if problems:
        from fleetflow_tasks.view.problems import render_all

        click.echo(render_all(problems, colour=_is_coloured(sys.stderr), columns=_columns(sys.stderr)), err=True)


def warn_along(problems: Sequence[Problem], *, as_json: bool) -> None:
    """As `warn`, of a command that prints many lines: under --json it is one of them."""
    warn(problems)
    if problems and as_json:
        from fleetflow_tasks.view import jsonl

        click.echo(jsonl.problems(problems))


def unicode() -> bool:
    """Whether the answer may hold more than ASCII."""
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def colour() -> bool:
    """Whether the answer may be coloured."""
    return _is_coloured(sys.stdout)


def columns() -> int | None:
    """How wide the answer may be; None where it goes to a file or a program, which have room."""
    return _columns(sys.stdout)


def here() -> api.Request:
    """A request of a command that reads no files: only the environment counts."""
    return api.Request(environ=dict(os.environ))


def _columns(stream: TextIO) -> int | None:
    return shutil.get_terminal_size().columns if stream.isatty() else None


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
