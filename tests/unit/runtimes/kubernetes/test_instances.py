# SPDX-License-Identifier: Apache-2.0
"""Which pod a person means."""

from typing import Any

import pytest

from fleetflow_tasks.config.model import ProjectName, ServiceName, StageName
from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes.kubernetes import instances

PLAN = Plan(project=ProjectName("shop"), stage=StageName("stg"), root="/", services=(), steps=())


def pod(name: str, made: int = 0, *, phase: str = "Running", ready: bool = True, going: bool = False) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": f"2026-01-01T00:00:{made:02}Z",
            "labels": {"fleetflow.io/service": "db"},
            **({"deletionTimestamp": "2026-01-01T00:01:00Z"} if going else {}),
        },
        "spec": {"initContainers": [{"name": "wait-for-x"}], "containers": [{"name": "db"}]},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def chosen(instance: str, *pods: dict[str, Any]) -> str:
    return instances.name(instances.chosen(instances.ordered(pods), PLAN, ServiceName("db"), instance))


def refused(instance: str, *pods: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    with pytest.raises(UnavailableError) as caught:
        chosen(instance, *pods)
    return caught.value.problems[0].message, caught.value.problems[0].cause


def test_the_oldest_that_is_ready_is_meant_where_none_is_named() -> None:
    old, young = pod("db-a", 1), pod("db-b", 2)

    assert chosen("", young, old) == "db-a"
    assert chosen("", young, pod("db-a", 1, ready=False)) == "db-b"
    assert chosen("", young, pod("db-a", 1, going=True)) == "db-b"
    assert chosen("", pod("db-a", 1, ready=False)) == "db-a"


def test_a_pod_is_named_by_number_or_by_how_its_name_ends_and_the_name_counts_first() -> None:
    pods = (pod("db-0", 1), pod("db-1", 2), pod("db-7c-x2kqp", 3))

    assert [chosen(word, *pods) for word in ("0", "1", "3", "x2kqp", "db-0")] == [
        "db-0",
        "db-1",
        "db-7c-x2kqp",
        "db-7c-x2kqp",
        "db-0",
    ]


def test_what_is_there_instead_is_told() -> None:
    assert refused("9", pod("db-0")) == ("service `db` has no pod `9`", ("it has 1: db-0",))
    assert refused("9") == ("service `db` has no pod `9`", ("it has none at all",))
    assert refused("") == ("no pod of service `db` runs in stage `stg`", ())
    assert refused("1", pod("db-0", phase="Pending")) == (
        "pod `1` of service `db` does not run in stage `stg`",
        ("db-0 is pending",),
    )


def test_what_waits_for_others_is_none_of_a_pod_s_own_containers() -> None:
    assert instances.containers(pod("db-0")) == ("db",)
    assert instances.service(pod("db-0")) == "db"
