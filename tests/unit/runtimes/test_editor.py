# SPDX-License-Identifier: Apache-2.0
"""Help for editors is what the schema says, and each snippet is a project as soon as it is there."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest

from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.schema import document_row, every_row
from fleetflow_tasks.runtimes import editor
from fleetflow_tasks.runtimes.editor import snippets, written
from fleetflow_tasks.runtimes.registry import blocks

FOLDER = Path(__file__).parents[3] / "docs" / "editor"
SNIPPETS = snippets(blocks())


def test_the_files_are_what_the_schema_prints() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()}

    assert there == written(blocks()), "run: python -m fleetflow_tasks.runtimes.editor docs/editor"


def test_the_module_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["editor", str(tmp_path)])

    runpy.run_path(editor.__file__, run_name="__main__")

    assert {path.name for path in tmp_path.iterdir()} == set(written(blocks()))


def test_every_node_of_the_language_is_there() -> None:
    found = json.loads(written(blocks())["language.json"])

    named = set(re.findall(r'"name": "([^"]+)"', json.dumps(found)))

    assert named == {row.name for row in every_row(document_row(blocks()))} - {""}


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_snippet_is_a_project_with_its_values_as_they_are(name: str, tmp_path: Path) -> None:
    file = tmp_path / "fleet.kdl"
    file.write_text(_around(name, _filled(name)), encoding="utf-8")

    loaded = load(
        tmp_path, file=file, stage=None, variables={}, environ={"VARIABLE": "x", "PG_PASSWORD": "x"}, blocks=blocks()
    )

    assert loaded.warnings == ()


def _filled(name: str) -> str:
    snippet = SNIPPETS[name]
    assert isinstance(snippet, dict)
    return re.sub(
        r"\$\{\d+:((?:\\.|[^}])*)\}", lambda found: re.sub(r"\\(.)", r"\1", found[1]), "\n".join(snippet["body"])
    )


def _around(name: str, text: str) -> str:
    if text.startswith('stage "'):
        return f'service "api"\n{text}'
    runtime, _, own = name.partition(" ")
    inside = f"{runtime} {{\n{text}\n}}" if own else text
    service = text if text.startswith('service "') else f'service "api" {{\n{inside}\n}}'
    named = service.split('"')[1]
    return f'{service}\nstage "local" {{ service "{named}" }}'
