# SPDX-License-Identifier: Apache-2.0
"""Some stages, the workers and the queues as they are at one moment."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fleetflow_tasks.config.model import ProjectName, StageName
from fleetflow_tasks.errors import RefusedError
from fleetflow_tasks.plan.codec import NewerSchemaError, header

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import RunId, RunStatus
    from fleetflow_tasks.engine.overview import Overview, StageOverview
    from fleetflow_tasks.engine.store import Store

_LINE = 1000  # runs in line that are looked at
_QUEUED: tuple["RunStatus", ...] = ("queued",)


def overview(store: "Store", stages: Iterable[tuple[ProjectName, StageName]]) -> "Overview":
    """Of *stages* and of all workers; a queue counts where one of these serves it or a step of the stages needs it."""
    from fleetflow_tasks.engine.overview import Overview

    seen = tuple(_stage(store, *stage) for stage in stages)
    workers = tuple(store.workers())
    served = {queue for worker in workers for queue in worker.queues}
    wanted = {state.queue for stage in seen if stage.active for state in stage.active.steps}
    last = {queue: store.last_served(queue) for queue in wanted - served}
    return Overview(
        now=store.now(),
        stages=seen,
        workers=workers,
        lengths={queue: store.queue_length(queue) for queue in sorted(served | wanted)},
        seen={queue: at for queue, at in last.items() if at is not None},
    )


def _stage(store: "Store", project: ProjectName, stage: StageName) -> "StageOverview":
    from fleetflow_tasks.engine.overview import StageOverview

    active = store.active_run(project, stage)
    snapshot = store.snapshot(active.id) if active is not None else None
    line = store.runs(project, stage, statuses=_QUEUED, limit=_LINE)
    schema, key = _sealed(store, active.id) if active is not None else (0, "")
    return StageOverview(
        project=project,
        stage=stage,
        active=snapshot,
        line=tuple(sorted(line, key=lambda run: run.ahead)),
        undo=store.undo(project, stage),
        schema=schema,
        key=key,
        quiet=store.quiet_until(project, stage),
    )


def _sealed(store: "Store", run: "RunId") -> tuple[int, str]:
    """Which schema and which key a worker must know for *run*'s plan."""
    blob = store.sealed_plan(run)
    try:
        head = header(blob) if blob is not None else None
    except NewerSchemaError as newer:
        return newer.schema, ""
    except RefusedError:  # no worker opens it either, and its steps say so
        head = None
    return (head.schema, head.key) if head is not None else (0, "")
