# SPDX-License-Identifier: Apache-2.0
"""One step, carried out: claim it, call the runtime, write down how it ended, hint at what may start after it.

A hint is not an order. Whoever follows one asks the store for the step first, and leaves when it is taken, done, or not
ready after all. A deployment that fails is a state and raises nothing; an exception that nobody foresaw becomes a
problem with the code `bug`, its traceback goes to the log, and the worker lives on.

While Redis is away the end of a step is told again and again until the lease is over; then somebody else may be at it
already, who finds the work done.
"""

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, TypeVar

from fleetflow_tasks.config.model import Data, ProjectName, RuntimeName, StageName
from fleetflow_tasks.engine.hide import Hide, hidden_outcome, hidden_problem, hider, traced
from fleetflow_tasks.engine.lease import Held, Leases
from fleetflow_tasks.engine.model import Claim, Finished, Hint, Publish, RunId, StepState, StepStatus, WorkerId
from fleetflow_tasks.engine.pin import Pins
from fleetflow_tasks.engine.retry import retry_in
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.engine.trouble import DamagedError
from fleetflow_tasks.engine.urls import Outcomes, signed, with_urls
from fleetflow_tasks.errors import FleetFlowError, Problem, UnavailableError
from fleetflow_tasks.plan.codec import Keys, unseal
from fleetflow_tasks.plan.model import SCHEMA, Plan, Step, StepId
from fleetflow_tasks.runtimes.base import DeployError, Outcome, Runtime, Stopped
from fleetflow_tasks.runtimes.restarting import restarted

log = logging.getLogger(__name__)

Runtimes = Callable[[RuntimeName], Runtime]
T = TypeVar("T")

# Where a test may hold a worker still, to kill it there or to let the world go on meanwhile: each state by design, not by
# luck. `after_finish` lies before the successors' hints go out. What happens in a runtime's call, a runtime decides.
Point = Literal["before_claim", "after_claim", "before_finish", "after_finish"]
Pause = Callable[[Point, RunId, StepId], None]

AGAIN = 0.5  # seconds between two tries to tell a store that does not answer
# Opened plans that are kept, and the steps of all of them, some 50 MB. Where hundreds of stages take turns, a plan that is
# not kept is fetched and opened again for each of its steps; that takes longer than the claim.
PLANS, STEPS = 256, 20_000


class Done(Data, frozen=True, kw_only=True):
    outcome: Outcome


class Failed(Data, frozen=True, kw_only=True):
    """retry_in: seconds; None: another attempt would end the same way."""

    problem: Problem
    retry_in: float | None


class GivenBack(Data, frozen=True, kw_only=True):
    """Another worker may have it at once: this one is on its way out."""


class Cancelled(Data, frozen=True, kw_only=True):
    """The run was cancelled while the step was under way."""


class Lost(Data, frozen=True, kw_only=True):
    """Not ours any more: whoever holds it now writes its end."""


Ending = Done | Failed | GivenBack | Cancelled | Lost


class Plans:
    """Plans as they lie in the store, opened and kept for the steps that follow. keys: what opens them."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self.keys = keys
        self._opened: OrderedDict[RunId, Opened] = OrderedDict()
        self._lock = threading.Lock()

    def opened(self, run: RunId, project: ProjectName, stage: StageName) -> "Opened | None":
        """None: the run is not there any more. Raises RefusedError when the seal does not fit."""
        if (kept := self._kept(run)) is not None:
            return kept
        blob = self._store.sealed_plan(
            run
        )  # not under the lock: whose plan is kept does not wait for a Redis that is away
        if blob is None:
            return None
        with self._lock:
            if run not in self._opened:  # several may have fetched it at once; one opens it
                self._opened[run] = _opened(unseal(blob, self.keys, run=run, project=project, stage=stage))
                self._forget()
            return self._opened[run]

    def _kept(self, run: RunId) -> "Opened | None":
        with self._lock:
            if run in self._opened:
                self._opened.move_to_end(run)
            return self._opened.get(run)

    def _forget(self) -> None:
        """What was not asked for the longest time; never the last one, however large."""
        steps = sum(len(opened.steps) for opened in self._opened.values())
        while len(self._opened) > 1 and (len(self._opened) > PLANS or steps > STEPS):
            _, forgotten = self._opened.popitem(last=False)
            steps -= len(forgotten.steps)


class Opened(Data, frozen=True, kw_only=True):
    """hide: takes the plan's secrets out of a text."""

    plan: Plan
    steps: Mapping[StepId, Step]
    hide: Hide

    def step(self, step: StepId) -> Step:
        """Raises DamagedError for one that was not sealed with the plan."""
        if step not in self.steps:
            raise DamagedError(f"step `{step}`, which its run's plan does not hold")
        return self.steps[step]


