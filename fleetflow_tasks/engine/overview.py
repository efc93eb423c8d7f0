# SPDX-License-Identifier: Apache-2.0
"""What goes on in all stages at one moment, as far as Redis knows: the runs, the workers, the queues.

Data alone: `api` fills it in, `view` finds out from it what waits for what.
"""

from collections.abc import Iterable, Mapping

from fleetflow_tasks.config.model import Data, ProjectName, StageName
from fleetflow_tasks.engine.model import Run, Snapshot, Undo, WorkerInfo
from fleetflow_tasks.plan.model import QueueName

SILENT = 7.0  # seconds without a beat, of which one comes every five


class StageOverview(Data, frozen=True, kw_only=True):
    """active: the run under way with its steps. line: those behind it, the next one first. undo: what the stage is held for.

    schema, key: of the active run's plan, which not every worker can open. quiet: until when no run begins, since a call
    of a lost worker may still be on its way; None: no worker was lost.
    """

    project: ProjectName
    stage: StageName
    active: Snapshot | None = None
    line: tuple[Run, ...] = ()
    undo: Undo | None = None
    schema: int = 0
    key: str = ""
    quiet: float | None = None


class Overview(Data, frozen=True, kw_only=True):
    """lengths: messages that lie in each queue. seen: when a queue without a worker had its last one. now: Redis's clock."""

    now: float
    stages: tuple[StageOverview, ...] = ()
    workers: tuple[WorkerInfo, ...] = ()
    lengths: Mapping[QueueName, int] = {}
    seen: Mapping[QueueName, float] = {}


def silent(workers: Iterable[WorkerInfo], now: float) -> tuple[WorkerInfo, ...]:
    """Those that missed a beat, the last heard first: gone, or cut off, though they are not given up yet."""
    return tuple(sorted((each for each in workers if now - each.seen > SILENT), key=lambda each: -each.seen))
