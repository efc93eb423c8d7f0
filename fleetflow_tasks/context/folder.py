# SPDX-License-Identifier: Apache-2.0
"""The files of a context, in an order that is always the same.

Links are sent as links and never followed, so what a context holds does not depend on what lies outside of it. Sockets,
pipes and devices cannot be sent; they are told of and left out.
"""

import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Literal

from fleetflow_tasks.config.model import Build, Data
from fleetflow_tasks.config.nearest import nearest
from fleetflow_tasks.context.dockerfile import Dockerfile, parsed
from fleetflow_tasks.context.ignore import Ignore, Matched
from fleetflow_tasks.errors import Problem

IGNORE = ".dockerignore"
MOST = 1024 * 1024  # bytes of a Dockerfile, or of an ignore file

Field = Literal["context", "dockerfile", "target"]


class ContextError(Exception):
    """It cannot be built from. field: which word of the `build` block is to blame."""

    def __init__(self, field: Field, problem: Problem) -> None:
        super().__init__(problem.message)
        self.field: Field = field
        self.problem = problem


class Entry(Data, frozen=True, kw_only=True):
    """name: relative to the context, with `/`. size: of a file. link: where a link points to. mtime: Unix seconds."""

    name: str
    path: str
    kind: Literal["file", "folder", "link"]
    mode: int = 0o644
    size: int = 0
    mtime: int = 0
    link: str = ""


class Source:
    """What a build is made of, on this disk.

    dockerfile: its path. text: what it says. sent_as: what it is called in the context. apart: it is not among the context's own files.
    """

    def __init__(self, root: Path, build: Build) -> None:
        """root: what a relative context is relative to. Raises ContextError."""
        self.build = build
        self.folder = _folder(root, build)
        self.dockerfile = _dockerfile(self.folder, build)
        self.text = text = _text(self.dockerfile, "dockerfile")
        self.parsed: Dockerfile = parsed(text)
        _check_target(build, self.parsed)
        inside = os.path.relpath(self.dockerfile, self.folder).replace(os.sep, "/")
        self.apart = inside.startswith("../") or self.dockerfile.is_symlink()
        self.sent_as = f".dockerfile.{sha256(text.encode()).hexdigest()[:12]}" if self.apart else inside
        self._ignore = self._ignored()

    def entries(self, special: list[str] | None = None) -> Iterator[Entry]:
        """Folders before what they hold, names in the order of their bytes. Raises ContextError.

        special: gets the names of what cannot be sent.
        """
        for each in self._found():
            if isinstance(each, Entry):
                yield each
            elif special is not None:
                special.append(each)

    def images(self) -> tuple[str, ...]:
        """What must be on the engine to build it, as far as that can be read from the Dockerfile."""
        return self.parsed.images(self.build.target, self.build.args)

    def holds(self, name: str) -> bool:
        """Whether there is such a file or folder, be it left out or not."""
        return os.path.lexists(self.folder / name)

    def _ignored(self) -> Ignore:
        """A file beside the Dockerfile, `Dockerfile.dockerignore`, is for it alone and comes before the context's."""
        own = self.dockerfile.with_name(self.dockerfile.name + IGNORE)
        path = own if own.is_file() else self.folder / IGNORE
        kept = () if self.apart else (self.sent_as,)
        try:
            return Ignore(_text(path, "context") if path.is_file() else "", kept=kept)
        except ValueError as error:
            raise _wrong("context", "build-ignore", f"`{_shown(self.folder, path)}`, {error}", "correct it") from error

    def _found(self) -> Iterator[Entry | str]:
        """What cannot be sent comes as its name alone. A folder that is left out is sent all the same where something
        below it is taken back."""
        walk: list[tuple[Iterator[os.DirEntry[str]], Matched, Entry | None]] = [(self._listed(""), (), None)]
        while walk:
            found = next(walk[-1][0], None)
            if found is None:
                walk.pop()
                continue
            name = os.path.relpath(found.path, self.folder).replace(os.sep, "/")
            out, matched = self._ignore(name, walk[-1][1])
            entry = self._entry(found, name)
            if isinstance(entry, str):
                if not out:
                    yield entry
                continue
            if not out:
                yield from (above for _, _, above in walk if above is not None)
                walk = [(listed, above, None) for listed, above, _ in walk]
                yield entry
            if entry.kind == "folder" and (not out or self._ignore.may_hold(name)):
                walk.append((self._listed(name), matched, entry if out else None))

    def _listed(self, name: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(self.folder / name) as found:
                return iter(sorted(found, key=lambda each: os.fsencode(each.name)))
        except OSError as error:
            raise unreadable(name or ".", error) from error

    def _entry(self, found: os.DirEntry[str], name: str) -> Entry | str:
        try:
            status = found.stat(follow_symlinks=False)
            link = str(Path(found.path).readlink()) if stat.S_ISLNK(status.st_mode) else ""
        except OSError as error:
            raise unreadable(name, error) from error
        kind = _KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return name
        return Entry(
            name=name,
            path=found.path,
            kind=kind,
            mode=stat.S_IMODE(status.st_mode),
            size=status.st_size if kind == "file" else 0,
            mtime=int(status.st_mtime),
            link=link,
        )


_KINDS: dict[int, Literal["file", "folder", "link"]] = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "link",
}


