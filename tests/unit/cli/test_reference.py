# SPDX-License-Identifier: Apache-2.0
"""The page of commands is printed from the commands, and leaves none out."""

import re
import runpy
from pathlib import Path

import pytest

from fleetflow_tasks.cli.commands import COMMANDS

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


@pytest.fixture
def page(capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_module("fleetflow_tasks.cli.reference", run_name="__main__")
    return capsys.readouterr().out


def test_the_page_is_what_the_commands_print(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, "run: python -m fleetflow_tasks.cli.reference > docs/cli.md"


def test_every_command_has_its_heading_and_says_what_it_does(page: str) -> None:
    headings = re.findall(r"^### `flow ([a-z-]+)`$", page, re.MULTILINE)

    assert headings == list(COMMANDS)


def test_what_many_commands_take_is_said_once(page: str) -> None:
    assert page.count("- `-C, --directory DIRECTORY`") == 1
    assert "- `--rollback`: Should the run fail" in page


def test_lines_that_belong_together_stay_lines(page: str) -> None:
    assert "\b" not in page
