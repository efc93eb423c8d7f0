# SPDX-License-Identifier: Apache-2.0
"""Which files make a project, and their text. The only module of this room that reads the disk.

A file is a promise that may be broken at any moment: it can vanish between listing and reading, be a folder, a loop of
links, a gigabyte, or no text at all. Each of these is a ConfigError that names the file.

So is a folder that cannot be listed: passed over in silence, what its files declare would look as if nobody wanted it
any more, and the next deployment would remove it. `Path.glob` passes over; therefore patterns are followed here.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.errors import ConfigError, Place, Problem

MAX_SIZE = 1024 * 1024  # bytes of one file; a project of a thousand services needs a tenth
MAX_FILES = 1000

NAMES = (".fleetflow/fleet.kdl", "fleet.kdl", "flow.kdl", "fleetflow.kdl")
_NAMED = ", ".join(f"`{name}`" for name in NAMES)
_WILD = "*?["
_FOLDERS = ("services", "stages", "variables")
_ABSENT = {errno.ENOENT, errno.ENOTDIR}  # there is nothing; any other error is of something that is there

_EXAMPLE = (
    '    project "demo"',
    '    service "web" { image "nginx"; port 8080 80 }',
    '    stage "local" {',
    '        service "web"',
    "    }",
)


class Include(msgspec.Struct, frozen=True):
    """What an `include` node asks for."""

    pattern: str
    place: Place


class File(msgspec.Struct):
    """A file and, for each of its `include` nodes in order, the files that come in there for the first time."""

    path: Path
    text: Text
    included: list[list["File"]] = []

    def all(self) -> Iterator["File"]:
        yield self
        for files in self.included:
            for file in files:
                yield from file.all()


class Disk:
    """The files of one project, each read once.

    here: the working directory: where the search begins, and what file names in messages are relative to.
    main: the project's file. root: the project's folder.
    """

    def __init__(self, here: Path, file: Path | None) -> None:
        self.here = Path(os.path.abspath(here))  # noqa: PTH100  (`resolve` would follow links, and messages would name what nobody typed)
        with self._readable():
            self.main = self._given(file) if file is not None else self._found()
        folder = self.main.parent
        self.root = folder.parent if folder.name == ".fleetflow" else folder
        self._texts: dict[Path, Text] = {}
        self.warnings: list[Problem] = []

    def files(self, stage: str | None, includes: Callable[[Text], list[Include]]) -> list[File]:
        """The project's files for *stage* in the order in which a later one wins, each with what it includes."""
        seen: dict[Path, None] = {}
        return [file for path in self._paths(stage) if (file := self._file(path, (), seen, includes)) is not None]

    def stage_files(self) -> list[str]:
        """Names of stages for which there is a `fleet.{stage}.kdl`."""
        with self._readable():
            found = [sorted(_matching(self.main.parent, [f"{prefix}.*.kdl"])) for prefix in ("fleet", "flow")]
        names = (path.name.split(".") for paths in found for path in paths)
        return list(dict.fromkeys(".".join(parts[1:-1]) for parts in names))

    def read(self, path: Path, place: Place | None = None) -> Text:
        """The text of *path*. place: where the file is asked for, to be blamed if it cannot be read."""
        if path not in self._texts:
            self._texts[path] = Text(self.name(path), _read(path, self.name(path), place))
        return self._texts[path]

    def exists(self, path: Path) -> bool:
        """Whether there is something to read; a folder called `.env` is somebody's virtual environment."""
        return os.path.lexists(path) and not os.path.isdir(path)  # noqa: PTH112  (`Path.is_dir` can fail)

    def name(self, path: Path) -> str:
        return os.path.relpath(path, self.here)

    def _paths(self, stage: str | None) -> Iterator[Path]:
        yield self.main
        for folder in _FOLDERS:
            yield from self._inside(self.main.parent / folder)
        for name in ("fleet", "flow"):
            path = self.main.parent / f"{name}.{stage}.kdl"
            if stage is not None and self.exists(path):
                yield path

    def _inside(self, folder: Path) -> list[Path]:
        """The KDL files of a folder that is ours by its name. A link to nowhere is not the same as no folder."""
        with self._readable():
            if folder.is_symlink():
                folder.stat()
            return sorted(_matching(folder, ["**", "*.kdl"]))

    def _file(
        self,
        path: Path,
        chain: tuple[Path, ...],
        seen: dict[Path, None],
        includes: Callable[[Text], list[Include]],
        place: Place | None = None,
    ) -> File | None:
        """None for a file that is in already; twice by different ways is no mistake."""
        real = Path(os.path.realpath(path))
        if real in chain:
            names = [self.name(each) for each in (*chain[chain.index(real) :], real)]
            message = f"files include each other: {' -> '.join(names)}"
            raise ConfigError(Problem(code="include-cycle", message=message, fix="remove one `include`", place=place))
        if real in seen:
            return None
        seen[real] = None
        if len(seen) > MAX_FILES:
            raise ConfigError(Problem(code="too-many-files", message=f"more than {MAX_FILES} files", place=place))
        file = File(path, self.read(path, place))
        for include in includes(file.text):
            found = [
                self._file(each, (*chain, real), seen, includes, include.place) for each in self._asked(path, include)
            ]
            file.included.append([each for each in found if each is not None])
        return file

    def _asked(self, path: Path, include: Include) -> list[Path]:
        pattern = Path(os.path.expanduser(include.pattern))  # noqa: PTH111  (the home of nobody stays as it stands)
        if not any(char in include.pattern for char in _WILD):
            return [path.parent / pattern]
        if any("**" in part and part != "**" for part in pattern.parts):
            message, why = f"`{include.pattern}` is no pattern of files", "`**` stands for folders, between two `/`"
            raise ConfigError(Problem(code="bad-pattern", message=message, cause=(why,), place=include.place))
        parts = pattern.parts[1:] if pattern.anchor else pattern.parts
        with self._readable(include.place):
            found = sorted({each for each in _matching(path.parent / pattern.anchor, parts) if _is_file(each)})
        if not found:
            message = f"`{include.pattern}` matches no file"
            self.warnings.append(Problem(code="no-match", message=message, place=include.place, severity="warning"))
        return found

    def _given(self, typed: Path) -> Path:
        path = self.here / typed
        if not stat.S_ISDIR(_mode(path)):
            if os.path.lexists(path):
                return Path(os.path.abspath(path))  # noqa: PTH100
            message = f"there is no file `{typed}`" + ("" if typed.is_absolute() else f", looked for from {self.here}")
        else:
            for name in NAMES:
                if _is_file(path / name):
                    return Path(os.path.abspath(path / name))  # noqa: PTH100
            message = f"folder `{typed}` holds none of {_NAMED}"
        fix = "give the path of a KDL file, or leave `--file` out to search upwards from here"
        raise ConfigError(Problem(code="no-file", message=message, fix=fix))

    def _found(self) -> Path:
        for folder in (self.here, *self.here.parents):
            for name in NAMES:
                if _is_file(folder / name):
                    return folder / name
        raise ConfigError(
            Problem(
                code="no-file",
                message="there is no FleetFlow file here",
                cause=(
                    f"looked for {_NAMED} in {self.here} and in every folder above it",
                    "a `fleet.kdl` that works:",
                    *_EXAMPLE,
                ),
                fix="write a `fleet.kdl` like this one, or name the file with `--file`",
            )
        )

    @contextmanager
    def _readable(self, place: Place | None = None) -> Iterator[None]:
        """What the disk refuses is an error that names what it refused. place: where that was asked for."""
        try:
            yield
        except OSError as error:
            raise _unreadable(self.name(Path(error.filename)), _reason(error), place) from error


