# SPDX-License-Identifier: Apache-2.0
"""One stage on a cluster, and the words in which a test speaks of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from fleetflow_tasks.config.model import Healthcheck, ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.plan.model import Plan, QueueName, ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import DeployError, Outcome
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE, POD, Kind, path
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.contract import done

from .conftest import Cluster

KUBERNETES = RuntimeName("kubernetes")
CHECK = Healthcheck(test=("CMD", "true"), interval=1.0)  # without any, a pod must stay up for a while


def service(name: str, image: str = "scripted/ready:0ms", **fields: Any) -> ResolvedService:
    """Ready at once on the plane, where the test does not say otherwise."""
    if not fields.get("job"):
        fields.setdefault("healthcheck", CHECK)
    return ResolvedService(name=ServiceName(name), runtime=KUBERNETES, image=image, **fields)


def step(name: str, action: Any, service_name: ServiceName | None = None) -> Step:
    return Step(id=StepId(name), action=action, runtime=KUBERNETES, queue=QueueName("kubernetes"), service=service_name)


class Stage:
    """namespace: the one that the runtime chooses by itself."""

    def __init__(self, runtime: KubernetesRuntime, cluster: Cluster, project: ProjectName) -> None:
        self.runtime = runtime
        self.cluster = cluster
        self.project = project
        self.namespace = f"{project}-local"
        self.generation = 0

    def plan(self, *services: ResolvedService, **options: str) -> Plan:
        steps = [step("stage:prepare", "prepare")]
        for each in services:
            steps.append(step(f"{each.name}:prepare", "prepare", each.name))
            steps.append(step(f"{each.name}:deploy", "deploy", each.name))
        steps.append(step("stage:prune", "prune"))
        return Plan(
            project=self.project,
            stage=StageName("local"),
            root="/",
            services=tuple(sorted(services, key=lambda each: each.name)),
            steps=tuple(steps),
            options={"kubernetes": options} if options else {},
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

    def get(self, kind: Kind, name: str) -> Any:
        return self.cluster.client.get(kind, "" if kind == NAMESPACE else self.namespace, name)

    def names(self, kind: Kind) -> list[str]:
        """Of those that are not on their way out."""
        found = self.cluster.client.list(kind, self.namespace).items
        return sorted(each["metadata"]["name"] for each in found if not each["metadata"].get("deletionTimestamp"))

    def patch(self, kind: Kind, name: str, body: Mapping[str, Any], *, manager: str, part: str = "") -> None:
        """As somebody else does it. part: a subresource."""
        self.cluster.client.line.ask(
            f"change {name}",
            "PATCH",
            path(kind, self.namespace, name) + (f"/{part}" if part else ""),
            query=[("fieldManager", manager)],
            body=msgspec.json.encode(body),
            content="application/merge-patch+json",
        )

    def removed(self, kind: Kind, name: str) -> None:
        """By somebody else."""
        self.cluster.client.delete(
            kind, self.namespace, name, uid=self.get(kind, name)["metadata"]["uid"], propagation="Background"
        )

    def variables(self, name: str, kind: Kind = DEPLOYMENT) -> dict[str, str]:
        """What the pods of its newest version are given, looked up where it comes from."""
        found = {}
        for variable in self.get(kind, name)["spec"]["template"]["spec"]["containers"][0].get("env", ()):
            source = variable.get("valueFrom", {}).get("configMapKeyRef")
            held = self.get(CONFIG_MAP, source["name"])["data"][source["key"]] if source else variable.get("value")
            found[variable["name"]] = held
        return found

    def pods(self, service_name: str) -> Sequence[Mapping[str, Any]]:
        return self.cluster.client.list(POD, self.namespace, {"fleetflow.io/service": service_name}).items


def swept(cluster: Cluster, project: str) -> None:
    """All namespaces of the project go; nobody waits for their end."""
    for each in cluster.client.list(NAMESPACE, "").items:
        if each["metadata"]["name"].startswith(f"{project}-"):
            cluster.removed(each["metadata"]["name"])
