# SPDX-License-Identifier: Apache-2.0
"""The files of a project in the one form that KDL has here: `flow fmt`.

A file that cannot be read is told, and the others are done all the same. What is written keeps all that is no layout: the
file's mode, the link that leads to it, its kind of line breaks, a byte order mark. A file that nobody has to change is
not touched, so what watches it sees nothing.
"""

import codecs
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fleetflow_tasks.api.replacing import put
from fleetflow_tasks.api.request import Request, folder
from fleetflow_tasks.config import contents
from fleetflow_tasks.config.discover import Disk, File, Include
from fleetflow_tasks.config.formatting import formatted
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.model import Data
from fleetflow_tasks.config.outline import outline
from fleetflow_tasks.errors import Bug, ConfigError, FleetFlowError, Problem


class FormattedFile(Data, frozen=True, kw_only=True):
    """name: as a person names it. old, new: its text, lines ending in `\\n`. warnings: why it was left as it is."""

    name: str
    old: str
    new: str
    warnings: tuple[Problem, ...] = ()

    @property
    def changed(self) -> bool:
        return self.old != self.new


class Formatting(Data, frozen=True, kw_only=True):
    """files: those that could be read, in the order of the project. errors: what was left alone, and why."""

    files: tuple[FormattedFile, ...] = ()
    errors: tuple[FleetFlowError, ...] = ()

    @property
    def changed(self) -> tuple[FormattedFile, ...]:
        return tuple(file for file in self.files if file.changed)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for file in self.files for problem in file.warnings)

    @property
    def error(self) -> FleetFlowError | None:
        """All that is wrong as one, each told once. A mistake of ours weighs more than one in a file."""
        problems = dict.fromkeys(problem for error in self.errors for problem in error.problems)
        if not problems:
            return None
        kind = Bug if any(isinstance(error, Bug) for error in self.errors) else ConfigError
        return kind(*problems)


def formatted_files(request: Request, names: Sequence[str] = (), *, write: bool) -> Formatting:
    """The files called *names*, all of a project for the name of a folder; without names, the project that *request* means.

    write: put the new texts into the files. Raises ConfigError where there is no project.
    """
    errors: list[FleetFlowError] = []
    done = [
        found for file in _files(request, names, errors) if (found := _formatted(file, errors, write=write)) is not None
    ]
    return Formatting(files=tuple(done), errors=tuple(errors))


def formatted_text(data: bytes, name: str) -> tuple[FormattedFile, bytes]:
    """The same for a text that is in no file, and its bytes. Raises ConfigError and Bug."""
    text = Text(name, contents.decoded(data, name))
    found = formatted(text)
    file = FormattedFile(name=name, old=text.source, new=found.text, warnings=found.warnings)
    return file, _encoded(found.text, data)


def _files(request: Request, names: Sequence[str], errors: list[FleetFlowError]) -> Iterator[File]:
    """Each once, by whatever names it was called."""
    seen: set[str] = set()
    for found in _named(request, names, errors):
        real = os.path.realpath(found.path)
        if real not in seen:
            seen.add(real)
            yield found


def _named(request: Request, names: Sequence[str], errors: list[FleetFlowError]) -> Iterator[File]:
    if not names:
        given = request.file or request.environ.get("FLEETFLOW_FILE")
        yield from _all(Disk(folder(request), Path(given) if given else None), errors)
    for name in names:
        try:
            disk = Disk(folder(request), Path(name))
            if (disk.here / name).is_dir():
                yield from _all(disk, errors)
            else:
                yield File(disk.main, disk.read(disk.main))
        except ConfigError as error:
            errors.append(error)


def _all(disk: Disk, errors: list[FleetFlowError]) -> Iterator[File]:
    def includes(text: Text) -> list[Include]:
        return outline(text).includes

    return disk.every(includes, errors.append)


def _formatted(file: File, errors: list[FleetFlowError], *, write: bool) -> FormattedFile | None:
    """None where it is left alone, and the error is among *errors*."""
    try:
        found = formatted(file.text)
        done = FormattedFile(name=file.text.name, old=file.text.source, new=found.text, warnings=found.warnings)
        if write and done.changed:
            _write(Path(os.path.realpath(file.path)), done)
    except FleetFlowError as error:
        errors.append(error)
        return None
    return done


def _write(path: Path, file: FormattedFile) -> None:
    """Raises ConfigError, with the file as it was."""
    try:
        data = path.read_bytes()
        if contents.decoded(data, file.name) != file.old:
            raise _unwritten(file, "it has changed meanwhile", "run `flow fmt` again")
        if not os.access(path, os.W_OK):  # its folder may allow what it does not
            raise _unwritten(file, "it may only be read")
        put(path, _encoded(file.new, data), like=path.stat())
    except OSError as error:
        raise _unwritten(file, contents.reason(error)) from error


def _encoded(text: str, old: bytes) -> bytes:
    """With the line breaks of the first line and the byte order mark that *old* has."""
    end = old.find(b"\n")
    data = (text.replace("\n", "\r\n") if old[max(end - 1, 0) : end] == b"\r" else text).encode()
    return codecs.BOM_UTF8 + data if old.startswith(codecs.BOM_UTF8) else data


def _unwritten(file: FormattedFile, why: str, fix: str = "") -> ConfigError:
    message = f"`{file.name}` cannot be written: {why[:1].lower()}{why[1:]}"
    return ConfigError(Problem(code="unwritable", message=message, fix=fix))
