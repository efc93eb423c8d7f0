# SPDX-License-Identifier: Apache-2.0
"""The catalogue of problems says what the source says: all codes and no others, in its words, each expected by a test."""

import ast
import runpy
from pathlib import Path

import pytest

from fleetflow_tasks.view.catalogue import CHAPTERS
from fleetflow_tasks.view.catalogue.page import page

from .codes import Known, codes

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = [entry for chapter in CHAPTERS for entry in chapter.entries]
KNOWN = codes(ROOT / "fleetflow_tasks")


def known(code: str) -> Known | None:
    """Also by the family that it is of: `docker-*` for `docker-scaling`."""
    if code in KNOWN:
        return KNOWN[code]
    families = [name for name in KNOWN if name.endswith("*") and code.startswith(name[:-1])]
    return KNOWN[max(families, key=len)] if families else None


def test_every_code_of_the_source_stands_in_the_catalogue_and_no_other() -> None:
    listed = {entry.code for entry in ENTRIES}

    assert sorted(code for code in KNOWN if "*" not in code and code not in listed) == []
    assert sorted(code for code in listed if known(code) is None) == []


def test_a_code_stands_there_once() -> None:
    assert sorted({entry.code for entry in ENTRIES if [e.code for e in ENTRIES].count(entry.code) > 1}) == []


def test_an_example_is_worded_as_the_source_words_it() -> None:
    unlike = [entry.code for entry in ENTRIES if (found := known(entry.code)) and not found.says(entry.example)]

    assert unlike == []


def test_every_code_is_expected_by_a_test() -> None:
    """By its name, or by words that only it says."""
    expected = "\n".join(_texts_of_tests())

    unexpected = [
        entry.code
        for entry in ENTRIES
        if f"{entry.code}" not in expected.split("\n") and not any(part in expected for part in _parts(entry.example))
    ]

    assert unexpected == []


def test_the_page_is_what_the_rows_print(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("fleetflow_tasks.view.catalogue", run_name="__main__")

    printed = capsys.readouterr().out
    assert printed == page(CHAPTERS)
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == printed, (
        "run: python -m fleetflow_tasks.view.catalogue > docs/errors.md"
    )


def _texts_of_tests() -> list[str]:
    """Every text that a test holds, but those of this folder."""
    found: list[str] = []
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.parent != Path(__file__).parent:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [each.value for each in ast.walk(tree) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return found


def _parts(example: str) -> list[str]:
    """Stretches of an example that no name or number can change, long enough to be said by nothing else."""
    return [part.strip() for part in example.split("`")[::2] if len(part.strip()) >= 16]