def _opened(plan: Plan) -> Opened:
    return Opened(plan=plan, steps={step.id: step for step in plan.steps}, hide=hider(plan))


def nowhere(point: Point, run: RunId, step: StepId) -> None:
    """The pause of every worker that is not in a test."""


def once_each(make: Runtimes) -> Runtimes:
    """*make*, called once for each name: an instance serves all threads, and keeps its connections."""
    made: dict[RuntimeName, Runtime] = {}
    lock = threading.Lock()

    def runtime(name: RuntimeName) -> Runtime:
        with lock:
            if name not in made:
                made[name] = make(name)
            return made[name]

    return runtime


def execute(
    run: RunId,
    step: StepId,
    *,
    store: Store,
    plans: Plans,
    runtimes: Runtimes,
    pins: Pins,
    publish: Publish,
    worker: WorkerId,
    leases: Leases,
    tracebacks: str = "the log of the worker",
    pause: Pause = nowhere,
) -> StepState | None:
    """Carry out *step* if it is ours to carry out, and hint at what may start after it.

    tracebacks: where they go, in the words of the problem that a bug becomes.
    Returns the state it reached, or None if another worker holds it or nothing is left to do.
    Raises UnavailableError when the store cannot even be asked; the hint is then as good as lost, and comes again.
    """
    pause("before_claim", run, step)
    claim = store.claim(run, step, worker=worker, nonce=uuid.uuid4().hex, schema=SCHEMA)
    if not isinstance(claim, Claim):
        log.debug("step.not_ours", extra={"run": run, "step": step, "reason": claim})
        return None
    # Worth a line: when a worker dies, its log must tell what it was doing.
    log.info("step.claimed", extra=_fields(claim))
    with leases.hold(claim) as attempt:
        send(publish, claim.hints)
        pause("after_claim", run, step)
        ending = _carried_out(attempt, store, plans, runtimes, pins, tracebacks)
        pause("before_finish", run, step)
        finished = _told(attempt, lambda: _written(store, claim, ending))
    pause("after_finish", run, step)
    return _ended(claim, ending, finished, publish)


def send(publish: Publish, hints: tuple[Hint, ...]) -> bool:
    """Publish each; False where one could not be sent. It is not lost: a reconciler finds its step ready and sends it again."""
    try:
        for hint in hints:
            publish(hint)
    except UnavailableError as error:
        log.warning("hint.unsent", extra={"problem": str(error)})
        return False
    return True


def _carried_out(attempt: Held, store: Store, plans: Plans, runtimes: Runtimes, pins: Pins, tracebacks: str) -> Ending:
    claim = attempt.claim
    try:
        opened = _told(attempt, lambda: plans.opened(claim.run, claim.project, claim.stage))
        if opened is None:
            return Lost()
        step = opened.step(claim.step)
    except FleetFlowError as refused:
        return Failed(problem=refused.problems[0], retry_in=None)
    except Exception as error:
        log.exception("step.bug", extra=_fields(claim))
        return Failed(problem=_bug(error, tracebacks), retry_in=None)

    def outcomes(steps: Sequence[StepId]) -> Outcomes | None:
        return _told(attempt, lambda: store.outcomes(claim.run, steps))

    tell = partial(with_urls, opened.plan, step, keys=plans.keys, runtimes=runtimes, outcomes=outcomes)
    ending = _tried(attempt, opened, step, runtimes, pins, tell, tracebacks)
    return _without_secrets(_signed(ending, opened.plan, step, plans.keys), opened.hide)


def _tried(
    attempt: Held,
    opened: Opened,
    step: Step,
    runtimes: Runtimes,
    pins: Pins,
    tell: Callable[[], Plan | None],
    tracebacks: str,
) -> Ending:
    """tell: puts the URLs that *step* is told into the plan; None: the lease was over before the store answered."""
    try:
        attempt.begin(step.timeout, hide=opened.hide)
        runtime = runtimes(step.runtime)
        here = runtime.identity(opened.plan)
        if not _told(attempt, lambda: pins.check(attempt.claim.run, opened.plan, step.runtime, here)):
            return Lost()
        plan = tell()
        return Done(outcome=_called(runtime, plan, step, attempt)) if plan is not None else Lost()
    except Stopped as stopped:
        return _stopped(stopped, attempt)
    except DeployError as error:
        return Failed(problem=error.problem, retry_in=_again(error, step, attempt.claim))
    except FleetFlowError as error:
        return Failed(problem=error.problems[0], retry_in=_again(error, step, attempt.claim))
    except Exception as error:  # noqa: BLE001  (a runtime may be anybody's)
        log.error("step.bug", extra={**_fields(attempt.claim), **traced(opened.hide)})  # noqa: TRY400  (`exc_info` hides nothing)
        return Failed(problem=_bug(error, tracebacks), retry_in=None)


