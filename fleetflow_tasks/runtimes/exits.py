# SPDX-License-Identifier: Apache-2.0
"""What an exit code tells: the same words on every runtime."""

from collections.abc import Mapping

MEANINGS: Mapping[int, str] = {
    126: "the command cannot be executed: no permission, or it is a folder",
    127: "the command was not found in the image",
    128: "it could not be started",
    134: "it aborted itself (SIGABRT)",
    137: "it was killed (SIGKILL): its stop grace ran out, somebody killed it, or the machine itself had no memory left",
    139: "it crashed (SIGSEGV, a segmentation fault)",
    143: "it was asked to end (SIGTERM) and did",
}


def ended(code: int) -> str:
    """How a process ended, in one line."""
    known = MEANINGS.get(code, "")
    return f"it ended with exit code {code}" + (f": {known}" if known else "")


def out_of_memory(code: int, limit: int) -> str:
    """limit: bytes it was allowed; 0 where nobody limited it."""
    allowed = f": its limit is {limit // 2**20} MiB" if limit else ""
    return f"out of memory{allowed} (exit code {code})"
