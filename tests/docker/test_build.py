# SPDX-License-Identifier: Apache-2.0
"""Images built by a real Engine: built once, seen to be outdated, told why not; fetched where their files are not."""

import base64
import io
import json
import os
import secrets
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from docker.api.client import APIClient
from msgspec.structs import replace

from fleetflow_tasks.api.building import built as build_images
from fleetflow_tasks.api.building import unpushed
from fleetflow_tasks.api.reading import plan
from fleetflow_tasks.api.request import Request
from fleetflow_tasks.config.model import Build, ProjectName
from fleetflow_tasks.context.content import read
from fleetflow_tasks.context.folder import Source
from fleetflow_tasks.errors import FleetFlowError
from fleetflow_tasks.plan.image import built
from fleetflow_tasks.plan.model import Plan, ResolvedBuild, ResolvedService, StepId
from fleetflow_tasks.runtimes.base import DeployError, Stopped
from fleetflow_tasks.runtimes.docker.runtime import DockerRuntime
from fleetflow_tasks.testing import Trial, eventually
from tests.processes import runs

from . import registry as registries
from .conftest import BASE, MADE_FOR, Stage, service

ANN = "ann:$2b$04$Bt0asL2as2JcjJh8KpWgIe6FfWeJwLYiSjEP7MSM.KPpE/1cAhddC\n"  # whose password is `secret`


class Files:
    """The folder of a stage, with a Dockerfile in it, and the service that is built of it."""

    def __init__(self, root: Path, project: ProjectName) -> None:
        self.root = root
        self.project = project
        self.write(Dockerfile="", hello="hi\n")

    def write(self, **files: str) -> None:
        """A Dockerfile begins with the base where it does not say otherwise."""
        for name, text in files.items():
            content = dedent(text)
            if name == "Dockerfile" and "FROM" not in content:
                content = f"FROM {BASE}\nCOPY hello /hello\n{content}"
            if name == "Dockerfile":
                content = f"{content}\nLABEL {MADE_FOR}={self.project}\n"
            (self.root / name).write_text(content)

    def service(self, *command: str, image: str = "", version: str = "", **build: object) -> ResolvedService:
        """As a plan of this moment has it."""
        said = Build(**build)  # type: ignore[arg-type]  # handed on as they are
        content = read(self.root, said).hash
        made = ResolvedBuild(**{name: getattr(said, name) for name in Build.__struct_fields__}, hash=content)
        name = str(built(self.project, "api", image or None, version or None, content))
        return replace(service("api", *command, image=name), build=made)


@pytest.fixture
def files(stage: Stage) -> Files:
    return Files(stage.root, stage.project)


def fails(stage: Stage, api: ResolvedService) -> DeployError:
    with pytest.raises(DeployError) as caught:
        stage.step("api:prepare", api)
    return caught.value


def says(stage: Stage, path: str) -> str:
    """What a file of the service's container holds."""
    data, _ = stage.engine.get_archive(stage.look("api")["Id"], path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(data))) as found:
        return found.extractfile(found.getmembers()[0]).read().decode()  # type: ignore[union-attr]  # a file


def test_a_service_is_built_before_it_is_deployed_and_not_again(
    stage: Stage, files: Files, requests: list[tuple[str, str]]
) -> None:
    api = files.service()
    assert stage.changes(api) == {"api:deploy": "create: not there, build: no such image yet"}

    outcomes = stage.up(api)
    assert outcomes["api:prepare"].text == "built, created"
    assert says(stage, "/hello") == "hi\n"
    assert stage.look("api")["Config"]["Image"].endswith(f":b{api.build.hash[:12]}")  # type: ignore[union-attr]  # built

    del requests[:]
    assert stage.changes(api) == {}
    assert not any(outcome.changed for outcome in stage.up(api).values())
    assert [path for method, path in requests if method != "GET"] == []


def test_other_files_are_another_image(stage: Stage, files: Files) -> None:
    stage.up(files.service())
    files.write(hello="ho\n")

    api = files.service()
    assert stage.changes(api) == {"api:deploy": "replace: build: the context changed"}
    stage.up(api)

    assert says(stage, "/hello") == "ho\n"
    assert stage.changes(api) == {}


