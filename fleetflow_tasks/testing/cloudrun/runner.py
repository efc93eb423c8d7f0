# SPDX-License-Identifier: Apache-2.0
"""What brings a revision or a task to life: the seam behind which containers are scripted, or run for real.

The server starts a thing, then looks at it again and again, whenever somebody asks the server something: a runner needs no
thread for that, and answers at once. It says what the container wrote through `say`, from any thread.
"""

from collections.abc import Callable
from typing import Any, Protocol

from fleetflow_tasks.config.model import Data

Json = dict[str, Any]
Say = Callable[[str], None]
"""One line that the container wrote, for `ListLogEntries`."""


class Starting(Data, frozen=True, kw_only=True):
    """Not yet. again: seconds after which it is worth another look."""

    again: float = 0.1


class Serving(Data, frozen=True, kw_only=True):
    """It listens (a revision), or it works (a task). settles: false where the operation ends well and the service still
    never becomes ready. again: seconds after which a task is worth another look."""

    settles: bool = True
    again: float = 0.1


class Broken(Data, frozen=True, kw_only=True):
    """A revision that never will, or a task that could not be started.

    reason: of CommonReason or RevisionReason (google.cloud.run_v2.types.Condition). at: which condition of a revision tells
    it. code: that the operation ends with.
    """

    reason: str
    message: str
    at: str = "ContainerHealthy"
    code: str = "INTERNAL"


class Exited(Data, frozen=True, kw_only=True):
    """A task's container ended."""

    code: int


Phase = Starting | Serving | Broken | Exited


class Started(Protocol):
    """One revision, or one attempt of one task."""

    def look(self) -> Phase:
        """How it is at this moment; Broken and Exited stay."""
        ...

    def stop(self) -> None:
        """It is not wanted any more; safe to say twice."""
        ...


class Runner(Protocol):
    def revision(self, revision: Json, say: Say) -> Started:
        """*revision* as GetRevision shows it. Called once, when it is made."""
        ...

    def task(self, task: Json, attempt: int, say: Say) -> Started:
        """*task* as GetTask shows it. attempt: from 0."""
        ...
