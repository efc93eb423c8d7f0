# SPDX-License-Identifier: Apache-2.0
"""An earlier run's plan, carried out again because somebody asks for it: what failed once more, or a version of before.

A run is never begun again. Both are new runs, with a generation of their own, so whatever is still on its way for the
old one is refused by what it meets. A retry keeps what its run had done; but only of the last run of its stage that has
begun, since any later one may have changed it. One may begin between the look and the submit, and even end: so the script
that stores the retry looks once more. A run that was cancelled in line did nothing, and stands in nobody's way; retried
itself, it keeps nothing. What was prepared and not deployed was removed at the run's end, so it is prepared again.
"""

from collections.abc import Callable, Mapping, Sequence

from fleetflow_tasks.engine.dispatch import submit
from fleetflow_tasks.engine.model import (
    RUN_ENDS,
    Because,
    Conflict,
    Publish,
    Run,
    RunId,
    StepState,
    Submitted,
    new_run_id,
)
from fleetflow_tasks.engine.rollback import reopened
from fleetflow_tasks.engine.store import Facts, Store
from fleetflow_tasks.engine.trouble import known
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.codec import Keys, readable
from fleetflow_tasks.plan.leave import without
from fleetflow_tasks.plan.model import Plan, Step, StepId

RUNS = 1000  # of a stage that are looked at: 50 that have ended are kept, and the line is not as long


def retry(
    run: RunId,
    *,
    store: Store,
    keys: Keys,
    publish: Publish,
    actor: str,
    note: str = "",
    fail_fast: bool = False,
    wait_workers: bool = False,
    timeout: float | None = None,
    adopt: bool = False,
) -> Submitted:
    """Submit a run of what *run* did not do. If that was to be rolled back on failure, so is this.

    Raises RefusedError where *run* is not known, not over, went well, cannot be opened, or another of its stage has begun
    since; and as `dispatch.submit` does where the stage is busy: somebody was faster.
    """
    old = known(store.run(run), run)
    last = store.generation(old.project, old.stage)  # first of all: what begins from now on is found by the script
    _refuse_retry(old, _last_begun(old, store))
    plan = reopened(old.id, old.project, old.stage, store=store, keys=keys)
    snapshot = store.snapshot(old.id)
    return submit(
        plan,
        run=new_run_id(),
        store=store,
        keys=keys,
        publish=publish,
        actor=actor,
        note=note,
        conflict="fail",
        fail_fast=fail_fast,
        wait_workers=wait_workers,
        kept=again(plan, snapshot.steps) if snapshot is not None and old.generation else {},
        because=Because(kind="retry", run=old.id, plan=old.id),
        timeout=timeout,
        rollback=old.rollback,
        adopt=adopt,
        after=old.generation or last,
    )


def roll_back_to(
    run: RunId,
    *,
    store: Store,
    keys: Keys,
    publish: Publish,
    actor: str,
    note: str = "",
    conflict: Conflict = "wait",
    fail_fast: bool = False,
    wait_workers: bool = False,
    timeout: float | None = None,
    adopt: bool = False,
    allowed: Callable[[Plan], Plan] = lambda plan: plan,
) -> Submitted:
    """Submit the plan of *run* again, as a new run of its stage.

    allowed: adds what this deployment is given leave for; what *run* was given leave for counts no more. It may raise.
    Raises RefusedError where *run* is not known, did not succeed, deployed a part of its stage alone, or cannot be
    opened; and as `dispatch.submit` does.
    """
    plan, because = version_of(run, store=store, keys=keys)
    return submit(
        allowed(plan),
        run=new_run_id(),
        store=store,
        keys=keys,
        publish=publish,
        actor=actor,
        note=note,
        conflict=conflict,
        fail_fast=fail_fast,
        wait_workers=wait_workers,
        because=because,
        timeout=timeout,
        adopt=adopt,
    )


def version_of(run: RunId, *, store: Store, keys: Keys) -> tuple[Plan, Because]:
    """The plan of *run*, to be deployed again, and why. Raises RefusedError as `roll_back_to`."""
    good = known(store.run(run), run)
    _refuse_rollback(good)
    plan = without(reopened(good.id, good.project, good.stage, store=store, keys=keys))
    return plan, Because(kind="rollback", run=_last_version(good, store).id, plan=good.id)


