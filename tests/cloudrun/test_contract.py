# SPDX-License-Identifier: Apache-2.0
"""Cloud Run keeps the rules that every runtime keeps."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import ProjectName
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Runtime
from fleetflow_tasks.runtimes.cloudrun.client import Client
from fleetflow_tasks.runtimes.cloudrun.runtime import CloudRunRuntime
from fleetflow_tasks.testing.contract import Content, RuntimeContract

from .stage import PARENT, PROJECT, READY, REGION, service

_CHANGING = ("Create", "Update", "Delete", "Run", "Cancel", "Set")
_IMAGES = {"broken": "scripted/not-found", "job": "scripted/job:0", "other job": "scripted/job:0"}


class TestCloudRun(RuntimeContract):
    prepares = False

    @pytest.fixture(autouse=True)
    def _region(self, client: Client, environ: dict[str, str]) -> Iterator[None]:
        self.client = client
        self._other = CloudRunRuntime(environ)
        yield
        self._other.close()

    @pytest.fixture
    def mutations(self, requests: list[tuple[str, str]]) -> Callable[[], int]:
        return lambda: sum(method.startswith(_CHANGING) for method, _ in requests)

    def elsewhere(self, runtime: Runtime) -> Runtime:
        return self._other

    def plan(self, project: ProjectName, *services: ResolvedService, stage: str = "local") -> Plan:
        made = super().plan(project, *services, stage=stage)
        return replace(made, options={"cloudrun": {"project": PROJECT, "region": REGION}})

    def service(self, name: str, content: Content) -> ResolvedService:
        return service(name, _IMAGES.get(content, READY), environment={"CONTENT": content}, job="job" in content)

    def serving(self, plan: Plan, name: str) -> str:
        """The revision that serves, or the execution of a job."""
        found = self.client.service(_name(plan, name))
        if found is not None:
            return str(found.get("latestReadyRevision", ""))
        job: Any = self.client.job(_name(plan, name, "jobs"))
        return str(job["latestCreatedExecution"]["name"]) if job is not None else ""

    def obstruct(self, plan: Plan, name: str) -> Callable[[], bool]:
        self._made(plan, name, {})
        made = self.client.service(_name(plan, name))
        return lambda: self.client.service(_name(plan, name)) == made

    def adopt(self, plan: Plan, name: str) -> None:
        labels = {"project": plan.project, "stage": plan.stage, "service": name, "colour": "blue"}
        self._made(plan, name, {f"fleetflow-{key}": value for key, value in labels.items()})

    def _made(self, plan: Plan, name: str, labels: dict[str, str]) -> None:
        template = {"containers": [{"image": READY, "env": [{"name": "OLD", "value": "1"}]}]}
        body = {"labels": labels, "template": template, "client": "earlier-tool"}
        self.client.create_service(PARENT, _name(plan, name).rpartition("/")[2], body)


def _name(plan: Plan, name: str, kind: str = "services") -> str:
    return f"{PARENT}/{kind}/{plan.project}-{plan.stage}-{name}"
