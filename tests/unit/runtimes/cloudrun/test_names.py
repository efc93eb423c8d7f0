# SPDX-License-Identifier: Apache-2.0
"""What Cloud Run takes as names, labels and references, and what is made of what does not fit."""

import pytest

from fleetflow_tasks.runtimes.cloudrun import names
from fleetflow_tasks.runtimes.cloudrun.settings import parent, percent, settings
from fleetflow_tasks.runtimes.cloudrun.sizes import bytes_text, cpu_text
from fleetflow_tasks.runtimes.cloudrun.variables import reference

from .made import plan


@pytest.mark.parametrize(
    ("name", "fits"),
    [("a", True), ("a-b1", True), ("a" * 49, True), ("a" * 50, False), ("1a", False), ("a-", False), ("A", False)],
)
def test_a_name_of_a_service(name: str, fits: bool) -> None:
    assert names.is_name(name) == fits


@pytest.mark.parametrize(
    ("name", "fitting"),
    [("my_api.v2", "my-api-v2"), ("9-Lives", "lives"), ("ab-cd", "ab"), ("…", "")],
)
def test_a_name_that_would_fit(name: str, fitting: str) -> None:
    assert names.fitting(name, 9 if "_" in name else 5 if "9" in name else 3) == fitting
    assert names.fitting("anything", -1) == ""


def test_labels_are_of_small_letters() -> None:
    assert [key for key in ("a", "team_1", "größe", "a" * 63) if not names.is_label_key(key)] == []
    assert [key for key in ("", "1a", "_a", "A", "a.b", "a/b", "a" * 64) if names.is_label_key(key)] == []
    assert [value for value in ("", "1", "-", "a_b-c", "a" * 63) if not names.is_label_value(value)] == []
    assert [value for value in ("A", "a.b", "a b", "a" * 64) if names.is_label_value(value)] == []


def test_some_annotations_are_googles_own() -> None:
    assert names.is_foreign("run.googleapis.com/ingress")
    assert names.is_foreign("client.run.googleapis.com/x")
    assert not names.is_foreign("example.org/x")
    assert not names.is_foreign("run.googleapis.com")


@pytest.mark.parametrize(
    ("ref", "expected"),
    [
        ("db", "db latest"),
        ("db:3", "db 3"),
        ("db/versions/3", "db 3"),
        ("projects/shop-prd/secrets/db", "db latest"),
        ("projects/shop-prd/secrets/db/versions/prod", "db prod"),
        ("projects/other/secrets/db/versions/latest", "projects/other/secrets/db latest"),
        ("vault/key", None),
        ("projects/p/secrets", None),
        ("", None),
        ("a b", None),
    ],
)
def test_a_secret_is_named_in_full_or_within_the_project(ref: str, expected: str | None) -> None:
    found = reference(ref, "shop-prd")

    assert (found and f"{found.secret} {found.version}") == expected


def test_amounts_are_written_in_the_largest_unit_that_says_them_exactly() -> None:
    assert [bytes_text(size) for size in (1 << 30, 3 << 29, 1 << 10, 10**9, 10**6, 3000, 1001)] == [
        "1Gi",
        "1536Mi",
        "1Ki",
        "1G",
        "1M",
        "3k",
        "1001",
    ]
    assert [cpu_text(cores) for cores in (1.0, 8, 0.5, 0.083)] == ["1", "8", "500m", "83m"]


def test_a_stage_says_where_its_services_live() -> None:
    assert parent(settings(plan())) == "projects/shop-prd/locations/europe-west1"
    assert settings(plan(canary="10")).canary == 10
    assert settings(plan()).canary is None
    assert [percent(said) for said in ("0", "100", "101", "1000", "-1", "x", "", "٣")] == [0, 100] + [None] * 6
