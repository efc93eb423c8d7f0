# SPDX-License-Identifier: Apache-2.0
"""Answers that are lost, lines that are cut, quotas that are used up: a deployment comes to its right end all the same."""

from collections.abc import Callable

import pytest

from fleetflow_tasks.runtimes.base import DeployError
from fleetflow_tasks.runtimes.cloudrun.conditions import SUCCEEDED
from fleetflow_tasks.runtimes.cloudrun.iam import callers
from fleetflow_tasks.runtimes.cloudrun.names import INVOKERS
from fleetflow_tasks.testing import Trial
from fleetflow_tasks.testing.cloudrun import Server

from .stage import Stage, service

V1, V2 = "scripted/ready:1ms", "scripted/ready:300ms"


def asked(server: Server, stage: Stage, method: str) -> list[str]:
    """How each such request about the stage ended."""
    return [each.code for each in server.trace if stage.project in each.name and each.method.endswith(f".{method}")]


def test_a_service_whose_answer_was_lost_is_found_and_not_made_twice(stage: Stage, server: Server) -> None:
    server.faults.lose("CreateService .*-api")

    outcome = stage.carry("api:deploy", service("api", V2))

    assert outcome.changed
    assert asked(server, stage, "CreateService") == ["UNAVAILABLE", "ALREADY_EXISTS"]
    assert stage.revisions("api") == [V2]
    assert stage.get("api")["terminalCondition"]["state"] == SUCCEEDED


def test_an_update_whose_answer_was_lost_makes_one_revision(stage: Stage, server: Server) -> None:
    stage.up(service("api", V1))
    server.faults.lose("UpdateService .*-api")

    stage.carry("api:deploy", service("api", V2), attempt=Trial(2))

    assert stage.revisions("api") == [V2, V1]
    assert stage.serving("api") == {V2: 100}


def test_a_removal_whose_answer_was_lost_is_done(stage: Stage, server: Server) -> None:
    stage.up(service("api", V1), service("web", V1))
    server.faults.lose("DeleteService .*-web")

    assert stage.up(service("api", V1))["stage:prune"].changed
    assert stage.names() == ["services/prd-api"]


@pytest.mark.parametrize("method", ["GetOperation", "GetService"])
def test_who_is_not_answered_while_he_waits_asks_again(stage: Stage, server: Server, method: str) -> None:
    stage.up(service("api", V1))
    about = "Operations.GetOperation" if method == "GetOperation" else "Services.GetService .*-api"
    fault = server.faults.refuse(about, "UNAVAILABLE", times=3)

    outcome = stage.carry("api:deploy", service("api", V2), attempt=Trial(2))

    assert fault.met == 3
    assert outcome.changed
    assert stage.serving("api") == {V2: 100}


def test_a_quota_of_changes_that_is_used_up_is_waited_for(stage: Stage, server: Server) -> None:
    fault = server.faults.refuse("CreateService .*-api", "RESOURCE_EXHAUSTED", times=2, after=0.1)

    outcome = stage.carry("api:deploy", service("api", V1))

    assert fault.met == 2
    assert outcome.text.startswith("started at https://")


def test_a_quota_that_stays_used_up_is_told_and_may_pass(stage: Stage, server: Server) -> None:
    server.faults.refuse("CreateService .*-api", "RESOURCE_EXHAUSTED", times=1000, after=60)

    with pytest.raises(DeployError) as failure:
        stage.carry("api:deploy", service("api", V1), attempt=Trial(1, timeout=5))

    assert failure.value.transient
    assert failure.value.retry_after == 60
    assert "Google's quota for project `shop-prd` in `europe-west1` is used up" in failure.value.problem.message


class Watched(Trial):
    """back: what happens as soon as the version before is about to be put back."""

    def __init__(self, generation: int, back: Callable[[], object]) -> None:
        super().__init__(generation)
        self._back = back

    def report(self, text: str, current: float | None = None, total: float | None = None) -> None:
        if text == "putting the version before back":
            self._back()


def test_a_version_is_put_back_though_its_revisions_name_is_refused(stage: Stage, server: Server) -> None:
    """Whether Google takes the name of a revision that is there is Google's to say; a new one is made of the same then."""
    stage.up(service("api", V1))
    said = "Revision named 'x' with different configuration already exists."
    watched = Watched(2, lambda: server.faults.refuse("UpdateService .*-api", "ALREADY_EXISTS", said))

    with pytest.raises(DeployError) as failure:
        stage.carry("api:deploy", service("api", "scripted/not-found"), attempt=watched)

    assert "the version before goes on serving" in failure.value.problem.cause
    assert stage.revisions("api") == [V1, "scripted/not-found", V1]
    assert stage.serving("api") == {V1: 100}


def test_that_it_cannot_be_put_back_is_told_beside_why_it_had_to_be(stage: Stage, server: Server) -> None:
    stage.up(service("api", V1))
    watched = Watched(2, lambda: server.faults.refuse("UpdateService .*-api", "INTERNAL", "no luck", times=100))

    with pytest.raises(DeployError) as failure:
        stage.carry("api:deploy", service("api", "scripted/not-found"), attempt=watched)

    assert failure.value.problem.code == "image-not-found"
    assert failure.value.problem.cause[-1] == "and the version before could not be put back: no luck"
    assert stage.serving("api") == {V1: 100}


def test_callers_that_cannot_be_let_in_are_no_reason_to_take_the_version_back(stage: Stage, server: Server) -> None:
    invoker = {"options": {"invokers": ("user:ops@example.org",)}}
    server.faults.refuse("SetIamPolicy .*-api", "PERMISSION_DENIED", "Permission 'run.services.setIamPolicy' denied")

    with pytest.raises(DeployError) as failure:
        stage.up(service("api", V1, **invoker))

    assert "run.services.setIamPolicy" in "\n".join((failure.value.problem.message, *failure.value.problem.cause))
    assert stage.serving("api") == {V1: 100}
    assert stage.up(service("api", V1, **invoker))["api:deploy"].text == "let its callers in"
    assert stage.up(service("api", V1, **invoker))["api:deploy"].text == "unchanged"


def test_callers_of_the_version_before_come_back_with_it_though_an_earlier_attempt_shut_them_out(
    stage: Stage, server: Server
) -> None:
    me = "user:me@example.org"
    stage.up(service("api", V1, options={"invokers": (me,)}))
    silent = server.faults.refuse("UpdateService .*-api", "UNAVAILABLE", times=100)
    with pytest.raises(DeployError) as failure:
        stage.carry("api:deploy", service("api", "scripted/not-found"), attempt=Trial(2))
    shut = callers(stage.client.policy(stage.name("api")))
    silent.left = 0

    with pytest.raises(DeployError):
        stage.carry("api:deploy", service("api", "scripted/not-found"), attempt=Trial(2))

    assert (failure.value.transient, shut) == (True, ())
    assert callers(stage.client.policy(stage.name("api"))) == (me,)
    assert stage.get("api")["annotations"][INVOKERS] == me


def test_a_removal_that_takes_its_time_is_waited_for(stage: Stage, server: Server) -> None:
    stage.up(service("api", V1), service("web", V1))
    server.world.pace.delete = 0.5

    stage.up(service("api", V1))

    assert stage.names() == ["services/prd-api"]
