# SPDX-License-Identifier: Apache-2.0
"""Processes of this machine, those in containers included."""

from contextlib import suppress
from pathlib import Path


def runs(words: str) -> bool:
    """Whether a process was begun with just these words."""
    wanted = words.encode().replace(b" ", b"\0") + b"\0"
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended just now
            if line.read_bytes() == wanted:
                return True
    return False
