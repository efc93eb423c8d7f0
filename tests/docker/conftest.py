# SPDX-License-Identifier: Apache-2.0
"""A real Docker Engine: the one that DOCKER_HOST or the usual sockets name. Each test has a project of its own there,
and what it made is removed by label, whatever happened."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker.api.client import APIClient

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import Plan, QueueName, ResolvedService, Step, StepId
from fleetflow_tasks.runtimes.base import DeployError, Outcome
from fleetflow_tasks.runtimes.docker.client import connect
from fleetflow_tasks.runtimes.docker.endpoints import endpoints
from fleetflow_tasks.runtimes.docker.runtime import DockerRuntime
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.contract import done

from . import registry as registries

BASE = "fleetflow/base:1"  # busybox, made by the set-up
MADE_FOR = "test.project"  # on images, which outlive the container that a test makes of them
DOCKER = RuntimeName("docker")


@pytest.fixture(scope="session")
def engine() -> Iterator[APIClient]:
    """The Engine, spoken to past our own code."""
    try:
        found = connect(endpoints("", os.environ, Path.home()))
    except UnavailableError as error:
        pytest.fail("\n".join([error.problems[0].message, *error.problems[0].cause, "run `make setup` first"]))
    found.close()
    client = APIClient(base_url=found.endpoint.url, version="auto", timeout=60)
    if not client.images(BASE):
        pytest.fail(f"image {BASE} is not on the Engine at {found.endpoint.url}: run `make setup` first")
    yield client
    client.close()


@pytest.fixture
def project(engine: APIClient) -> Iterator[ProjectName]:
    name = f"t{secrets.token_hex(4)}"
    yield ProjectName(name)
    swept(engine, name)


def swept(engine: APIClient, project: str) -> None:
    """Remove all that bears the project's label or name."""
    for container in engine.containers(all=True):
        ours = container["Labels"].get("fleetflow.project") == project
        if ours or any(name.startswith(f"/{project}-") for name in container["Names"]):
            engine.remove_container(container["Id"], force=True, v=True)
    for made in engine.images(filters={"label": f"{MADE_FOR}={project}"}):
        engine.remove_image(made["Id"], force=True)
    for network in engine.networks():
        if network["Name"].startswith(f"{project}-"):
            engine.remove_network(network["Id"])
    for volume in engine.volumes()["Volumes"] or ():
        if volume["Name"].startswith(f"{project}-"):
            engine.remove_volume(volume["Name"])


@pytest.fixture
def requests() -> list[tuple[str, str]]:
    """Every request that the runtime of this test sends: (method, path)."""
    return []


@pytest.fixture
def runtime(requests: list[tuple[str, str]], engine: APIClient) -> Iterator[DockerRuntime]:
    made = DockerRuntime(os.environ, trace=lambda method, path: requests.append((method, path)))
    yield made
    made.close()


class Stage:
    """One stage on the Engine, and the words in which a test speaks of it."""

    def __init__(self, runtime: DockerRuntime, engine: APIClient, project: ProjectName, root: Path) -> None:
        self.runtime = runtime
        self.engine = engine
        self.project = project
        self.root = root
        self.generation = 0

    def plan(self, *services: ResolvedService, volumes: str = "") -> Plan:
        steps = [_step("stage:prepare", "prepare")]
        for each in services:
            steps.append(_step(f"{each.name}:prepare", "prepare", each.name))
            steps.append(_step(f"{each.name}:deploy", "deploy", each.name))
        steps.append(_step("stage:prune", "prune"))
        return Plan(
            project=self.project,
            stage=StageName("local"),
            root=str(self.root),
            services=services,
            steps=tuple(steps),
            options={"docker": {"volumes": volumes}} if volumes else {},
        )

    def up(self, *services: ResolvedService, volumes: str = "", run: str = "") -> dict[str, Outcome]:
        """One run of a plan with these services."""
        plan = self.plan(*services, volumes=volumes)
        self.generation += 1
        return {
            step.id: done(self.runtime, plan, step, Trial(self.generation, run=run or f"run-{self.generation}"))
            for step in plan.steps
        }

    def step(self, name: str, *services: ResolvedService, attempt: Trial | None = None) -> Outcome:
        plan = self.plan(*services)
        return done(self.runtime, plan, plan.step(StepId(name)), attempt or Trial(self.generation or 1))

    def fails(self, *services: ResolvedService) -> DeployError:
        with pytest.raises(DeployError) as failure:
            self.up(*services)
        return failure.value

    def changes(self, *services: ResolvedService) -> dict[str, str]:
        """Step -> `kind: cause`, of what would change."""
        found = self.runtime.diff(self.plan(*services))
        return {step: f"{c.kind}: {c.cause}" for step, c in found.items() if c.kind != "none"}

    def containers(self) -> dict[str, str]:
        """Name without the project -> state, of all containers of this project."""
        listed = self.engine.containers(all=True, filters={"label": f"fleetflow.project={self.project}"})
        return {c["Names"][0].removeprefix(f"/{self.project}-local-"): c["State"] for c in listed}

    def look(self, service: str) -> Any:
        return self.engine.inspect_container(f"{self.project}-local-{service}")

    def id(self, service: str) -> str:
        return str(self.look(service)["Id"])


@pytest.fixture
def stage(runtime: DockerRuntime, engine: APIClient, project: ProjectName, tmp_path: Path) -> Stage:
    return Stage(runtime, engine, project, tmp_path)


@pytest.fixture
def image(engine: APIClient, project: ProjectName) -> Callable[..., str]:
    """Makes an image of a name of its own from the base, with changes as a Dockerfile writes them."""

    def derive(*changes: str, name: str = "") -> str:
        reference = name or f"fleetflow/test-{secrets.token_hex(4)}:1"
        container = engine.create_container(BASE, command=["/bin/true"])["Id"]
        repository, _, tag = reference.rpartition(":")
        engine.commit(container, repository=repository, tag=tag, changes=[*changes, f"LABEL {MADE_FOR}={project}"])
        engine.remove_container(container)
        return reference

    return derive


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def pushed(registry: str, engine: APIClient, image: Callable[..., str]) -> Callable[[str, str], str]:
    """Puts an image with a variable into the registry, and takes it from the Engine."""
    repository = f"{registry}/t{secrets.token_hex(4)}"

    def push(tag: str, content: str) -> str:
        reference = image(f"ENV CONTENT={content}", name=f"{repository}:{tag}")
        answer = engine.push(repository, tag=tag)
        assert "errorDetail" not in answer, answer
        engine.remove_image(reference)
        return reference

    return push


def service(name: str, *command: str, image: str = BASE, **fields: Any) -> ResolvedService:
    """Stops at once, where the test does not say otherwise: busybox as process 1 does not hear TERM."""
    fields.setdefault("options", {"stop_grace": 0})
    return ResolvedService(
        name=ServiceName(name), runtime=DOCKER, image=image, command=command or ("/bin/sleep", "1000"), **fields
    )


def _step(name: str, action: Any, service_name: ServiceName | None = None) -> Step:
    return Step(id=StepId(name), action=action, runtime=DOCKER, queue=QueueName("docker"), service=service_name)
