# SPDX-License-Identifier: Apache-2.0
"""What every file of the repository keeps to."""

import re
from pathlib import Path

LICENCE = "SPDX-License-Identifier: Apache-2.0"

# Files that carry code. Data, prose and lock files are under LICENSE as a whole.
CODE = re.compile(
    r".*\.(py|pyi|lua|kdl|sh|go)$|^Makefile$|^scripts/.*|^bench/peers/[^.]*$|^\.ci/.*|.*/(start|answer)$|.*Dockerfile$"
)

# What is true of one machine only. Texts that a user may read as an example (`/data`, `/var/run/docker.sock`) are not.
MACHINE = re.compile(r"/(?:work|root|opt|mnt)/|/home/(?!ann/|user/)[a-z]\w+/")
REGISTRY = re.compile(
    r"registry-1\.docker\.io|pypi\.org|pythonhosted\.org|proxy\.golang\.org|registry\.npmjs\.org|deb\.debian\.org"
)
NOT_OURS = {"uv.lock", "tests/house/test_files.py"}


def test_every_file_of_code_names_its_licence_in_its_first_lines(root: Path, kept: tuple[str, ...]) -> None:
    code = [name for name in kept if CODE.fullmatch(name)]

    without = [name for name in code if LICENCE not in "\n".join(_text(root, name).splitlines()[:3])]

    assert code
    assert without == []


def test_no_file_knows_the_machine_it_was_written_on(root: Path, kept: tuple[str, ...]) -> None:
    found = _found(root, kept, MACHINE)

    assert found == []


def test_no_file_names_a_registry_of_packages(root: Path, kept: tuple[str, ...]) -> None:
    found = _found(root, kept, REGISTRY)

    assert found == []


def test_no_file_is_larger_than_a_person_would_review(root: Path, kept: tuple[str, ...]) -> None:
    large = [name for name in kept if name != "uv.lock" and (root / name).stat().st_size > 200_000]

    assert large == []


def test_modules_are_one_idea_each_and_say_it(root: Path, kept: tuple[str, ...]) -> None:
    modules = [name for name in kept if name.startswith("fleetflow_tasks/") and name.endswith(".py")]

    vague = [name for name in modules if Path(name).stem in {"utils", "util", "helpers", "common", "manager", "misc"}]
    silent = [name for name in modules if '"""' not in _text(root, name) and _text(root, name).count("\n") > 1]

    assert vague == []
    assert silent == []


def _found(root: Path, kept: tuple[str, ...], pattern: re.Pattern[str]) -> list[str]:
    """Where *pattern* stands, as `file:line: what`."""
    return [
        f"{name}:{number}: {match.group()}"
        for name in kept
        if name not in NOT_OURS
        for number, line in enumerate(_text(root, name).splitlines(), 1)
        if (match := pattern.search(line))
    ]


def _text(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8", errors="replace")
