# SPDX-License-Identifier: Apache-2.0
"""Cpu, memory, durations and secrets as Cloud Run writes them -> as the language reads them, with the same meaning.

The two differ in one letter: `k` is 1000 to Cloud Run, and 1024 to people who know Docker. Such an amount is said in bytes.
"""

import re

from fleetflow_tasks.runtimes.cloudrun.spelling import UnfitError, text

_CORES = re.compile(r"\d{1,6}m?|\d{1,4}\.\d{1,3}", re.ASCII)
_SIZE = re.compile(r"(\d{1,18})(Ki|Mi|Gi|M|G|k|)", re.ASCII)
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


def cores(value: object) -> str:
    """`1`, `500m`, `0.5`."""
    found = _CORES.fullmatch(text(value))
    if found is None:
        raise UnfitError(value)
    return found[0]


def size(value: object) -> str | int:
    """`512Mi`, or a number of bytes."""
    found = _SIZE.fullmatch(text(value))
    if found is None:
        raise UnfitError(value)
    if found[2] in {"", "k"}:
        return int(found[1]) * (1000 if found[2] else 1)
    return found[0]


def duration(value: object) -> int | float:
    """`300s` -> 300."""
    found = _SECONDS.fullmatch(text(value))
    if found is None:
        raise UnfitError(value)
    seconds = float(found[1])
    return int(seconds) if seconds == int(seconds) else seconds


def reference(secret: str, version: str, project: str) -> str:
    """A secret as `ref` has it: one of the stage's own project by its name alone, as it is for every stage."""
    own = secret.removeprefix(f"projects/{project}/secrets/")
    return f"{own}/versions/{version}" if "/" in own else f"{own}:{version}"
