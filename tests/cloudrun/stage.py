# SPDX-License-Identifier: Apache-2.0
"""One stage in a region, and the words in which a test speaks of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.plan.model import Plan, QueueName, ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import DeployError, Outcome
from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.runtimes.cloudrun.runtime import CloudRunRuntime
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.contract import done

CLOUDRUN = RuntimeName("cloudrun")
PROJECT, REGION = "shop-prd", "europe-west1"  # of Google Cloud
PARENT = f"projects/{PROJECT}/locations/{REGION}"

READY = "scripted/ready:0ms"


def service(name: str, image: str = READY, **fields: Any) -> ResolvedService:
    """Ready at once, where the test does not say otherwise."""
    return ResolvedService(name=ServiceName(name), runtime=CLOUDRUN, image=image, **fields)


def step(name: str, action: Any, service_name: ServiceName | None = None) -> Step:
    return Step(id=StepId(name), action=action, runtime=CLOUDRUN, queue=QueueName("cloudrun"), service=service_name)


class Stage:
    """client: of somebody who may do everything, and is counted nowhere. requests: what the runtime asked: (method, name)."""

    def __init__(
        self, runtime: CloudRunRuntime, client: Client, project: ProjectName, requests: list[tuple[str, str]]
    ) -> None:
        self.runtime = runtime
        self.client = client
        self.project = project
        self.requests = requests
        self.generation = 0

    def plan(self, *services: ResolvedService, stage: str = "prd", **options: str) -> Plan:
        steps = [step("stage:prepare", "prepare")]
        for each in services:
            steps.append(step(f"{each.name}:prepare", "prepare", each.name))
            steps.append(step(f"{each.name}:deploy", "deploy", each.name))
        steps.append(step("stage:prune", "prune"))
        return Plan(
            project=self.project,
            stage=StageName(stage),
            root="/",
            services=tuple(sorted(services, key=lambda each: each.name)),
            steps=tuple(steps),
            options={"cloudrun": {"project": PROJECT, "region": REGION, **options}},
        )

    def up(self, *services: ResolvedService, run: str = "", **options: str) -> dict[str, Outcome]:
        """One run of a plan with these services."""
        plan = self.plan(*services, **options)
        self.generation += 1
        return {
            each.id: done(self.runtime, plan, each, Trial(self.generation, run=run or f"run-{self.generation}"))
            for each in plan.steps
        }

    def fails(self, *services: ResolvedService, **options: str) -> DeployError:
        with pytest.raises(DeployError) as failure:
            self.up(*services, **options)
        return failure.value

    def carry(self, name: str, *services: ResolvedService, attempt: Trial | None = None, **options: str) -> Outcome:
        plan = self.plan(*services, **options)
        return done(self.runtime, plan, plan.step(StepId(name)), attempt or Trial(self.generation or 1))

    def changes(self, *services: ResolvedService, **options: str) -> dict[str, str]:
        """Step -> `kind: cause`, of what would change."""
        found = self.runtime.diff(self.plan(*services, **options))
        return {name: f"{c.kind}: {c.cause}" for name, c in found.items() if c.kind != "none"}

    # --- what is there

    def name(self, service_name: str, kind: str = "services", stage: str = "prd") -> str:
        return f"{PARENT}/{kind}/{self.project}-{stage}-{service_name}"

    def get(self, service_name: str) -> Any:
        return self.client.service(self.name(service_name))

    def names(self) -> list[str]:
        """Of the services and jobs of all its stages: `services/prd-api`."""
        found = [*self.client.services(PARENT), *self.client.jobs(PARENT)]
        there = (each["name"].removeprefix(f"{PARENT}/") for each in found)
        return sorted(name.replace(f"{self.project}-", "") for name in there if f"/{self.project}-" in name)

    def revisions(self, service_name: str) -> list[str]:
        """Their images, the newest first."""
        return [each["containers"][0]["image"] for each in self.client.revisions(self.name(service_name))]

    def serving(self, service_name: str) -> dict[str, int]:
        """The image that gets requests -> percent."""
        found = self.get(service_name)
        revisions = {each["name"].rpartition("/")[2]: each for each in self.client.revisions(self.name(service_name))}
        newest = found.get("latestReadyRevision", "").rpartition("/")[2]
        return {
            revisions[each.get("revision") or newest]["containers"][0]["image"]: each["percent"]
            for each in found.get("trafficStatuses", ())
            if each.get("percent")
        }

    def changed(self, service_name: str, **fields: Any) -> None:
        """As somebody else does it: read, changed, written."""
        self.client.update_service({**self.get(service_name), "client": "gcloud", **fields})

    def asked(self, *methods: str) -> list[str]:
        """What of these the runtime has asked so far; all, where none is named."""
        return [method for method, _ in self.requests if not methods or method in methods]


def told(failure: DeployError) -> Sequence[str]:
    """What a person reads."""
    problem = failure.problem
    return [problem.message, *problem.cause, *([f"fix: {problem.fix}"] if problem.fix else [])]
