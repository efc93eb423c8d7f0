# SPDX-License-Identifier: Apache-2.0
"""Quantities are compared by what they are worth."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.runtimes.kubernetes import quantities
from fleetflow_tasks.runtimes.kubernetes.amounts import amount, same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.5", "500m"),
        ("1", 1),
        (1.5, "1500m"),
        ("1Gi", "1024Mi"),
        ("1G", "1000M"),
        ("1e3", "1k"),
        ("1E3", "1000"),
        (".5", "0.5"),
        ("5.", "5"),
        ("100n", "0.1u"),
        ("1Ei", "1024Pi"),
        ("-1", "-1000m"),
    ],
)
def test_one_amount_has_many_spellings(one: object, other: object) -> None:
    assert same(one, other)


@pytest.mark.parametrize("said", ["", "x", "1KB", "1 Gi", "Mi", "--1", "1ki", "٣", None])
def test_what_is_no_quantity_is_worth_nothing_and_equals_nothing(said: object) -> None:
    assert amount(said) is None
    assert not same(said, said)


def test_amounts_that_differ_are_not_the_same() -> None:
    assert not same("1G", "1Gi")
    assert not same("1", "x")
    assert amount("1E") == Decimal(10) ** 18


@given(st.integers(0, 2**63))
def test_what_we_write_is_worth_what_was_meant(size: int) -> None:
    assert amount(quantities.size(size)) == size