def test_under_a_version_an_outdated_image_is_built_again(stage: Stage, files: Files) -> None:
    stage.up(files.service(version="1.0"))
    files.write(hello="ho\n")

    api = files.service(version="1.0")
    assert stage.changes(api) == {"api:deploy": "replace: build: the context changed"}
    outcomes = stage.up(api)

    assert outcomes["api:deploy"].text.startswith("replaced: ")
    assert says(stage, "/hello") == "ho\n"
    assert stage.changes(api) == {}


def test_target_and_arguments_reach_the_builder(stage: Stage, files: Files) -> None:
    files.write(
        Dockerfile=f"""\
        FROM {BASE} AS one
        ARG V=0
        RUN echo "one $V" > /which
        FROM {BASE} AS two
        RUN exit 1
        """
    )

    stage.up(files.service(target="one", args={"V": "7"}))

    assert says(stage, "/which") == "one 7\n"


def test_what_only_buildkit_can_do_is_done(stage: Stage, files: Files) -> None:
    files.write(Dockerfile="RUN --mount=type=bind,source=hello,target=/in/hello cp /in/hello /copied")

    stage.up(files.service())

    assert says(stage, "/copied") == "hi\n"


def test_a_dockerfile_may_lie_outside_of_the_context(stage: Stage, files: Files) -> None:
    (stage.root / "app").mkdir()
    (stage.root / "app/inside").write_text("in\n")
    files.write(Dockerfile=f"FROM {BASE}\nCOPY . /app/")

    stage.up(files.service(context="app", dockerfile="../Dockerfile"))

    assert says(stage, "/app/inside") == "in\n"


def test_the_steps_are_reported_as_they_come(stage: Stage, files: Files) -> None:
    mark = secrets.token_hex(4)  # what was built before comes out of the cache, without a word
    files.write(Dockerfile=f"RUN : {mark}\nRUN true")
    attempt = Trial(1)

    stage.step("api:prepare", files.service(), attempt=attempt)

    steps = [report for report in attempt.reports if report.startswith("step ")]
    assert steps[-2:] == [f"step 3/4: RUN : {mark}", "step 4/4: RUN true"]


def test_a_command_that_fails_is_told_with_its_last_words_and_the_old_version_serves_on(
    stage: Stage, files: Files
) -> None:
    stage.up(files.service())
    before = stage.id("api")
    files.write(Dockerfile="RUN echo installing; echo no such package >&2; exit 9")

    failure = fails(stage, files.service())

    assert not failure.transient
    assert failure.problem.code == "build-failed"
    assert failure.problem.message == (
        "the image of `api` cannot be built: step 3/3: RUN echo installing; echo no such package >&2; exit 9:"
        " it ended with exit code 9"
    )
    assert failure.problem.cause[0] == "its last output:"
    assert sorted(failure.problem.cause[1:]) == ["  installing", "  no such package"]
    assert failure.problem.more == "docker build ."
    assert stage.id("api") == before
    assert stage.containers() == {"api": "running"}


def test_a_mistake_in_the_dockerfile_is_told_with_its_line(stage: Stage, files: Files) -> None:
    files.write(Dockerfile="\nRUNN true")

    problem = fails(stage, files.service()).problem

    assert problem.message.startswith("the image of `api` cannot be built: unknown instruction: RUNN")
    assert problem.place is not None
    assert (str(problem.place), problem.place.text) == ("Dockerfile:4:1", "RUNN true")


def test_a_file_that_is_not_sent_is_told_apart_from_one_that_is_not_there(stage: Stage, files: Files) -> None:
    files.write(Dockerfile="COPY missing /")
    problem = fails(stage, files.service()).problem
    assert problem.code == "build-missing-file"
    assert problem.message.endswith("COPY missing /: `missing` is not in the context `.`")

    files.write(missing="")
    (stage.root / ".dockerignore").write_text("missing\n")
    problem = fails(stage, files.service()).problem
    assert problem.message.endswith("COPY missing /: `missing` is left out of the context")
    assert problem.fix == "take it back in `.dockerignore`: `!missing`"


