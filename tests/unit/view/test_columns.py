# SPDX-License-Identifier: Apache-2.0
"""Tables, and how they become narrow."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.view.columns import Give, table
from fleetflow_tasks.view.ink import width

HEAD = ("NAME", "STATE", "IMAGE", "")
ROWS = [
    ("api", "running", "registry.example.org/shop/api:1.4.0", "differs"),
    ("日本語", "failed", "postgres:16", ""),
]
GIVE = [Give(column="IMAGE", least=10, tail=True), Give(column="", least=5), Give(column="IMAGE")]


def drawn(columns: int | None) -> list[str]:
    return table(HEAD, ROWS, columns=columns, give=GIVE)


def test_columns_are_as_wide_as_their_widest_cell_and_wide_letters_count_twice() -> None:
    assert drawn(None) == [
        "NAME    STATE    IMAGE",
        "api     running  registry.example.org/shop/api:1.4.0  differs",
        "日本語  failed   postgres:16",
    ]
    assert drawn(61) == drawn(None)


def test_what_matters_least_gives_way_first() -> None:
    assert drawn(45) == [
        "NAME    STATE    IMAGE",
        "api     running  …org/shop/api:1.4.0  differs",
        "日本語  failed   postgres:16",
    ]
    assert drawn(34) == [
        "NAME    STATE    IMAGE",
        "api     running  …api:1.4.0  diff…",
        "日本語  failed   …stgres:16",
    ]
    assert drawn(24) == ["NAME    STATE", "api     running  diff…", "日本語  failed"]


def test_in_the_end_only_the_name_is_left_and_that_is_cut_too() -> None:
    assert drawn(16) == ["NAME    STATE", "api     running", "日本語  failed"]
    assert drawn(13) == ["NAME    STATE", "api     runn…", "日本語  fail…"]
    assert drawn(9) == ["NAME", "api", "日本語"]
    assert drawn(4) == ["NAME", "api", "日…"]


@pytest.mark.parametrize("columns", [None, 34])
def test_one_cell_of_a_row_may_be_coloured(columns: int | None) -> None:
    lines = table(HEAD, ROWS, columns=columns, give=GIVE, inks=["green", None], inked="STATE", colour=True)

    assert lines[1].startswith("api     \x1b[32mrunning\x1b[0m  ")
    assert [re.sub(r"\x1b\[\d*m", "", line) for line in lines] == drawn(columns)


@given(
    st.lists(st.tuples(*[st.text("ab 日", max_size=30)] * 4), max_size=4),
    st.integers(1, 80),
)
def test_no_line_is_wider_than_the_window(rows: list[tuple[str, ...]], columns: int) -> None:
    assert all(width(line) <= columns for line in table(HEAD, rows, columns=columns, give=GIVE))
