# SPDX-License-Identifier: Apache-2.0
"""Stages of one project that would be in each other's way are told before anything is asked of a cluster."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fleetflow_tasks import api
from fleetflow_tasks.errors import FleetFlowError

SHOP = """
project "shop"
service "api" {{ image "api:1"; port container=80 }}
service "web" {{ image "web:1"; port container=80 }}
stage "prd" {{ runtime "kubernetes" {{ {prd} }}; service "api"; service "web" }}
stage "stg" {{ runtime "kubernetes" {{ {stg} }}; service "{held}" }}
{more}
"""


@pytest.fixture
def wrong(tmp_path: Path) -> Callable[..., list[str]]:
    """What is wrong with the stage `stg` of such a shop."""

    def planned(stg: str, prd: str, held: str = "api", more: str = "") -> list[str]:
        (tmp_path / "fleet.kdl").write_text(SHOP.format(stg=stg, prd=prd, held=held, more=more), encoding="utf-8")
        try:
            api.plan(api.Request(directory=str(tmp_path), stage="stg"))
        except FleetFlowError as error:
            return [f"{each.message}; {each.fix}" for each in error.problems]
        return []

    return planned


def test_two_stages_with_services_of_one_name_need_two_namespaces(wrong: Callable[..., list[str]]) -> None:
    one = 'namespace "shop"'

    [said] = wrong(one, one)
    assert said == (
        "stages `prd` and `stg` share the namespace `shop`, and both hold `api`; "
        'give each stage a namespace of its own: `runtime "kubernetes" { namespace "…" }`'
    )
    assert wrong(one, 'namespace "other"') == []
    assert wrong(one, "") == []
    assert wrong("", "") == []
    assert wrong(one, one + '; context "elsewhere"') == []


def test_two_stages_may_share_a_namespace_where_no_name_is_the_same(wrong: Callable[..., list[str]]) -> None:
    one = 'namespace "shop"'
    other = 'service "cache" { image "c:1"; port container=1 }'

    assert wrong(one, one, "cache", other) == []


def test_what_is_wrong_with_another_stage_is_not_told_here(wrong: Callable[..., list[str]]) -> None:
    assert wrong('namespace "shop"', 'namespace "shop"', more='stage "bad" { service "none" }') == []
