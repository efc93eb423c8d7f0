# SPDX-License-Identifier: Apache-2.0
"""A stage stays on the engine it was first deployed to.

Docker is local to a host. Were one run carried out by a worker on one machine and the next by a worker on another, half
of the stage would run here and half there, and neither would be wrong by itself. So the first runtime that touches a
stage says who its platform is, the stage keeps that, and a worker that finds itself in front of another one changes
nothing and says so. `--adopt-engine` makes a run forget what was kept when it starts.

The platform is asked before each step: behind the same address another one may answer by now. What it said is compared
with what the stage keeps once for each run; after that the same answer is as good as the last one.
"""

import threading
from collections import OrderedDict

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.model import Plan, QueueName
from fleetflow_tasks.plan.resolve import queue

KEPT = 1024  # answers that are remembered; where more runs than that take turns, each step asks again


class Pins:
    """Which engine this process found each run's stage to be on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._right: OrderedDict[tuple[RunId, RuntimeName], str] = OrderedDict()
        self._lock = threading.Lock()

    def check(self, run: RunId, plan: Plan, name: RuntimeName, here: str) -> bool:
        """True: the stage is on this engine, from now on if it was on none. here: what the platform says it is; "": nothing.

        Raises RefusedError where the stage is on another one, UnavailableError where the store does not answer.
        """
        if not here or self._right.get((run, name)) == here:
            return True
        public = queue(name, plan.options.get(name, {}))
        there = self._store.pin_engine(plan.project, plan.stage, public, here)
        if there != here:
            raise RefusedError(_other(plan, public, here=here, there=there))
        self._remember(run, name, here)
        return True

    def _remember(self, run: RunId, name: RuntimeName, here: str) -> None:
        with self._lock:
            self._right[run, name] = here
            if len(self._right) > KEPT:
                self._right.popitem(last=False)


def _other(plan: Plan, public: QueueName, *, here: str, there: str) -> Problem:
    return Problem(
        code="other-engine",
        message=f"stage `{plan.project}/{plan.stage}` is on another engine: `{there}`, and here is `{here}`",
        cause=(f"what it has on `{public}` was deployed there; nothing was changed here",),
        fix="point this machine to that engine; or, if the stage has moved for good, deploy it with --adopt-engine",
    )
