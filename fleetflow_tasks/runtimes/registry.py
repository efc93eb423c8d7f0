# SPDX-License-Identifier: Apache-2.0
"""A runtime's name -> the runtime.

Our own table comes first and is imported only when asked for, so that `flow --help` loads no platform's SDK. Installed
packages are searched (entry points `fleetflow.runtimes`, about 100 ms cold) only for a name that the table lacks.
"""

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.config.schema import Blocks, Row
from fleetflow_tasks.errors import PlanError, Problem, UnavailableError
from fleetflow_tasks.runtimes.base import PROTOCOL, Runtime

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "fleetflow.runtimes"

BUILTIN: Mapping[str, str] = {
    "cloudrun": "fleetflow_tasks.runtimes.cloudrun.runtime:CloudRunRuntime",
    "docker": "fleetflow_tasks.runtimes.docker.runtime:DockerRuntime",
    "kubernetes": "fleetflow_tasks.runtimes.kubernetes.runtime:KubernetesRuntime",
}

# Where the rows of each built-in runtime's own block stand, `docker { … }`: a light module, no SDK in it.
BLOCKS: Mapping[str, str] = {
    "cloudrun": "fleetflow_tasks.runtimes.cloudrun.options:SCHEMA",
    "docker": "fleetflow_tasks.runtimes.docker.options:SCHEMA",
    "kubernetes": "fleetflow_tasks.runtimes.kubernetes.options:SCHEMA",
}

# Who reads what a platform's own tool prints of what runs there, for `flow import`; light modules, too.
IMPORTERS: Mapping[str, str] = {"cloudrun": "fleetflow_tasks.runtimes.cloudrun.imported:imported"}

Environ = Mapping[str, str]
Installed = Callable[[], Iterable["EntryPoint"]]


def installed() -> Iterable["EntryPoint"]:
    """The runtimes that other packages bring."""
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def get(name: RuntimeName, environ: Environ | None = None, *, others: Installed = installed) -> Runtime:
    """The runtime called *name*, made anew. It connects to nothing yet.

    environ: where it may look for its platform (DOCKER_HOST …); None: this process's own.
    Raises PlanError for a name that nobody knows, UnavailableError where its package or extra is missing or unfit.
    """
    kind = find(name, others=others)
    return cast(Runtime, kind(os.environ if environ is None else environ))


class Importer(Protocol):
    """source: what *text* is called in messages. stage: what to call the stage, "" for what the text itself says."""

    def __call__(self, text: str, *, source: str, stage: str = "") -> str: ...


def importer(name: RuntimeName) -> Importer:
    """Raises PlanError for a platform that nothing is imported from, UnavailableError where its extra is missing."""
    where = IMPORTERS.get(name)
    if where is None:
        raise PlanError(_no_importer(name))
    return cast(Importer, _found(name, where))


def blocks() -> Blocks:
    """What the blocks of the built-in runtimes may say, for the reader of KDL."""
    return {name: _attribute(where) for name, where in BLOCKS.items()}


def blocks_of_others(*, others: Installed = installed) -> Blocks:
    """The same of the runtimes that other packages bring: a class says it as `schema`, and may have nothing to say.

    One that cannot be loaded is known by its name alone; what is wrong with it is told to whoever uses it.
    """
    return {entry.name: _schema(RuntimeName(entry.name), others) for entry in others() if entry.name not in BUILTIN}


def find(name: RuntimeName, *, others: Installed = installed) -> Callable[[Environ], object]:
    """The class of the runtime called *name*, checked against the Protocol."""
    if name in BUILTIN:
        kind = _loaded(name, BUILTIN[name])
    else:
        entry = next((entry for entry in others() if entry.name == name), None)
        if entry is None:
            raise PlanError(_unknown(name, others))
        kind = _loaded(name, entry.value, package=entry.dist.name if entry.dist else entry.module)
    return kind


def _loaded(name: str, where: str, package: str = "fleetflow") -> Callable[[Environ], object]:
    kind = _found(name, where, package)
    for lack in _lacks(kind):
        raise UnavailableError(_unfit(name, package, lack))
    return cast(Callable[[Environ], object], kind)


def _found(name: str, where: str, package: str = "fleetflow") -> object:
    module, _, attribute = where.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as missing:
        raise UnavailableError(_not_installed(name, package, missing)) from missing
    except AttributeError as missing:
        raise UnavailableError(_unfit(name, package, f"it has no `{where}`")) from missing


def _schema(name: RuntimeName, others: Installed) -> tuple[Row, ...]:
    try:
        return tuple(getattr(find(name, others=others), "schema", ()))
    except UnavailableError:
        return ()


def _attribute(where: str) -> tuple[Row, ...]:
    module, _, attribute = where.partition(":")
    return cast(tuple[Row, ...], getattr(import_module(module), attribute))


def _lacks(kind: object) -> Iterable[str]:
    """Why *kind* cannot be a runtime; nothing where it can."""
    if not inspect.isclass(kind):
        yield f"`{kind!r}` is no class"
        return
    spoken = getattr(kind, "protocol", None)
    if spoken != PROTOCOL:
        yield f"it speaks protocol {spoken}, this FleetFlow speaks {PROTOCOL}"
    methods = sorted(each for each, value in vars(Runtime).items() if callable(value) and not each.startswith("_"))
    missing = [each for each in methods if not callable(getattr(kind, each, None))]
    if missing:
        yield "it lacks " + ", ".join(f"`{each}`" for each in missing)


def _unknown(name: str, others: Installed) -> Problem:
    known = sorted({*BUILTIN, *(entry.name for entry in others())})
    return Problem(
        code="unknown-runtime",
        message=f"no runtime is called `{name}`: {suggestion(name, known)}",
        fix="name a known one, or install the package that brings it",
    )


def _no_importer(name: str) -> Problem:
    return Problem(
        code="no-import",
        message=f"nothing is imported from `{name}`: {suggestion(name, sorted(IMPORTERS))}",
        fix="name one of " + ", ".join(f"`{each}`" for each in sorted(IMPORTERS)),
    )


def _not_installed(name: str, package: str, missing: ModuleNotFoundError) -> Problem:
    line = f"pip install 'fleetflow[{name}]'" if package == "fleetflow" else f"pip install --force-reinstall {package}"
    return Problem(
        code="runtime-not-installed",
        message=f"the runtime `{name}` is not installed: Python module `{missing.name}` is missing",
        fix=f"run `{line}`",
    )


def _unfit(name: str, package: str, lack: str) -> Problem:
    return Problem(
        code="runtime-unfit",
        message=f"the runtime `{name}` of package `{package}` cannot be used: {lack}",
        fix=f"install a version of `{package}` that fits this FleetFlow",
    )
