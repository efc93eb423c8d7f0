# SPDX-License-Identifier: Apache-2.0
"""Docker keeps the rules that every runtime keeps."""

import os
from collections.abc import Callable, Iterator

import pytest
from docker.api.client import APIClient

from fleetflow_tasks.config.model import Healthcheck, Port
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.base import Runtime
from fleetflow_tasks.runtimes.docker.runtime import DockerRuntime
from fleetflow_tasks.testing.contract import Content, RuntimeContract

from .conftest import BASE, service

CHECK = Healthcheck(test=("CMD", "true"), interval=0.1)  # sooner ready than by running for a second
COMMANDS: dict[Content, tuple[str, ...]] = {
    "one": ("/bin/sleep", "1001"),
    "two": ("/bin/sleep", "1002"),
    "three": ("/bin/sleep", "1003"),
    "broken": ("/bin/sh", "-c", "echo no; exit 3"),
    "job": ("/bin/true", "1"),
    "other job": ("/bin/true", "2"),
}


class DockerContract(RuntimeContract):
    @pytest.fixture(autouse=True)
    def _engine(self, engine: APIClient) -> None:
        self.engine = engine

    @pytest.fixture
    def mutations(self, requests: list[tuple[str, str]]) -> Callable[[], int]:
        return lambda: sum(method != "GET" for method, _ in requests)

    @pytest.fixture(autouse=True)
    def _elsewhere(self) -> Iterator[None]:
        self._other = DockerRuntime(os.environ)
        yield
        self._other.close()

    def elsewhere(self, runtime: Runtime) -> Runtime:
        return self._other

    def serving(self, plan: Plan, name: str) -> str:
        labels = {"project": plan.project, "stage": plan.stage, "service": name}
        filters = {"label": [f"fleetflow.{key}={value}" for key, value in labels.items()]}
        found = [c for c in self.engine.containers(all=True, filters=filters) if c["State"] in {"running", "exited"}]
        assert len(found) <= 1, found
        return str(found[0]["Id"]) if found else ""

    def instance(self, plan: Plan, name: str) -> str:
        """One that is restarted in place is another one by the moment of its start."""
        serving = self.serving(plan, name)
        return f"{serving} {self.engine.inspect_container(serving)['State']['StartedAt']}" if serving else ""

    def obstruct(self, plan: Plan, name: str) -> Callable[[], bool]:
        made = self._made(f"{plan.project}-{plan.stage}-{name}", {})
        return lambda: bool(self.engine.inspect_container(made)["State"]["Running"])

    def adopt(self, plan: Plan, name: str) -> None:
        labels = {"project": plan.project, "stage": plan.stage, "service": name, "colour": "blue"}
        self._made(f"{plan.project}-{plan.stage}-{name}", {f"fleetflow.{key}": str(v) for key, v in labels.items()})

    def _made(self, name: str, labels: dict[str, str]) -> str:
        made = self.engine.create_container(BASE, ["/bin/sleep", "9"], name=name, labels=labels, stop_signal="KILL")[
            "Id"
        ]
        self.engine.start(made)
        return str(made)


class TestSideBySide(DockerContract):
    """Nothing is shared: the new container starts beside the old one."""

    def service(self, name: str, content: Content) -> ResolvedService:
        job = "job" in content
        return service(name, *COMMANDS[content], job=job, healthcheck=None if job else CHECK)


class TestOneAfterTheOther(DockerContract):
    """A published port is shared: the old container stops before the new one starts."""

    def service(self, name: str, content: Content) -> ResolvedService:
        if "job" in content:
            return service(name, *COMMANDS[content], job=True)
        ports = (Port(container=8080),)
        return service(name, *COMMANDS[content], ports=ports, restart="unless-stopped", healthcheck=CHECK)
