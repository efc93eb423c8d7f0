# SPDX-License-Identifier: Apache-2.0
"""Who may call: policies, and the check of invokers that a service may do without."""

from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.client import CloudRunError

from .conftest import Cloud, refusal

INVOKER = "roles/run.invoker"
ME, EVERYBODY = "user:me@example.org", "allUsers"


def binding(*members: str, role: str = INVOKER, **more: Any) -> dict[str, Any]:
    return {"role": role, "members": list(members), **more}


def test_a_new_service_has_an_empty_policy(cloud: Cloud) -> None:
    cloud.make()

    assert cloud.client.policy(cloud.service) == {"etag": "ACAB"}


def test_what_was_set_is_read_again_one_binding_per_role(cloud: Cloud) -> None:
    cloud.make()
    bindings = [binding(ME), binding("group:ops@example.org", ME), binding(role="roles/run.viewer")]

    answer = cloud.client.set_policy(cloud.service, {"bindings": bindings})

    assert answer == cloud.client.policy(cloud.service)
    assert answer["bindings"] == [binding(ME, "group:ops@example.org")]


def test_a_policy_that_moved_meanwhile_is_aborted(cloud: Cloud) -> None:
    cloud.make()
    before = cloud.client.policy(cloud.service)
    cloud.client.set_policy(cloud.service, {"bindings": [binding(ME)]})

    with pytest.raises(CloudRunError) as error:
        cloud.client.set_policy(cloud.service, {**before, "bindings": []})

    assert refusal(error).startswith("ABORTED: There were concurrent policy changes.")
    assert cloud.client.policy(cloud.service)["bindings"] == [binding(ME)]


def test_without_an_etag_it_is_overwritten(cloud: Cloud) -> None:
    cloud.make()
    cloud.client.set_policy(cloud.service, {"bindings": [binding(ME)]})

    cloud.client.set_policy(cloud.service, {"bindings": []})

    assert "bindings" not in cloud.client.policy(cloud.service)


@pytest.mark.parametrize(
    ("made", "answer"),
    [
        (binding("me@example.org"), "the member 'me@example.org' is of an unknown type."),
        (binding(ME, role="invoker"), "Role (invoker) does not exist"),
    ],
)
def test_a_binding_that_cannot_be_is_refused(cloud: Cloud, made: dict[str, Any], answer: str) -> None:
    cloud.make()

    with pytest.raises(CloudRunError) as error:
        cloud.client.set_policy(cloud.service, {"bindings": [made]})

    assert error.value.code == "INVALID_ARGUMENT"
    assert answer in error.value.answer


def test_a_condition_needs_version_three(cloud: Cloud) -> None:
    cloud.make()
    policy = {"bindings": [binding(ME, condition={"title": "office", "expression": "true"})]}
    ask, set_ = cloud.client.line.ask, "SetIamPolicy"

    with pytest.raises(CloudRunError, match="must set the version to 3"):
        ask(set_, cloud.service, {"resource": cloud.service, "policy": policy})

    assert cloud.client.set_policy(cloud.service, policy)["version"] == 3


def test_everybody_may_be_bound_where_the_organization_allows_it(cloud: Cloud) -> None:
    cloud.make()
    cloud.client.set_policy(cloud.service, {"bindings": [binding(EVERYBODY)]})
    cloud.server.world.domain_restricted = True

    with pytest.raises(CloudRunError) as error:
        cloud.client.set_policy(cloud.service, {"bindings": [binding(EVERYBODY)]})

    text = "FAILED_PRECONDITION: One or more users named in the policy do not belong to a permitted customer."
    assert refusal(error) == text


def test_the_check_of_invokers_is_switched_off_where_the_organization_allows_it(cloud: Cloud) -> None:
    made = cloud.make(invokerIamDisabled=True)
    cloud.server.world.invoker_check_forced = True

    cloud.change(invokerIamDisabled=True, labels={"colour": "blue"})
    cloud.change()

    assert made["invokerIamDisabled"]
    with pytest.raises(CloudRunError, match="requireInvokerIam"):
        cloud.update(invokerIamDisabled=True)


def test_who_asks_what_he_may_is_told_and_nothing_of_what_is_not_there(cloud: Cloud) -> None:
    cloud.make()
    asked = ["run.services.get", "run.services.delete", "run.flying.carpets"]

    assert cloud.client.permitted(cloud.service, asked) == {"run.services.get", "run.services.delete"}
    assert cloud.client.permitted(f"{cloud.service}-none", asked) == frozenset()


def test_a_job_has_a_policy_too(cloud: Cloud) -> None:
    cloud.client.update_job(
        {"name": cloud.job, "template": {"template": {"containers": [{"image": "a/b"}]}}}, allow_missing=True
    )

    cloud.client.set_policy(cloud.job, {"bindings": [binding(ME)]})

    assert cloud.client.policy(cloud.job)["bindings"] == [binding(ME)]
    with pytest.raises(CloudRunError, match="does not exist"):
        cloud.client.policy(f"{cloud.job}-none")
