# SPDX-License-Identifier: Apache-2.0
"""Another share of the requests for what is on trial on Cloud Run. Nothing else is deployed, and no file is read.

The plan is that of the stage's last run, so the services are as they were deployed, and only the requests move. Which of
them have a roll-out under way, the platform says: of all that this plan would change, only what changes nothing but the
traffic gets a step. Whatever else differs (a service that failed, or that somebody else changed) is left alone, and said.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from fleetflow_tasks.api.connected import opened, settings_of
from fleetflow_tasks.api.following import KNOWN_RUNS
from fleetflow_tasks.api.leave import moving
from fleetflow_tasks.api.reading import changes
from fleetflow_tasks.api.repeating import last_of, stage_of, was_here
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.config.model import Data, ServiceName
from fleetflow_tasks.config.nearest import suggestion
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.leave import without
from fleetflow_tasks.plan.model import Plan, ResolvedService, Step, StepId
from fleetflow_tasks.plan.resolve import CLOUDRUN, queue
from fleetflow_tasks.runtimes.base import Change

if TYPE_CHECKING:
    from fleetflow_tasks.engine.model import Run
    from fleetflow_tasks.engine.store import Store

TRAFFIC = "traffic"  # the one field of such a change

Changes = Mapping[StepId, Change]


class Shift(Data, frozen=True, kw_only=True):
    """plan: that moves the requests, and nothing else. changes: of its steps. here: the stage's last run was carried out in
    the process that asked for it, and not by workers. notes: what was left alone."""

    plan: Plan
    changes: Changes
    here: bool
    notes: tuple[Problem, ...] = ()


def shift(
    request: Request, share: int, *, project: str | None = None, stage: str | None = None, only: Collection[str] = ()
) -> Shift:
    """What gives *share* percent of the requests to what is on trial. Changes nothing.

    only: of these services alone. project, stage: None where only one stage has runs at all.
    Raises RefusedError where there is nothing to move, or the last run's plan cannot be opened; UnavailableError.
    """
    from fleetflow_tasks.engine.retrying import only_restarts

    with opened(request) as store:
        place = stage_of(store, project, stage, "flow promote-traffic --stage={}")
        begun = (run for run in store.runs(*place, limit=KNOWN_RUNS) if run.generation)
        last = last_of((run for run in begun if not only_restarts(run, store)), place)
        _refuse(_under_way(last))
        plan, here = _deployed(store, last, request), was_here(store, last)
    _refuse(_unknown(plan, only))
    wanted = moving(without(plan), share)
    asked = replace(wanted, steps=tuple(_steps(wanted, only)))
    found = changes(request, asked) if asked.steps else {}
    moved = {step: change for step, change in found.items() if _is_traffic(change)}
    left = {step: change for step, change in found.items() if change.kind != "none" and step not in moved}
    _refuse(_nothing(last, share, moved, left, only))
    steps = tuple(step for step in asked.steps if step.id in moved)
    return Shift(plan=replace(asked, steps=steps), changes=moved, here=here, notes=tuple(_left(left, "warning")))


def _deployed(store: "Store", last: "Run", request: Request) -> Plan:
    from fleetflow_tasks.engine.rollback import reopened

    return reopened(last.id, last.project, last.stage, store=store, keys=settings_of(request).keys)


def _steps(plan: Plan, only: Collection[str]) -> Iterator[Step]:
    """Of whatever can be on trial. None waits for another: all that is deployed is there already."""
    for service in plan.services:
        if service.runtime == CLOUDRUN and not service.job and (not only or service.name in only):
            yield _step(service, plan)


def _step(service: ResolvedService, plan: Plan) -> Step:
    return Step(
        id=StepId(f"{service.name}:deploy"),
        action="deploy",
        runtime=service.runtime,
        queue=queue(service.runtime, plan.options[service.runtime]),
        service=service.name,
        timeout=service.timeout,
        retries=service.retries,
    )


def _is_traffic(change: Change) -> bool:
    return change.kind == "update" and {each.field for each in change.fields} == {TRAFFIC}


def _refuse(problems: Iterator[Problem]) -> None:
    if wrong := tuple(problems):
        raise RefusedError(*wrong)


def _under_way(last: "Run") -> Iterator[Problem]:
    from fleetflow_tasks.engine.model import RUN_ENDS

    if last.status not in RUN_ENDS:
        yield Problem(
            code="run-goes-on",
            message=f"run {last.id} of stage `{last.project}/{last.stage}` is not over: it is {last.status}",
            fix="wait for its end: what it deploys is on trial only then",
            more=f"flow watch {last.id}",
        )


def _unknown(plan: Plan, only: Collection[str]) -> Iterator[Problem]:
    there = {service.name: service for service in plan.services}
    for name in sorted(set(only)):
        service = there.get(ServiceName(name))
        if service is None:
            message = f"stage `{plan.stage}` has no service `{name}`"
            yield Problem(code="unknown-service", message=message, fix=suggestion(name, there))
        elif service.runtime != CLOUDRUN or service.job:
            what = "is a job" if service.job else f"is on {service.runtime}"
            yield Problem(
                code="no-cloudrun",
                message=f"service `{name}` {what}: nothing shares its requests out",
                cause=("only on Cloud Run can a new version get a share of the requests",),
                fix="leave it out",
                more="docs/cloudrun.md",
            )


def _nothing(last: "Run", share: int, moved: Changes, left: Changes, only: Collection[str]) -> Iterator[Problem]:
    if only or not moved:
        yield from _left(left, "error")
    if not moved and not left:
        yield Problem(
            code="no-canary",
            message=f"stage `{last.project}/{last.stage}` has nothing on trial that could get {share} % of the requests",
            cause=("either no new version is on trial, or it has that share already",),
            fix="deploy a new version with a share: flow up --canary 10",
            more=f"flow ps {last.stage}",
        )


def _left(left: Changes, severity: Literal["error", "warning"]) -> Iterator[Problem]:
    for step in sorted(left):
        name = step.partition(":")[0]
        yield Problem(
            code="not-as-deployed",
            message=f"service `{name}` is not as the stage's last run has it, so its requests are left alone",
            cause=(left[step].cause,) if left[step].cause else (),
            fix="deploy it first",
            severity=severity,
        )
