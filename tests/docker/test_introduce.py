# SPDX-License-Identifier: Apache-2.0
"""While a service is replaced every request is served, and none by a version that is not ready.

A client in the same network asks for the service by its name again and again. Each version answers with its own name;
one that is not ready answers that it is not.
"""

import ipaddress
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from docker.api.client import APIClient

from fleetflow_tasks.config.model import Healthcheck, ProjectName
from fleetflow_tasks.plan.model import ResolvedService, StepId
from fleetflow_tasks.runtimes.docker.runtime import DockerRuntime
from fleetflow_tasks.testing import Trial, eventually
from fleetflow_tasks.testing.contract import done

from .conftest import BASE, Stage, service

OPTIONS = {"init": True}  # so that TERM is heard; the grace is the usual one
READY = Healthcheck(test=("CMD", "test", "-e", "/tmp/ready"), interval=0.2, retries=100)
# As servers do that end in order: told to stop, it takes no more requests, and has a while to go on.
SERVES = "httpd -f -p 8080 -h /www & trap 'kill $!; sleep 0.5; exit 0' TERM; wait"


def version(name: str, script: str, **fields: Any) -> ResolvedService:
    fields.setdefault("healthcheck", READY)
    return service("api", "/bin/sh", "-c", script, environment={"VERSION": name}, options=OPTIONS, **fields)


def good(name: str, ready_after: float = 0.0) -> ResolvedService:
    """Answers from the start on, but says that it is not ready until it is."""
    ready = f"(sleep {ready_after}; echo {name} > /www/index.html; touch /tmp/ready) &"
    return version(name, f"echo {name} not ready > /www/index.html; {ready} {SERVES}")


class Visitor:
    """A container that asks for `api`, as fast as it is answered."""

    ASKS = (
        'while :; do timeout 5 wget -q -O - http://api:8080/ 2> /tmp/why || echo "not served: $? $(cat /tmp/why)"; done'
    )

    def __init__(self, engine: APIClient, project: str) -> None:
        self._engine = engine
        network = f"{project}-local"
        self.id = engine.create_container(
            BASE,
            ["/bin/sh", "-c", self.ASKS],
            name=f"{project}-visitor",
            host_config=engine.create_host_config(network_mode=network, init=True),
        )["Id"]
        engine.start(self.id)

    def answers(self) -> Counter[str]:
        return Counter(self._engine.logs(self.id, stderr=False).decode().splitlines())


@contextmanager
def visited(stage: Stage) -> Iterator[Visitor]:
    visitor = Visitor(stage.engine, stage.project)
    eventually(lambda: visitor.answers().total() > 5)
    yield visitor
    before = visitor.answers().total()
    eventually(lambda: visitor.answers().total() > before + 5)


def test_every_visitor_is_served_while_a_new_version_takes_over(stage: Stage) -> None:
    stage.up(good("one"))

    with visited(stage) as visitor:
        stage.up(good("two", ready_after=2))

    answers = visitor.answers()
    assert set(answers) == {"one", "two"}, answers
    assert stage.containers() == {"api": "running"}
    assert stage.changes(good("two", ready_after=2)) == {}


def test_every_visitor_is_served_by_the_old_version_while_the_new_one_crashes_again_and_again(stage: Stage) -> None:
    stage.up(good("one"))

    with visited(stage) as visitor:
        crashing = "echo two not ready > /www/index.html; httpd -p 8080 -h /www; sleep 0.5; exit 3"
        failure = stage.fails(version("two", crashing, restart="always"))

    assert "it crashes again and again" in failure.problem.message
    assert failure.problem.cause[-1] == "the version before still serves"
    assert set(visitor.answers()) == {"one"}, visitor.answers()
    assert stage.changes(good("one")) == {}


def test_every_visitor_is_served_by_the_old_version_while_the_new_one_is_never_ready(stage: Stage) -> None:
    stage.up(good("one"))

    with visited(stage) as visitor:
        stage.fails(version("two", f"echo two not ready > /www/index.html; {SERVES}", timeout=3))

    assert set(visitor.answers()) == {"one"}, visitor.answers()
    assert stage.containers() == {"api": "running"}


def test_a_connection_that_the_new_version_has_opened_outlives_its_introduction(stage: Stage) -> None:
    ticks = "while :; do echo tick; sleep 0.1; done | nc -l -p 9000; echo ended; sleep 1000"
    connects = "tail -f /dev/null | nc ticks 9000 > /tmp/heard &"
    two = version("two", f"{connects} echo two > /www/index.html; touch /tmp/ready; {SERVES}")
    clock = service("ticks", "/bin/sh", "-c", ticks, options=OPTIONS)
    stage.up(good("one"), clock)

    stage.up(two, clock)

    heard = _heard(stage)
    assert heard > 0
    eventually(lambda: _heard(stage) > heard + 5)
    assert b"ended" not in stage.engine.logs(stage.id("ticks"))


def _heard(stage: Stage) -> int:
    asked = stage.engine.exec_create(stage.id("api"), ["/bin/sh", "-c", "wc -l < /tmp/heard"])["Id"]
    return int(stage.engine.exec_start(asked))


class KilledError(Exception):
    """As the end of the process would be: nothing of ours is done after it."""


