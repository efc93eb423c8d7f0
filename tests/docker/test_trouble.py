# SPDX-License-Identifier: Apache-2.0
"""An Engine in trouble: it refuses for a while, hangs, or does what it was told and its answer is lost.

Whatever happens, and whenever: another attempt brings the deployment to its end, one container is left, and until the
new version is ready the old one serves.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from docker.api.client import APIClient

from fleetflow_tasks.config.model import Healthcheck, Port, ProjectName
from fleetflow_tasks.plan.model import Plan, ResolvedService, Step
from fleetflow_tasks.runtimes.base import DeployError, Stopped
from fleetflow_tasks.runtimes.docker.runtime import DockerRuntime
from fleetflow_tasks.testing import Trial, eventually
from fleetflow_tasks.testing.contract import done

from .conftest import Stage, service
from .proxy import BadLine, bad_line

CHECK = Healthcheck(test=("CMD", "true"), interval=0.1, retries=1000)
ATTEMPTS = 3  # as many as the engine makes of a step by default
Trouble = Literal["refused", "busy", "broken", "cut", "lost"]

CREATE = "POST /containers/create"
START = "POST /containers/[^/]+/start"
STOP = "POST /containers/[^/]+/stop"
RENAME = "POST /containers/[^/]+/rename"
POLICY = "POST /containers/[^/]+/update"
REMOVE = "DELETE /containers/"
LEAVE = "POST /networks/[^/]+/disconnect"
JOIN = "POST /networks/[^/]+/connect"


@pytest.fixture
def line(engine: APIClient) -> Iterator[BadLine]:
    folder = Path(f"/tmp/ffd-{secrets.token_hex(4)}")  # a socket's path may hold 107 bytes, and pytest's are long
    folder.mkdir()
    host = os.environ.get("DOCKER_HOST") or engine.base_url.replace(
        "http+docker://localhost", "unix:///var/run/docker.sock"
    )
    with bad_line(folder / "s", host) as made:
        yield made
    shutil.rmtree(folder)


@pytest.fixture
def of(line: BadLine) -> Iterator[Callable[..., DockerRuntime]]:
    """A runtime on the bad line, closed afterwards."""
    made: list[DockerRuntime] = []

    def make(**more: Any) -> DockerRuntime:
        made.append(DockerRuntime({"DOCKER_HOST": line.address}, **more))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def far(of: Callable[..., DockerRuntime], engine: APIClient, project: ProjectName, tmp_path: Path) -> Stage:
    """The stage, at the end of the bad line."""
    return Stage(of(), engine, project, tmp_path)


def beside(version: str) -> ResolvedService:
    """Replaced while the one before serves."""
    return service("api", environment={"VERSION": version}, healthcheck=CHECK)


def swapped(version: str) -> ResolvedService:
    """Replaced after the one before was stopped: they share a port."""
    ports = (Port(container=8080),)
    return service("api", environment={"VERSION": version}, healthcheck=CHECK, ports=ports, restart="unless-stopped")


def makes(line: BadLine, trouble: Trouble, requests: str, *, times: int = 1) -> None:
    match trouble:
        case "refused":
            line.answers(requests, 503, "the daemon is shutting down", times=times)
        case "busy":
            line.answers(requests, 429, "too many requests", times=times)
        case "broken":
            line.answers(requests, 500, "rpc error: code = Unavailable desc = transport is closing", times=times)
        case "cut":
            line.cuts(requests, times=times)
        case "lost":
            line.loses(requests, times=times)


def carried(stage: Stage, *services: ResolvedService, served_before: bool = True) -> list[DeployError]:
    """One run, in which a step that failed and may pass is done again, as the engine does; what failed so.

    Raises the last failure where none of the attempts is enough.
    """
    plan = stage.plan(*services)
    stage.generation += 1
    failures: list[DeployError] = []
    for step in plan.steps:
        for last in (*[False] * (ATTEMPTS - 1), True):
            failure = attempted(stage, plan, step, last=last)
            if failure is None:
                break
            failures.append(failure)
            assert served(stage) or not served_before, f"after {failure}"
    return failures


def attempted(stage: Stage, plan: Plan, step: Step, *, last: bool) -> DeployError | None:
    try:
        done(stage.runtime, plan, step, Trial(stage.generation))
    except DeployError as failure:
        if last or not failure.transient:
            raise
        return failure
    return None


def served(stage: Stage) -> list[str]:
    """Versions of the running containers that DNS answers `api` with."""
    found = []
    for name, state in stage.containers().items():
        look = stage.look(name)
        aliases = look["NetworkSettings"]["Networks"].get(f"{stage.project}-local", {}).get("Aliases") or ()
        if state == "running" and "api" in aliases:
            found += [word.removeprefix("VERSION=") for word in look["Config"]["Env"] if word.startswith("VERSION=")]
    return found


@pytest.mark.parametrize(
    ("trouble", "requests"),
    [
        ("lost", CREATE),
        ("busy", START),
        ("lost", START),
        ("cut", JOIN),
        ("lost", JOIN),
        ("lost", LEAVE),
        ("broken", STOP),
        ("lost", STOP),
        ("refused", RENAME),
        ("lost", RENAME),
        ("broken", REMOVE),
        ("refused", "GET /containers/json"),
        ("cut", "GET /images/"),
    ],
)
def test_a_replacement_that_meets_trouble_is_brought_to_its_end_by_the_next_attempt(
    far: Stage, line: BadLine, trouble: Trouble, requests: str
) -> None:
    far.up(beside("one"))
    makes(line, trouble, requests)

    failures = carried(far, beside("two"))

    assert len(failures) <= 1, failures
    assert far.containers() == {"api": "running"}
    assert served(far) == ["two"]
    assert far.changes(beside("two")) == {}


@pytest.mark.parametrize(
    ("trouble", "requests"),
    [("lost", POLICY), ("lost", STOP), ("refused", STOP), ("broken", START), ("lost", START), ("lost", REMOVE)],
)
def test_a_swap_that_meets_trouble_is_brought_to_its_end_and_the_old_version_serves_meanwhile(
    far: Stage, line: BadLine, trouble: Trouble, requests: str
) -> None:
    far.up(swapped("one"))
    makes(line, trouble, requests)

    failures = carried(far, swapped("two"))

    assert len(failures) <= 1, failures
    assert far.containers() == {"api": "running"}
    assert served(far) == ["two"]
    assert far.look("api")["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    assert far.changes(swapped("two")) == {}


@pytest.mark.parametrize(
    ("make", "requests", "spared"),
    # A swap starts the old container again, which is let through.
    [(beside, CREATE, 0), (beside, START, 0), (swapped, CREATE, 0), (swapped, START, 1)],
)
def test_where_no_attempt_is_enough_the_same_container_serves_as_before(
    far: Stage, line: BadLine, make: Callable[[str], ResolvedService], requests: str, spared: int
) -> None:
    far.up(make("one"))
    old = far.id("api")
    trouble = line.answers(requests, 503, "starting", times=ATTEMPTS, spared=spared)

    with pytest.raises(DeployError) as failure:
        carried(far, make("two"))

    assert failure.value.transient
    assert trouble.met == ATTEMPTS
    assert far.id("api") == old
    assert far.containers() == {"api": "running"}
    assert served(far) == ["one"]


def test_a_refusal_that_will_not_pass_is_not_tried_again(far: Stage, line: BadLine) -> None:
    far.up(beside("one"))
    line.answers(START, 500, "OCI runtime create failed: no such device")

    failure = far.fails(beside("two"))

    assert not failure.transient
    assert failure.problem.cause[-1] == "the version before still serves"
    assert far.containers() == {"api": "running"}
    assert served(far) == ["one"]


@pytest.mark.parametrize(
    ("trouble", "requests"), [("lost", CREATE), ("busy", START), ("lost", "POST /networks/create")]
)
def test_a_first_deployment_that_meets_trouble_leaves_one_container(
    far: Stage, line: BadLine, trouble: Trouble, requests: str
) -> None:
    makes(line, trouble, requests)

    failures = carried(far, beside("one"), served_before=False)

    assert len(failures) == 1
    assert far.containers() == {"api": "running"}
    assert served(far) == ["one"]


def test_looking_whether_it_is_ready_goes_on_through_trouble(far: Stage, line: BadLine) -> None:
    far.up(beside("one"))
    looks = line.answers("GET /containers/[^/]+/json", 503, "starting", times=3)

    failures = carried(far, beside("two"))

    assert failures == []
    assert looks.met == 3
    assert served(far) == ["two"]


def test_a_job_whose_start_was_not_answered_runs_once(far: Stage, line: BadLine) -> None:
    line.loses(START)

    failures = carried(far, service("seed", "/bin/sh", "-c", "echo ran", job=True), served_before=False)

    assert len(failures) == 1
    assert far.engine.logs(far.id("seed")).decode().split() == ["ran"]
    assert far.containers() == {"seed": "exited"}


def test_a_call_that_hangs_ends_in_its_time_and_is_made_again(
    of: Callable[..., DockerRuntime], far: Stage, line: BadLine
) -> None:
    far.up(beside("one"))
    far.runtime = of(timeout=4.0)
    hanging = line.hangs(STOP)

    failures = carried(far, beside("two"))

    assert [failure.problem.code for failure in failures] == ["engine-lost"]
    assert hanging.over.is_set()
    assert far.containers() == {"api": "running"}
    assert served(far) == ["two"]


def test_which_engine_it_is_is_asked_once_for_as_long_as_it_stands(far: Stage, line: BadLine) -> None:
    plan = far.plan()
    first = far.runtime.identity(plan)
    asked = len(line.seen)

    again = [far.runtime.identity(plan) for _ in range(3)]

    assert first
    assert again == [first] * 3
    assert len(line.seen) == asked


def test_another_engine_behind_the_same_address_is_noticed(far: Stage, line: BadLine, tmp_path: Path) -> None:
    plan = far.plan()
    first = far.runtime.identity(plan)

    line.answers("GET /info", 200, '","ID":"another')
    line.cut_off()

    eventually(lambda: far.runtime.identity(plan) == "another")
    assert first != "another"


def test_an_engine_that_may_not_be_asked_who_it_is_has_no_name(far: Stage, line: BadLine) -> None:
    line.answers("GET /events", 403, "forbidden")
    line.answers("GET /info", 403, "forbidden")

    assert far.runtime.identity(far.plan()) == ""
    assert far.runtime.identity(far.plan()) != ""


def test_an_engine_that_was_restarted_goes_on_with_the_next_call(far: Stage, line: BadLine) -> None:
    far.up(beside("one"))

    line.cut_off()

    assert far.changes(beside("one")) == {}


@pytest.mark.parametrize("trouble", ["busy", "lost"])
def test_a_pull_that_meets_trouble_is_made_again(
    far: Stage, line: BadLine, pushed: Callable[[str, str], str], trouble: Trouble
) -> None:
    far.up(beside("one"))
    makes(line, trouble, "POST /images/create")

    failures = carried(far, msgspec.structs.replace(beside("two"), image=pushed("1", "one")))

    assert len(failures) == 1
    assert far.containers() == {"api": "running"}
    assert served(far) == ["two"]


def test_a_pull_that_says_nothing_is_given_up_when_the_step_is_stopped(
    far: Stage, line: BadLine, pushed: Callable[[str, str], str]
) -> None:
    silent = line.is_silent("POST /images/create")
    api = service("api", image=pushed("1", "one"))
    far.step("stage:prepare", api)

    with pytest.raises(Stopped):
        far.step("api:prepare", api, attempt=Trial(1, stop_at=2))

    eventually(silent.over.is_set)


def test_a_foreign_container_under_the_next_ones_name_is_named_and_not_touched(stage: Stage) -> None:
    stage.up(beside("one"))
    foreign = stage.engine.create_container("fleetflow/base:1", ["/bin/true"], name=f"{stage.project}-local-api.next")[
        "Id"
    ]

    failure = stage.fails(beside("two"))

    assert (
        failure.problem.message
        == f"a container called `{stage.project}-local-api.next` is there already, and it is not ours"
    )
    assert stage.engine.inspect_container(foreign)["State"]["Status"] == "created"
    assert served(stage) == ["one"]


def test_a_foreign_container_under_the_name_before_leaves_the_new_version_serving(stage: Stage) -> None:
    stage.up(beside("one"))
    foreign = stage.engine.create_container("fleetflow/base:1", ["/bin/true"], name=f"{stage.project}-local-api.prev")[
        "Id"
    ]

    failure = stage.fails(beside("two"))

    assert (
        failure.problem.message
        == f"a container called `{stage.project}-local-api.prev` is there already, and it is not ours"
    )
    assert (
        failure.problem.cause[-1]
        == "the new version serves already; the next run removes what is left of the one before"
    )
    assert served(stage) == ["two"]
    stage.engine.remove_container(foreign)
    stage.up(beside("two"))
    assert stage.containers() == {"api": "running"}
