# SPDX-License-Identifier: Apache-2.0
"""The URL of a dependency, from the runtime that deployed it to the one that deploys who depends on it."""

import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import redis

from fleetflow_tasks.config.model import RuntimeName, ServiceName
from fleetflow_tasks.engine.dispatch import submit
from fleetflow_tasks.engine.execute import Plans, execute
from fleetflow_tasks.engine.lease import Leases
from fleetflow_tasks.engine.model import Hint, RunId, StepState, WorkerId, WorkerInfo, new_run_id
from fleetflow_tasks.engine.pin import Pins
from fleetflow_tasks.engine.retrying import retry
from fleetflow_tasks.engine.store import Store
from fleetflow_tasks.plan.codec import Keys, parse_key
from fleetflow_tasks.plan.model import Plan, QueueName, ResolvedDependency, Step, StepId
from fleetflow_tasks.runtimes.base import Attempt, Outcome, Runtime
from fleetflow_tasks.testing.recording import Behaviour, RecordingRuntime
from tests.engine.conftest import Server, plan_of

OLD, NEW = (parse_key(f"a key of the tests, the {word} one of them") for word in ("old", "new"))
EDGE = ServiceName("edge")
URL = "https://edge-xyz.a.run.app"
TOLD = {"EDGE_HOST": "edge-xyz.a.run.app", "EDGE_URL": URL}


class Platform(RecordingRuntime):
    """Writes down with which environment a service was prepared and deployed."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.told: dict[str, Mapping[str, str]] = {}

    def prepare(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self.told[step.id] = plan.service_of(step).environment
        return super().prepare(plan, step, attempt)

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        self.told[step.id] = plan.service_of(step).environment
        return super().deploy(plan, step, attempt)


class Town(Platform):
    """One whose services have URLs. urls: where they are now, by service."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.addresses: dict[ServiceName, str] = {}
        self.asked: list[str] = []

    def deploy(self, plan: Plan, step: Step, attempt: Attempt) -> Outcome:
        outcome = super().deploy(plan, step, attempt)
        url = self.addresses.get(plan.service_of(step).name, "")
        return msgspec.structs.replace(outcome, facts={"url": url} if url else {})

    def urls(self, plan: Plan, services: Collection[ServiceName]) -> Mapping[ServiceName, str]:
        self.asked += services
        return {name: self.addresses[name] for name in services if name in self.addresses}


class Bed:
    """Two workers, one beside each platform, that only Redis has in common."""

    def __init__(self, url: str, folder: Path) -> None:
        self.store = Store.connect(url, client_name="ff-test")
        self.keys = Keys(current=NEW, previous=OLD)
        queues = (QueueName("docker"),)
        self.store.beat(WorkerInfo(id=WorkerId("w"), host="here", pid=1, queues=queues, slots=8, keys=self.keys.ids))
        self.here, self.town = Platform(folder / "here"), Town(folder / "town")
        self.platforms: dict[str, Runtime] = {"docker": self.here, "kubernetes": self.here, "cloudrun": self.town}
        self._leases = Leases(self.store)

    def submit(self, plan: Plan) -> RunId:
        run = new_run_id()
        submit(plan, run=run, store=self.store, keys=self.keys, publish=self._publish, actor="tests")
        return run

    def retry(self, run: RunId) -> RunId:
        return retry(run, store=self.store, keys=self.keys, publish=self._publish, actor="tests").run.id

    def do(self, run: RunId, *steps: str, keys: Keys | None = None) -> StepState:
        """Each step by a worker that has seen none of the others. The last one's state."""
        state: StepState | None = None
        for step in steps:
            state = execute(
                run,
                StepId(step),
                store=self.store,
                plans=Plans(self.store, keys or self.keys),
                runtimes=self.runtime,
                pins=Pins(self.store),
                publish=self._publish,
                worker=WorkerId("w"),
                leases=self._leases,
            )
            assert state is not None, step
        assert state is not None
        return state

    def runtime(self, name: RuntimeName) -> Runtime:
        return self.platforms[name]

    def problem(self, state: StepState) -> str:
        assert state.problem is not None
        return state.problem.message

    def close(self) -> None:
        self.store.close()

    def _publish(self, hint: Hint) -> None: ...


