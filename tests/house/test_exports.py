# SPDX-License-Identifier: Apache-2.0
"""What is public: the front door, what a runtime is made of, what it is tested with. All else may change any day.

A name that comes or goes here is a change for users: it belongs into the changelog.
"""

import importlib
from pathlib import Path

import pytest

from fleetflow_tasks import api

PUBLIC = {
    "fleetflow_tasks.api": (
        "Configured Follow Following FormattedFile Formatting Forward Forwarded IGNORED Known Planned"
        " Promotion Request Shift Surroundings actor begun built changes checkup configured declared_ports"
        " destination execute followed formatted_files formatted_text forwarded imported installed is_held"
        " known_variables logs opened origin plan promotion queue reading_once rendered restart_plan retried rolled_back"
        " rolled_back_here runs shift shown stages status submitted surroundings teardown_plan unpushed up"
        " validated version_before volumes which_redis work written"
    ),
    "fleetflow_tasks.runtimes.base": (
        "Addressed Attempt Building Built Change DeployError Examined FieldChange Finding HeldVolume Holding Interactive LogLine LogOptions NotStartedError Outcome"
        " Placed Restarting Runtime ServiceStatus StaleError Stopped Terminal"
    ),
    "fleetflow_tasks.testing": "RuntimeContract Trial eventually",
}


def test_every_name_of_the_front_door_opens_it_and_no_module_behind_it_has_such_a_name() -> None:
    behind = {file.stem for file in Path(api.__path__[0]).glob("*.py")}

    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert behind & set(api.__all__) == set()


@pytest.mark.parametrize("room", PUBLIC)
def test_a_public_room_exports_just_what_is_promised(room: str) -> None:
    assert sorted(_exported(room)) == sorted(PUBLIC[room].split())


def _exported(room: str) -> set[str]:
    """`__all__` where a room has one, else what it defines itself and does not hide."""
    module = importlib.import_module(room)
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return set(listed)
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == room
    }
