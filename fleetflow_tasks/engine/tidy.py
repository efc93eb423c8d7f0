# SPDX-License-Identifier: Apache-2.0
"""What a run that ended badly leaves behind: containers that were made and never started.

A run may end anywhere: with its last step, by a cancel while none of its steps is under way, by a lease that ends, by a
worker that leaves. So the script that ends it badly gives a hint of its own for each of the run's queues, `run:tidy`,
and whichever worker gets it asks its runtimes to tidy. Only what carries that run's own mark and never started is
removed, so a hint that comes late, twice or next to the stage's next run does no harm. One that is lost is not sent
again: the next run's prune removes what is left.
"""

import logging
from collections.abc import Iterable

from fleetflow_tasks.config.model import RuntimeName
from fleetflow_tasks.engine.execute import Plans, Runtimes
from fleetflow_tasks.engine.hide import hider, traced
from fleetflow_tasks.engine.model import RunId
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.errors import FleetFlowError
from fleetflow_tasks.plan.model import Plan, QueueName, StepId
from fleetflow_tasks.runtimes.base import DeployError

log = logging.getLogger(__name__)

TIDY = StepId("run:tidy")  # as `end_run` in lib.lua writes it; no service has a step of this name
ENDED_BADLY = ("failed", "cancelled")


def follow_tidy(run: RunId, queues: Iterable[QueueName], *, store: Store, plans: Plans, runtimes: Runtimes) -> None:
    """What a worker of *queues* does with such a hint; nothing where *run* is not there or did not end badly.

    Raises UnavailableError where the store does not answer, RefusedError where the plan cannot be opened: then nothing
    was prepared here either.
    """
    found = store.run(run)
    if found is None or found.status not in ENDED_BADLY:
        return
    opened = plans.opened(run, found.project, found.stage)
    if opened is not None:
        served = frozenset(queues)
        tidy(opened.plan, run, sorted({each.runtime for each in opened.plan.steps if each.queue in served}), runtimes)


def tidy(plan: Plan, run: RunId, names: Iterable[RuntimeName], runtimes: Runtimes) -> None:
    """Let the runtimes of these *names* remove what *run*, which ended badly, prepared and never started.

    Never raises: the run is over, and the next one's prune finds what is left.
    """
    for name in names:
        try:
            outcome = runtimes(name).tidy(plan, run)
        except Exception as error:  # noqa: BLE001  (a runtime may be anybody's)
            expected = isinstance(error, (DeployError, FleetFlowError))
            hide = hider(plan)
            told = {"run": run, "runtime": name, "problem": hide(str(error))}
            log.warning("run.untidy", extra=told if expected else {**told, **traced(hide)})
        else:
            log.info("run.tidied", extra={"run": run, "runtime": name, "outcome": outcome.text})
