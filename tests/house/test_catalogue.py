# SPDX-License-Identifier: Apache-2.0
"""The catalogue of problems says what the source says: all codes and no others, in its words, each expected by a test."""

import ast
import runpy
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from fleetflow_tasks.view.catalogue import CHAPTERS
from fleetflow_tasks.view.catalogue.entry import Entry
from fleetflow_tasks.view.catalogue.page import page

from .codes import Known, codes

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = [entry for chapter in CHAPTERS for entry in chapter.entries]
KNOWN = codes(ROOT / "fleetflow_tasks")


def known(code: str) -> Known | None:
    """Also by the family that it is of: `docker-*` for `docker-scaling`."""
    if code in KNOWN:
        return KNOWN[code]
    families = [name for name in KNOWN if "*" in name and fnmatchcase(code, name)]
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
    """By its name, its example, or words that only it says."""
    texts = _texts_of_tests()
    expected = "\n".join(texts)

    unexpected = [
        entry.code
        for entry in ENTRIES
        if entry.code not in texts and not any(part in expected for part in _telling(entry))
    ]

    assert unexpected == []


def test_the_page_is_what_the_rows_print(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_module("fleetflow_tasks.view.catalogue", run_name="__main__")

    printed = capsys.readouterr().out
    assert printed == page(CHAPTERS)
    assert (ROOT / "docs" / "errors.md").read_text(encoding="utf-8") == printed, (
        "run: python -m fleetflow_tasks.view.catalogue > docs/errors.md"
    )


def _texts_of_tests() -> set[str]:
    """Every text that a test holds, but those of this folder."""
    found: set[str] = set()
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path.parent != Path(__file__).parent:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            values = [each.value for each in ast.walk(tree) if isinstance(each, ast.Constant)]
            found |= {value for value in values if isinstance(value, str)}
            found |= {value.decode(errors="replace") for value in values if isinstance(value, bytes)}
    return found


def _telling(entry: Entry) -> set[str]:
    """What a test may hold instead of the bare code."""
    source = known(entry.code)
    return {entry.example, f"{entry.code}: ", f"{entry.code} (", *(source.stretches() if source else ())}
