# SPDX-License-Identifier: Apache-2.0
"""For tests of FleetFlow, and for those who write a runtime: the suite that it must pass, and an attempt to hand it."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from fleetflow_tasks.testing.trial import Trial

if TYPE_CHECKING:
    from fleetflow_tasks.testing.contract import RuntimeContract

__all__ = ["RuntimeContract", "Trial", "eventually"]


def eventually(check: Callable[[], object], within: float = 10.0) -> None:
    """Return as soon as *check* answers with something true; fail after *within* seconds."""
    end = time.monotonic() + within
    while not check():
        if time.monotonic() > end:
            raise AssertionError(f"not within {within:g} s")
        time.sleep(0.02)


def __getattr__(name: str) -> object:
    """The suite needs pytest, which a worker process in a test does not."""
    if name == "RuntimeContract":
        from fleetflow_tasks.testing.contract import RuntimeContract

        return RuntimeContract
    raise AttributeError(name)
