# SPDX-License-Identifier: Apache-2.0
"""The language page is printed from the schema, and what it shows works."""

import re
import runpy
from pathlib import Path

import pytest

from fleetflow_tasks.config.decode import decode
from fleetflow_tasks.config.kdl import parse
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.reference import reference
from fleetflow_tasks.config.schema import Row, document_row, every_row
from fleetflow_tasks.runtimes.registry import blocks

from .conftest import Folder

PAGE = Path(__file__).parents[3] / "docs" / "language.md"

DOCUMENT = document_row(blocks())
SERVICE = next(row for row in DOCUMENT.rows if row.name == "service")
STAGE = next(row for row in DOCUMENT.rows if row.name == "stage")
BLOCKS = [row for row in SERVICE.rows if row.field.startswith("options.")]
EXAMPLES = [(parent, row) for parent in (DOCUMENT, SERVICE, STAGE, *BLOCKS) for row in parent.rows if row.example]


def test_the_page_is_what_the_schema_prints() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(blocks()), (
        "run: python -m fleetflow_tasks.runtimes.reference > docs/language.md"
    )


def test_the_module_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("fleetflow_tasks.runtimes.reference", run_name="__main__")

    assert capsys.readouterr().out == reference(blocks())


@pytest.mark.parametrize(("parent", "row"), EXAMPLES, ids=lambda row: row.name)
def test_every_example_reads_without_a_problem(parent: Row, row: Row) -> None:
    block, problems = decode(parse(Text("example", row.example)), parent)

    assert problems == []
    assert row.field in block.values


def test_the_first_example_loads_for_each_of_its_stages(folder: Folder) -> None:
    folder.environ = {"PG_PASSWORD": "x"}
    example = re.search(r"```kdl\n(.*?)```", reference(blocks()), re.DOTALL)
    assert example is not None
    folder.write({"fleet.kdl": example[1]})

    assert folder.load().warnings == ()
    assert [stage.name for stage in folder.load().project.stages] == ["local", "prd"]


def test_every_mark_of_the_prose_is_filled_in() -> None:
    assert re.findall(r"@[A-Z_]+@", reference(blocks())) == []


def test_every_row_says_what_it_is_for() -> None:
    assert [row.name for row in every_row(DOCUMENT) if not row.doc.endswith(".")] == []