@pytest.mark.parametrize("moment", [1, 2])
def test_a_worker_killed_while_a_container_is_off_its_network_is_made_good(
    stage: Stage, project: ProjectName, moment: int
) -> None:
    """moment: the first time it is the new one that is introduced, the second time the old one that is withdrawn."""
    stage.up(good("one"))
    seen = 0

    def kill(method: str, path: str) -> None:
        nonlocal seen
        seen += path.endswith("/disconnect")
        if seen == moment:
            raise KilledError

    killed = DockerRuntime(os.environ, trace=kill)
    plan = stage.plan(good("two"))
    done(killed, plan, plan.step(StepId("api:prepare")), Trial(2))
    with pytest.raises(KilledError):
        done(killed, plan, plan.step(StepId("api:deploy")), Trial(2))
    killed.close()
    stage.generation = 2

    with visited(stage) as visitor:
        stage.up(good("two"))

    assert set(visitor.answers()) <= {"one", "two"}, visitor.answers()
    assert stage.containers() == {"api": "running"}
    assert stage.changes(good("two")) == {}


def test_the_old_version_that_was_withdrawn_is_found_again_when_it_is_wanted_again(stage: Stage) -> None:
    stage.up(good("one"))
    plan = stage.plan(good("two"))
    done(stage.runtime, plan, plan.step(StepId("api:prepare")), Trial(2))
    attempt = Trial(2)
    report, lingers = attempt.report, "end what it began"

    def stopped(text: str, current: float | None = None, total: float | None = None) -> None:
        report(text, current, total)
        if lingers in text:
            raise KilledError

    attempt.report = stopped  # type: ignore[method-assign]  # a worker that dies at this word
    with pytest.raises(KilledError):
        done(stage.runtime, plan, plan.step(StepId("api:deploy")), attempt)
    stage.generation = 2

    with visited(stage) as visitor:
        stage.up(good("one"))
        eventually(lambda: visitor.answers()["one"] > 5)

    assert stage.containers() == {"api": "running"}
    assert stage.changes(good("one")) == {}


def test_a_container_keeps_its_address_and_nobody_is_given_it_meanwhile(stage: Stage, engine: APIClient) -> None:
    stage.up(good("one"))
    network = engine.inspect_network(f"{stage.project}-local")
    ours = ipaddress.IPv4Network(network["Labels"]["fleetflow.addresses"])
    address = stage.look("api")["NetworkSettings"]["Networks"][network["Name"]]["IPAddress"]
    assert ipaddress.ip_address(address) in ours

    with visited(stage) as visitor:
        theirs = engine.inspect_container(visitor.id)["NetworkSettings"]["Networks"][network["Name"]]["IPAddress"]
    assert ipaddress.ip_address(theirs) not in ours


def test_an_address_that_was_taken_meanwhile_is_chosen_again(stage: Stage, engine: APIClient) -> None:
    api = good("one")
    stage.step("stage:prepare", api)
    stage.step("api:prepare", api)
    network = f"{stage.project}-local"
    address = stage.look("api")["NetworkSettings"]["Networks"][network]["IPAMConfig"]["IPv4Address"]
    thief = engine.create_container(
        BASE,
        ["/bin/sleep", "1000"],
        name=f"{stage.project}-thief",
        stop_signal="KILL",
        host_config=engine.create_host_config(network_mode=network),
        networking_config=engine.create_networking_config(
            {network: engine.create_endpoint_config(ipv4_address=address)}
        ),
    )
    engine.start(thief)

    stage.step("api:deploy", api)

    joined = stage.look("api")["NetworkSettings"]["Networks"][network]
    assert joined["IPAddress"] != address
    assert "api" in joined["Aliases"]
    assert stage.changes(api) == {}


def test_a_network_of_an_earlier_tool_gives_the_new_version_its_place_too(stage: Stage, engine: APIClient) -> None:
    labels = {"fleetflow.project": stage.project, "fleetflow.stage": "local"}
    engine.create_network(f"{stage.project}-local", driver="bridge", labels=labels)
    stage.up(good("one"))

    with visited(stage) as visitor:
        stage.up(good("two", ready_after=1))
        eventually(lambda: visitor.answers()["two"] > 5)

    assert not {"two not ready"} & set(visitor.answers()), visitor.answers()
    assert stage.changes(good("two", ready_after=1)) == {}
    began = time.monotonic()
    stage.up(good("two", ready_after=1))
    assert time.monotonic() - began < 5


def test_a_subnet_that_somebody_took_while_the_network_was_made_is_left_to_them(
    stage: Stage, project: ProjectName, engine: APIClient
) -> None:
    taken: list[str] = []

    def take(method: str, path: str) -> None:
        if method == "DELETE" and "/networks/" in path and not taken:
            name = f"{project}-thief"
            engine.create_network(name, driver="bridge")
            taken.append(engine.inspect_network(name)["IPAM"]["Config"][0]["Subnet"])

    hurried = DockerRuntime(os.environ, trace=take)
    plan = stage.plan(good("one"))
    done(hurried, plan, plan.step(StepId("stage:prepare")), Trial())
    hurried.close()

    network = engine.inspect_network(f"{project}-local")
    subnet = ipaddress.IPv4Network(network["IPAM"]["Config"][0]["Subnet"])
    assert not subnet.overlaps(ipaddress.IPv4Network(taken[0]))
    assert ipaddress.IPv4Network(network["Labels"]["fleetflow.addresses"]).subnet_of(subnet)
