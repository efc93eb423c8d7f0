# SPDX-License-Identifier: Apache-2.0
"""Which files make a project, and their text. What the language says of files is here; `contents` reads one, `patterns`
lists folders, and no other module of this room knows the disk.

A folder that cannot be listed is an error: passed over in silence, what its files declare would look as if nobody wanted
it any more, and the next deployment would remove it.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from fleetflow_tasks.config import contents
from fleetflow_tasks.config.limits import MAX_ASKED, MAX_ENTRIES, MAX_FILES, MAX_INCLUDES, MAX_PATTERN, MAX_TOTAL
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.patterns import ABSENT, TooManyEntriesError, Walk, is_pattern
from fleetflow_tasks.errors import ConfigError, Place, Problem

NAMES = (".fleetflow/fleet.kdl", "fleet.kdl", "flow.kdl", "fleetflow.kdl")
_NAMED = ", ".join(f"`{name}`" for name in NAMES)
_FOLDERS = ("services", "stages", "variables")

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

    def __init__(self, here: Path, file: Path | None, texts: dict[Path, Text] | None = None) -> None:
        """texts: what was read already, to which is added."""
        self.here = Path(os.path.abspath(here))  # noqa: PTH100  (`resolve` would follow links, and messages would name what nobody typed)
        with self._readable():
            self.main = self._given(file) if file is not None else self._found()
        folder = self.main.parent
        self.root = folder.parent if folder.name == ".fleetflow" else folder
        self._texts = {} if texts is None else texts
        self._size = 0
        self._walk = Walk()
        self._matched: dict[tuple[Path, str], list[Path]] = {}
        self._real: dict[Path, Path] = {}
        self._left = MAX_ASKED
        self.warnings: list[Problem] = []

    def files(self, stage: str | None, includes: Callable[[Text], list[Include]]) -> list[File]:
        """The project's files for *stage* in the order in which a later one wins, each with what it includes."""
        self._left = MAX_ASKED
        seen: dict[Path, None] = {}
        return [file for path in self._paths(stage) if (file := self._file(path, (), seen, includes)) is not None]

    def every(
        self, includes: Callable[[Text], list[Include]], refused: Callable[[ConfigError], None]
    ) -> Iterator[File]:
        """Each file once, whatever stages there are, without what it includes; those come later.

        refused: told of what cannot be read; the other files come all the same.
        """
        staged = [f"{prefix}.{stage}.kdl" for stage in self.stage_files() for prefix in ("fleet", "flow")]
        waiting: list[tuple[Path, Place | None]] = [(path, None) for path in self._paths(None)]
        waiting += [(path, None) for name in staged if self.exists(path := self.main.parent / name)]
        seen: set[str] = set()
        for path, place in waiting:  # which grows meanwhile
            if (real := os.path.realpath(path)) in seen:
                continue
            seen.add(real)
            try:
                file = File(path, self.read(path, place))
                yield file
                waiting += [(each, asked.place) for asked in includes(file.text) for each in self._asked(path, asked)]
            except ConfigError as error:
                refused(error)

    def stage_files(self) -> list[str]:
        """Names of stages for which there is a `fleet.{stage}.kdl`."""
        with self._readable():
            found = [self._matching(self.main.parent, f"{prefix}.*.kdl") for prefix in ("fleet", "flow")]
        names = (path.name.split(".") for paths in found for path in paths)
        return list(dict.fromkeys(".".join(parts[1:-1]) for parts in names))

    def read(self, path: Path, place: Place | None = None) -> Text:
        """The text of *path*. place: where the file is asked for, to be blamed if it cannot be read."""
        if path not in self._texts:
            text = contents.read(path, self.name(path), place)
            self._size += len(text)
            if self._size > MAX_TOTAL:
                message = f"the files of this project are larger than {MAX_TOTAL >> 20} MiB together"
                fix = "leave out what declares nothing: data belongs into a volume"
                raise ConfigError(Problem(code="too-large", message=message, fix=fix, place=place))
            self._texts[path] = Text(self.name(path), text)
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
            return self._matching(folder, "**/*.kdl")

    def _matching(self, folder: Path, pattern: str) -> list[Path]:
        """In order. A pattern is followed once, so that every stage sees the same files."""
        if (folder, pattern) not in self._matched:
            self._matched[folder, pattern] = sorted(self._walk.matching(folder, Path(pattern).parts))
        return self._matched[folder, pattern]

    def _file(
        self,
        path: Path,
        chain: tuple[Path, ...],
        seen: dict[Path, None],
        includes: Callable[[Text], list[Include]],
        place: Place | None = None,
    ) -> File | None:
        """None for a file that is in already; twice by different ways is no mistake."""
        self._count(place)
        real = self._resolved(path)
        if real in chain:
            names = [self.name(each) for each in (*chain[chain.index(real) :], real)]
            message = f"files include each other: {' -> '.join(names)}"
            raise ConfigError(Problem(code="include-cycle", message=message, fix="remove one `include`", place=place))
        if real in seen:
            return None
        seen[real] = None
        if len(seen) > MAX_FILES:
            message, fix = f"more than {MAX_FILES} files", "leave out what declares nothing, or join files"
            raise ConfigError(Problem(code="too-many-files", message=message, fix=fix, place=place))
        if len(chain) > MAX_INCLUDES:
            message, fix = f"files include each other more than {MAX_INCLUDES} deep", "include them from one file"
            raise ConfigError(Problem(code="too-many-files", message=message, fix=fix, place=place))
        file = File(path, self.read(path, place))
        for include in includes(file.text):
            found = [
                self._file(each, (*chain, real), seen, includes, include.place) for each in self._asked(path, include)
            ]
            file.included.append([each for each in found if each is not None])
        return file

    def _count(self, place: Place | None) -> None:
        self._left -= 1
        if self._left < 0:
            message, fix = (
                f"files are included more than {MAX_ASKED:,} times",
                "include each once: twice changes nothing",
            )
            raise ConfigError(Problem(code="too-many-files", message=message, fix=fix, place=place))

    def _resolved(self, path: Path) -> Path:
        if path not in self._real:
            self._real[path] = Path(os.path.realpath(path))
        return self._real[path]

    def _asked(self, path: Path, include: Include) -> list[Path]:
        pattern = os.path.expanduser(include.pattern)  # noqa: PTH111  (the home of nobody stays as it stands)
        if not is_pattern(pattern):
            return [path.parent / pattern]
        if why := _no_pattern(pattern):
            message = f"`{include.pattern[:MAX_PATTERN]}` is no pattern of files"
            raise ConfigError(Problem(code="bad-pattern", message=message, cause=(why,), place=include.place))
        anchor = Path(pattern).anchor
        with self._readable(include.place):
            matched = self._matching(path.parent / anchor, pattern.removeprefix(anchor))
            found = [each for each in matched if _is_file(each)]
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
                fix="`flow init` writes a first one; or name the file with `--file`",
            )
        )

    @contextmanager
    def _readable(self, place: Place | None = None) -> Iterator[None]:
        """What the disk refuses is an error that names what it refused. place: where that was asked for."""
        try:
            yield
        except OSError as error:
            raise contents.unreadable(self.name(Path(error.filename)), contents.reason(error), place) from error
        except TooManyEntriesError as error:
            message = f"the patterns of this project look at more than {MAX_ENTRIES:,} files and folders"
            fix = "name the folders: `services/**/*.kdl`"
            raise ConfigError(Problem(code="too-many-files", message=message, fix=fix, place=place)) from error


def _mode(path: Path) -> int:
    """Of what is there, links followed; 0 where nothing is. Raises OSError where that cannot be known."""
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in ABSENT:
            return 0
        raise


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(_mode(path))


def _no_pattern(pattern: str) -> str:
    """Why it is none; empty where it is one."""
    if len(pattern) > MAX_PATTERN:
        return f"it is longer than {MAX_PATTERN} characters"
    if any("**" in part and part != "**" for part in Path(pattern).parts):
        return "`**` stands for folders, between two `/`"
    return ""
