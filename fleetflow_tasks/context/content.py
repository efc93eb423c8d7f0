# SPDX-License-Identifier: Apache-2.0
"""A context as a stream of tar, and the hash of what is in it.

Both come from one pass over the files, so that what is sent is what was hashed: if it is not what the plan was made of,
the stream breaks off before its end, and a builder never sees a whole one. In the hash are names, modes, contents and
links, and of the build its Dockerfile, target, arguments and platform; not in it are times, owners, and where the folder
lies. Nothing is held in memory but a piece of one file.
"""

import json
import os
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from fleetflow_tasks.config.model import Build, Data
from fleetflow_tasks.context.folder import ContextError, Entry, Source, changed, unreadable

RULES = 1  # of the hash: raised when other things go in
PIECE = 256 * 1024  # bytes that are read at once
SHOWN = 3  # of the biggest folders


class Content(Data, frozen=True, kw_only=True):
    """hash: hexadecimal. size: bytes of all files. biggest: first names with bytes below them, the biggest first.

    special: what cannot be sent: sockets, pipes, devices.
    """

    hash: str
    size: int
    biggest: tuple[tuple[str, int], ...] = ()
    special: tuple[str, ...] = ()


def read(root: Path, build: Build) -> Content:
    """Of the files as they are now. Raises ContextError."""
    source = Source(root, build)
    digest = _digest(source)
    sizes: dict[str, int] = {}
    special: list[str] = []
    for entry in source.entries(special):
        first = entry.name.partition("/")[0]
        sizes[first] = sizes.get(first, 0) + entry.size
        for _ in _archived(entry, digest):
            pass
    for _ in _dockerfile(source, digest):
        pass
    biggest = sorted(sizes.items(), key=lambda each: (-each[1], each[0]))[:SHOWN]
    return Content(hash=digest.hexdigest(), size=sum(sizes.values()), biggest=tuple(biggest), special=tuple(special))


def sent(source: Source, expected: str) -> Iterator[bytes]:
    """The tar. Raises ContextError before its end where the files are not those that *expected* is the hash of."""
    digest = _digest(source)
    for entry in source.entries():
        yield from _archived(entry, digest)
    yield from _dockerfile(source, digest)
    if digest.hexdigest() != expected:
        raise changed("")
    yield bytes(2 * tarfile.BLOCKSIZE)


def same(root: Path, build: Build, expected: str) -> tuple[Source | None, str]:
    """The files that *expected* is the hash of, if they are here; else None, and why not."""
    try:
        source = Source(root, build)
        if read(root, build).hash == expected:
            return source, ""
    except ContextError as error:
        return None, error.problem.message
    return None, f"the files in `{build.context}` are other ones"


def _digest(source: Source) -> Any:
    build = source.build
    recipe = [RULES, source.sent_as, build.target, dict(build.args), build.platform]
    return sha256(json.dumps(recipe, sort_keys=True).encode())


def _dockerfile(source: Source, digest: Any) -> Iterator[bytes]:
    """One that is not among the files is sent behind them, under a name of its own."""
    if source.apart:
        entry = Entry(name=source.sent_as, path=str(source.dockerfile), kind="file")
        yield from _archived(entry, digest, link=True)


def _archived(entry: Entry, digest: Any, *, link: bool = False) -> Iterator[bytes]:
    """link: the path may be one, and is followed."""
    if entry.kind != "file":
        digest.update(_record(entry, entry.size))
        yield _header(entry, 0)
        return
    with _opened(entry, link=link) as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(_record(entry, size))
        yield _header(entry, size)
        for piece in _pieces(file, entry.name, size):
            digest.update(piece)
            yield piece
    yield bytes(-size % tarfile.BLOCKSIZE)


def _opened(entry: Entry, *, link: bool) -> BinaryIO:
    """Without waiting: what was a file when it was listed may be a pipe now."""
    more = os.O_NONBLOCK | (0 if link else os.O_NOFOLLOW)
    try:
        return open(entry.path, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | more))
    except OSError as error:
        raise unreadable(entry.name, error) from error


def _pieces(file: BinaryIO, name: str, size: int) -> Iterator[bytes]:
    """Just *size* bytes: a tar has said already how many come. What was put in a file's place since, a folder or a pipe,
    cannot be read that way, or is too short."""
    while size:
        try:
            piece = file.read(min(PIECE, size))
        except OSError as error:
            raise unreadable(name, error) from error
        if not piece:
            raise changed(name)
        size -= len(piece)
        yield piece


def _record(entry: Entry, size: int) -> bytes:
    return os.fsencode(f"{entry.kind}\0{entry.name}\0{entry.mode:o}\0{entry.link}\0{size}\0")


def _header(entry: Entry, size: int) -> bytes:
    info = tarfile.TarInfo(entry.name)
    info.type = _TYPES[entry.kind]
    info.mode, info.mtime, info.size, info.linkname = entry.mode, max(entry.mtime, 0), size, entry.link
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


_TYPES = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}
