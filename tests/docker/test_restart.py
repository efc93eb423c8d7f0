# SPDX-License-Identifier: Apache-2.0
"""A service started anew as it is: beside the old one where that can be, else the same container again."""

import time
from typing import Any

import pytest

from fleetflow_tasks.config.model import Port, Secret, ServiceName, Volume
from fleetflow_tasks.plan.model import QueueName, Step, StepId
from fleetflow_tasks.runtimes.base import DeployError, Outcome
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.contract import done

from .conftest import DOCKER, Stage, service
from .test_introduce import good, visited

DATA = (Volume(source="data", target="/data"),)
STARTS_ONCE = "test -e /once/done && exit 3; touch /once/done; exec sleep 1000"


def restarted(stage: Stage, *services: Any, number: int = 1) -> Outcome:
    """The first of *services*."""
    stage.generation += 1
    name = ServiceName(services[0].name)
    step = Step(id=StepId(f"{name}:restart"), action="restart", runtime=DOCKER, queue=QueueName("docker"), service=name)
    return done(stage.runtime, stage.plan(*services), step, Trial(stage.generation, number=number))


def started(stage: Stage, name: str) -> str:
    return str(stage.look(name)["State"]["StartedAt"])


def test_every_visitor_is_served_while_a_service_restarts(stage: Stage) -> None:
    stage.up(good("one"))
    before = stage.id("api")

    with visited(stage) as visitor:
        outcome = restarted(stage, good("one"))

    assert outcome.text == "restarted, the old one served until the new one was ready"
    assert set(visitor.answers()) == {"one"}, visitor.answers()
    assert stage.id("api") != before
    assert stage.containers() == {"api": "running"}
    assert stage.changes(good("one")) == {}


def test_a_container_that_has_a_port_is_restarted_in_place_and_loses_nothing_in_it(stage: Stage) -> None:
    api = service("api", ports=(Port(container=8080),))
    stage.up(api)
    before, when = stage.id("api"), started(stage, "api")
    write = stage.engine.exec_create(before, ["/bin/sh", "-c", "echo kept > /x"])["Id"]
    stage.engine.exec_start(write)

    outcome = restarted(stage, api)

    read = stage.engine.exec_create(stage.id("api"), ["/bin/cat", "/x"])["Id"]
    assert outcome.text == "restarted, in place: published port"
    assert (stage.id("api"), started(stage, "api") > when) == (before, True)
    assert stage.engine.exec_start(read) == b"kept\n"
    assert stage.changes(api) == {}


def test_without_the_values_of_its_secrets_a_service_gets_those_that_it_has(stage: Stage) -> None:
    with_key = service("api", secrets={"KEY": Secret("geheim")})
    stage.up(with_key)
    before = stage.id("api")

    restarted(stage, service("api"))

    assert stage.id("api") == before
    assert "KEY=geheim" in stage.look("api")["Config"]["Env"]
    assert stage.changes(with_key) == {}


def test_a_restart_beside_the_old_one_that_fails_leaves_that_serving(stage: Stage) -> None:
    (stage.root / "once").mkdir()
    once = (Volume(source=str(stage.root / "once"), target="/once", read_only=True),)
    api = service("api", "/bin/sh", "-c", "test -e /once/gone && exit 3; exec sleep 1000", volumes=once)
    stage.up(api)
    before = stage.id("api")
    (stage.root / "once" / "gone").touch()

    with pytest.raises(DeployError) as failure:
        restarted(stage, api)

    assert failure.value.problem.cause[-1] == "the version before still serves"
    assert stage.id("api") == before
    assert stage.containers() == {"api": "running"}


def test_a_restart_in_place_that_fails_says_why_it_does_not_come_back(stage: Stage) -> None:
    (stage.root / "once").mkdir()
    once = (Volume(source=str(stage.root / "once"), target="/once"),)
    api = service("api", "/bin/sh", "-c", STARTS_ONCE, volumes=once, timeout=5.0)
    stage.up(api)

    with pytest.raises(DeployError) as failure:
        restarted(stage, api)

    assert "exit code 3" in failure.value.problem.message
    assert stage.containers() == {"api": "exited"}


def test_what_an_attempt_has_stopped_and_not_started_is_started_by_the_next(stage: Stage) -> None:
    db = service("db", volumes=DATA)
    stage.up(db)
    before = stage.id("db")
    stage.engine.stop(before, timeout=0)
    assert restarted(stage, db).text == "not running"

    outcome = restarted(stage, db, number=2)

    assert outcome.changed
    assert (stage.id("db"), stage.containers()) == (before, {"db": "running"})


def test_a_service_has_the_time_to_stop_that_its_text_gives_it(stage: Stage) -> None:
    said = "trap 'sleep 1; echo ended in order; exit 0' TERM; while :; do sleep 0.1; done"
    db = service("db", "/bin/sh", "-c", said, volumes=DATA, options={"stop_grace": 15})
    stage.up(db)

    restarted(stage, db)

    assert b"ended in order" in stage.engine.logs(stage.id("db"))


def test_the_volumes_of_a_stage_are_named_with_what_is_in_them(stage: Stage) -> None:
    db = service("db", volumes=DATA)
    stage.up(db)
    write = stage.engine.exec_create(stage.id("db"), ["/bin/sh", "-c", "head -c 5000 /dev/zero > /data/x"])["Id"]
    stage.engine.exec_start(write)

    (volume,) = stage.runtime.volumes(stage.plan(db))

    assert (volume.name, volume.kind) == (f"{stage.project}-local_data", "volume")
    assert volume.size is None or volume.size >= 5000  # an old Engine does not tell
    assert volume.created is not None
    assert abs(time.time() - volume.created) < 3600
