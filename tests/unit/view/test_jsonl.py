# SPDX-License-Identifier: Apache-2.0
import json

import msgspec
import pytest

from fleetflow_tasks.config.model import Secret
from fleetflow_tasks.engine.model import RunEnded, RunId
from fleetflow_tasks.errors import Problem
from fleetflow_tasks.view import jsonl
from tests.unit.view.conftest import Story, folded


def test_every_event_is_one_versioned_object_on_one_line(story: Story) -> None:
    line = jsonl.event(RunId("r8f2"), story.moved("db:deploy", "running"))

    assert line == (
        '{"v":1,"type":"step.moved","run":"r8f2","id":"101000-1","at":101.0,'
        '"step":"db:deploy","status":"running","attempt":1,"losses":0,"releases":0,"worker":"host1:42:x",'
        '"due":null,"outcome":null,"problem":null}'
    )


def test_text_with_line_breaks_stays_on_one_line(story: Story) -> None:
    assert "\n" not in jsonl.event(RunId("r"), story.progress("db:deploy", "one\ntwo"))


def test_a_snapshot_comes_first(story: Story) -> None:
    told = json.loads(jsonl.snapshot(story.snapshot()))

    first = told["steps"][0]
    assert [*list(told)[:3], list(told)[-1]] == ["v", "type", "run", "last"]
    assert (told["type"], told["run"], told["status"]) == ("snapshot", "r8f2", "running")
    assert (first["step"], first["status"], first["service"], first["attempt"]) == (
        "stage:prepare",
        "waiting",
        None,
        0,
    )


def test_an_end_counts_the_services(story: Story) -> None:
    picture = folded(story.begin(), [*story.up("db"), RunEnded(status="failed", **story.stamp())])
    told = json.loads(jsonl.end(picture))

    assert (told["v"], told["type"], told["status"]) == (1, "end", "failed")
    assert told["services"] == {"ready": 1, "waiting": 3}


def test_a_warning_among_the_lines_ends_nothing() -> None:
    problem = Problem(code="x", message="look", severity="warning")

    assert json.loads(jsonl.problems([problem]))["exit_code"] is None
    assert json.loads(jsonl.problems([problem], 3))["exit_code"] == 3


def test_no_secret_can_get_in() -> None:
    with pytest.raises(msgspec.ValidationError):
        jsonl.document("import", {"platform": "cloudrun", "kdl": Secret("geheim")})
