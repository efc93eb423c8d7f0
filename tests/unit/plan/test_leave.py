# SPDX-License-Identifier: Apache-2.0
from msgspec.structs import replace

from fleetflow_tasks.config.model import ProjectName, RuntimeName, StageName
from fleetflow_tasks.plan.compare import compare
from fleetflow_tasks.plan.leave import at_once, given, settled, without
from fleetflow_tasks.plan.model import Plan, QueueName, Step, StepId

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


def test_who_goes_back_on_cloud_run_gives_all_requests_at_once() -> None:
    step = Step(id=StepId("api:deploy"), action="deploy", runtime=RuntimeName("cloudrun"), queue=QueueName("cloudrun"))
    made = replace(plan(cloudrun={"region": "r"}), steps=(step,))

    assert at_once(made).options == {"cloudrun": {"region": "r", "canary": "100"}}
    assert at_once(plan()) == plan()


def test_a_plan_is_no_other_version_for_what_was_allowed_with_it() -> None:
    assert compare(plan(), given(plan(), KUBERNETES, force_conflicts="yes")) == ()
