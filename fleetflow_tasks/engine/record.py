# SPDX-License-Identifier: Apache-2.0
"""A run as it is told afterwards, and a version that could come again: put together from many answers of the store.

Data: `api` fills it in, `view` makes it a screen.
"""

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.engine.model import AnyEvent, Run, RunId, Snapshot
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.codec import Readable
from fleetflow_tasks.plan.compare import Difference
from fleetflow_tasks.plan.model import Plan


class Record(Data, frozen=True, kw_only=True):
    """readable: of its plan, what needs no key. plan: the whole of it; None where it cannot be opened, and why is in `closed`.

    events: as far as they are kept. before: the last run that had succeeded as a whole when this one began;
    differences: against its plan, None where one of the two cannot be opened. undone: the run that rolled this one back.
    now: Redis's clock.
    """

    snapshot: Snapshot
    readable: Readable
    now: float
    events: tuple[AnyEvent, ...] = ()
    plan: Plan | None = None
    closed: Problem | None = None
    before: Run | None = None
    differences: tuple[Difference, ...] | None = None
    undone: Run | None = None


class Version(Data, frozen=True, kw_only=True):
    """What a rollback would bring back: the plan of `run`, in the place of that of `last`, its stage's last run.

    differences: from the one to the other; None where the latter cannot be opened. now: Redis's clock.
    here: `last` was carried out in the process that asked for it, and not by workers.
    """

    run: Run
    last: Run
    differences: tuple[Difference, ...] | None
    now: float
    here: bool = False


def undoes(run: Run, failed: RunId) -> bool:
    """Whether *run* was made to take *failed* back."""
    return run.because is not None and run.because.kind == "rollback" and run.because.run == failed
