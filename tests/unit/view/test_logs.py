# SPDX-License-Identifier: Apache-2.0
import json

from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.runtimes.base import LogLine
from fleetflow_tasks.view.logs import Logs, as_json

NAMES = [ServiceName("postgres"), ServiceName("api")]


def said(name: str, text: str, at: float | None = 1.5) -> LogLine:
    return LogLine(service=ServiceName(name), text=text, at=at)


def test_each_line_says_whose_it_is_in_one_column() -> None:
    logs = Logs(NAMES)

    assert [logs.line(said("api", "listening")), logs.line(said("postgres", "")), logs.line(said("x", "y"))] == [
        "api      | listening",
        "postgres |",
        "x        | y",
    ]


def test_times_are_told_where_they_are_wanted_and_known() -> None:
    logs = Logs(NAMES, timestamps=True)

    assert logs.line(said("api", "a")) == "api      | 1970-01-01T00:00:01.500Z a"
    assert logs.line(said("api", "a", at=None)) == "api      | a"


def test_a_service_keeps_its_colour_and_cannot_bring_its_own() -> None:
    logs = Logs(NAMES, colour=True)

    assert logs.line(said("api", "\x1b[31mred\x1b[0m")) == "\x1b[36mapi     \x1b[0m | red"
    assert logs.line(said("unknown", "a")) == "\x1b[1munknown \x1b[0m | a"


def test_no_services_make_no_column() -> None:
    assert Logs([]).line(said("api", "a")) == "api | a"


def test_a_line_is_json_as_it_was_printed() -> None:
    assert json.loads(as_json(said("api", "\x1b[31mred"))) == {
        "v": 1,
        "type": "log",
        "service": "api",
        "text": "\x1b[31mred",
        "at": 1.5,
        "stream": "stdout",
        "source": "",
    }


def test_of_several_instances_each_line_says_whose_it_is_and_the_column_grows_with_the_longest() -> None:
    logs = Logs(NAMES)
    api = ServiceName("api")

    assert [
        logs.line(LogLine(service=api, text="a", source="0")),
        logs.line(LogLine(service=api, text="b", source="x2k\x1b[2Jqp")),
        logs.line(said("postgres", "c")),
    ] == [
        "api/0    | a",
        "api/x2kqp | b",
        "postgres  | c",
    ]
