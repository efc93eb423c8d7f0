# SPDX-License-Identifier: Apache-2.0
"""Names for completion: as far as the text shows them, and never a complaint."""

from pathlib import Path

import pytest

from fleetflow_tasks.config.names import Names, names
from tests.unit.config.conftest import Folder


def test_names_are_found_in_every_file_of_the_project(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'include "more/*.kdl" "gone.kdl"\nservice "api"\n"service" "db"; service\nstage "local" { service api; variables { A 1 } }',
            "more/a.kdl": 'service "more"',
            "gone.kdl": "",
            "fleet.prd.kdl": 'stage "prd" { service "only-prd" { image "x" } }',
            "stages/stg.kdl": 'stage "stg"; stage "local" { service "db" }; /-stage "not"; // stage "nor"',
        }
    )

    found = names(folder.path)

    assert found == Names(
        project=folder.path.name,
        stages={"local": ("api", "db"), "stg": (), "prd": ("only-prd",)},
        services=("api", "db", "more"),
    )
    assert (found.of("local"), found.of("stg"), found.of(None)) == (
        ("api", "db"),
        ("api", "db", "more", "only-prd"),
        ("api", "db", "more", "only-prd"),
    )


@pytest.mark.parametrize(
    "text",
    [
        'stage "',
        'stage "{{ X }}"',
        'stage "${X}"',
        "stage",
        "service a=1",
        'stage "\n"',
        'include "fleet.kdl"',
        "{% if %}",
    ],
)
def test_what_cannot_be_read_has_no_names(folder: Folder, text: str) -> None:
    folder.write({"fleet.kdl": text})

    found = names(folder.path)
    assert (found.stages, found.services) == ({}, ())


@pytest.mark.parametrize(
    ("text", "project"), [('project "shop"', "shop"), ("project shop", "shop"), ('project "{{ X }}"', "")]
)
def test_the_project_is_named_by_the_text_where_that_names_it(folder: Folder, text: str, project: str) -> None:
    folder.write({"fleet.kdl": text})

    assert names(folder.path).project == project


def test_where_there_is_no_project_there_are_no_names(tmp_path: Path) -> None:
    assert names(tmp_path, Path("none.kdl")) == Names()
