# SPDX-License-Identifier: Apache-2.0
"""What is kept of screens is what tests compare."""

from pathlib import Path

FOLDER = "tests/golden/"


def test_every_golden_file_is_named_by_a_test(root: Path, kept: tuple[str, ...]) -> None:
    tests = [
        (root / name).read_text(encoding="utf-8")
        for name in kept
        if name.startswith("tests/") and name.endswith(".py") and not name.startswith(FOLDER)
    ]

    names = [name.removeprefix(FOLDER).removesuffix(".txt") for name in kept if name.startswith(FOLDER)]
    orphans = [name for name in names if not name.endswith(".py") and not any(f'"{name}"' in text for text in tests)]

    assert orphans == []


def test_no_golden_file_moves_a_cursor(root: Path, kept: tuple[str, ...]) -> None:
    files = [name for name in kept if name.startswith(FOLDER) and name.endswith(".txt")]

    moving = [name for name in files if any(not char.isprintable() for char in _text(root / name))]

    assert moving == []


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8").replace("\n", "").replace("\t", "")
