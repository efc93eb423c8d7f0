# SPDX-License-Identifier: Apache-2.0
import pytest

from fleetflow_tasks.config.model import (
    Project,
    ProjectName,
    RuntimeChoice,
    RuntimeName,
    Secret,
    Stage,
    StageName,
    Traits,
    Volume,
)
from fleetflow_tasks.errors import Place


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("s3cret")

    assert (str(secret), repr(secret), f"{secret}") == ("[hidden]", "[hidden]", "[hidden]")
    assert secret.reveal() == "s3cret"
    assert secret == Secret("s3cret") != Secret("other")
    assert secret != "s3cret"
    assert len({secret, Secret("s3cret")}) == 1


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("", 1),
        ("ports", 2),
        ("ports.0", 3),
        ("ports.1", 2),
        ("options.init", 4),
        ("options.tolerations.0.key", 4),
        ("job", 1),
    ],
)
def test_a_field_without_a_place_has_that_of_what_it_is_a_part_of(field: str, line: int) -> None:
    said = {"": 1, "ports": 2, "ports.0": 3, "options": 4}
    places = {name: Place(file="fleet.kdl", line=number) for name, number in said.items()}

    assert Traits(places=places).place(field) == Place(file="fleet.kdl", line=line)


def test_a_service_without_places_has_none() -> None:
    assert Traits().place("ports.0") is None


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("./data", "bind"),
        ("../data", "bind"),
        ("/srv", "bind"),
        ("~/data", "bind"),
        ("pgdata", "named"),
        ("gs://bucket", "bucket"),
        ("", "anonymous"),
    ],
)
def test_a_volumes_kind_follows_from_its_source(source: str, kind: str) -> None:
    assert Volume(source=source, target="/data").kind == kind


def test_a_project_knows_its_stages_by_name() -> None:
    stage = Stage(name=StageName("dev"), runtime=RuntimeChoice(name=RuntimeName("docker")), services=())
    project = Project(name=ProjectName("shop"), root="/", stages=(stage,))

    assert project.stage(StageName("dev")) is stage
    assert project.stage(StageName("prd")) is None
