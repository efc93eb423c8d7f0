# SPDX-License-Identifier: Apache-2.0
"""Whatever a project asks for, `flow validate` ends by itself, within bounds of time and memory, and says what is wrong."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.attacks import ATTACKS, QUICK
from tests.fuzz.effort import LONG

MEMORY = 2**30  # bytes of address space
SECONDS = 20  # of one core
LIMITED = ("prlimit", f"--as={MEMORY}", f"--cpu={SECONDS}", "--core=0")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Gone behind the test, whatever lies in it: Python cannot remove a folder that is a thousand deep, `rm` can."""
    made = tmp_path / "work"
    made.mkdir()
    yield made
    subprocess.run(["rm", "-rf", str(made)], check=True)


@pytest.mark.parametrize("name", ATTACKS if LONG else QUICK)
def test_a_hostile_project_ends_with_an_answer(name: str, folder: Path, tmp_path: Path) -> None:
    ATTACKS[name](folder)

    done = subprocess.run(
        [*LIMITED, sys.executable, "-m", "fleetflow_tasks", "validate", "--stage=local"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "FLEETFLOW_STATE_DIR": str(tmp_path / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )

    assert done.returncode in (0, 3), done.stderr[-2000:]
    assert b"Traceback" not in done.stderr
    assert len(done.stderr) < 2**20
