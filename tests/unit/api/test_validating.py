# SPDX-License-Identifier: Apache-2.0
"""`flow validate` looks at a stage beside the others, each as its own files make it."""

from pathlib import Path

import pytest

from fleetflow_tasks import api
from fleetflow_tasks.errors import PlanError

SHOP = """
project "shop"
service "api" { image "api:1" }
stage "stg" { service "api" }
stage "prd" { service "api" }
"""


def warned(folder: Path, stage: str = "prd") -> list[str]:
    found = api.validated(api.Request(directory=str(folder), stage=stage)).warnings
    return [f"{each.message}: {'; '.join(each.cause)}" for each in found]


def test_an_image_that_differs_between_stages_is_told(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text(SHOP, encoding="utf-8")
    assert warned(tmp_path) == []

    (tmp_path / "fleet.prd.kdl").write_text('stage "prd" { service "api" { image "api:2" } }', encoding="utf-8")

    assert warned(tmp_path) == warned(tmp_path, "stg")
    assert warned(tmp_path) == [
        "service `api` is not the same image in all stages: stg  api:1   fleet.kdl:3:17; prd  api:2   fleet.prd.kdl:1:31"
    ]


def test_it_is_an_error_where_warnings_are(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text(SHOP, encoding="utf-8")
    (tmp_path / "fleet.prd.kdl").write_text('stage "prd" { service "api" { image "api:2" } }', encoding="utf-8")

    with pytest.raises(PlanError, match="not the same image"):
        api.validated(api.Request(directory=str(tmp_path), stage="prd", strict=True))


def test_what_is_wrong_with_another_stage_is_not_told_here(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text(SHOP, encoding="utf-8")
    (tmp_path / "fleet.stg.kdl").write_text('service "api" { image "{{ MISSING }}" }', encoding="utf-8")
    assert warned(tmp_path) == []

    (tmp_path / "fleet.kdl").write_text(SHOP + 'stage "dev" { service "none" }', encoding="utf-8")
    assert warned(tmp_path) == []
