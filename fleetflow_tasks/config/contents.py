# SPDX-License-Identifier: Apache-2.0
"""The text of one file, or why it has none.

A file is a promise that may be broken at any moment: it can vanish between listing and reading, be a folder, a loop of
links, a pipe that nobody writes to, a device, a gigabyte, or no text at all. Each of these is a ConfigError that names the
file. It is looked at before it is opened, since opening a device can have effects, and once more behind: it may be another
one by then.
"""

import os
import stat
from pathlib import Path

from fleetflow_tasks.config.limits import MAX_SIZE
from fleetflow_tasks.errors import ConfigError, Place, Problem


def read(path: Path, name: str, place: Place | None) -> str:
    """Its text, every line ending in `\\n`. name: as messages say it. place: where the file is asked for."""
    try:
        data = _bytes(path)
    except (OSError, ValueError) as error:
        raise unreadable(name, reason(error), place) from error
    return decoded(data, name, place)


def decoded(data: bytes, name: str, place: Place | None = None) -> str:
    """The text that *data* is, as `read` gives it. Raises ConfigError for what is too much or no text."""
    if len(data) > MAX_SIZE:
        split = "split it: `include` reads several files as one"
        fix = split if name.endswith(".kdl") else "data of that size belongs into a volume"
        raise unreadable(name, f"it is larger than {MAX_SIZE >> 20} MiB", place, fix)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _no_text(name, data, error.start, "it is not UTF-8") from error
    if "\0" in text:
        raise _no_text(name, data, data.index(0), "it holds a NUL character")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)


def unreadable(name: str, why: str, place: Place | None, fix: str = "") -> ConfigError:
    message = f"`{name}` cannot be read: {why[:1].lower()}{why[1:]}"
    return ConfigError(Problem(code="unreadable", message=message, fix=fix, place=place))


def _bytes(path: Path) -> bytes:
    """One more than is allowed, where there are more."""
    _check_kind(path.stat().st_mode)
    with open(path, "rb", opener=_opened) as file:
        _check_kind(os.fstat(file.fileno()).st_mode)
        return file.read(MAX_SIZE + 1) or b""  # None where a file of /proc has nothing to say yet


def _opened(path: str, flags: int) -> int:
    """Without waiting for who writes to a pipe."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _check_kind(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise ValueError("is a directory")
    if not stat.S_ISREG(mode):
        raise ValueError("it is not a regular file")


def _no_text(name: str, data: bytes, at: int, why: str) -> ConfigError:
    line = data.count(b"\n", 0, at) + 1
    column = at - (data.rfind(b"\n", 0, at) + 1) + 1
    place = Place(file=name, line=line, column=column)
    return ConfigError(
        Problem(code="unreadable", message=f"`{name}` is no text: {why}", fix="save it as UTF-8", place=place)
    )