def test_an_image_to_begin_with_is_pulled_with_our_own_login(
    stage: Stage, files: Files, pushed: Callable[[str, str], str]
) -> None:
    files.write(Dockerfile=f"FROM {pushed('1', 'one')}\nRUN echo $CONTENT > /content")
    attempt = Trial(1)

    stage.step("api:prepare", files.service(), attempt=attempt)

    assert any(report.startswith("pulling ") for report in attempt.reports)


def test_an_image_to_begin_with_is_asked_for_again_where_that_is_wanted(
    stage: Stage, files: Files, pushed: Callable[[str, str], str]
) -> None:
    base = pushed("1", "one")
    files.write(Dockerfile=f"FROM {base}\nRUN echo $CONTENT > /content")
    stage.up(files.service())
    held = stage.engine.inspect_image(base)["Id"]
    pushed("1", "two")
    stage.engine.tag(held, base)
    api = files.service()
    assert stage.changes(api) == {}

    stage.runtime.build(stage.plan(api), api, Trial(1), pull=True)

    assert stage.changes(api) == {"api:deploy": f"replace: image changed: `{api.image}` is another one now"}
    stage.up(api)
    assert says(stage, "/content") == "two\n"


def test_an_image_to_begin_with_that_is_nowhere_is_named(stage: Stage, files: Files, registry: str) -> None:
    files.write(Dockerfile=f"FROM {registry}/nothing:1")

    problem = fails(stage, files.service()).problem

    assert problem.code == "image-not-found"
    assert problem.message == (
        f"the image of `api` cannot be built: it begins with image `{registry}/nothing:1`, which does not exist on {registry}"
    )
    assert problem.fix == "correct it in `Dockerfile`"


def test_files_that_changed_since_the_plan_are_not_built(stage: Stage, files: Files, registry: str) -> None:
    api = files.service(image=f"{registry}/api")
    files.write(hello="changed meanwhile\n")

    problem = fails(stage, api).problem

    assert problem.code == "build-elsewhere"
    assert problem.message.endswith(
        "is not on this Engine, and it cannot be built here: the files in `.` are other ones"
    )
    assert problem.fix.startswith("`flow build local --push --only api` where the files are, then deploy again")


def test_a_stopped_attempt_stops_the_builder(stage: Stage, files: Files) -> None:
    mark = f"30{secrets.randbelow(10**9):09}"
    files.write(Dockerfile=f"RUN sleep {mark}")

    with pytest.raises(Stopped):
        stage.step("api:prepare", files.service(), attempt=_Until(lambda: runs(f"sleep {mark}")))

    eventually(lambda: not runs(f"sleep {mark}"), 30)


class _Until(Trial):
    """Stops the attempt once *seen*."""

    def __init__(self, seen: Callable[[], bool]) -> None:
        super().__init__()
        self._seen = seen

    def checkpoint(self) -> None:
        super().checkpoint()
        if self._seen():
            raise Stopped("cancelled")


# --- pushed, and fetched where the files are not


