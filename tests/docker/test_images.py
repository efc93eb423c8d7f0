# SPDX-License-Identifier: Apache-2.0
"""Images from a real registry: pulled, asked for again, missing, refused."""

import socket
from collections.abc import Callable

from docker.api.client import APIClient

from fleetflow_tasks.testing import Trial

from .conftest import Stage, service


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


def test_a_tag_with_its_digest_is_that_image_wherever_the_tag_has_moved(
    stage: Stage, pushed: Callable[[str, str], str], engine: APIClient
) -> None:
    reference = pushed("1", "one")
    stage.up(service("api", image=reference))
    (before,) = stage.runtime.status(stage.plan(service("api", image=reference)))
    stage.up()
    engine.remove_image(before.digest.replace(":1@", "@"))
    pushed("1", "two")
    exact = service("api", image=before.digest)

    outcomes = stage.up(exact)

    assert before.digest.startswith(f"{reference}@sha256:")
    assert outcomes["api:prepare"].text.startswith("pulled ")
    assert "CONTENT=one" in stage.look("api")["Config"]["Env"]
    assert stage.look("api")["Config"]["Labels"]["fleetflow.image"] == before.digest
    assert stage.changes(exact) == {}
    assert [each.digest for each in stage.runtime.status(stage.plan(exact))] == [before.digest]


def test_an_image_that_no_registry_knows_is_told_and_deployed_by_its_id(
    stage: Stage, image: Callable[..., str]
) -> None:
    reference = image("ENV CONTENT=one")
    stage.up(service("api", image=reference))

    (told,) = stage.runtime.status(stage.plan(service("api", image=reference)))
    stage.up(service("api", image=told.digest), service("web", image=told.digest))

    assert told.digest == stage.engine.inspect_image(reference)["Id"]
    assert stage.containers() == {"api": "running", "web": "running"}
    assert stage.changes(service("api", image=told.digest), service("web", image=told.digest)) == {}


def test_an_id_that_this_engine_does_not_have_is_not_looked_for_anywhere(stage: Stage) -> None:
    failure = stage.fails(service("api", image=f"sha256:{'0' * 64}"))

    assert failure.problem.message == (
        "image `sha256:000000000000` of service `api` is not on this Engine, and no registry knows it"
    )
    assert not failure.transient


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
