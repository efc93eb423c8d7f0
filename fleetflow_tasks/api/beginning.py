# SPDX-License-Identifier: Apache-2.0
"""A project begins: its first file, and what git is not to take along. Nothing that is there is ever overwritten."""

from collections.abc import Sequence
from pathlib import Path

from fleetflow_tasks.api.replacing import put
from fleetflow_tasks.config import contents
from fleetflow_tasks.config.starter import FILE, Start, starter
from fleetflow_tasks.errors import ConfigError, Problem, RefusedError

IGNORED = ".gitignore"


def begun(folder: Path, start: Start, *, ignore: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the files that were written, in *folder*, which is made where it is missing.

    ignore: lines that its .gitignore gets. Raises RefusedError where there is a file by now, ConfigError where none can
    be written.
    """
    path = folder / FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(starter(start))
    except FileExistsError as error:
        message = f"`{error.filename}` is there already, and is left as it is"
        raise RefusedError(Problem(code="project-exists", message=message)) from error
    except OSError as error:
        raise _unwritten(path, error) from error
    if not ignore:
        return (FILE,)
    try:
        _add(folder / IGNORED, ignore)
    except OSError as error:
        raise _unwritten(folder / IGNORED, error) from error
    return FILE, IGNORED


def _add(path: Path, lines: Sequence[str]) -> None:
    """At its end, with its own kind of line breaks."""
    old = path.read_bytes() if path.exists() else b""
    end = b"\r\n" if b"\r\n" in old else b"\n"
    gap = end if old and not old.endswith(b"\n") else b""
    put(path.resolve(), old + gap + b"".join(line.encode() + end for line in lines), like=path.stat() if old else None)


def _unwritten(path: Path, error: OSError) -> ConfigError:
    why = contents.reason(error)
    message = f"`{path}` cannot be written: {why[:1].lower()}{why[1:]}"
    return ConfigError(Problem(code="unwritable", message=message))
