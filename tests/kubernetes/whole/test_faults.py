# SPDX-License-Identifier: Apache-2.0
"""What fails in the middle of a deployment, and does not change its end: a worker, the API server, a pod."""

import signal
import subprocess
from pathlib import Path

import pytest

from fleetflow_tasks.runtimes.kubernetes.kinds import JOB, PDB, POD
from fleetflow_tasks.testing import eventually
from tests.desk import BASE, Running
from tests.desk import eventually as answer
from tests.kubernetes.whole.fleet import SOON, UP, Fleet, service

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "cluster"
SLOWLY = 'healthcheck { test "CMD" "test" "-f" "/ready"; interval 1; retries 60 }; kubernetes { stop_grace 1 }'


def slow(seconds: int, more: str = "") -> str:
    script = f"sleep {seconds}; touch /ready; exec sleep 1000"
    return f'service "api" {{ image "{BASE}"; command "sh" "-c" "{script}"; {SLOWLY}; {more} }}\n'


def holder(workers: list[Running], step: str) -> Running:
    """The worker whose log says that it took *step*."""
    return answer(
        lambda: next((each for each in workers if step in each.text), None),
        SOON,
        lambda: "\n".join(each.text for each in workers),
    )


def test_a_worker_killed_in_the_middle_of_a_job_leaves_it_to_another_and_it_runs_once(fleet: Fleet) -> None:
    fleet.write(
        f'service "migrate" {{ image "{BASE}"; job #true; command "sh" "-c" "sleep 3; echo done" }}\n'
        + service("api", more='depends_on "migrate"')
    )
    workers = [fleet.start("worker", "kubernetes", "--concurrency=1") for _ in range(2)]
    for worker in workers:
        worker.until("worker.ready")
    submitted = fleet.start("submit", "--wait")
    submitted.until(r"migrate: deploy started")

    holder(workers, "migrate:deploy").process.send_signal(signal.SIGKILL)
    result = submitted.wait(UP)

    assert result.code == 0, result
    assert "migrate: deploy lost its worker, another takes it" in result.out
    assert (len(fleet.all(JOB)), len(fleet.pods("migrate")), len(fleet.pods("api"))) == (1, 1, 1)
    assert fleet.log(fleet.names("migrate")[0]) == "done"


def test_a_pod_that_is_evicted_in_the_middle_is_made_again_and_the_version_before_serves_meanwhile(
    fleet: Fleet,
) -> None:
    fleet.up(slow(0, "replicas 2"))
    before = fleet.names("api")
    fleet.write(slow(4, "replicas 2"))
    running = fleet.start("up")
    victim = answer(lambda: set(fleet.names("api")) - set(before), SOON, lambda: running.text).pop()

    fleet.ask(
        "POST",
        POD,
        victim,
        "eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": victim, "namespace": fleet.namespace}},
    )
    result = running.wait(UP)

    assert result.code == 0, result
    eventually(lambda: len(fleet.pods("api")) == 2, SOON)
    assert not {*before, victim} & set(fleet.names("api"))
    assert len(fleet.all(PDB)) == 1


@pytest.mark.usefixtures("alone")
def test_an_api_server_that_is_killed_in_the_middle_delays_a_deployment_and_no_more(fleet: Fleet) -> None:
    fleet.write(slow(5) + service("web", more='depends_on "api" wait=#false'))
    running = fleet.start("up")
    running.until("api: deploy started")
    eventually(lambda: fleet.pods("api"), SOON)

    for _ in range(2):
        subprocess.run([SCRIPT, "kill", "node", "kube-apiserver"], check=True)
        eventually(fleet.cluster.client.version, SOON)
    result = running.wait(UP)

    assert result.code == 0, result
    assert "failed" not in result.out
    assert (len(fleet.pods("api")), len(fleet.pods("web"))) == (1, 1)
    assert "up to date: 2 services unchanged" in fleet.flow("up").out
