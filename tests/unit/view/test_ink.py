# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetflow_tasks.view.ink import (
    ago,
    aligned,
    clean,
    counted,
    duration,
    listed,
    moment,
    padded,
    paint,
    shortened,
    width,
    wrapped,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07rest", "rest"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x1b[2J\x1b[Hb", "ab"),
        ("a\x1bcb", "ab"),
        ("a\x9b31mb", "a31mb"),
        ("two\nlines\r\n", "two lines "),
        ("bell\x07 back\x08", "bell back"),
        ("tab\tstays", "tab\tstays"),
        ("\u202eright to left", "right to left"),
        ("ends in \x1b", "ends in "),
    ],
)
def test_text_from_outside_cannot_take_the_terminal_over(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text(alphabet=st.characters() | st.sampled_from("\x1b[]\\;m\x07\x9b")))
def test_no_escape_is_left_whatever_comes(text: str) -> None:
    assert not {"\x1b", "\n", "\x07", "\x9b"} & set(clean(text))


def test_colours_are_written_only_where_they_are_wanted() -> None:
    assert paint("x", "bold red", on=True) == "\x1b[1;31mx\x1b[0m"
    assert paint("x", "bold red", on=False) == "x"
    assert paint("", "red", on=True) == ""


@pytest.mark.parametrize(("text", "columns"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("", 0)])
def test_width_is_what_a_terminal_makes_of_it(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 4, "abc…"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
    ],
)
def test_what_is_too_long_ends_in_a_mark(text: str, columns: int, expected: str) -> None:
    assert shortened(text, columns) == expected


@given(st.text(max_size=20), st.integers(-2, 20), st.sampled_from(["…", "..."]))
def test_what_is_shortened_fits(text: str, columns: int, mark: str) -> None:
    assert width(shortened(text, columns, mark=mark)) <= max(columns, 0)


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert aligned([("a", "b", "c"), ("日本", "", "x")]) == ["a     b  c", "日本     x"]
    assert aligned([("a", "b"), ("aa", "")]) == ["a   b", "aa"]
    assert aligned([]) == []
    assert padded("abc", 2) == "abc"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-1, "0.0s"),
        (0.04, "0.0s"),
        (12.34, "12.3s"),
        (59.94, "59.9s"),
        (59.96, "1m 00s"),
        (125, "2m 05s"),
        (3599.7, "1h 00m"),
        (3720, "1h 02m"),
        (86399, "23h 59m"),
        (86400, "1d 00h"),
        (273600, "3d 04h"),
    ],
)
def test_a_duration_is_as_exact_as_one_can_use(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_one_is_counted_in_the_singular() -> None:
    assert (counted(1, "service"), counted(0, "service"), counted(2, "try", "tries")) == (
        "1 service",
        "0 services",
        "2 tries",
    )


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (-3, "just now"),
        (0.9, "just now"),
        (1, "1s ago"),
        (59.9, "59s ago"),
        (60, "1m ago"),
        (3 * 3600 + 5, "3h ago"),
        (2.5 * 86400, "2d ago"),
    ],
)
def test_in_passing_one_unit_is_enough(seconds: float, expected: str) -> None:
    assert ago(seconds) == expected


def test_a_moment_is_told_in_utc() -> None:
    assert moment(1_764_000_000.4) == "2025-11-24 16:00:00 UTC"


def test_the_rest_of_a_long_list_is_counted() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(iter("abcde"), most=2) == "a, b and 3 more"


def test_a_line_is_broken_between_words_and_its_rest_stands_under_it() -> None:
    assert wrapped("  one two three four", 12) == ["  one two", "  three four"]
    assert wrapped("  one two three four", 12, hang=2) == ["  one two", "    three", "    four"]
    assert wrapped("one two", 7) == ["one two"]
    assert wrapped("one two", None) == ["one two"]
    assert wrapped("", 1) == [""]


def test_what_people_copy_is_not_broken() -> None:
    assert wrapped("look at `flow logs api --tail=9`, or ask", 20) == ["look at", "`flow logs api --tail=9`,", "or ask"]
    assert wrapped("see https://example.org/a/very/long/path now", 20) == [
        "see",
        "https://example.org/a/very/long/path",
        "now",
    ]


def test_colours_take_no_room_in_a_line_that_is_broken() -> None:
    assert wrapped("\x1b[31mred word\x1b[0m and more", 17) == ["\x1b[31mred word\x1b[0m and more"]
    assert wrapped("\x1b[31mred word\x1b[0m and more", 16) == ["\x1b[31mred word\x1b[0m and", "more"]


@pytest.mark.parametrize(
    ("text", "columns"), [("e\u0301", 1), ("日本", 4), ("a\u200db", 2), ("☺\ufe0f", 1), ("abc", 3)]
)
def test_letters_are_as_wide_as_a_terminal_draws_them(text: str, columns: int) -> None:
    assert width(text) == columns
