# SPDX-License-Identifier: Apache-2.0
"""The tutorial, and the first screen of the README, typed in an empty folder: what they say is printed is printed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk
from tests.pages import Reader, free_port

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def reader(desk: Desk) -> Iterator[Reader]:
    """The project's folder has the name of the desk's own, so that nobody is disturbed and all of it goes."""
    made = Reader(
        desk.folder, {**desk.environ, "TMPDIR": str(desk.folder)}, {"greetings": desk.project, "6390": str(free_port())}
    )
    yield made
    made.close()


def test_a_laptop_then_a_team(reader: Reader) -> None:
    for part in ("A laptop", "A stage of several services", "Mistakes", "A change, and back", "A team"):
        reader.follow(ROOT / "docs" / "tutorial.md", part)


def test_the_first_screen_of_the_readme(desk: Desk) -> None:
    names = {
        'project "shop"': f'project "{desk.project}"',
        "shop/local": f"{desk.project}/local",
        "shop-local": f"{desk.project}-local",
        "port 8080 8080": "port container=8080",  # somebody else may have it
    }
    reader = Reader(desk.folder, desk.environ, names)

    reader.follow(ROOT / "README.md")
    reader.close()
