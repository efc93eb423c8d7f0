# SPDX-License-Identifier: Apache-2.0
"""A room's own page names every module in it, and none that is not there."""

import re
from pathlib import Path

import pytest

from fleetflow_tasks.runtimes import cloudrun, kubernetes
from fleetflow_tasks.testing import cloudrun as played

ROOMS = {"cloudrun": cloudrun, "kubernetes": kubernetes, "testing/cloudrun": played}


@pytest.mark.parametrize("room", ROOMS)
def test_the_map_of_a_room_names_all_modules_that_are_in_it(room: str) -> None:
    page = ROOMS[room]
    folder = Path(page.__path__[0])

    named = set(re.findall(r"`(\w+)`", page.__doc__ or ""))

    assert sorted(named) == sorted(file.stem for file in folder.glob("*.py") if file.stem != "__init__")
