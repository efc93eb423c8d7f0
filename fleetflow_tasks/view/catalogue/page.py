# SPDX-License-Identifier: Apache-2.0
"""The catalogue as a page: a heading per code, so that each can be linked to."""

from collections.abc import Iterable, Iterator

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

_HEAD = """\
# Problems by their codes

<!-- Printed by `python -m fleetflow_tasks.view.catalogue`; change `fleetflow_tasks/view/catalogue/` instead. -->

Each problem is told as one line that is complete, then its cause, then what to do. Its code, a word for machines, stands in
the output of `--json` ([json.md](json.md)). A code keeps its meaning; what the lines say may be said better one day.
"""


def page(chapters: Iterable[Chapter]) -> str:
    return "\n".join([_HEAD, *(line for chapter in chapters for line in _chapter(chapter))])


def _chapter(chapter: Chapter) -> Iterator[str]:
    yield f"## {chapter.title}\n\n{chapter.about}\n"
    for entry in sorted(chapter.entries, key=lambda entry: entry.code):
        yield _entry(entry)


def _entry(entry: Entry) -> str:
    fix = f"\n{entry.fix}\n" if entry.fix else ""
    return f"### `{entry.code}`\n\n{entry.meaning}\n\n```text\n{entry.example}\n```\n{fix}"