@pytest.fixture
def url(redis_server: Server) -> str:
    return redis_server.database()


@pytest.fixture
def bed(url: str, tmp_path: Path) -> Iterator[Bed]:
    with closing(Bed(url, tmp_path)) as bed:
        bed.town.addresses[EDGE] = URL
        yield bed


def stage(*lines: str, api: str = "docker", edge: str = "cloudrun") -> Plan:
    """api, on *api*, depends on edge, which is on *edge* as all others are."""
    made = plan_of(*lines)
    depends_on = (ResolvedDependency(service=EDGE, condition="started"),)
    found = {service.name: service for service in (*plan_of("api:deploy", "edge:deploy").services, *made.services)}

    def on(name: str | None) -> RuntimeName:
        return RuntimeName(api if name == "api" else edge)

    services = tuple(
        msgspec.structs.replace(each, runtime=on(name), depends_on=depends_on if name == "api" else ())
        for name, each in sorted(found.items())
    )
    steps = tuple(msgspec.structs.replace(each, runtime=on(each.service)) for each in made.steps)
    return msgspec.structs.replace(made, services=services, steps=steps)


BOTH = ("api:prepare", "edge:deploy", "api:deploy <- api:prepare, edge:deploy  retries=0")


@pytest.mark.parametrize("runtime", ["docker", "kubernetes", "cloudrun"])
def test_a_service_is_told_the_url_of_what_it_depends_on(bed: Bed, runtime: str) -> None:
    run = bed.submit(stage(*BOTH, api=runtime))

    state = bed.do(run, "edge:deploy", "api:prepare", "api:deploy")

    platform = bed.town if runtime == "cloudrun" else bed.here
    assert state.status == "succeeded"
    assert platform.told["api:deploy"] == TOLD
    assert bed.town.asked == []


def test_what_is_prepared_waits_for_no_url(bed: Bed) -> None:
    run = bed.submit(stage(*BOTH))

    bed.do(run, "edge:deploy", "api:prepare")

    assert set(bed.here.told["api:prepare"].values()) == {"(known after the first deployment of edge)"}


def test_a_url_costs_one_command_and_none_costs_none(bed: Bed, url: str) -> None:
    with closing(redis.Redis.from_url(url, protocol=2)) as client:

        def cost(plan: Plan) -> int:
            run = bed.submit(plan)
            bed.do(run, "edge:deploy", "api:prepare")
            before = int(client.info("stats")["total_commands_processed"])
            assert bed.do(run, "api:deploy").status == "succeeded"
            return int(client.info("stats")["total_commands_processed"]) - before

        without, with_one = cost(stage(*BOTH, edge="docker")), cost(stage(*BOTH))

    assert with_one == without + 1


def test_the_same_url_again_is_the_same_environment_again(bed: Bed) -> None:
    told = []
    for _ in range(2):
        run = bed.submit(stage(*BOTH))
        bed.do(run, "edge:deploy", "api:prepare", "api:deploy")
        told.append(bed.here.told["api:deploy"])

    assert told == [TOLD, TOLD]


def test_a_retry_tells_what_the_run_before_was_told(bed: Bed) -> None:
    bed.here.behave(api__deploy=Behaviour(fail=-1, transient=False))
    failed = bed.submit(stage(*BOTH))
    assert bed.do(failed, "edge:deploy", "api:prepare", "api:deploy").status == "failed"
    again = bed.retry(failed)
    assert bed.do(again, "api:prepare", "api:deploy").status == "failed"
    bed.here.behave()
    bed.here.told.clear()

    state = bed.do(bed.retry(again), "api:prepare", "api:deploy")

    assert state.status == "succeeded"
    assert bed.here.told["api:deploy"] == TOLD
    assert (bed.town.count("begin", "edge:deploy"), bed.town.asked) == (1, [])


