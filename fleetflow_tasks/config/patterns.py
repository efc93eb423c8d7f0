# SPDX-License-Identifier: Apache-2.0
"""Which paths a pattern stands for: `services/**/*.kdl`.

`Path.glob` passes over a folder that cannot be listed; here it is an error, since what its files declare would look as if
nobody wanted it any more. Nor does a pattern run away: each folder is looked at once for each part of a pattern, `**`
follows no links, and all patterns of a project together look at no more than `MAX_ENTRIES` files and folders.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from fleetflow_tasks.config.limits import MAX_ENTRIES

ABSENT = {errno.ENOENT, errno.ENOTDIR}  # there is nothing; any other error is of something that is there
_WILD = "*?["


class TooManyEntriesError(Exception):
    """Patterns look at too much."""


def is_pattern(path: str) -> bool:
    return any(char in path for char in _WILD)


class Walk:
    """left: how many files and folders may still be looked at."""

    def __init__(self) -> None:
        self.left = MAX_ENTRIES

    def matching(self, folder: Path, parts: Iterable[str]) -> Iterator[Path]:
        """What matches the *parts* of a pattern inside *folder*, in no order. `**` is the folder and all below.

        Raises OSError for a folder that cannot be listed, and TooManyEntriesError.
        """
        todo = [(folder, _collapsed(parts))]
        seen: set[tuple[Path, int]] = set()
        while todo:
            place, rest = todo.pop()
            if (place, len(rest)) in seen:  # `**/a/**` finds `a/a` by two ways
                continue
            seen.add((place, len(rest)))
            if not rest:
                yield place
            elif rest[0] == "**":
                todo.append((place, rest[1:]))
                folders = (entry for entry in self._entries(place) if entry.is_dir(follow_symlinks=False))
                todo += [(place / entry.name, rest) for entry in folders]
            elif is_pattern(rest[0]):
                found = (entry for entry in self._entries(place) if fnmatchcase(entry.name, rest[0]))
                todo += [(place / entry.name, rest[1:]) for entry in found]
            else:
                todo.append((place / rest[0], rest[1:]))

    def _entries(self, folder: Path) -> list["os.DirEntry[str]"]:
        """Nothing, where there is no such folder."""
        try:
            with os.scandir(folder) as entries:
                found = list(islice(entries, self.left + 1))
        except OSError as error:
            if error.errno in ABSENT:
                return []
            raise
        self.left -= len(found)
        if self.left < 0:
            raise TooManyEntriesError
        return found


def _collapsed(parts: Iterable[str]) -> tuple[str, ...]:
    """`**` twice in a row says no more than once."""
    kept: list[str] = []
    for part in parts:
        if part != "**" or kept[-1:] != ["**"]:
            kept.append(part)
    return tuple(kept)
