# SPDX-License-Identifier: Apache-2.0
"""The tutorial, followed from its first line in an empty folder: what it says is printed is printed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk
from tests.pages import Reader, free_port

pytestmark = pytest.mark.docker

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def reader(desk: Desk) -> Iterator[Reader]:
    """The project's folder has the name of the desk's own, so that nobody is disturbed and all of it goes."""
    made = Reader(desk.folder, desk.environ, {"greetings": desk.project, "6390": str(free_port())})
    yield made
    made.close()


def test_a_laptop_then_a_team(reader: Reader) -> None:
    for part in ("A laptop", "A stage of several services", "Mistakes", "A change, and back", "A team"):
        reader.follow(DOCS / "tutorial.md", part)