def only_restarts(run: Run, store: Store) -> bool:
    """Whether *run* started anew what was there, and so left its stage at the version that it found."""
    blob = store.sealed_plan(run.id)
    try:
        steps = readable(blob).steps if blob is not None else ()
    except RefusedError:
        return False
    return bool(steps) and all(step.action == "restart" for step in steps)


def again(plan: Plan, states: Sequence[StepState]) -> Mapping[StepId, Facts]:
    """The steps that a retry keeps: services that were deployed or removed, and what was prepared for them.

    With the facts that they told: a step that is done now may need one, such as a URL.
    """
    done = {state.step: state.outcome for state in states if state.status == "succeeded"}
    services = {step.service for step in plan.steps if step.id in done and _changes_a_service(step)}
    kept = [step.id for step in plan.steps if step.id in done and step.service is not None and step.service in services]
    return {step: outcome.facts if (outcome := done[step]) is not None else {} for step in kept}


def _changes_a_service(step: Step) -> bool:
    return step.service is not None and step.action in ("deploy", "restart", "remove")


def _last_begun(run: Run, store: Store) -> Run:
    """Of the stage of *run*; *run* itself, where none is known to have begun."""
    return max(_begun(run, store), key=lambda each: each.generation, default=run)


def _last_version(run: Run, store: Store) -> Run:
    """As `_last_begun`, of those that brought their stage to a version."""
    newest_first = sorted(_begun(run, store), key=lambda each: each.generation, reverse=True)
    return next((each for each in newest_first if not only_restarts(each, store)), run)


def _begun(run: Run, store: Store) -> Sequence[Run]:
    return [each for each in store.runs(run.project, run.stage, limit=RUNS) if each.generation]


def _refuse_retry(run: Run, last: Run) -> None:
    if run.status not in RUN_ENDS:
        raise RefusedError(_goes_on(run))
    if run.status == "succeeded":
        raise RefusedError(_went_well(run))
    # One that never began stood in line behind those that were submitted before it.
    if last.generation > run.generation and (run.generation or last.submitted > run.submitted):
        raise RefusedError(_overtaken(run, last))


def _goes_on(run: Run) -> Problem:
    return Problem(
        code="run-goes-on",
        message=f"run {run.id} is not over: it is {run.status}",
        fix=f"wait for its end, or bring it about: flow cancel {run.id}",
        more=f"flow watch {run.id}",
    )


def _went_well(run: Run) -> Problem:
    return Problem(
        code="run-went-well",
        message=f"run {run.id} succeeded, so nothing of it is left to be done again",
        fix="deploy the stage anew with `flow submit`: what is as it should be is left alone",
    )


def _overtaken(run: Run, last: Run) -> Problem:
    return Problem(
        code="overtaken",
        message=f"run {run.id} is not the newest of stage `{run.project}/{run.stage}` any more",
        cause=(f"run {last.id} of {last.actor or 'somebody'} has begun since, and may have changed what it had done",),
        fix="deploy the stage anew with `flow submit`: what is as it should be is left alone",
        more=f"flow show {last.id}",
    )


def _refuse_rollback(run: Run) -> None:
    if run.status != "succeeded":
        raise RefusedError(
            _not_good(run, f"it is {run.status}" if run.status not in RUN_ENDS else f"it {_HOW[run.status]}")
        )
    if not run.whole:
        raise RefusedError(_not_good(run, "it did not deploy the stage as a whole"))


_HOW = {"failed": "failed", "cancelled": "was cancelled"}


def _not_good(run: Run, why: str) -> Problem:
    stage = f"{run.project}/{run.stage}"
    return Problem(
        code="not-a-version",
        message=f"run {run.id} is none to go back to: {why}",
        cause=("only a run that deployed all services of its stage, and succeeded, says what that stage should be",),
        fix=f"name one that did, of those that `flow runs` lists for `{stage}`",
    )
