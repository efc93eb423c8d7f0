# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from fleetflow_tasks.config.model import Secret
from fleetflow_tasks.engine.model import RunEnded, RunId
from fleetflow_tasks.view import jsonl
from tests.unit.view.conftest import Story, folded


def test_every_event_is_one_versioned_object_on_one_line(story: Story) -> None:
    line = jsonl.event(RunId("r8f2"), story.moved("db:deploy", "running"))

    assert line == (
        '{"v":1,"run":"r8f2","type":"step.moved","id":"101000-1","at":101.0,'
        '"step":"db:deploy","status":"running","attempt":1,"worker":"host1:42:x"}'
    )


def test_text_with_line_breaks_stays_on_one_line(story: Story) -> None:
    assert "\n" not in jsonl.event(RunId("r"), story.progress("db:deploy", "one\ntwo"))


def test_a_snapshot_comes_first(story: Story) -> None:
    told = json.loads(jsonl.snapshot(story.snapshot()))

    assert list(told) == ["v", "type", "run", "steps", "last"]
    assert (told["type"], told["run"]["id"], told["steps"][0]) == (
        "snapshot",
        "r8f2",
        {"step": "stage:prepare", "status": "waiting"},
    )


def test_an_end_counts_the_services(story: Story) -> None:
    picture = folded(story.begin(), [*story.up("db"), RunEnded(status="failed", **story.stamp())])
    told = json.loads(jsonl.end(picture))

    assert (told["v"], told["type"], told["run"]["status"]) == (1, "end", "failed")
    assert told["services"] == {"ready": 1, "waiting": 3}


def test_no_secret_can_get_in() -> None:
    with pytest.raises(TypeError):
        jsonl.document("config", {"password": Secret("geheim")})
