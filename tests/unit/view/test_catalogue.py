# SPDX-License-Identifier: Apache-2.0
"""The catalogue of problems as a page: a heading per chapter and code, and what belongs to it."""

import subprocess
import sys

from fleetflow_tasks.view.catalogue import CHAPTERS
from fleetflow_tasks.view.catalogue.entry import Chapter, Entry
from fleetflow_tasks.view.catalogue.page import page

STALE = Entry(code="stale", meaning="A newer run made it.", example="`api` was made by a newer run", fix="Nothing.")
BUSY = Entry(code="busy", meaning="Somebody is at work.", example="stage `prd` is busy")


def test_a_chapter_is_its_codes_in_order_each_with_its_words_and_what_helps() -> None:
    printed = page([Chapter(title="Runs", about="What a run may not do.", entries=(STALE, BUSY))])

    assert printed.partition("## Runs")[2] == (
        "\n\nWhat a run may not do.\n\n"
        "### `busy`\n\nSomebody is at work.\n\n```text\nstage `prd` is busy\n```\n\n"
        "### `stale`\n\nA newer run made it.\n\n```text\n`api` was made by a newer run\n```\n\nNothing.\n"
    )


def test_every_code_has_a_heading_to_link_to() -> None:
    headings = [line for line in page(CHAPTERS).splitlines() if line.startswith("### ")]

    assert headings == [f"### `{entry.code}`" for chapter in CHAPTERS for entry in chapter.entries]


def test_the_page_is_printed_by_a_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleetflow_tasks.view.catalogue"], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == page(CHAPTERS)
