# SPDX-License-Identifier: Apache-2.0
"""What Cloud Logging is asked for, and what is made of its entries."""

from collections import defaultdict
from typing import Any

import pytest

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.cloudrun import printed

from . import made

PLAN = made.plan(made.service("api"), made.job("migrate"))
LOGS = (
    '(logName:"run.googleapis.com%2Fstdout" OR logName:"run.googleapis.com%2Fstderr" OR '
    'logName:"run.googleapis.com%2Fvarlog%2Fsystem")'
)


def entry(text: str = "", *, service: str = "shop-prd-api", log: str = "stdout", **fields: Any) -> dict[str, Any]:
    label = "job_name" if "migrate" in service else "service_name"
    return {
        "textPayload": text,
        "logName": f"projects/p/logs/run.googleapis.com%2F{log}",
        "timestamp": "1970-01-01T00:00:01.5Z",
        "insertId": "a",
        "resource": {"labels": {label: service}},
        "labels": {"instanceId": "00f46b927d1"},
        **fields,
    }


def shown(*entries: dict[str, Any]) -> list[str]:
    met: dict[ServiceName, set[str]] = defaultdict(set)
    return [f"{x.service} {x.source}|{x.stream}|{x.text}" for x in printed.lines(PLAN, entries, met)]


def test_services_and_jobs_are_asked_for_at_once() -> None:
    assert printed.of_services(PLAN, PLAN.services) == (
        '((resource.type="cloud_run_revision" AND resource.labels.service_name="shop-prd-api") OR '
        '(resource.type="cloud_run_job" AND resource.labels.job_name="shop-prd-migrate")) '
        f'AND resource.labels.location="europe-west1" AND {LOGS}'
    )


def test_one_revision_or_one_execution_is_asked_for_by_its_name() -> None:
    assert 'service_name="api" AND resource.labels.revision_name="api-1" AND ' in printed.of_revision("api", "api-1")
    assert 'labels."run.googleapis.com/execution_name"="m-1" AND ' in printed.of_execution("m", "m-1")


def test_since_a_moment() -> None:
    assert printed.since("x", 1.5) == 'x AND timestamp>="1970-01-01T00:00:01.500000Z"'


def test_the_same_can_be_seen_with_gcloud_and_in_the_console() -> None:
    assert printed.command(PLAN, 'a="b"') == (
        "gcloud logging read 'a=\"b\"' --project=shop-prd --order=asc --format='value(textPayload)'"
    )
    assert printed.link(PLAN, 'a="b"') == (
        "https://console.cloud.google.com/logs/query;query=a%3D%22b%22?project=shop-prd"
    )


def test_an_entry_is_as_many_lines_as_were_printed() -> None:
    assert shown(entry("one\ntwo"), entry("", log="stderr"), entry("x", log="varlog%2Fsystem")) == [
        "api |stdout|one",
        "api |stdout|two",
        "api |stderr|",
        "api |stderr|x",
    ]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [({"message": "hello", "level": "info"}, ["hello"]), ({"b": 1, "a": "ä"}, ['{"a": "ä", "b": 1}'])],
)
def test_what_was_printed_as_json_is_told_by_its_message(payload: dict[str, Any], expected: list[str]) -> None:
    assert printed.content({"jsonPayload": payload}) == expected


def test_only_of_several_instances_or_tasks_it_is_told_which() -> None:
    first, other = {"run.googleapis.com/task_index": "0"}, {"instanceId": "00f46b927d2222"}

    assert shown(entry("a"), entry("b", labels=other), entry("c", service="shop-prd-migrate", labels=first)) == [
        "api |stdout|a",
        "api 7d2222|stdout|b",
        "migrate |stdout|c",
    ]
    assert printed.instance(entry(labels=first)) == "task 0"


def test_what_belongs_to_no_service_of_the_plan_is_left_out() -> None:
    assert shown(entry("x", service="another")) == []


def test_entries_have_a_time_and_something_that_tells_them_apart() -> None:
    assert (printed.when(entry()), printed.when({})) == (1.5, 0.0)
    assert printed.order(entry()) == (1.5, "a")
    assert printed.key(entry()) == ("1970-01-01T00:00:01.5Z", "a")
