# SPDX-License-Identifier: Apache-2.0
"""What is public: the front door, what a runtime is made of, what it is tested with. All else may change any day.

A name that comes or goes here is a change for users: it belongs into the changelog.
"""

import importlib

import pytest

PUBLIC = {
    "fleetflow_tasks.api": (
        "Follow Following Forward Forwarded Planned Promotion Request Shift actor changes checkup declared_ports execute followed"
        " forwarded imported is_held logs opened origin plan promotion queue rendered retried rolled_back rolled_back_here runs shift shown stages status"
        " submitted teardown_plan up validated version_before which_redis work written"
    ),
    "fleetflow_tasks.runtimes.base": (
        "Addressed Attempt Change DeployError Examined FieldChange Finding Interactive LogLine LogOptions NotStartedError Outcome"
        " Runtime ServiceStatus StaleError Stopped Terminal"
    ),
    "fleetflow_tasks.testing": "RuntimeContract Trial eventually",
}


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
