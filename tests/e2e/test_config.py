# SPDX-License-Identifier: Apache-2.0
"""`flow config` as somebody uses it who wonders where a value came from, and does not have everything at hand."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk import Desk, state_folder
from tests.printed import checked

SHOP = """
service "api" {
    image "api:1"
    environment { LOG "${LEVEL}" }
    secrets { PASSWORD env="PG_PASSWORD" }
}
stage "stg" { variables { LEVEL "info" }; service "api" { environment { EXTRA 1 } } }
stage "prd" { service "api" }
"""


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "work"
    folder.mkdir()
    with state_folder() as state:
        made = Desk(folder, state)
        made.write(SHOP)
        yield made
        made.close()


def test_a_stage_is_told_without_its_secrets_at_hand_and_its_text_is_a_project_again(desk: Desk) -> None:
    found = desk.flow("config", "stg", "--var", "LEVEL=debug")

    assert (found.code, found.err) == (0, "")
    assert '            LOG "debug"  // fleet.kdl:5; LEVEL from --var' in found.out.splitlines()
    assert (
        '            PASSWORD env="PG_PASSWORD"  // [hidden], fleet.kdl:6; PG_PASSWORD not set'
        in found.out.splitlines()
    )

    (desk.folder / "told.kdl").write_text(found.out, encoding="utf-8")

    assert desk.flow("validate", "-f", "told.kdl", PG_PASSWORD="geheim").code == 0
    again = desk.flow("config", "-f", "told.kdl", "--no-origins", PG_PASSWORD="geheim")
    assert again.out == desk.flow("config", "stg", "--var", "LEVEL=debug", "--no-origins").out
    assert "geheim" not in again.out


def test_what_json_says_keeps_to_the_contract(desk: Desk) -> None:
    assert [line["type"] for line in checked(desk.flow("config", "stg", "--json").out)] == ["config"]
    assert [line["type"] for line in checked(desk.flow("config", "stg", "--variables", "--json").out)] == ["variables"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("config nowhere", 3, "unknown stage `nowhere`"),
        ("config prd", 3, "variable `LEVEL` is not defined"),
        ("config stg --only none", 3, "holds no service `none`"),
        ("config stg --only ,", 2, "--only names no service"),
        ("config stg --no-deps", 2, "--no-deps needs --only"),
        ("config stg --variables --only api", 2, "--variables is of a whole stage"),
        ("config stg --runtime moon", 3, "unknown runtime `moon`"),
        ("config stg -f none.kdl", 3, "there is no file `none.kdl`"),
    ],
)
def test_what_cannot_be_told_is_said_why(desk: Desk, words: str, code: int, told: str) -> None:
    found = desk.flow(*words.split())

    assert (found.code, told in found.err, found.out) == (code, True, ""), found
