# SPDX-License-Identifier: Apache-2.0
"""Reading the API's JSON: what is absent, null or of another kind reads as nothing."""

from fleetflow_tasks.runtimes.cloudrun.reading import at, items, last, mapping, moment, number, one_line, text

THING = {
    "name": "projects/p/services/api",
    "generation": "12",
    "count": 3,
    "flag": True,
    "list": [{"a": 1}],
    "no": None,
}


def test_what_stands_at_a_path_is_found() -> None:
    assert at(THING, "list", 0, "a") == 1
    assert mapping(THING, "list", 0) == {"a": 1}
    assert items(THING, "list") == [{"a": 1}]
    assert text(THING, "name") == "projects/p/services/api"


def test_what_is_not_there_or_is_of_another_kind_is_nothing() -> None:
    assert at(THING, "list", 1, "a") is None
    assert at(THING, "name", 0) is None
    assert at(THING, "count", "a") is None
    assert mapping(THING, "list") == {}
    assert items(THING, "name") == ()
    assert text(THING, "no") == ""


def test_a_number_may_be_written_as_a_text_which_is_how_int64_travels() -> None:
    assert [number(THING, name) for name in ("generation", "count", "flag", "name", "absent")] == [12, 3, 0, 0, 0]
    assert number(THING, "absent", absent=8080) == 8080


def test_a_time_without_a_zone_is_utc() -> None:
    times = {
        "a": "1970-01-01T00:01:00Z",
        "b": "1970-01-01T00:01:00",
        "c": "soon",
        "d": "1970-01-01T00:01:00.123456789Z",
    }

    assert [moment(times, name) for name in "abc"] == [60.0, 60.0, None]
    assert moment(times, "d") == 60.123456


def test_a_name_is_shown_by_its_last_part_and_a_message_in_one_line() -> None:
    assert last("projects/p/services/api") == "api"
    assert last("api") == "api"
    assert one_line(" two\n  lines ") == "two lines"