@pytest.fixture
def elsewhere(runtime: DockerRuntime, stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The same stage for a worker that does not have the files."""
    return Stage(runtime, stage.engine, stage.project, tmp_path_factory.mktemp("elsewhere"))


def push(stage: Stage, api: ResolvedService) -> str:
    """Built, pushed, and taken from the Engine; the digest."""
    made, attempt = stage.plan(api), Trial(1)
    stage.runtime.build(made, api, attempt)
    digest = stage.runtime.push(made, api, attempt)
    stage.engine.remove_image(api.image)
    return digest


def test_what_was_pushed_is_fetched_where_the_files_are_not(
    stage: Stage, elsewhere: Stage, files: Files, registry: str, engine: APIClient
) -> None:
    api = files.service(image=f"{registry}/{stage.project}/api")
    assert stage.runtime.is_pushed(stage.plan(api), api) is False
    digest = push(stage, api)
    assert stage.runtime.is_pushed(stage.plan(api), api) is True

    outcomes = elsewhere.up(api)

    assert outcomes["api:prepare"].text.startswith("pulled ")
    assert f"{registry}/{stage.project}/api@{digest}" in engine.inspect_image(api.image)["RepoDigests"]
    assert stage.changes(api) == {}


def test_without_files_and_without_a_registry_nothing_old_is_used(stage: Stage, elsewhere: Stage, files: Files) -> None:
    stage.up(files.service(version="1"))
    files.write(hello="ho\n")

    problem = fails(elsewhere, files.service(version="1")).problem

    assert problem.code == "build-elsewhere"
    assert problem.message.startswith(
        f"image `{stage.project}-api:1` of `api` is made of other files than the plan, and"
    )
    assert problem.fix.startswith("name a registry in `image`, `flow build local --push --only api`")


def test_what_the_registry_has_must_be_made_of_the_same_files(
    stage: Stage, elsewhere: Stage, files: Files, registry: str
) -> None:
    push(stage, files.service(image=f"{registry}/{stage.project}/api", version="1"))
    files.write(hello="ho\n")

    api = files.service(image=f"{registry}/{stage.project}/api", version="1")
    problem = fails(elsewhere, api).problem

    assert problem.code == "build-elsewhere"
    assert "is made of other files than the plan" in problem.message


def test_an_image_that_may_not_be_fetched_is_not(stage: Stage, elsewhere: Stage, files: Files) -> None:
    problem = fails(elsewhere, replace(files.service(), pull="never")).problem

    assert (problem.code, problem.cause) == ("build-elsewhere", ())


def test_an_image_without_a_registry_is_not_pushed(stage: Stage, files: Files) -> None:
    api = files.service()
    with pytest.raises(DeployError) as caught:
        stage.runtime.push(stage.plan(api), api, Trial(1))

    assert caught.value.problem.code == "push-where"
    assert caught.value.problem.fix == f'name one: `image "registry.example.org/{stage.project}-api"`'


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """A registry that wants a login."""
    (tmp_path / "guarded").mkdir()
    with registries.registry(tmp_path / "guarded", ANN) as address:
        yield address


def logged_in(folder: Path, registry: str, *, password: str) -> dict[str, str]:
    """An environment in which `docker login` was done."""
    folder.mkdir()
    login = base64.b64encode(f"ann:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry: {"auth": login}}}))
    return {**os.environ, "DOCKER_CONFIG": str(folder)}


def test_a_push_that_needs_a_login_says_so_and_uses_the_one_there_is(
    stage: Stage, files: Files, guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = files.service(image=f"{guarded}/api")
    stage.runtime.build(stage.plan(api), api, Trial(1))
    assert _push_fails(stage.runtime, stage.plan(api), api) == (
        "push-login",
        f"image `{api.image}` of service `api` cannot be pushed: {guarded} wants a login",
        f"run `docker login {guarded}`",
    )

    environ = logged_in(tmp_path / "login", guarded, password="secret")
    monkeypatch.setenv("DOCKER_CONFIG", environ["DOCKER_CONFIG"])
    again = DockerRuntime(environ)
    try:
        assert again.push(stage.plan(api), api, Trial(1)).startswith("sha256:")
    finally:
        again.close()


def test_a_registry_that_is_not_there_is_told(stage: Stage, files: Files) -> None:
    api = files.service(image="127.0.0.1:1/api")
    stage.runtime.build(stage.plan(api), api, Trial(1))

    assert _push_fails(stage.runtime, stage.plan(api), api) == (
        "push-unreachable",
        f"image `{api.image}` of service `api` cannot be pushed: 127.0.0.1:1 does not answer",
        "see that the registry can be reached",
    )


def _push_fails(runtime: DockerRuntime, made: Plan, api: ResolvedService) -> tuple[str, str, str]:
    with pytest.raises(DeployError) as caught:
        runtime.push(made, api, Trial(1))
    problem = caught.value.problem
    return problem.code, problem.message, problem.fix


# --- against Docker itself


@pytest.mark.parametrize(
    "patterns",
    [
        "",
        "*.md\n!a/x.md\n**/b",
        "*\n!a\na/b\n",
        "**/ab\n!ab\n",
        "/a/*/x.py\n./b\n?b/[^x].md\n",
        "a/**\n!a/b/x.py\n!a/b/ab/x.md\n",
    ],
)
def test_what_is_sent_is_what_docker_sends(stage: Stage, engine: APIClient, patterns: str) -> None:
    _grown(stage.root, 0)
    (stage.root / ".dockerignore").write_text(patterns)
    (stage.root / "Dockerfile").write_text(f"FROM {BASE}\nLABEL {MADE_FOR}={stage.project}\nCOPY . /all/\n")
    docker = ["docker", "--host", engine.base_url.replace("http+docker://localhost", _host(stage)), "build", "-q", "."]

    image = subprocess.run(
        docker, cwd=stage.root, env={**os.environ, "DOCKER_BUILDKIT": "0"}, capture_output=True, text=True, check=True
    ).stdout.strip()

    theirs = {name for name in _held(engine, image) if name not in {"Dockerfile", ".dockerignore"}}
    ours = {each.name for each in Source(stage.root, Build()).entries() if each.kind == "file"}
    assert ours - {"Dockerfile", ".dockerignore"} == theirs


def _host(stage: Stage) -> str:
    return stage.runtime.place(stage.plan()).removeprefix("docker at ")


def _grown(folder: Path, depth: int) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("x.py", "x.md", ".h"):
        (folder / name).write_text("")
    for name in ("a", "b", "ab") if depth < 3 else ():
        _grown(folder / name, depth + 1)


def _held(engine: APIClient, image: str) -> list[str]:
    container = engine.create_container(image, command=["/bin/true"])["Id"]
    data, _ = engine.get_archive(container, "/all")
    engine.remove_container(container)
    with tarfile.open(fileobj=io.BytesIO(b"".join(data))) as found:
        return [each.name.removeprefix("all/") for each in found if each.isfile()]


# --- for a stage on another platform


def test_a_cluster_can_get_only_what_was_pushed(stage: Stage, files: Files, registry: str, engine: APIClient) -> None:
    (stage.root / "fleet.kdl").write_text(
        f'project "{stage.project}"\nservice "api" {{ image "{registry}/{stage.project}/api"; build "." }}\n'
        'stage "stg" { runtime "kubernetes"; service "api" }\n'
    )
    request = Request(directory=str(stage.root), environ=dict(os.environ))
    planned = plan(request).plan
    image = planned.services[0].image
    assert [(each.code, each.message, each.fix) for each in unpushed(request, planned)] == [
        (
            "build-unpushed",
            f"image `{image}` of service `api` is not in its registry yet",
            "run `flow build stg --push` first",
        )
    ]

    made = build_images(request, push=True)

    assert [(each.image, each.anew, each.digest[:7]) for each in made.images] == [(image, True, "sha256:")]
    assert unpushed(request, planned) == ()


def test_an_image_built_by_hand_shows_no_secret(stage: Stage, files: Files) -> None:
    mark = secrets.token_hex(8)
    files.write(Dockerfile="ARG T\nRUN echo $T && false\n")
    (stage.root / ".env").write_text(f"TOKEN={mark}\n")
    (stage.root / "fleet.kdl").write_text(
        f'project "{stage.project}"\n'
        'service "api" { build "." { args { T "${TOKEN}" } }; secrets { S env="TOKEN" } }\n'
        'stage "local" { service "api" }\n'
    )
    said: list[str] = []

    with pytest.raises(FleetFlowError) as caught:
        build_images(
            Request(directory=str(stage.root), environ=dict(os.environ)), report=lambda service, text: said.append(text)
        )

    problem = caught.value.problems[0]
    assert problem.cause == ("its last output:", "  [hidden]")
    assert "T=[hidden]" in problem.more
    assert mark not in f"{problem} {said}"


def test_a_service_is_restarted_with_the_image_that_it_has(stage: Stage, files: Files) -> None:
    api = files.service()
    stage.up(api)
    before = (stage.id("api"), stage.look("api")["Image"])
    files.write(hello="changed, and nobody looked\n")
    made = stage.plan(replace(api, image=f"{stage.project}-api:b", build=ResolvedBuild()))

    outcome = stage.runtime.restart(made, made.step(StepId("api:deploy")), Trial(2, run="again"))

    assert outcome.text == "restarted, the old one served until the new one was ready"
    assert (stage.id("api") != before[0], stage.look("api")["Image"]) == (True, before[1])
