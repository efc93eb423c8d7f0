# SPDX-License-Identifier: Apache-2.0
import subprocess
from pathlib import Path

import pytest

from fleetflow_tasks.errors import Problem
from fleetflow_tasks.view import formatted
from tests.printed import checked


def test_a_difference_is_one_that_patch_takes(tmp_path: Path) -> None:
    old, new = 'a  1\nb\nc "\x0c"\nd', 'a 1\nb\nc "\x0c"\nd\n'
    (tmp_path / "f.kdl").write_text(old, encoding="utf-8", newline="")

    text = formatted.diff("f.kdl", old, new)
    subprocess.run(["patch", "-s", "-p0"], cwd=tmp_path, input=text + "\n", text=True, check=True)

    assert text.splitlines()[:2] == ["--- f.kdl", "+++ f.kdl"]
    assert "\\ No newline at end of file" in text
    assert (tmp_path / "f.kdl").read_bytes().decode() == new


def test_a_text_with_nothing_in_it_has_no_line() -> None:
    assert formatted.diff("f.kdl", " \n", "").splitlines() == ["--- f.kdl", "+++ f.kdl", "@@ -1 +0,0 @@", "- "]


def test_on_a_terminal_nothing_in_a_file_moves_the_cursor() -> None:
    text = formatted.diff("f.kdl", 'a  "\x1b[2J"\n', 'a "\x1b[2J"\n', terminal=True, colour=True)

    assert text.splitlines()[-1] == '\x1b[32m+a ""\x1b[0m'
    assert "[2J" not in text


@pytest.mark.parametrize(
    ("counts", "wrote", "line"),
    [
        ((2, 7, 0), True, "2 files formatted, 7 unchanged"),
        ((0, 1, 0), True, "1 file unchanged"),
        ((1, 0, 2), True, "1 file formatted, 2 left alone"),
        ((0, 0, 1), True, "1 file left alone"),
        ((0, 0, 0), True, "0 files unchanged"),
        ((1, 2, 0), False, "1 file would be formatted, 2 formatted already"),
    ],
)
def test_the_sum_is_one_line(counts: tuple[int, int, int], wrote: bool, line: str) -> None:
    assert formatted.summary(*counts, wrote=wrote) == line


def test_as_json_each_file_is_named() -> None:
    problem = Problem(code="syntax", message="wrong")

    (told,) = checked(formatted.as_json(["a.kdl"], ["b.kdl"], [problem], wrote=True))

    assert (told["written"], told["changed"], told["same"]) == (True, ["a.kdl"], ["b.kdl"])
    assert [each["code"] for each in told["problems"]] == ["syntax"]
