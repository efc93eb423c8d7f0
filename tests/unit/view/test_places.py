# SPDX-License-Identifier: Apache-2.0
import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, ServiceName, StageName
from fleetflow_tasks.errors import Place
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.view.places import of_field, of_service

SAID = {
    "": 2,
    "version": 3,
    "environment": 4,
    "environment.LOG": 5,
    "secrets.TOKEN": 6,
    "ports": 7,
    "resources.memory_limit": 8,
}
PLAN = Plan(
    project=ProjectName("shop"),
    stage=StageName("stg"),
    root="/srv",
    services=(
        ResolvedService(
            name=ServiceName("api"),
            runtime=RuntimeName("docker"),
            image="x:1",
            places={name: Place(file="api.kdl", line=line, column=9) for name, line in SAID.items()},
            env_from_stage=("DEBUG",),
        ),
        ResolvedService(name=ServiceName("bare"), runtime=RuntimeName("docker"), image="x:1"),
    ),
    steps=(),
)


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("image", "api.kdl:3"),
        ("environment.LOG", "api.kdl:5"),
        ("environment.TOKEN", "api.kdl:6"),
        ("environment.OLD", "api.kdl:4"),
        ("environment.DEBUG", ""),
        ("ports.80/tcp", "api.kdl:7"),
        ("resources.memory_limit", "api.kdl:8"),
        ("command", ""),
    ],
)
def test_a_field_is_said_where_the_text_says_it_or_what_it_is_a_part_of(field: str, place: str) -> None:
    assert of_field(PLAN, "api", field) == place


def test_a_service_is_said_where_it_begins() -> None:
    assert of_service(PLAN, "api") == "api.kdl:2"
    assert of_service(PLAN, "bare") == ""


def test_what_no_text_declares_has_no_place() -> None:
    assert (of_service(PLAN, "old"), of_field(PLAN, "old", "image")) == ("", "")
