# SPDX-License-Identifier: Apache-2.0
"""A settled stage on a terminal and as JSON; what is in it is tested where it is made."""

import json
from pathlib import Path

import pytest

from fleetflow_tasks import api
from fleetflow_tasks.view import settled
from tests.golden import golden

TEXT = """\
project "shop"
service "api" { image "api:1"; port 80; command "run" "${X:-fast}"; secrets { KEY ref="projects/p/secrets/k" } }
service "db" { image "pg:16"; resources { memory 1234 }; volume "data" "/data" size="2Gi" read_only=#true }
stage "local" {
    variables { LEVEL "info" }
    service "api" { port 81; depends_on { service "db" wait=#false } }
    service "db"
}
"""


@pytest.fixture
def found(tmp_path: Path) -> api.Configured:
    (tmp_path / "fleet.kdl").write_text(TEXT, encoding="utf-8")
    return api.configured(api.Request(directory=str(tmp_path), environ={"HOME": "/"}, variables={"LEVEL": "debug"}))


def test_origins_stand_below_each_other_on_a_terminal(found: api.Configured) -> None:
    golden("config-terminal", settled.text(found.settled, found.row, aligned=True, colour=True))
    golden("config-plain", settled.text(found.settled, found.row, origins=False))


def test_json_has_each_value_by_its_path(found: api.Configured) -> None:
    answer = json.loads(settled.as_json(found.settled))

    local: dict[str, list[str]] = {"over": [], "parts": []}
    assert answer["project"] == {"value": "shop", "from": "fleet.kdl:1", **local}
    assert answer["runtime"] == {"name": {"value": "docker", "from": "default", **local}}
    assert answer["variables"] == {"LEVEL": {"value": "debug", "from": "--var", "over": ["fleet.kdl:5"], "parts": []}}
    assert list(answer["services"]) == ["api", "db"]
    assert {path: each["value"] for path, each in answer["services"]["api"].items()} == {
        "image": "api:1",
        "ports.0": {"container": 81, "host": 81, "protocol": "tcp"},
        "command": ["run", "fast"],
        "secrets.KEY": {"ref": "projects/p/secrets/k"},
        "depends_on.0": {"name": "db", "condition": "started", "wait": False},
        "pull": "missing",
        "timeout": 300.0,
        "retries": 2,
    }
    assert answer["services"]["api"]["ports.0"]["over"] == ["fleet.kdl:2"]


def test_variables_as_json(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text(TEXT, encoding="utf-8")
    known = api.known_variables(api.Request(directory=str(tmp_path)))

    answer = json.loads(settled.variables_json(known.project, known.stage, known.variables))

    assert [(each["name"], each["value"], each["from"], each["users"]) for each in answer["variables"]] == [
        ("LEVEL", "info", "fleet.kdl:5", ["every service, in its environment"]),
        ("X", None, "not set", ["service api at fleet.kdl:2"]),
    ]