def test_of_a_dependency_that_is_no_step_of_the_run_its_runtime_is_asked(bed: Bed) -> None:
    run = bed.submit(stage("api:deploy"))

    assert bed.do(run, "api:deploy").status == "succeeded"
    assert bed.here.told["api:deploy"] == TOLD
    assert bed.town.asked == ["edge"]


def test_a_dependency_that_is_not_there_is_named(bed: Bed) -> None:
    bed.town.addresses.clear()
    run = bed.submit(stage("api:deploy"))

    state = bed.do(run, "api:deploy")

    assert bed.problem(state) == "service `api` is to be told the URL of `edge`, which is not on cloudrun yet"
    assert "api:deploy" not in bed.here.told


@pytest.mark.parametrize("lines", [("api:deploy",), BOTH])
def test_what_has_no_url_hands_nothing_over(bed: Bed, lines: tuple[str, ...]) -> None:
    bed.town.addresses[EDGE] = ""
    run = bed.submit(stage(*lines))

    state = bed.do(run, *(["edge:deploy", "api:prepare"] if lines is BOTH else []), "api:deploy")

    assert state.status == "succeeded"
    assert bed.here.told["api:deploy"] == {}


def test_a_runtime_that_tells_no_urls_is_not_asked_for_any(bed: Bed) -> None:
    bed.platforms["elsewhere"] = bed.here
    run = bed.submit(stage("api:deploy", edge="elsewhere"))

    assert bed.do(run, "api:deploy").status == "succeeded"
    assert bed.here.told["api:deploy"] == {}


@pytest.mark.parametrize(("fact", "written"), [(b"url", b"https://evil.example.org"), (b"url_signature", b"\xc3\xa9")])
def test_a_url_that_somebody_wrote_into_redis_is_told_to_nobody(
    bed: Bed, url: str, caplog: pytest.LogCaptureFixture, fact: bytes, written: bytes
) -> None:
    run = bed.submit(stage(*BOTH))
    bed.do(run, "edge:deploy", "api:prepare")
    with closing(redis.Redis.from_url(url, protocol=2)) as client:
        steps = f"ff:{{shop/local}}:run:{run}:steps"
        told = client.hget(steps, "edge:deploy")
        assert isinstance(told, bytes)
        client.hset(steps, "edge:deploy", re.sub(b'"%b":"[^"]*"' % fact, b'"%b":"%b"' % (fact, written), told))

    with caplog.at_level(logging.WARNING):
        bed.do(run, "api:deploy")

    assert bed.here.told["api:deploy"] == TOLD
    assert bed.town.asked == ["edge"]
    assert "url.unsigned" in caplog.messages


def test_a_url_signed_for_another_service_is_not_believed(bed: Bed, url: str) -> None:
    bed.town.addresses[ServiceName("side")] = "https://side.a.run.app"
    run = bed.submit(stage("side:deploy", *BOTH))
    bed.do(run, "edge:deploy", "side:deploy", "api:prepare")
    with closing(redis.Redis.from_url(url, protocol=2)) as client:
        key = f"ff:{{shop/local}}:run:{run}:steps"
        side = client.hget(key, "side:deploy")
        assert isinstance(side, bytes)
        client.hset(key, "edge:deploy", side.replace(b"side:deploy", b"edge:deploy"))

    bed.do(run, "api:deploy")

    assert bed.here.told["api:deploy"] == TOLD


def test_a_url_is_believed_while_the_key_is_being_changed(bed: Bed) -> None:
    before = Keys(current=OLD)
    bed.keys = Keys(current=OLD)
    run = bed.submit(stage(*BOTH))
    bed.do(run, "edge:deploy", "api:prepare", keys=before)

    bed.do(run, "api:deploy", keys=Keys(current=NEW, previous=OLD))

    assert bed.here.told["api:deploy"] == TOLD
    assert bed.town.asked == []
