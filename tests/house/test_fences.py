# SPDX-License-Identifier: Apache-2.0
"""Each fence of a page is run or checked by a test that is named here, or it stands here why that cannot be."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from fleetflow_tasks.cli.commands import flow
from tests.house.test_docs import PAGES, ROOT
from tests.pages import fences

CHECKED = {
    ("README.md", "console"): "tests/e2e/test_tutorial.py",
    ("docs/cli.md", "text"): "tests/unit/cli/test_reference.py",
    ("docs/editors.md", "json"): "tests/house/test_fences.py",
    ("docs/errors.md", "text"): "tests/house/test_catalogue.py",
    ("docs/from-compose.md", "sh"): "tests/e2e/test_pages.py",
    ("docs/from-compose.md", "yaml"): "tests/house/test_fences.py",
    ("docs/json.md", "console"): "tests/unit/view/contract/test_contract.py",
    ("docs/json.md", "json"): "tests/unit/view/contract/test_contract.py",
    ("docs/json.md", "python"): "tests/unit/view/contract/test_contract.py",
    ("docs/language.md", "text"): "tests/e2e/test_pages.py",
    ("docs/security.md", "sh"): "tests/engine/security/test_flower.py",
    ("docs/security.md", "text"): "tests/engine/security/test_rights.py",
    ("docs/tutorial.md", "console"): "tests/e2e/test_tutorial.py",
    ("docs/tutorial.md", "diff"): "tests/e2e/test_tutorial.py",
}
OPTIONS_ALONE = {  # what is typed exists; what is shown was printed once, and is not compared
    ("docs/building.md", "console"): "npm and a registry: tests/docker/test_build.py builds and pushes",
    ("docs/cloudrun.md", "console"): "no output is shown: docs/tutorial.md does the same with it",
    ("docs/tutorial.md", "sh"): "a pipeline's script: its stage is not in the tutorial's file",
    ("docs/editors.md", "vim"): "Vim is not installed: the form of the lines is that of the task for VS Code",
    ("ops/kubernetes/README.md", "sh"): "kubectl: tests/kubernetes/roles.py gives the same files",
    ("ops/kubernetes/README.md", "yaml"): "kustomize: tests/kubernetes/roles.py gives the same files",
    ("ops/cloudrun/README.md", "sh"): "gcloud at Google: tests/cloudrun/test_rights.py reads the same role",
}
OURS = sorted({*PAGES, *(ROOT / "ops").rglob("*.md")})


def kinds(page: Path) -> set[tuple[str, str]]:
    name = str(page.relative_to(ROOT))
    return {(name, fence.language) for fence in fences(page) if fence.language not in ("", "kdl")}


def test_every_fence_has_its_test() -> None:
    there = {kind for page in OURS for kind in kinds(page)}

    assert there == {*CHECKED, *OPTIONS_ALONE}


@pytest.mark.parametrize("kind", CHECKED, ids=" ".join)
def test_the_test_of_a_fence_speaks_of_its_page(kind: tuple[str, str]) -> None:
    test = ROOT / CHECKED[kind]

    assert Path(kind[0]).name in test.read_text(encoding="utf-8"), test


@pytest.mark.parametrize("page", OURS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_typed_has_commands_and_options_that_exist(page: Path) -> None:
    unknown = [line for line in _typed(page) if not _known(line)]

    assert unknown == []


def _typed(page: Path) -> Iterator[str]:
    """Command lines of `flow`, each to where the next program begins."""
    for fence in fences(page):
        if fence.language in ("console", "sh"):
            for found in re.finditer(r"^(?:\$ )?flow ([^|;>#\n]*)", fence.text, re.MULTILINE):
                yield found[1].strip()


def _known(line: str) -> bool:
    words = shlex.split(line.partition(" -- ")[0])
    command = flow.get_command(click.Context(flow), words[0])
    options = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
    if command is None:
        return False
    return options <= {name for each in command.params for name in each.opts}


def test_the_example_for_compose_is_the_same_on_both_sides() -> None:
    page = ROOT / "docs" / "from-compose.md"
    text = {fence.language: fence.text for fence in fences(page, "One example, on both sides")}

    theirs = re.findall(r"^  (\w+):$", text["yaml"].partition("\nvolumes:")[0], re.MULTILINE)

    assert theirs == re.findall(r'^service "(\w+)"', text["kdl"], re.MULTILINE)
    for word in ("postgres:16", "ghcr.io/shop/migrate:1.4", ".env.postgres", "pg_isready", "${LOG:-info}", "256M"):
        assert word in text["yaml"]
        assert word in text["kdl"]


def test_the_task_for_vs_code_reads_what_validate_prints() -> None:
    [fence] = [each for each in fences(ROOT / "docs" / "editors.md") if each.language == "json"]
    escaped = re.search(r'"regexp": "(.*?)", "file"', fence.text)
    assert escaped
    pattern = escaped[1].replace("\\\\", "\\")

    warning = re.match(pattern, "fleet.kdl:13:5: warning: unknown node `enviroment` in service `hello`")
    error = re.match(pattern, "fleet.kdl:14:72: `interval` takes seconds")

    assert warning
    assert warning.groups() == (
        "fleet.kdl",
        "13",
        "5",
        "warning",
        "unknown node `enviroment` in service `hello`",
    )
    assert error
    assert error.groups() == ("fleet.kdl", "14", "72", None, "`interval` takes seconds")