def _signed(ending: Ending, plan: Plan, step: Step, keys: Keys) -> Ending:
    return Done(outcome=signed(ending.outcome, plan, step, keys)) if isinstance(ending, Done) else ending


def _without_secrets(ending: Ending, hide: Hide) -> Ending:
    match ending:
        case Done(outcome=outcome):
            return Done(outcome=hidden_outcome(outcome, hide))
        case Failed(problem=problem, retry_in=seconds):
            return Failed(problem=hidden_problem(problem, hide), retry_in=seconds)
        case Cancelled() | GivenBack() | Lost():
            return ending


def _called(runtime: Runtime, plan: Plan, step: Step, attempt: Held) -> Outcome:
    match step.action:
        case "prepare":
            return runtime.prepare(plan, step, attempt)
        case "deploy":
            return runtime.deploy(plan, step, attempt)
        case "restart":
            return restarted(runtime, plan, step, attempt)
        case "remove" | "prune":
            return runtime.remove(plan, step, attempt)


def _stopped(stopped: Stopped, attempt: Held) -> Ending:
    match stopped.reason:
        case "lost":
            return Lost()
        case "cancelled":
            return Cancelled()
        case "draining":
            return GivenBack()
        case "timeout":
            return Failed(problem=_timeout(attempt), retry_in=None)


def _again(error: Exception, step: Step, claim: Claim) -> float | None:
    """Only what the step itself tried counts: a worker that died or left says nothing of how patient to be."""
    tries = claim.attempt - claim.losses - claim.releases
    return retry_in(error, attempt=tries) if tries <= step.retries else None


def _timeout(attempt: Held) -> Problem:
    seconds = round(attempt.deadline - attempt.began, 1)
    return Problem(
        code="step-timeout",
        message=f"not done after {seconds:g} s",
        cause=(f"last heard: {attempt.said}",) if attempt.said else (),
        fix="give it longer with `timeout`, or find out what it waits for",
    )


def _bug(error: Exception, tracebacks: str) -> Problem:
    return Problem(
        code="bug",
        message=f"a mistake in FleetFlow: {type(error).__name__}: {error}",
        cause=(f"the traceback is in {tracebacks}",),
    )


def _written(store: Store, claim: Claim, ending: Ending) -> Finished:
    match ending:
        case Done(outcome=outcome):
            return store.finish_well(claim, outcome)
        case Failed(problem=problem, retry_in=seconds):
            return store.finish_badly(claim, problem, retry_in=seconds)
        case Cancelled():
            return store.finish_cancelled(claim)
        case GivenBack():
            return store.release(claim, reason="draining")
        case Lost():
            return Finished(accepted=False)


def _told(attempt: Held, say: Callable[[], T]) -> T | None:
    """What the store answers, asked again while it does not; None once the lease is over.

    Asked once more then: where only the answer was lost, the step has ended, which looks like a lost lease to the renewer,
    and the answer holds the hints of what comes next.
    """
    while True:
        over = attempt.is_over()
        try:
            return say()
        except UnavailableError:
            if over:
                return None
            time.sleep(AGAIN)


def _ended(claim: Claim, ending: Ending, finished: Finished | None, publish: Publish) -> StepState | None:
    if finished is None or not finished.accepted:
        log.warning("step.lost", extra=_fields(claim))
        return None
    send(publish, finished.hints)
    state = _state(claim, ending)
    log.info("step.ended", extra=_fields(claim) | {"status": state.status})
    return state


def _state(claim: Claim, ending: Ending) -> StepState:
    outcome: Outcome | None = None
    problem: Problem | None = None
    status: StepStatus
    match ending:
        case Done():
            status, outcome = "succeeded", ending.outcome
        case Failed():
            status, problem = "failed" if ending.retry_in is None else "delayed", ending.problem
        case Cancelled():
            status = "cancelled"
        case GivenBack() | Lost():
            status = "ready"
    return StepState(
        step=claim.step,
        status=status,
        attempt=claim.attempt,
        losses=claim.losses,
        fence=claim.fence,
        worker=claim.worker,
        outcome=outcome,
        problem=problem,
    )


def _fields(claim: Claim) -> dict[str, object]:
    return {"run": claim.run, "step": claim.step, "fence": claim.fence, "attempt": claim.attempt}
