# SPDX-License-Identifier: Apache-2.0
"""`flow doctor`: who we are in a region, and what we may do there."""

import secrets
from collections.abc import Callable, Iterator, Sequence

import pytest

from fleetflow_tasks.errors import UnavailableError
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.runtimes.base import Finding
from fleetflow_tasks.runtimes.cloudrun.runtime import CloudRunRuntime
from fleetflow_tasks.testing.cloudrun import Server

from .stage import REGION, Stage, service

Doctor = Callable[..., Sequence[Finding]]


@pytest.fixture
def reader() -> str:
    """As whom this test looks."""
    return f"r{secrets.token_hex(4)}@fleetflow.iam.gserviceaccount.com"


@pytest.fixture
def asked(stage: Stage, server: Server, reader: str) -> Iterator[Doctor]:
    """As somebody who holds these roles and permissions."""
    made = []

    def ask(
        *services: ResolvedService, held: Sequence[str] = (), acts_as: frozenset[str] | None = None
    ) -> Sequence[Finding]:
        server.accounts.add(reader, *held, acts_as=acts_as)
        made.append(CloudRunRuntime(server.environ(reader)))
        return made[-1].examined(stage.plan(*services))

    yield ask
    for each in made:
        each.close()


def shown(findings: Sequence[Finding]) -> list[str]:
    return [line for each in findings for line in (f"{each.name}: {each.text}", *(p.message for p in each.problems))]


DEVELOPER = ("roles/run.developer", "roles/iam.serviceAccountUser")
ADMIN = ("roles/run.admin", "roles/iam.serviceAccountUser")


def test_who_may_everything_is_told_where_and_as_whom(asked: Doctor, reader: str, stage: Stage, server: Server) -> None:
    stage.up(service("api"))

    assert shown(asked(service("api"), service("web"), held=ADMIN)) == [
        f"engine: Cloud Run at {server.endpoint}, project shop-prd, region {REGION}, as {reader}",
        "rights: all that was looked for in project shop-prd",
    ]


def test_nothing_is_changed_by_looking(asked: Doctor, stage: Stage) -> None:
    asked(service("api"), held=ADMIN)

    assert stage.names() == []


def test_rights_that_are_missing_on_what_is_there_are_told_with_the_role_that_has_them(
    asked: Doctor, reader: str, stage: Stage
) -> None:
    stage.up(service("api"))

    found = asked(service("api"), held=("roles/run.viewer",))

    assert shown(found)[1:] == [
        "rights: rights are missing in project shop-prd",
        "stage `prd` cannot be deployed: rights are missing in project `shop-prd`",
        (
            "nobody can be let in to call a service: neither `public` nor `invoker` works: rights are missing in project"
            " `shop-prd`"
        ),
    ]
    assert found[1].problems[0].cause == (
        "run.services.delete (roles/run.developer has it)",
        "run.services.update (roles/run.developer has it)",
    )
    assert found[1].problems[0].fix == (
        f"grant them: `gcloud projects add-iam-policy-binding shop-prd --member=serviceAccount:{reader}"
        " --role=roles/run.developer`"
    )


def test_a_job_that_may_not_be_run_is_told_too(asked: Doctor, stage: Stage) -> None:
    job = service("migrate", "scripted/job:0", job=True)
    stage.up(job)

    assert "jobs cannot be run: rights are missing in project `shop-prd`" in shown(
        asked(job, held=("roles/run.viewer",))
    )


def test_that_a_service_could_not_be_made_is_found_without_making_it(asked: Doctor, reader: str, stage: Stage) -> None:
    lines = shown(asked(service("api"), held=("roles/run.viewer",)))

    assert f"cannot make `api`: `{reader}` lacks permission `run.services.create` in project `shop-prd`" in lines
    assert stage.names() == []


def test_an_account_that_we_may_not_act_as_is_found_too(asked: Doctor) -> None:
    found = asked(service("api"), held=DEVELOPER, acts_as=frozenset())

    assert [each.code for each in found[1].problems] == ["actas-denied"]


def test_a_region_that_we_may_not_look_at_is_all_that_is_told(asked: Doctor, reader: str) -> None:
    assert shown(asked(service("api")))[1:] == [
        f"cannot look at stage `prd`: `{reader}` lacks permission `run.services.list` in project `shop-prd`"
    ]


def test_an_api_that_is_not_enabled_is_told(asked: Doctor, server: Server) -> None:
    server.world.disabled.add("shop-prd")

    assert [each.code for each in asked(service("api"), held=ADMIN)[0].problems] == ["api-disabled"]


@pytest.mark.parametrize("method", ["Services.ListServices", "Services.CreateService"])
def test_who_gets_no_answer_says_so(asked: Doctor, server: Server, method: str) -> None:
    server.faults.lose(method, times=100)

    with pytest.raises(UnavailableError, match="did not answer"):
        asked(service("api"), held=ADMIN)
