# SPDX-License-Identifier: Apache-2.0
"""Another revision of what is there, and what becomes of it: against the server."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import DeployError, Outcome
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.cloudrun import Server
from fleetflow_tasks.testing.contract import done

from .stage import Stage, service, step, told

V1, V2 = "scripted/ready:1ms", "scripted/ready:2ms"
IMAGE = "europe-docker.pkg.dev/p/r/api:1"


def restarted(stage: Stage, *services: Any, run: str = "again") -> Outcome:
    """The first of *services*."""
    stage.generation += 1
    name = ServiceName(services[0].name)
    plan = stage.plan(*services)
    return done(stage.runtime, plan, step(f"{name}:restart", "restart", name), Trial(stage.generation, run=run))


def refused(stage: Stage, *services: Any) -> DeployError:
    with pytest.raises(DeployError) as failure:
        restarted(stage, *services)
    return failure.value


def test_a_restart_makes_one_revision_of_the_same_and_the_next_deployment_none(stage: Stage) -> None:
    api = service("api", V1, environment={"A": "1"})
    stage.up(api)
    before = stage.get("api")

    outcome = restarted(stage, api)

    there = stage.get("api")
    assert outcome.text == f"restarted as revision {there['latestReadyRevision'].rpartition('/')[2]}"
    assert outcome.facts["url"] == there["uri"]
    assert there["latestReadyRevision"] != before["latestReadyRevision"]
    assert there["template"]["containers"] == before["template"]["containers"]
    assert stage.serving("api") == {V1: 100}
    assert stage.changes(api) == {}
    assert not stage.up(api)["api:deploy"].changed
    assert stage.revisions("api") == [V1, V1]


def test_a_version_that_the_text_has_by_now_waits_for_a_deployment(stage: Stage) -> None:
    stage.up(service("api", V1))

    restarted(stage, service("api", V2))

    assert stage.serving("api") == {V1: 100}
    assert "api:deploy" in stage.changes(service("api", V2))


def test_what_somebody_changed_outside_stays_changed(stage: Stage) -> None:
    api = service("api", V1)
    stage.up(api)
    stage.changed("api", description="by hand")
    before = stage.changes(api)

    restarted(stage, api)

    assert stage.get("api")["description"] == "by hand"
    assert stage.changes(api) == before != {}


def test_a_restart_that_fails_leaves_the_revision_of_before_serving(stage: Stage, server: Server) -> None:
    api = service("api", IMAGE)
    stage.up(api)
    server.world.missing_images.add(IMAGE)

    failure = refused(stage, api)

    server.world.missing_images.clear()
    assert failure.problem.code == "image-not-found"
    assert "the version before goes on serving" in told(failure)
    assert stage.serving("api") == {IMAGE: 100}
    assert stage.changes(api) == {}


def test_a_version_on_trial_is_not_restarted_past_its_share(stage: Stage) -> None:
    stage.up(service("api", V1))
    stage.up(service("api", V2), canary="10")
    before = stage.serving("api")

    failure = refused(stage, service("api", V2))

    assert failure.problem.message == (
        "service `api` cannot be restarted: its requests do not go to its newest revision"
    )
    assert failure.problem.cause[0].startswith("they go to: 90 % ")
    assert "the version before" not in "\n".join(failure.problem.cause)
    assert stage.serving("api") == before


def test_what_is_not_ours_is_not_restarted(stage: Stage) -> None:
    stage.up(service("api", V1))
    stage.changed("api", labels={})

    failure = refused(stage, service("api", V1))

    assert "not ours" in failure.problem.message
    assert len(stage.revisions("api")) == 1
