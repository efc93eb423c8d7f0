# SPDX-License-Identifier: Apache-2.0
"""The files that a stage's images are built of, read before a plan is made: what they hash to, and what is odd about them.

A plan names what will be built by its hash, so the files are read here; `plan` itself touches no disk.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from fleetflow_tasks.config.model import Build, Project, Service, ServiceName, StageName
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.model import Plan

if TYPE_CHECKING:  # what reads files and knows tar is loaded for who has something to build
    from fleetflow_tasks.context.content import Content
    from fleetflow_tasks.context.folder import ContextError

LARGE = 500_000_000  # bytes: half a minute on a fast line, sent anew for each build
WORTH = 1_000_000  # bytes: what is smaller is not why a context is large
SHOWN = 5  # of what cannot be sent

Contents = Mapping[ServiceName, str]


def contents(
    project: Project, name: StageName, *, but: Collection[ServiceName] = ()
) -> tuple[Contents, tuple[Problem, ...]]:
    """Hashes by service, of all that the stage builds, and what is wrong or odd. Services of one build are read once.

    but: services that get another image.
    """
    stage = project.stage(name)
    hashes: dict[ServiceName, str] = {}
    problems: list[Problem] = []
    found: dict[str, Content | ContextError] = {}
    for service in stage.services if stage is not None else ():
        if service.build is None or service.name in but:
            continue
        key = repr(service.build)
        answer = found[key] = found.get(key) or _read(Path(project.root), service.build)
        hashes |= {service.name: answer.hash} if not isinstance(answer, Exception) else {}
        problems += _problems(service, service.build, answer)
    return hashes, tuple(problems)


def unread(made: Plan) -> frozenset[ServiceName]:
    """The services whose files nobody has read."""
    return frozenset(each.name for each in made.services if each.build is not None and not each.build.hash)


def _read(root: Path, build: Build) -> "Content | ContextError":
    from fleetflow_tasks.context.content import read
    from fleetflow_tasks.context.folder import ContextError

    try:
        return read(root, build)
    except ContextError as error:
        return error


def _problems(service: Service, build: Build, answer: "Content | ContextError") -> Iterator[Problem]:
    if isinstance(answer, Exception):
        yield _placed(service, answer.problem, answer.field)
        return
    if answer.special:
        yield _placed(service, _special(build, answer.special), "context", "warning")
    if answer.size > LARGE:
        yield _placed(service, _large(build, answer), "context", "warning")


def _special(build: Build, names: tuple[str, ...]) -> Problem:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return Problem(
        code="build-special",
        message=f"what is no file, folder or link in `{build.context}` is not sent to the builder",
        cause=(", ".join(names[:SHOWN]) + more,),
        fix="name it in `.dockerignore`, or keep it elsewhere",
    )


def _large(build: Build, content: "Content") -> Problem:
    name = next((name for name, _ in content.biggest), "")
    return Problem(
        code="build-large",
        message=f"`{build.context}` is read for each plan and sent for each build, and has {_shown(content.size)}",
        cause=tuple(f"{_shown(size):>8}  {each}" for each, size in content.biggest if size >= WORTH),
        fix=f"name in `.dockerignore` what the image does not need, such as `{name}`",
    )


def _shown(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _placed(service: Service, problem: Problem, field: str, severity: Literal["error", "warning"] = "error") -> Problem:
    message = f"service `{service.name}`: {problem.message}"
    return replace(problem, message=message, place=service.place(f"build.{field}"), severity=severity)
