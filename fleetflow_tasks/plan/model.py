# SPDX-License-Identifier: Apache-2.0
"""A plan: everything that a worker needs, but its own credentials.

A step says what is done to which service and what it waits for; the services stand once, resolved, beside the steps.
"""

from collections.abc import Mapping
from typing import Literal, NewType

from fleetflow_tasks.config.model import (
    Build,
    Condition,
    Data,
    ProjectName,
    RuntimeName,
    Secret,
    ServiceName,
    StageName,
    Traits,
)

StepId = NewType("StepId", str)
QueueName = NewType("QueueName", str)

SCHEMA = 1  # of a plan's bytes; a worker that meets a higher number leaves the step to a newer worker

Action = Literal["prepare", "deploy", "restart", "remove", "prune"]

STAGE = "stage"  # the first half of the ids `stage:prepare` and `stage:prune`, so no service can have this name


class ResolvedDependency(Data, frozen=True, kw_only=True):
    """wait: also at a later restart, not in a deployment alone (Kubernetes)."""

    service: ServiceName
    condition: Condition
    wait: bool = True


class ResolvedBuild(Build, frozen=True, kw_only=True):
    """hash: of all that goes into the image, hexadecimal; "" where nobody has read the files, as nobody will build.

    The context stays relative to the plan's root, so that the same files make the same plan wherever they lie.
    """

    hash: str = ""


class ResolvedService(Traits, frozen=True, kw_only=True):
    """A service with nothing left open: full image reference, complete environment, absolute bind sources.

    build: what the image is built of, where it is not taken as it is.
    secrets: values to hand over. secret_refs: name -> a reference that the platform itself reads.
    options: of its own runtime alone. env_from_stage: which keys of `environment` come from the stage's variables.
    """

    name: ServiceName
    runtime: RuntimeName
    image: str
    build: ResolvedBuild | None = None
    environment: Mapping[str, str] = {}
    secrets: Mapping[str, Secret] = {}
    secret_refs: Mapping[str, str] = {}
    depends_on: tuple[ResolvedDependency, ...] = ()
    options: Mapping[str, object] = {}
    env_from_stage: tuple[str, ...] = ()


class Need(Data, frozen=True, kw_only=True):
    """A step that must be done first, and why: `declared`, `waits for healthy postgres`, `network`."""

    step: StepId
    cause: str


class Step(Data, frozen=True, kw_only=True):
    """The unit of claiming, retrying and showing.

    id: `api:deploy`; the stage's own steps are `stage:prepare` and `stage:prune`.
    service: None for the stage's own steps.
    needs: sorted by step id. weight: length of the longest way from here to the end, in steps; longest goes first.
    timeout: seconds one attempt may take. retries: attempts after the first, for failures that may pass.
    """

    id: StepId
    action: Action
    runtime: RuntimeName
    queue: QueueName
    service: ServiceName | None = None
    needs: tuple[Need, ...] = ()
    weight: int = 0
    timeout: float = 300.0
    retries: int = 2


class Plan(Data, frozen=True, kw_only=True):
    """steps: in an order in which each stands behind its needs. services: by name, sorted.

    options: runtime -> its settings for this stage (namespace, docker_host …).
    root: the project's folder on the machine that made the plan.
    """

    schema: int = SCHEMA
    project: ProjectName
    stage: StageName
    root: str
    services: tuple[ResolvedService, ...]
    steps: tuple[Step, ...]
    options: Mapping[str, Mapping[str, str]] = {}

    def service(self, name: ServiceName) -> ResolvedService:
        return next(service for service in self.services if service.name == name)

    def step(self, step: StepId) -> Step:
        return next(each for each in self.steps if each.id == step)

    def service_of(self, step: Step) -> ResolvedService:
        """The service that *step* is about. A stage's own step has none: asking for it is a mistake of ours."""
        assert step.service is not None, step.id  # noqa: S101
        return self.service(step.service)

    @property
    def runtimes(self) -> tuple[RuntimeName, ...]:
        return tuple(sorted({step.runtime for step in self.steps}))
