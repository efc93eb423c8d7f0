# SPDX-License-Identifier: Apache-2.0
"""One failure as Cloud Run tells it, and as we do: the form of what `causes` looks for. Pure."""

import re

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.runtimes.cloudrun.reading import one_line

USUAL_PORT = 8080  # that Cloud Run asks a container to listen on, where nothing is said


class Cause(Data, frozen=True, kw_only=True):
    """message: goes on where "cannot deploy `api`: " ends. lines: more of it, the nearest first. field: of the service in
    the text, that it comes from; "" where none is. again: it may pass by itself."""

    code: str
    message: str
    lines: tuple[str, ...] = ()
    fix: str = ""
    field: str = ""
    again: bool = False


class Facts(Data, frozen=True, kw_only=True):
    """One failure: Cloud Run's reason and words, and what its revision (or its job) was to run.

    account: as whom it was to run; "" for the project's default one.
    """

    reason: str
    message: str
    project: str = ""
    image: str = ""
    account: str = ""
    port: int = USUAL_PORT

    @property
    def lines(self) -> tuple[str, ...]:
        """Cloud Run's own words, as the last thing that is told."""
        said = plain(self.message)
        return (f"Cloud Run says: {said}",) if said else ()


def plain(message: str) -> str:
    """Cloud Run's words in one line, without what it says each time, and without its links."""
    return one_line(_FRAME.sub("", message))


_FRAME = re.compile(
    r"Revision '[^']*' is not ready and cannot serve traffic\.\s*"
    r"|Logs for this revision might contain more information\.\s*"
    r"|Logs URL: \S+\s*"
    r"|For more troubleshooting guidance, see \S+\s*"
)
