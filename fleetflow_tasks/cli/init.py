# SPDX-License-Identifier: Apache-2.0
"""`flow init`: the first file of a project, from few questions.

Each question is an option too, and each has a default that was found in the folder. Where nobody can be asked the
defaults are taken, and said. All questions come before anything is written, so Ctrl-C leaves nothing behind.
"""

import os
from collections.abc import Callable
from pathlib import Path
from shlex import quote

import click

from fleetflow_tasks import api
from fleetflow_tasks.cli.confirm import somebody_is_there
from fleetflow_tasks.cli.options import say
from fleetflow_tasks.config.assemble import name_problem
from fleetflow_tasks.config.starter import FILE, LOCAL, Start

BUILD = "."  # said for an image: the one that the Dockerfile makes
NONE = "none"  # said for a port
EXAMPLE, EXAMPLE_PORT = "nginx:stable-alpine", 80  # small, and it answers
USUAL_PORT = 8080  # of a program that says nothing of its own
COMPOSE_PAGE = "docs/from-compose.md"

Check = Callable[[str], str]


def _name(kind: str) -> Check:
    def checked(text: str) -> str:
        if problem := name_problem(kind, text.strip(), None):
            raise _unfit(problem.message, problem.fix)
        return text.strip()

    return checked


def _image(text: str) -> str:
    from fleetflow_tasks.plan.image import ImageError, parse

    try:
        return text.strip() if text.strip() == BUILD else str(parse(text.strip()))
    except ImageError as error:
        raise _unfit(str(error), error.fix) from error


def _port(text: str) -> str:
    said = text.strip().lower()
    if said != NONE and not (said.isascii() and said.isdecimal() and len(said) <= 5 and 0 < int(said) <= 65535):
        raise _unfit(f"`{text}` is no port", f"give a number from 1 to 65535, or `{NONE}`")
    return said


def _unfit(message: str, fix: str) -> click.BadParameter:
    return click.BadParameter(f"{message}; {fix}" if fix else message)


def _checked(check: Check) -> Callable[[click.Context, click.Parameter, str | None], str | None]:
    return lambda ctx, param, text: None if text is None else check(text)


def _all_checked(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_name("stage"), texts)))


@click.command("init")
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(file_okay=False))
@click.option("--project", callback=_checked(_name("project")), help="Its name; else the folder's.")
@click.option(
    "-s", "--stage", "stages", multiple=True, callback=_all_checked, help="A stage; may be repeated; else `local`."
)
@click.option("--image", callback=_checked(_image), help="What to run; `.` is what the Dockerfile here makes.")
@click.option("--port", callback=_checked(_port), help="That it listens on, or `none`.")
@click.option("--no-input", is_flag=True, help="Never ask: take what was found, and say it.")
@click.option("--force", is_flag=True, help="Although the folder is inside another project.")
def command(
    directory: str,
    project: str | None,
    stages: tuple[str, ...],
    image: str | None,
    port: str | None,
    no_input: bool,
    force: bool,
) -> None:
    """Begin a project: look around, ask what is not clear, and write a `fleet.kdl` that `flow up` deploys as it stands.

    Nothing that is there is overwritten. A git repository is told to leave `.env` out.
    """
    folder = Path(os.path.abspath(directory))  # noqa: PTH100  (`resolve` would follow links, and messages would name what nobody typed)
    found = api.surroundings(folder, os.environ, nested=force)
    _can_build(image, found)
    _tell(found)
    questions = _Questions(asks=not no_input and somebody_is_there())
    name = questions.answer(project, "Project", found.project, "project {}, after the folder", _name("project"))
    runs = _what(questions, image, found)
    listens = _where(questions, port, runs, found)
    ignore = found.ignore if questions.agrees_to(found.ignore) else ()
    start = Start(
        project=name,
        stages=stages or (LOCAL,),
        image="" if runs == BUILD else runs,
        port=None if listens == NONE else int(listens),
    )
    written = api.begun(folder, start, ignore=ignore)
    _told(Path(directory), start, written, ignore)


class _Questions:
    def __init__(self, *, asks: bool) -> None:
        self.asks = asks

    def answer(self, given: str | None, question: str, default: str, taken: str, check: Check) -> str:
        """What was given, else what is answered, else the default. taken: how to say that it is that one."""
        if given is not None:
            return given
        if not self.asks:
            say(taken.format(default))
            return default
        answered: str = click.prompt(question, default=default, value_proc=check, err=True)
        return answered

    def agrees_to(self, ignore: tuple[str, ...]) -> bool:
        if not ignore or not self.asks:
            return True
        return click.confirm(f"Add {', '.join(ignore)} to {api.IGNORED}, to keep secrets out of git?", True, err=True)


def _what(questions: _Questions, image: str | None, found: "api.Surroundings") -> str:
    def check(text: str) -> str:
        _can_build(text.strip(), found)
        return _image(text)

    if found.built:
        question = f"Image to run, or `{BUILD}` for the Dockerfile here"
        return questions.answer(image, question, BUILD, "image from the Dockerfile here", check)
    return questions.answer(image, "Image to run", EXAMPLE, "image {}, as an example: --image names another", check)


def _can_build(image: str | None, found: "api.Surroundings") -> None:
    if image == BUILD and not found.built:
        raise _unfit(f"there is no Dockerfile in {found.folder}", "name an image")


def _where(questions: _Questions, port: str | None, runs: str, found: "api.Surroundings") -> str:
    likely, why = NONE, "nothing is known of that image: --port says it"
    if runs == EXAMPLE:
        likely, why = str(EXAMPLE_PORT), "where it answers"
    elif runs == BUILD:
        likely, why = (str(found.port), found.port_from) if found.port else (str(USUAL_PORT), "as many use it")
    return questions.answer(port, f"Port that it listens on, or `{NONE}`", likely, f"port {{}}, {why}", _port)


def _tell(found: "api.Surroundings") -> None:
    if found.manifest and not found.built:
        say(f"{found.manifest} is here and no Dockerfile: with one, `flow init --image .` builds and runs it")
    if found.compose:
        say(f"{found.compose} is here: {COMPOSE_PAGE} shows how each of its keys is written in KDL")


def _told(where: Path, start: Start, written: tuple[str, ...], ignore: tuple[str, ...]) -> None:
    stages = ", ".join(f"`{stage}`" for stage in start.stages)
    what = start.image or "the Dockerfile here"
    click.echo(
        f"wrote {where / FILE}: project `{start.project}`, stage {stages}, service `{start.service}` from {what}"
    )
    if api.IGNORED in written:
        click.echo(f"wrote {where / api.IGNORED}: {', '.join(ignore)}")
    click.echo("\nNext:")
    if where != Path():
        click.echo(f"  cd {quote(str(where))}")
    stage = f" {start.stages[0]}" if len(start.stages) > 1 and LOCAL not in start.stages else ""
    click.echo(f"  flow plan{stage}  # shows what would be done")
    click.echo(f"  flow up{stage}    # does it")