def unreadable(name: str, error: OSError) -> ContextError:
    if isinstance(error, FileNotFoundError):
        return changed(name)
    message = f"`{name}` cannot be read: {error.strerror}"
    return _wrong("context", "build-unreadable", message, f"make it readable, or name it in `{IGNORE}`")


def changed(name: str) -> ContextError:
    message = f"`{name}` changed while it was read" if name else "its files changed since the plan was made"
    return _wrong("context", "build-changed", message, "try again once nothing writes there")


def _folder(root: Path, build: Build) -> Path:
    if "://" in build.context or build.context.startswith("git@"):
        message = f"the context `{build.context}` is no folder"
        raise _wrong("context", "build-context", message, "check it out, and name the folder")
    path = Path(os.path.normpath(os.path.join(root, os.path.expanduser(build.context))))  # noqa: PTH111, PTH118  (`Path` raises for an unknown home)
    if path.is_dir():
        return path
    what = "is a file" if path.exists() else "is not there"
    near = nearest(path.name, _names(path.parent, folders=True))
    fix = f"did you mean `{near}`?" if near else "make it, or correct `context`; it is relative to the project's root"
    raise _wrong("context", "build-context", f"the folder `{build.context}` to build from {what}", fix)


def _dockerfile(folder: Path, build: Build) -> Path:
    path = Path(os.path.normpath(folder / build.dockerfile))
    if path.is_file():
        return path
    there = [name for name in _names(folder, folders=False) if "dockerfile" in name.lower()]
    near = nearest(path.name, there) or (there[0] if there else None)
    fix = f"did you mean `{near}`?" if near else "write one, or correct `dockerfile`; it is relative to the context"
    message = f"there is no `{build.dockerfile}` in `{build.context}`"
    raise _wrong("dockerfile", "build-dockerfile", message, fix)


def _names(folder: Path, *, folders: bool) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir() if each.is_dir() == folders)
    except OSError:
        return []


def _check_target(build: Build, dockerfile: Dockerfile) -> None:
    if not build.target or build.target.isdigit() or build.target.lower() in dockerfile.targets:
        return
    near = nearest(build.target, dockerfile.targets)
    known = ", ".join(f"`{name}`" for name in dockerfile.targets)
    fix = f"did you mean `{near}`?" if near else f"it has {known}" if known else "name a stage: `FROM … AS name`"
    raise _wrong("target", "build-target", f"`{build.dockerfile}` has no stage `{build.target}`", fix)


def _text(path: Path, field: Field) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except OSError as error:
        message = f"`{path.name}` cannot be read: {error.strerror}"
        raise _wrong(field, "build-unreadable", message, "make it readable") from error
    if len(content) > MOST:
        raise _wrong(
            field, "build-too-large", f"`{path.name}` has more than {MOST // 1024} KiB", "it is hardly what was meant"
        )
    return content.decode(errors="replace")


def _shown(folder: Path, path: Path) -> str:
    return os.path.relpath(path, folder)


def _wrong(field: Field, code: str, message: str, fix: str) -> ContextError:
    return ContextError(field, Problem(code=code, message=message, fix=fix))
