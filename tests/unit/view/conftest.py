# SPDX-License-Identifier: Apache-2.0
"""A run of four services, to be told event by event: `db`, a job `migrate`, `api` behind both, `web` behind `api`."""

from collections.abc import Iterable
from typing import Any

import pytest

from fleetflow_tasks.config.model import (
    Dependency,
    Healthcheck,
    Project,
    ProjectName,
    RuntimeChoice,
    RuntimeName,
    Service,
    ServiceName,
    Stage,
    StageName,
)
from fleetflow_tasks.engine.model import (
    AnyEvent,
    EventId,
    Run,
    RunId,
    RunStatus,
    Snapshot,
    StepMoved,
    StepProgressed,
    StepState,
    StepStatus,
    WorkerId,
)
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.model import Plan, QueueName, StepId
from fleetflow_tasks.runtimes.base import Outcome
from fleetflow_tasks.view.fold import Picture, fold, start


class Story:
    """Makes events with ids and times of their own, a second apart unless told otherwise, and folds them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.at = 100.0
        self._number = 0

    def begin(self, status: RunStatus = "running", *, facts: bool = True, queue: str = "", **run: Any) -> Picture:
        needs = {step.id: tuple(need.step for need in step.needs) for step in self.plan.steps}
        return start(self.snapshot(status, queue, **run), needs, steps=self.plan.steps if facts else ())

    def snapshot(self, status: RunStatus = "running", queue: str = "", **run: Any) -> Snapshot:
        fields = {"started": 100.0, "submitted": 99.0, "generation": 1, **run}
        return Snapshot(
            run=Run(id=RunId("r8f2"), project=self.plan.project, stage=self.plan.stage, status=status, **fields),
            steps=tuple(
                StepState(step=step.id, status="waiting", service=step.service, queue=QueueName(queue))
                for step in self.plan.steps
            ),
            last=EventId("1-0"),
        )

    def moved(self, step: str, status: StepStatus, after: float = 1.0, **fields: Any) -> StepMoved:
        worker = WorkerId("host1:42:x") if status == "running" else None
        fields = {"attempt": 1, "worker": worker, **fields}
        return StepMoved(step=StepId(step), status=status, **self.stamp(after), **fields)

    def well(self, step: str, text: str = "started", *, changed: bool = True, after: float = 1.0) -> list[AnyEvent]:
        outcome = Outcome(changed=changed, text=text)
        return [self.moved(step, "running", 0.0), self.moved(step, "succeeded", after, outcome=outcome)]

    def up(self, service: str, text: str = "started", *, changed: bool = True) -> list[AnyEvent]:
        """Both of its steps, a second for the deployment."""
        return [*self.well(f"{service}:prepare", after=0.0), *self.well(f"{service}:deploy", text, changed=changed)]

    def badly(self, step: str, message: str = "the image does not exist", **fields: Any) -> StepMoved:
        problem = {key: fields.pop(key) for key in ("cause", "fix", "place") if key in fields}
        return self.moved(step, "failed", problem=Problem(code="x", message=message, **problem), **fields)

    def progress(self, step: str, text: str, after: float = 1.0, **fields: Any) -> StepProgressed:
        return StepProgressed(step=StepId(step), text=text, **self.stamp(after), **fields)

    def stamp(self, after: float = 1.0) -> dict[str, Any]:
        self.at += after
        self._number += 1
        return {"at": self.at, "id": EventId(f"{int(self.at * 1000)}-{self._number}")}


def folded(picture: Picture, events: Iterable[AnyEvent]) -> Picture:
    for event in events:
        picture = fold(picture, event)
    return picture


def _service(name: str, *needs: str, **fields: Any) -> Service:
    waits = tuple(Dependency(service=ServiceName(need)) for need in needs)
    return Service(name=ServiceName(name), image="x:1", depends_on=waits, **fields)


def four() -> Plan:
    """`db`, a job `migrate`, `api` behind both, `web` behind `api`."""
    services = (
        _service("db", healthcheck=Healthcheck(test=("CMD", "true"))),
        _service("migrate", "db", job=True),
        _service("api", "db", "migrate"),
        _service("web", "api"),
    )
    stage = Stage(name=StageName("stg"), runtime=RuntimeChoice(name=RuntimeName("docker")), services=services)
    return build(Project(name=ProjectName("shop"), root="/srv/shop", stages=(stage,)), stage.name)


@pytest.fixture
def plan() -> Plan:
    return four()


@pytest.fixture
def story(plan: Plan) -> Story:
    return Story(plan)
