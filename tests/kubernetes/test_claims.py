# SPDX-License-Identifier: Apache-2.0
"""What becomes of data is said before and after: which claims grow, which stay behind, and which go."""

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import ProjectName, ServiceName, Volume
from fleetflow_tasks.plan.model import StepId
from fleetflow_tasks.runtimes.base import FieldChange
from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, STATEFUL_SET, STORAGE_CLASS
from fleetflow_tasks.runtimes.kubernetes.runtime import KubernetesRuntime
from fleetflow_tasks.testing import Trial

from .conftest import Cluster
from .stage import Stage, service, step, swept

DATA = (Volume(source="data", target="/data", size=1 << 30),)
MORE = (Volume(source="data", target="/data", size=2 << 30),)


@pytest.fixture
def stage(plane: Cluster, name: str) -> Iterator[Stage]:
    runtime = KubernetesRuntime(plane.environ)
    yield Stage(runtime, plane, ProjectName(name))
    runtime.close()
    swept(plane, name)


@pytest.fixture
def storage_class(plane: Cluster, name: str) -> Iterator[str]:
    """One whose claims cannot grow."""
    made = {"kind": "StorageClass", "apiVersion": STORAGE_CLASS.api, "metadata": {"name": name}}
    found = plane.client.create(STORAGE_CLASS, "", {**made, "provisioner": "kubernetes.io/host-path"})
    yield name
    plane.client.delete(STORAGE_CLASS, "", name, uid=found["metadata"]["uid"], propagation="Background")


def test_a_claim_whose_class_lets_none_grow_is_told_before_anything_is_touched(
    stage: Stage, storage_class: str
) -> None:
    options = {"storage_class": storage_class}
    stage.up(service("db", volumes=DATA, options=options))
    before = stage.get(STATEFUL_SET, "db")["metadata"]["uid"]
    larger = service("db", volumes=MORE, options=options)

    change = stage.runtime.diff(stage.plan(larger))[StepId("db:deploy")]
    problem = stage.fails(larger).problem

    assert change.fields == (FieldChange(field="volumes.data", old="1Gi", new="2Gi"),)
    assert change.cause == (
        "volume `data` grows: 1Gi -> 2Gi; "
        f"claim `data-db-0` of `db` cannot grow: its storage class `{storage_class}` does not let claims grow"
    )
    assert problem.code == "claim-cannot-grow"
    assert problem.cause == (f"class `{storage_class}` says nothing of `allowVolumeExpansion: true`",)
    assert problem.fix.startswith("take the size back, or allow it")
    assert stage.get(STATEFUL_SET, "db")["metadata"]["uid"] == before


def test_a_service_that_is_renamed_begins_empty_and_its_claims_stay(stage: Stage) -> None:
    stage.up(service("db", volumes=DATA))
    renamed = service("postgres", volumes=DATA)

    assert stage.changes(renamed) == {
        "postgres:deploy": "create: not there; `data` begins empty",
        "db:remove": "remove: the stage does not hold it any more; claim `data-db-0` stays, unused",
    }
    outcomes = stage.up(renamed)

    assert outcomes["stage:prune"].text == "removed what the stage does not hold: db; kept claim data-db-0"
    assert stage.names(CLAIM) == ["data-db-0", "data-postgres-0"]


@pytest.mark.parametrize(
    ("options", "planned", "done"),
    [
        ({}, "claims `data-db-0`, `data-db-1` stay, unused", "kept claims data-db-0, data-db-1"),
        (
            {"volumes": "remove"},
            "claims `data-db-0`, `data-db-1` go with the data",
            "removed claims data-db-0, data-db-1",
        ),
    ],
)
def test_a_service_that_is_taken_down_says_what_becomes_of_its_claims(
    stage: Stage, options: dict[str, str], planned: str, done: str
) -> None:
    stage.up(service("db", volumes=DATA, replicas=2), service("web"))
    plan = stage.plan(service("web"), **options)
    removing = replace(plan, steps=(step("db:remove", "remove", ServiceName("db")),))

    change = stage.runtime.diff(removing)[StepId("db:remove")]
    outcome = stage.runtime.remove(removing, removing.steps[0], Trial(9))

    assert change.cause == f"asked for; {planned}"
    assert outcome.text == f"removed; {done}"
