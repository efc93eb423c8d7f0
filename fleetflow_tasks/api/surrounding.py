# SPDX-License-Identifier: Apache-2.0
"""What a folder holds before it becomes a project: what could run, on which port, and what git would take along.

Guesses are only ever defaults of a question, so a rough one is worth more than none: a file that cannot be read says
nothing here, and is nobody's mistake.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from fleetflow_tasks.config import contents
from fleetflow_tasks.config.assemble import fitting
from fleetflow_tasks.config.discover import NAMES, Disk
from fleetflow_tasks.config.model import Data
from fleetflow_tasks.errors import ConfigError, Problem, RefusedError

COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")

# What a program of that kind listens on where nobody says otherwise, by the first of these files that is there.
_USUAL_PORTS = {
    "package.json": 3000,
    "pyproject.toml": 8000,
    "requirements.txt": 8000,
    "go.mod": 8080,
    "Cargo.toml": 8080,
    "pom.xml": 8080,
    "build.gradle": 8080,
    "Gemfile": 3000,
}
_EXPOSE = re.compile(r"^\s*EXPOSE\s+(\d{1,5})(?:/tcp)?\s*$", re.IGNORECASE | re.MULTILINE)
_MAX_PORT = 65535

# File -> the lines of .gitignore that keep it out. Both may hold secrets; the example is there to be shared.
_KEPT_OUT = {".env": (".env",), ".env.local": (".env.*", "!.env.example")}
_GIT = 1.0  # seconds that git may take


class Surroundings(Data, frozen=True, kw_only=True):
    """project: a name that fits. built: whether there is a Dockerfile. port: that is likely, with where that is from.

    manifest: the file that tells a program's language; "" for none. compose: the Compose file; "" for none.
    ignore: lines that a .gitignore lacks; none where there is no repository.
    """

    folder: Path
    project: str
    built: bool
    port: int | None
    port_from: str
    manifest: str
    compose: str
    ignore: tuple[str, ...]


def surroundings(folder: Path, environ: Mapping[str, str], *, nested: bool = False) -> Surroundings:
    """nested: take it that a project is in a folder above. Raises RefusedError where one is there already."""
    _refuse_project(folder, nested=nested)
    port, port_from = next(_ports(folder), (None, ""))
    return Surroundings(
        folder=folder,
        project=_named_after(folder),
        built=(folder / "Dockerfile").is_file(),
        port=port,
        port_from=port_from,
        manifest=_first(folder, tuple(_USUAL_PORTS)),
        compose=_first(folder, COMPOSE),
        ignore=tuple(_unignored(folder, environ)),
    )


def _refuse_project(folder: Path, *, nested: bool) -> None:
    here = [folder / name for name in NAMES if os.path.lexists(folder / name)]
    if here:
        message = f"`{here[0]}` is there already, and is left as it is"
        raise RefusedError(Problem(code="project-exists", message=message, fix="edit it; `flow validate` checks it"))
    above = None if nested else _above(folder)
    if above is not None:
        message = f"this folder belongs to a project already: `{above}`"
        cause = "a file here would hide that one from whoever works here"
        fix = "add a service there, or give `--force` for a project inside the other"
        raise RefusedError(Problem(code="project-exists", message=message, cause=(cause,), fix=fix))


def _above(folder: Path) -> Path | None:
    try:
        return Disk(folder, None).main
    except ConfigError as error:
        if {problem.code for problem in error.problems} == {"no-file"}:
            return None
        raise


def _named_after(folder: Path) -> str:
    """A name that every platform takes: neither Kubernetes nor Cloud Run knows `_` and `.` in one."""
    return fitting(folder.name).replace("_", "-").replace(".", "-") or "project"


def _ports(folder: Path) -> Iterator[tuple[int, str]]:
    """Every guess, the best one first."""
    exposed = [int(number) for number in _EXPOSE.findall(_text(folder / "Dockerfile"))]
    yield from ((port, "which the Dockerfile exposes") for port in reversed(exposed) if 0 < port <= _MAX_PORT)
    if manifest := _first(folder, tuple(_USUAL_PORTS)):
        yield _USUAL_PORTS[manifest], f"usual with a {manifest}"


def _first(folder: Path, names: tuple[str, ...]) -> str:
    return next((name for name in names if (folder / name).is_file()), "")


def _text(path: Path) -> str:
    with suppress(ConfigError):
        return contents.read(path, path.name, None)
    return ""


def _unignored(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Lines for what git would take and should not: secrets, and the state folder where it lies in here."""
    if not any((above / ".git").exists() for above in (folder, *folder.parents)):
        return
    state = Path(environ.get("FLEETFLOW_STATE_DIR") or "/").expanduser().absolute()
    inside = (
        {}
        if not state.is_relative_to(folder)
        else {f"{state.relative_to(folder)}/": (f"/{state.relative_to(folder)}/",)}
    )
    present = _text(folder / ".gitignore").splitlines()
    for path, lines in {**_KEPT_OUT, **inside}.items():
        if not _is_ignored(folder, path):
            yield from (line for line in lines if line not in present)


def _is_ignored(folder: Path, path: str) -> bool:
    """As git itself sees it, the user's own ignore file included; no where git cannot be asked."""
    words = ("git", "-c", "core.fsmonitor=false", "-C", str(folder), "check-ignore", "--quiet", "--no-index", path)
    try:
        asked = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT, check=False)
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
    return asked.returncode == 0
