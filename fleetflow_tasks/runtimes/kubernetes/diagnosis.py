# SPDX-License-Identifier: Apache-2.0
"""What keeps something from becoming ready, as data, and how long that is looked at in peace.

Much that looks broken passes by itself: an autoscaler brings a node, a Secret arrives a second after its pod. So each
cause has its grace, counted on the API's clock from when it was first seen there; only past it is it fatal.
"""

from datetime import datetime

import msgspec

from fleetflow_tasks.config.model import Data


class Diagnosis(Data, frozen=True, kw_only=True):
    """code: a stable word for a Problem (`image-not-found`); the same as on other runtimes where it is the same.

    reason: the platform's own word ("ImagePullBackOff"). message: one line for people, to be read after "`api` did not
    become ready: ". cause: the platform's own sentences. fix: what to do, "" where nobody can know. field: of the
    service, which is to blame ("image"), "" where none is.
    fatal: waiting does not help. soon: seconds until it becomes fatal, None where time alone does not make it so.
    pod, container: whose logs tell more; wants_logs: whether they do; previous: those of its run before.
    """

    code: str
    reason: str
    message: str
    cause: tuple[str, ...] = ()
    fix: str = ""
    field: str = ""
    fatal: bool = False
    soon: float | None = None
    pod: str = ""
    container: str = ""
    wants_logs: bool = False
    previous: bool = False


def graced(found: Diagnosis, *, since: datetime | None, grace: float, now: datetime) -> Diagnosis:
    """Fatal once it has lasted for *grace* seconds. since: None where the platform did not say; then it begins now."""
    left = grace - seconds(since, now)
    return msgspec.structs.replace(found, fatal=left <= 0, soon=left if left > 0 else None)


def seconds(since: datetime | None, now: datetime) -> float:
    """How long ago that was; 0 where nobody knows, and never less: clocks that are off must not lengthen a grace."""
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def one_line(words: str, most: int = 300) -> str:
    """Cut where it is longer than *most*, and marked there: whoever hides secrets must know of the cut."""
    line = " · ".join(part.strip() for part in words.splitlines() if part.strip())
    return line if len(line) <= most else f"{line[:most]}…"
