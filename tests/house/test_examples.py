# SPDX-License-Identifier: Apache-2.0
"""Examples are promises: each can be read as it is, says in three lines what it is, and is deployed by some test."""

import re
from pathlib import Path

import pytest

from fleetflow_tasks.config.formatting import formatted
from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.check import check
from fleetflow_tasks.runtimes.registry import blocks

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/fleet.kdl"))

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)


@every_example
def test_an_example_becomes_a_plan_in_all_its_stages(example: Path) -> None:
    stages = load(example, file=None, stage=None, variables={}, environ={}).project.stages

    assert stages
    for stage in stages:
        loaded = load(example, file=None, stage=stage.name, variables={}, environ={}, blocks=blocks())
        made = build(loaded.project, stage.name)

        assert loaded.warnings == ()
        assert [problem for problem in check(made) if problem.severity == "error"] == []


@every_example
def test_an_example_is_formatted(example: Path) -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(example.rglob("*.kdl"))}

    assert [path.name for path, text in texts.items() if formatted(Text(path.name, text)).text != text] == []


@every_example
def test_an_example_says_in_three_lines_what_it_is(example: Path) -> None:
    lines = [line for line in (example / "README.md").read_text(encoding="utf-8").splitlines() if line]

    assert lines[0].startswith("# ")
    assert 1 <= len(lines) - 1 <= 3


@every_example
def test_an_example_uses_only_images_that_the_set_up_makes(example: Path) -> None:
    made = set(
        re.findall(
            r"^(?:plain|program) (\S+) \d+\b", (ROOT / "scripts" / "images").read_text(encoding="utf-8"), re.MULTILINE
        )
    )

    files = [*example.rglob("*.kdl"), *example.rglob("Dockerfile")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    used = set(re.findall(r'(?:image "|FROM )fleetflow/([^":\s]+)', text))

    assert used
    assert used <= made
    assert len(used) <= text.count("image ") + text.count("FROM ")


@every_example
def test_an_example_is_deployed_by_a_test(example: Path) -> None:
    tests = [
        path
        for path in (ROOT / "tests" / "e2e").glob("*.py")
        if f'"{example.name}"' in path.read_text(encoding="utf-8")
    ]

    assert tests, f"no test in tests/e2e names {example.name!r}"
