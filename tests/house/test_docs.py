# SPDX-License-Identifier: Apache-2.0
"""Prose that nobody runs rots: links lead somewhere, KDL in a page can be deployed, commands in a page exist."""

import re
from pathlib import Path

import pytest

from fleetflow_tasks.cli.commands import COMMANDS
from fleetflow_tasks.config.load import load
from fleetflow_tasks.runtimes.registry import blocks

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    {
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "bench").rglob("*.md"),
    }
)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@every_page
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|mailto:)([^)\s]*)\)", _without_fences(page.read_text(encoding="utf-8")))

    broken = [link for link in links if not _leads_somewhere(page, link)]

    assert broken == []


@every_page
def test_kdl_in_a_page_is_a_project(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(_fenced(page, "kdl")):
        file = tmp_path / f"{number}.kdl"
        file.write_text(text, encoding="utf-8")

        loaded = load(
            tmp_path, file=file, stage=None, variables={}, environ={"FLEET_DB_PASSWORD": "x"}, blocks=blocks()
        )

        assert loaded.warnings == ()


@every_page
def test_commands_in_a_page_exist(page: Path) -> None:
    lines = [line for text in _fenced(page, "console") for line in text.splitlines()]

    called = {match.group(1) for line in lines if (match := re.match(r"\$ flow ([a-z-]+)", line))}

    assert called <= set(COMMANDS)


@every_page
def test_make_targets_in_a_page_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    called = set(re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8")))

    assert called <= targets


def _fenced(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def _without_fences(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def _leads_somewhere(page: Path, link: str) -> bool:
    name, _, heading = link.partition("#")
    target = page if not name else page.parent / name
    if not target.exists():
        return False
    return not heading or heading in {
        _anchor(line) for line in target.read_text(encoding="utf-8").splitlines() if line.startswith("#")
    }


def _anchor(heading: str) -> str:
    """As code hosts make it: lower case, punctuation out, spaces to dashes."""
    text = heading.lstrip("#").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
