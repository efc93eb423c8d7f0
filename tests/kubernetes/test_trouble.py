# SPDX-License-Identifier: Apache-2.0
"""A deployment over a bad line, among many others, and after a worker that died."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from fleetflow_tasks.config.model import Port, ProjectName, Readiness
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import DeployError, Outcome
from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial, eventually

from .bare import BASE
from .conftest import Cluster
from .front import Front
from .stage import Stage, service, swept
from .whole.fleet import visitors

PORT = (Port(container=8080),)


@pytest.fixture
def stage(plane: Cluster, line: Front, name: str, tmp_path: Path) -> Iterator[Stage]:
    """Its runtime reaches the cluster over the line."""
    runtime = KubernetesRuntime({"KUBECONFIG": str(line.kubeconfig(tmp_path / "kubeconfig"))}, timeout=3.0)
    yield Stage(runtime, plane, ProjectName(name))
    runtime.close()
    swept(plane, name)


@pytest.fixture
def real(node: Cluster, name: str) -> Iterator[Stage]:
    """On a node that runs containers."""
    runtime = KubernetesRuntime(node.environ)
    yield Stage(runtime, node, ProjectName(name))
    runtime.close()
    swept(node, name)


def test_an_answer_that_is_lost_is_a_failure_that_passes_and_the_work_is_found_done(stage: Stage, line: Front) -> None:
    api = service("api", ports=PORT)
    stage.carry("stage:prepare", api)
    line.loses("POST .*/deployments")

    with pytest.raises(DeployError) as failure:
        stage.carry("api:deploy", api, attempt=Trial(1))
    stage.carry("api:deploy", api, attempt=Trial(1))

    assert failure.value.transient
    assert stage.names(DEPLOYMENT) == ["api"]
    assert stage.changes(api) == {}


def test_a_server_that_is_killed_in_the_middle_of_a_rollout_and_comes_back_ends_it_well(
    stage: Stage, line: Front
) -> None:
    stage.up(service("api"))
    slow = service("api", "scripted/ready:4s", environment={"A": "2"})
    stage.carry("api:prepare", slow, attempt=Trial(2))
    attempt = Trial(2, meanwhile={4: line.down, 7: line.up})

    outcome = stage.carry("api:deploy", slow, attempt=attempt)

    assert outcome.changed
    assert attempt.checkpoints > 7
    assert stage.changes(slow) == {}


def test_a_conflict_with_another_writer_is_looked_at_again(stage: Stage, line: Front) -> None:
    stage.up(service("api", replicas=2))
    stage.up(service("api", replicas=3))
    moved = 'Operation cannot be fulfilled on deployments.apps "api": the object has been modified'
    met = line.answers("PATCH .*/deployments/api", 409, moved, times=2, reason="Conflict")

    stage.up(service("api", replicas=4))

    assert met.met == 2
    assert stage.get(DEPLOYMENT, "api")["spec"]["replicas"] == 4


def test_who_is_always_too_late_gives_up_for_now(stage: Stage, line: Front) -> None:
    stage.up(service("api", replicas=2))
    moved = 'Operation cannot be fulfilled on deployments.apps "api": the object has been modified'
    line.answers("PATCH .*/deployments/api", 409, moved, times=50, reason="Conflict")

    error = stage.fails(service("api", replicas=4))

    assert error.transient
    assert error.problem.message == "`Deployment api` changes all the time while it is being deployed"


def test_a_permission_that_is_missing_is_named_with_the_rule_that_gives_it(stage: Stage, line: Front) -> None:
    said = 'services is forbidden: User "worker" cannot create resource "services" in API group "" in the namespace "x"'
    line.answers("POST .*/services", 403, said, reason="Forbidden")

    problem = stage.fails(service("api", ports=PORT)).problem

    assert problem.message == "cannot deploy `api`: `worker` may not create services in namespace `x`"
    assert '{apiGroups: [""], resources: ["services"], verbs: ["create"]}' in problem.fix


def test_a_namespace_that_may_not_even_be_looked_at_is_taken_to_be_there(
    stage: Stage, line: Front, plane: Cluster
) -> None:
    plane.made(stage.namespace)
    line.answers("GET /api/v1/namespaces/[^/]*$", 403, "forbidden", times=9, reason="Forbidden")

    outcomes = stage.up(service("api"))

    assert outcomes["stage:prepare"].text == f"takes namespace {stage.namespace} to be there"
    assert outcomes["api:deploy"].changed


def test_many_steps_at_once_share_one_picture_and_one_watch(stage: Stage, line: Front) -> None:
    services = [service(f"a{number}", ports=PORT, environment={"A": "1"}) for number in range(20)]
    plan = stage.plan(*services)

    def done(name: str) -> list[Outcome]:
        return [stage.carry(f"{name}:{action}", *services, attempt=Trial(1)) for action in ("prepare", "deploy")]

    stage.carry("stage:prepare", *services)
    with ThreadPoolExecutor(max_workers=20) as threads:
        outcomes = list(threads.map(done, [each.name for each in services]))

    assert len(outcomes) == 20
    assert sum("watch=true" in each and "/deployments" in each for each in line.seen) == 1
    lists = [each.partition("?")[2] for each in line.seen if each.startswith("GET") and "/services?" in each]
    assert sorted("labelSelector" in each for each in lists) == [False, True]  # names that others may have; ours
    assert stage.changes(*plan.services) == {}
    assert (len(stage.names(DEPLOYMENT)), len(stage.names(SERVICE))) == (20, 20)
    assert len(stage.names(CONFIG_MAP)) == 21


def test_a_first_version_that_failed_for_what_was_then_mended_outside_is_given_another_chance(real: Stage) -> None:
    sleep = ("/bin/sleep", "100")
    wanting = service(
        "api", "fleetflow/base:1", command=sleep, secret_refs={"KEY": "keys/key"}, options={"stop_grace": 0}
    )
    problem = real.fails(wanting).problem
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"key": "1"}}
    real.cluster.client.create(SECRET, real.namespace, secret)

    outcome = real.up(wanting)["api:deploy"]

    assert "keys" in problem.message
    assert outcome.text.startswith("started again: ")


def test_an_update_loses_no_request_though_the_program_ends_at_its_signal(real: Stage) -> None:
    def web(word: str) -> ResolvedService:
        script = f"mkdir /w; echo {word} >/w/index.html; trap 'exit 0' TERM; httpd -f -p 8080 -h /w & wait"
        fields = {"readiness": Readiness(path="/", port=8080, interval=1.0), "healthcheck": None}
        return service("web", BASE, command=("sh", "-c", script), ports=PORT, **fields)

    real.up(web("1"))
    address = real.get(SERVICE, "web")["spec"]["clusterIP"]
    eventually(lambda: _lets_in(address), 60)  # the node's proxy learns of a new Service a moment after it is ready

    with visitors(f"http://{address}:8080/") as guests:
        for word in ("2", "3", "4"):
            guests.seen(str(int(word) - 1))
            real.up(web(word))
        guests.seen("4")

    assert guests.turned_away == []


def test_the_last_words_of_what_failed_are_told(real: Stage) -> None:
    job = service("seed", "fleetflow/base:1", command=("/bin/sh", "-c", "echo no table; exit 3"), job=True)

    problem = real.fails(job).problem

    assert problem.message.startswith("job `seed` failed: ")
    assert problem.cause[-2:] == ("its last line:", "  no table")


def _lets_in(address: str) -> bool:
    with suppress(OSError), socket.create_connection((address, PORT[0].container), timeout=5):
        return True
    return False
