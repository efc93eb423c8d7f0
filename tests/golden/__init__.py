# SPDX-License-Identifier: Apache-2.0
"""What is printed, kept in files beside this one: a change of a screen is seen in a review as it will be seen by users.

    golden("plan-80", changes.text(plan, found, columns=80))

compares with `plan-80.txt`. `FLEETFLOW_TEST_GOLDEN=write pytest …` writes the files anew, to be looked at and kept.
Escape sequences stand there as `\\e[32m`, so that any editor shows them. Each name stands, quoted and whole, in the test that
prints it: `tests/house/test_golden.py` finds by that the files that no test compares any more.
"""

import os
from difflib import unified_diff
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def golden(name: str, text: str) -> None:
    """Compare *text* with what is kept as *name*; a failure shows where they part."""
    file = FOLDER / f"{name}.txt"
    printed = visible(text)
    if os.environ.get("FLEETFLOW_TEST_GOLDEN") == "write":
        file.write_text(printed, encoding="utf-8")
    assert file.exists(), f"nothing is kept as {file.name}: FLEETFLOW_TEST_GOLDEN=write writes it"
    kept = file.read_text(encoding="utf-8")
    assert printed == kept, "\n".join(
        unified_diff(kept.splitlines(), printed.splitlines(), "kept", "printed", lineterm="")
    )


def visible(text: str) -> str:
    """*text* as a file may hold it: a line break at its end, no escape character."""
    return text.replace("\x1b", "\\e").removesuffix("\n") + "\n"
