# SPDX-License-Identifier: Apache-2.0
"""The house looks at the repository itself: every file that is kept, or would be with the next commit."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _kept(root: Path) -> tuple[str, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return tuple(sorted(name for name in listed.split("\0") if name and (root / name).is_file()))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def kept(root: Path) -> tuple[str, ...]:
    """The names of the repository's files, relative to its root."""
    return _kept(root)
