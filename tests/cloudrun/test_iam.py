# SPDX-License-Identifier: Apache-2.0
"""Who may call a service, from its first deployment to its last: nobody's binding but ours is touched."""

from typing import Any

import pytest

from fleetflow_tasks.plan.model import ResolvedDependency
from fleetflow_tasks.runtimes.cloudrun.iam import EVERYBODY, ROLE, callers
from fleetflow_tasks.runtimes.cloudrun.names import INVOKERS
from fleetflow_tasks.testing.cloudrun import Server

from .stage import Stage, service

ME, OPS = "user:me@example.org", "group:ops@example.org"
WEB = "web@shop-prd.iam.gserviceaccount.com"


def policy(stage: Stage, name: str = "api") -> Any:
    return stage.client.policy(stage.name(name))


def bound(stage: Stage, *members: str, role: str = ROLE, **more: Any) -> None:
    """By somebody else."""
    before = policy(stage)
    binding = {"role": role, "members": list(members), **more}
    stage.client.set_policy(stage.name("api"), {**before, "bindings": [*before.get("bindings", ()), binding]})


def without_etag(found: Any) -> Any:
    return {name: value for name, value in found.items() if name != "etag"}


def test_a_public_service_is_called_without_a_check_and_no_binding_is_made(stage: Stage) -> None:
    stage.up(service("api", options={"public": True}))

    assert stage.get("api")["invokerIamDisabled"] is True
    assert callers(policy(stage)) == ()
    assert stage.asked("SetIamPolicy") == []


def test_public_taken_away_leaves_what_was_before(stage: Stage) -> None:
    stage.up(service("api"))
    bound(stage, ME)
    before = policy(stage)

    stage.up(service("api", options={"public": True}))
    between = policy(stage)
    stage.up(service("api"))

    assert between == before == policy(stage)
    assert not stage.get("api").get("invokerIamDisabled")


def test_where_the_check_is_forced_everybody_is_let_in_by_the_policy_and_out_again(
    stage: Stage, server: Server
) -> None:
    server.world.invoker_check_forced = True
    stage.up(service("api"))
    bound(stage, ME)
    before = without_etag(policy(stage))

    stage.up(service("api", options={"public": True}))
    between, noted = policy(stage), stage.get("api")["annotations"][INVOKERS]
    stage.up(service("api"))

    assert set(callers(between)) == {ME, EVERYBODY}
    assert noted == EVERYBODY
    assert without_etag(policy(stage)) == before


def test_what_is_open_by_its_policy_is_not_shut_while_a_new_version_is_made(stage: Stage, server: Server) -> None:
    server.world.invoker_check_forced = True
    stage.up(service("api", "scripted/ready:1ms", options={"public": True}))
    stage.requests.clear()

    stage.up(service("api", "scripted/ready:2ms", options={"public": True}))

    assert stage.asked("SetIamPolicy") == []
    assert callers(policy(stage)) == (EVERYBODY,)


def test_a_new_service_is_opened_that_way_too(stage: Stage, server: Server) -> None:
    server.world.invoker_check_forced = True

    stage.up(service("api", options={"public": True}))

    assert callers(policy(stage)) == (EVERYBODY,)


def test_where_neither_way_is_allowed_the_policy_of_the_organization_is_told(stage: Stage, server: Server) -> None:
    server.world.invoker_check_forced = server.world.domain_restricted = True

    failure = stage.fails(service("api", options={"public": True}))

    assert failure.problem.code == "organization-policy"


def test_callers_are_let_in_and_out_as_the_text_says(stage: Stage) -> None:
    stage.up(service("api", options={"invokers": [ME, OPS]}))
    first = callers(policy(stage))
    stage.up(service("api", options={"invokers": [OPS]}))

    assert (set(first), callers(policy(stage))) == ({ME, OPS}, (OPS,))


def test_what_somebody_else_bound_stays_whatever_we_do(stage: Stage) -> None:
    stage.up(service("api"))
    bound(stage, ME)
    bound(stage, OPS, role="roles/run.viewer")
    bound(stage, OPS, condition={"title": "t", "expression": "true"})
    before = without_etag(policy(stage))

    stage.up(service("api", options={"invokers": [ME, OPS]}))
    between = callers(policy(stage))
    stage.up(service("api"))

    assert set(between) == {ME, OPS}
    assert without_etag(policy(stage)) == before


def test_a_caller_whom_somebody_shut_out_is_let_in_again(stage: Stage) -> None:
    api = service("api", options={"invokers": [ME]})
    stage.up(api)
    stage.client.set_policy(stage.name("api"), {**policy(stage), "bindings": []})

    outcome = stage.up(api)["api:deploy"]

    assert callers(policy(stage)) == (ME,)
    assert outcome.changed


def test_that_a_caller_is_shut_out_is_a_change_even_where_all_else_is_as_it_should_be(
    stage: Stage, server: Server
) -> None:
    wanted = service("api", options={"invokers": [ME]})
    stage.up(wanted)
    assert stage.changes(wanted) == {}
    stage.client.set_policy(stage.name("api"), {**policy(stage), "bindings": []})

    seen = stage.changes(wanted)
    stage.up(wanted)

    assert seen == {"api:deploy": f"update: not let in: `{ME}`"}
    assert (stage.changes(wanted), callers(policy(stage))) == ({}, (ME,))


def test_that_all_callers_are_let_in_already_costs_a_read_and_no_write(stage: Stage) -> None:
    api = service("api", options={"invokers": [ME]})
    stage.up(api)
    stage.requests.clear()

    stage.up(api)

    assert stage.asked("GetIamPolicy", "SetIamPolicy", "UpdateService") == ["GetIamPolicy"]


@pytest.mark.parametrize("times", [1, 4])
def test_a_policy_that_others_change_at_the_same_time_is_read_again(stage: Stage, server: Server, times: int) -> None:
    server.faults.refuse("Services.SetIamPolicy", "ABORTED", times=times)

    stage.up(service("api", options={"invokers": [ME]}))

    assert callers(policy(stage)) == (ME,)
    assert stage.asked("GetIamPolicy", "SetIamPolicy") == ["GetIamPolicy", "SetIamPolicy"] * (times + 1)


def test_one_that_they_change_all_the_time_is_given_up(stage: Stage, server: Server) -> None:
    server.faults.refuse("Services.SetIamPolicy", "ABORTED", times=5)

    failure = stage.fails(service("api", options={"invokers": [ME]}))

    assert (failure.transient, failure.problem.code) == (True, "changed-meanwhile")


def test_a_service_that_depends_on_another_may_call_it(stage: Stage) -> None:
    web = service(
        "web",
        depends_on=(ResolvedDependency(service=service("api").name, condition="started"),),
        options={"service_account": WEB},
    )

    stage.up(service("api"), web)
    private = callers(policy(stage))
    stage.up(service("api", options={"public": True}), web)

    assert private == (f"serviceAccount:{WEB}",)
    assert callers(policy(stage)) == ()


def test_a_caller_that_cannot_be_is_told_at_the_block_that_names_it(stage: Stage) -> None:
    failure = stage.fails(service("api", options={"invokers": ["nobody"]}))

    assert "unknown type" in failure.problem.message
