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
    Volume,
)


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("s3cret")

    assert (str(secret), repr(secret), f"{secret}") == ("[hidden]", "[hidden]", "[hidden]")
    assert secret.reveal() == "s3cret"
    assert secret == Secret("s3cret") != Secret("other")
    assert secret != "s3cret"
    assert len({secret, Secret("s3cret")}) == 1


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
