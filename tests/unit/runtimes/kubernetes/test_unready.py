# SPDX-License-Identifier: Apache-2.0
"""What a version that did not become ready is told with, and to which line of the text it leads."""

from fleetflow_tasks.errors import Place
from fleetflow_tasks.runtimes.kubernetes.diagnosis import Diagnosis
from fleetflow_tasks.runtimes.kubernetes.work import unready

from .made import plan, service

REFUSED = Diagnosis(code="not-healthy", reason="Unhealthy", message="refused", field="readiness")


def at(*fields: str) -> dict[str, Place]:
    return {field: Place(file=f"{field or 'service'}.kdl", line=1, column=1) for field in fields}


def test_a_job_that_took_too_long_says_what_to_do() -> None:
    seed = service("seed", job=True, places=at("timeout", ""))

    problem = unready(seed, plan(seed), "after 3 s still job is running", None, ())

    assert problem.fix == "raise its `timeout`, or let it do less"
    assert str(problem.place).startswith("timeout.kdl")


def test_a_check_that_is_refused_leads_to_the_readiness_or_to_the_port() -> None:
    def place(*fields: str) -> str:
        api = service(places=at(*fields))
        return str(unready(api, plan(api), "refused", REFUSED, ()).place).partition(":")[0]

    assert place("readiness", "ports.0", "") == "readiness.kdl"
    assert place("ports.0", "healthcheck", "") == "ports.0.kdl"
    assert place("healthcheck", "") == "healthcheck.kdl"
    assert place("") == "service.kdl"
