# SPDX-License-Identifier: Apache-2.0
"""`make` is the front door of this repository: what it offers is said, and CI walks through the same one."""

import re
from pathlib import Path

from fleetflow_tasks.cli.commands import COMMANDS


def test_every_target_says_what_it_does(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")

    targets = re.findall(r"^([a-z-]+):(.*)$", makefile, re.MULTILINE)
    silent = [name for name, rest in targets if "## " not in rest]

    assert {"demo", "test", "check", "fix", "bench", "docs", "clean"} <= {name for name, _ in targets}
    assert silent == []


def test_every_target_is_phony(root: Path) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")

    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())

    assert targets == phony


def test_ci_runs_what_a_person_runs(root: Path) -> None:
    run = (root / ".ci" / "run").read_text(encoding="utf-8")

    assert "set -e" in run
    assert run.rstrip().endswith("make check")
    assert "export CI=true" in run


def test_every_script_is_looked_at_by_shellcheck(root: Path, kept: tuple[str, ...]) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")

    scripts = [name for name in kept if (root / name).read_bytes().startswith(b"#!/usr/bin/env bash")]
    unseen = [name for name in scripts if name not in makefile.split()]

    assert unseen == []


def test_every_script_may_be_executed(root: Path, kept: tuple[str, ...]) -> None:
    scripts = [name for name in kept if (root / name).read_bytes().startswith(b"#!/")]

    not_executable = [name for name in scripts if not (root / name).stat().st_mode & 0o100]

    assert scripts
    assert not_executable == []


def test_every_command_that_a_message_names_exists(root: Path, kept: tuple[str, ...]) -> None:
    """`more: flow logs api` is only of use where there is a `flow logs`."""
    named = {
        (name, word)
        for name in kept
        if name.startswith("fleetflow_tasks/") and name.endswith((".py", ".lua"))
        for word in re.findall(r"[\"'`]flow ([a-z]+(?:-[a-z]+)*)", (root / name).read_text(encoding="utf-8"))
    }

    assert {word for _, word in named} >= {"logs", "watch", "worker"}
    assert sorted((name, word) for name, word in named if word not in COMMANDS) == []
