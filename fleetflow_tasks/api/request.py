# SPDX-License-Identifier: Apache-2.0
"""What a user asked for, and the files behind it: which project, which stage, which runtimes.

A request is made before anything is read, for each command and on each TAB, so the reader is imported where it reads.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fleetflow_tasks.config.model import Data, RuntimeName, StageName
from fleetflow_tasks.errors import ConfigError, Problem

if TYPE_CHECKING:
    from fleetflow_tasks.config.load import Loaded, Shelf
    from fleetflow_tasks.config.schema import Blocks
    from fleetflow_tasks.runtimes.base import Runtime

LOCAL = StageName("local")


class Request(Data, frozen=True, kw_only=True):
    """What a user asked for, before any file is read. Empty and None: not said.

    directory: where to look for the files, upwards. environ: of the process that asks.
    force_conflicts, replaced: leave given for one deployment: to take over what another tool manages, and to make services
    anew whose change the platform does not take otherwise. canary: percent of the requests for new versions, on Cloud Run.
    """

    directory: str = "."
    file: str | None = None
    stage: str | None = None
    runtime: str | None = None
    variables: Mapping[str, str] = {}
    strict: bool = False
    environ: Mapping[str, str] = {}
    force_conflicts: bool = False
    replaced: tuple[str, ...] = ()
    canary: int | None = None


def chosen(request: Request, *, values: bool = True) -> "tuple[Loaded, StageName]":
    """The project as the chosen stage sees it: `fleet.{stage}.kdl` and `.env.{stage}` count for that stage alone.

    values: False for who needs no secrets: one may then be without a value here.
    """
    named = request.stage or request.environ.get("FLEETFLOW_STAGE") or request.environ.get("FLEET_STAGE")
    with reading_once():
        stage = StageName(named) if named else _default_stage(request)
        return load_project(request, stage, values=values), stage


class _Read(msgspec.Struct):
    """What was read inside of `reading_once`: of each folder and file the shelf, and what each question came to."""

    shelves: "dict[_Where, Shelf]" = {}
    loaded: "dict[_Question, Loaded | ConfigError]" = {}


_Where = tuple[Path, str | None]
_Question = tuple[_Where, StageName | None, bool, bool, tuple[tuple[str, str], ...]]
_READ: ContextVar[_Read | None] = ContextVar("read", default=None)


@contextmanager
def reading_once() -> Iterator[None]:
    """Inside, a file is read and parsed once, and a stage put together once, however many questions need them.

    So a command that asks about many stages tells of one state of the files; the environment is taken to stay as it is.
    """
    token = _READ.set(_READ.get() or _Read())
    try:
        yield
    finally:
        _READ.reset(token)


def folder(request: Request) -> Path:
    """Where to look for the files, by its whole path."""
    try:
        return Path(request.directory).absolute()
    except FileNotFoundError as error:
        message = "the folder in which this command was started is not there any more"
        raise ConfigError(Problem(code="no-folder", message=message, fix="change into a folder that exists")) from error


def load_project(request: Request, stage: StageName | None, *, values: bool = True) -> "Loaded":
    """The project as *stage* sees it, or all stages do. Raises ConfigError with all problems."""
    from fleetflow_tasks.config.load import Shelf

    read = _READ.get() or _Read()
    where = (folder(request), request.file)
    question = (where, stage, values, request.strict, tuple(sorted(request.variables.items())))
    if question not in read.loaded:
        shelf = read.shelves.setdefault(where, Shelf())
        try:
            read.loaded[question] = _loaded(request, where[0], stage, shelf, values=values)
        except ConfigError as error:
            read.loaded[question] = error
    found = read.loaded[question]
    if isinstance(found, ConfigError):
        raise found
    return found


def _loaded(request: Request, directory: Path, stage: StageName | None, shelf: "Shelf", *, values: bool) -> "Loaded":
    from fleetflow_tasks.config.load import load

    def read(blocks: "Blocks") -> "Loaded":
        return load(
            directory,
            file=Path(request.file) if request.file else None,
            stage=stage,
            variables=request.variables,
            environ=request.environ,
            strict=request.strict,
            blocks=blocks,
            values=values,
            shelf=shelf,
        )

    return _with_others(read)


def _with_others(read: "Callable[[Blocks], Loaded]") -> "Loaded":
    """Packages are searched only for a text that says a word that we do not know: it may be one of theirs."""
    from fleetflow_tasks.runtimes import registry

    known = registry.blocks()
    try:
        loaded = read(known)
    except ConfigError as error:
        if not _perhaps_theirs(error.problems) or not (more := registry.blocks_of_others()):
            raise
        return read({**known, **more})
    if _perhaps_theirs(loaded.warnings) and (more := registry.blocks_of_others()):
        return read({**known, **more})
    return loaded


def _perhaps_theirs(problems: Iterable[Problem]) -> bool:
    return any(each.code in {"unknown-runtime", "unknown-node"} for each in problems)


def runtime_of(request: Request) -> RuntimeName | None:
    name = request.runtime or request.environ.get("FLEETFLOW_RUNTIME")
    return RuntimeName(name) if name else None


def foreign(loaded: "Loaded", request: Request) -> Collection[str]:
    """Runtimes that other packages bring; searched for only where a name is used that is not ours."""
    from fleetflow_tasks.plan.resolve import NAMES
    from fleetflow_tasks.runtimes import registry

    used = {stage.runtime.name for stage in loaded.project.stages}
    used |= {service.runtime for stage in loaded.project.stages for service in stage.services if service.runtime}
    used |= {name for name in (runtime_of(request),) if name}
    return () if used <= NAMES.keys() else [entry.name for entry in registry.installed()]


def runtimes_of(request: Request) -> "Callable[[RuntimeName], Runtime]":
    from fleetflow_tasks.runtimes import registry

    made: dict[RuntimeName, Runtime] = {}

    def runtime(name: RuntimeName) -> "Runtime":
        if name not in made:
            made[name] = registry.get(name, request.environ)
        return made[name]

    return runtime


def _default_stage(request: Request) -> StageName:
    """`local` is taken whatever other stages there are, so what these lack, a variable say, is not asked for."""
    from fleetflow_tasks.config.names import names

    file = request.file or request.environ.get("FLEETFLOW_FILE")
    if LOCAL in names(folder(request), Path(file) if file else None).stages:
        return LOCAL
    return _only_stage(load_project(request, None))


def _only_stage(loaded: "Loaded") -> StageName:
    names = [stage.name for stage in loaded.project.stages]
    if LOCAL in names:
        return LOCAL
    if len(names) == 1:
        return names[0]
    if not names:
        raise ConfigError(
            Problem(
                code="no-stage",
                message=f"project `{loaded.project.name}` has no stage",
                fix='write one: stage "local" { service "…" }',
            )
        )
    raise ConfigError(
        Problem(
            code="which-stage",
            message=f"project `{loaded.project.name}` has {len(names)} stages, and none is called `local`",
            cause=("they are: " + ", ".join(names),),
            fix=f"say which: --stage={names[0]}",
        )
    )
