# SPDX-License-Identifier: Apache-2.0
"""`flow ps` of a stage on Cloud Run."""

import pytest

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.cloudrun.runtime import CloudRunRuntime
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.cloudrun import Server

from .stage import PROJECT, READY, Stage, service

DIGEST = "@sha256:" + "a" * 64


def lines(stage: Stage, *services: ResolvedService) -> list[str]:
    found = stage.runtime.status(stage.plan(*services))
    return [f"{each.service} {each.state}{' drift' if each.drift else ''}: {each.text}" for each in found]


def test_a_stage_that_was_deployed_runs_however_few_instances_there_are(stage: Stage) -> None:
    job = service("migrate", "scripted/job:0", job=True)
    services = (service("api", READY + DIGEST), job, service("web"))
    stage.up(*services, run="01RUN")

    assert lines(stage, *services) == ["api running: ", "migrate completed: ", "web running: "]
    api, migrate, web = stage.runtime.status(stage.plan(*services))
    assert (api.run, migrate.run) == ("01RUN", "01RUN")
    assert (api.digest, web.digest) == (READY + DIGEST, "")
    assert api.ports == (stage.get("api")["uri"],)
    assert api.since is not None


def test_what_is_missing_what_has_changed_and_what_nobody_wants_any_more_is_told(stage: Stage) -> None:
    stage.up(service("api"), service("web"))
    stage.changed("api", description="changed")

    assert lines(stage, service("api"), service("db")) == ["api running drift: ", "db missing: ", "web running drift: "]


def test_a_version_that_failed_is_told_beside_the_one_that_serves(stage: Stage) -> None:
    stage.up(service("api"))
    template = stage.get("api")["template"]
    stage.changed("api", template={**template, "containers": [{"image": "scripted/not-found"}]})
    eventually(lambda: not stage.get("api").get("reconciling"), within=30)

    (line,) = lines(stage, service("api"))

    assert line.startswith("api running drift: ")
    assert line.endswith("goes on serving: the image `scripted/not-found` does not exist, or cannot be seen")


def test_who_may_not_look_is_told_as_whom_he_came(stage: Stage, server: Server) -> None:
    account = "stranger@fleetflow.iam.gserviceaccount.com"
    server.accounts.add(account)
    stranger = CloudRunRuntime(server.environ(account))

    with pytest.raises(UnavailableError) as failure:
        stranger.status(stage.plan(service("api")))
    stranger.close()

    (problem,) = failure.value.problems
    assert problem.message == (
        f"cannot look at stage `prd`: `{account}` lacks permission `run.services.list` in project `{PROJECT}`"
    )
    assert f"--member=serviceAccount:{account} " in problem.fix


def test_a_first_version_that_failed_is_failed(stage: Stage) -> None:
    stage.fails(service("api", "scripted/not-found"))

    (line,) = lines(stage, service("api", "scripted/not-found"))

    assert line.startswith("api failed")