def _mode(path: Path) -> int:
    """Of what is there, links followed; 0 where nothing is. Raises OSError where that cannot be known."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in _ABSENT:
            return 0
        raise


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(_mode(path))


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    """Nothing, where there is no such folder. Raises OSError where it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        if error.errno in _ABSENT:
            return []
        raise


def _matching(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """What matches the *parts* of a pattern inside *folder*. `**` is the folder and all below, links not followed."""
    if not parts:
        yield folder
    elif parts[0] == "**":
        yield from _matching(folder, parts[1:])
        for entry in _entries(folder):
            if entry.is_dir(follow_symlinks=False):
                yield from _matching(folder / entry.name, parts)
    elif any(char in parts[0] for char in _WILD):
        for entry in _entries(folder):
            if fnmatchcase(entry.name, parts[0]):
                yield from _matching(folder / entry.name, parts[1:])
    else:
        yield from _matching(folder / parts[0], parts[1:])


def _read(path: Path, name: str, place: Place | None) -> str:
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _unreadable(name, "it is not a regular file", place)
            data = file.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        raise _unreadable(name, _reason(error), place) from error
    if len(data) > MAX_SIZE:
        raise _unreadable(name, f"it is larger than {MAX_SIZE >> 20} MiB", place)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_text(name, data, error.start, "it is not UTF-8") from error
    if "\0" in text:
        raise _no_text(name, data, data.index(0), "it holds a NUL character")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def _unreadable(name: str, reason: str, place: Place | None) -> ConfigError:
    return ConfigError(
        Problem(code="unreadable", message=f"`{name}` cannot be read: {reason[:1].lower()}{reason[1:]}", place=place)
    )


def _no_text(name: str, data: bytes, at: int, reason: str) -> ConfigError:
    line = data.count(b"\n", 0, at) + 1
    column = at - (data.rfind(b"\n", 0, at) + 1) + 1
    place = Place(file=name, line=line, column=column)
    return ConfigError(
        Problem(code="unreadable", message=f"`{name}` is no text: {reason}", fix="save it as UTF-8", place=place)
    )
