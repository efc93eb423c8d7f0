# SPDX-License-Identifier: Apache-2.0
"""Images from a real registry: pulled, asked for again, missing, refused."""

import secrets
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker.api.client import APIClient

from fleetflow_tasks.testing import Trial

from .conftest import Stage, service


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry of our own on loopback, where an Engine speaks plain HTTP."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail("docker-registry is not installed: run `make setup` first")
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder / 'data'}'}}}}\n"
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        _until_it_answers(address, folder / "log")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _until_it_answers(address: str, log: Path) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{address}/v2/", timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the registry does not answer: {log.read_text()}")


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


def test_an_image_that_is_not_here_is_pulled_and_told(stage: Stage, pushed: Callable[[str, str], str]) -> None:
    api = service("api", image=pushed("1", "one"))
    attempt = Trial(1)
    stage.step("stage:prepare", api)

    outcome = stage.step("api:prepare", api, attempt=attempt)

    assert outcome.text.startswith("pulled ")
    assert any(report.startswith("pulling ") for report in attempt.reports)
    assert not stage.step("api:prepare", api).changed


def test_an_image_is_not_asked_for_again_unless_told_so(
    stage: Stage, pushed: Callable[[str, str], str], engine: APIClient
) -> None:
    reference = pushed("1", "one")
    stage.up(service("api", image=reference))
    held = engine.inspect_image(reference)["Id"]
    engine.tag(held, "fleetflow/held", held.removeprefix("sha256:")[:12])
    pushed("1", "two")
    engine.tag(held, reference)

    assert stage.changes(service("api", image=reference)) == {}
    always = service("api", image=reference, pull="always")
    assert list(stage.changes(always)) == ["api:deploy"]
    stage.up(always)

    assert "CONTENT=two" in stage.look("api")["Config"]["Env"]
    assert stage.changes(always) == {}
    engine.remove_image(f"fleetflow/held:{held.removeprefix('sha256:')[:12]}", force=True)


def test_a_digest_is_pulled_and_never_asked_for_again(
    stage: Stage, pushed: Callable[[str, str], str], engine: APIClient
) -> None:
    reference = pushed("1", "one")
    stage.up(service("other", image=reference))
    digest = engine.inspect_image(reference)["RepoDigests"][0]
    api = service("api", image=digest, pull="always")

    stage.up(service("other", image=reference), api)

    assert stage.changes(service("other", image=reference), api) == {}


def test_a_tag_that_does_not_exist_is_said_in_the_registrys_words(
    stage: Stage, pushed: Callable[[str, str], str]
) -> None:
    reference = pushed("1", "one").removesuffix(":1") + ":9"

    failure = stage.fails(service("api", image=reference))

    where = reference.partition("/")[0]
    assert failure.problem.message == f"image `{reference}` does not exist on {where}"
    assert "manifest" in failure.problem.cause[0]
    assert not failure.transient


def test_a_registry_that_does_not_answer_may_do_so_later(stage: Stage) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"

    failure = stage.fails(service("api", image=f"{address}/x:1"))

    assert failure.problem.message == f"image `{address}/x:1` is not on this Engine, and {address} does not answer"
    assert failure.transient


def test_an_image_that_may_not_be_pulled_must_be_here(stage: Stage) -> None:
    failure = stage.fails(service("api", image="fleetflow/nowhere:1", pull="never"))

    assert (
        failure.problem.message
        == 'image `fleetflow/nowhere:1` is not on this Engine, and `pull "never"` forbids to fetch it'
    )


def test_a_failed_pull_does_not_touch_what_serves(stage: Stage, requests: list[tuple[str, str]]) -> None:
    stage.up(service("api"))
    made = stage.id("api")
    requests.clear()

    stage.fails(service("api", image="127.0.0.1:9/x:1"))

    assert stage.id("api") == made
    assert stage.containers() == {"api": "running"}
    assert not [path for method, path in requests if method != "GET" and "/images/create" not in path]
