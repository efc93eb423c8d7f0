# SPDX-License-Identifier: Apache-2.0
from fleetflow_tasks.config.model import ProjectName, RuntimeName, StageName
from fleetflow_tasks.plan.compare import compare
from fleetflow_tasks.plan.leave import given, settled, without
from fleetflow_tasks.plan.model import Plan

KUBERNETES = RuntimeName("kubernetes")


def plan(**options: dict[str, str]) -> Plan:
    return Plan(project=ProjectName("shop"), stage=StageName("stg"), root="/", services=(), steps=(), options=options)


def test_leave_that_is_given_stands_beside_the_stage_s_own_settings() -> None:
    made = given(plan(kubernetes={"namespace": "shop"}), KUBERNETES, replace="api db", force_conflicts="")

    assert made.options == {"kubernetes": {"namespace": "shop", "replace": "api db"}}


def test_no_leave_leaves_the_plan_as_it_is() -> None:
    assert given(plan(), KUBERNETES, replace="").options == {}


def test_leave_is_no_setting_of_the_stage_and_goes_with_the_deployment_that_it_was_given_for() -> None:
    made = given(given(plan(docker={"host": "a"}), KUBERNETES, replace="db"), RuntimeName("docker"), volumes="remove")

    assert without(made) == plan(docker={"host": "a"})
    assert settled(made.options) == {"docker": {"host": "a"}}


def test_a_plan_is_no_other_version_for_what_was_allowed_with_it() -> None:
    assert compare(plan(), given(plan(), KUBERNETES, force_conflicts="yes")) == ()
