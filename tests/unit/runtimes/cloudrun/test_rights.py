# SPDX-License-Identifier: Apache-2.0
"""The rights that we ask for, and the role that we ship."""

from pathlib import Path
from typing import Any

import yaml

from fleetflow_tasks.runtimes.cloudrun.rights import ADMIN, DEVELOPER, NEEDS, role

OPS = Path(__file__).resolve().parents[4] / "ops" / "cloudrun"


def shipped() -> Any:
    return yaml.safe_load((OPS / "role.yaml").read_text(encoding="utf-8"))


def test_the_role_that_we_ship_allows_what_the_table_says_and_no_more() -> None:
    assert sorted(shipped()["includedPermissions"]) == sorted(need.permission for need in NEEDS)


def test_it_has_what_gcloud_wants_of_a_role() -> None:
    assert set(shipped()) == {"title", "description", "stage", "includedPermissions"}
    assert shipped()["stage"] == "GA"


def test_no_right_is_asked_for_twice() -> None:
    permissions = [need.permission for need in NEEDS]

    assert len(permissions) == len(set(permissions))


def test_a_permission_is_led_to_the_least_role_that_has_it() -> None:
    names = ("run.services.update", "run.services.setIamPolicy", "iam.serviceAccounts.actAs", "run.x.y", "other.x.y")

    assert [role(name) for name in names] == [DEVELOPER, ADMIN, "roles/iam.serviceAccountUser", ADMIN, ""]
