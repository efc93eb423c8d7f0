# SPDX-License-Identifier: Apache-2.0
"""Reading objects: what is absent, null or of another kind reads as nothing."""

from datetime import UTC, datetime

import pytest

from fleetflow_tasks.runtimes.kubernetes import events
from fleetflow_tasks.runtimes.kubernetes.objects import at, items, light, mapping, moment, number, text, written

TREE = {"a": {"b": [{"c": "x"}], "n": 3, "yes": True, "none": None}}


def test_what_is_there_is_read() -> None:
    assert at(TREE, "a", "b", 0, "c") == "x"
    assert text(TREE, "a", "b", 0, "c") == "x"
    assert number(TREE, "a", "n") == 3
    assert items(TREE, "a", "b") == [{"c": "x"}]
    assert mapping(TREE, "a", "b", 0) == {"c": "x"}


def test_what_is_not_there_is_nothing() -> None:
    assert at(TREE, "a", "b", 1) is None
    assert at(TREE, "a", "n", "x") is None
    assert at(TREE, "a", "b", 0, "c", 0) is None
    assert text(TREE, "a", "n") == ""
    assert number(TREE, "a", "yes", absent=1) == 1
    assert items(TREE, "a", "b", 0, "c") == ()
    assert mapping(TREE, "a", "none") == {}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("2026-11-24T12:00:00Z", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("2026-11-24T12:00:00.922417Z", datetime(2026, 11, 24, 12, 0, 0, 922417, tzinfo=UTC)),
        ("2026-11-24T12:00:00", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_is_read_as_the_api_writes_it(said: str, expected: datetime | None) -> None:
    assert moment({"at": said}, "at") == expected


def test_when_we_wrote_is_our_own_managers_last_change() -> None:
    born = "2026-11-24T11:00:00Z"
    entries = [
        {"manager": "fleetflow", "operation": "Apply", "time": "2026-11-24T12:00:00Z"},
        {"manager": "fleetflow", "operation": "Update", "subresource": "status", "time": "2026-11-24T14:00:00Z"},
        {"manager": "kubectl", "operation": "Update", "time": "2026-11-24T13:00:00Z"},
        {"manager": "fleetflow", "operation": "Update"},
    ]

    assert written({"metadata": {"creationTimestamp": born, "managedFields": entries}}) == datetime(
        2026, 11, 24, 12, tzinfo=UTC
    )
    assert written({"metadata": {"creationTimestamp": born}}) == datetime(2026, 11, 24, 11, tzinfo=UTC)
    assert written({}) is None


def test_who_only_looks_keeps_when_we_wrote_and_not_what() -> None:
    ours = {"manager": "fleetflow", "operation": "Apply", "time": "2026-11-24T12:00:00Z", "fieldsV1": {"f:spec": {}}}
    theirs = {"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}}
    seen = {"metadata": light({"name": "api", "managedFields": [ours, {**ours, "subresource": "status"}, theirs]})}

    assert seen["metadata"] == {
        "name": "api",
        "managedFields": [{"manager": "fleetflow", "operation": "Apply", "time": "2026-11-24T12:00:00Z"}],
    }
    assert written(seen) == datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert light({"name": "api", "managedFields": [theirs]}) == {"name": "api"}


def test_both_forms_of_an_event_are_read() -> None:
    older = {
        "involvedObject": {"fieldPath": "spec.initContainers{wait}"},
        "count": 4,
        "firstTimestamp": "2026-11-24T12:00:00Z",
        "lastTimestamp": "2026-11-24T12:01:00Z",
    }
    newer = {"eventTime": "2026-11-24T12:00:00.5Z", "series": {"count": 2, "lastObservedTime": "2026-11-24T12:03:00Z"}}
    once = {"eventTime": "2026-11-24T12:02:00Z"}
    empty = events.read({})

    first, second = events.read(older), events.read(newer)

    assert (first.container, first.count, str(first.last)) == ("wait", 4, "2026-11-24 12:01:00+00:00")
    assert (second.container, second.count, str(second.first), str(second.last)) == (
        "",
        2,
        "2026-11-24 12:00:00.500000+00:00",
        "2026-11-24 12:03:00+00:00",
    )
    assert (empty.count, empty.first, empty.last) == (1, None, None)
    assert events.newest_first([older, {}, newer, once]) == (second, events.read(once), first, empty)
