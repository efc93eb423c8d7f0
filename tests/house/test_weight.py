# SPDX-License-Identifier: Apache-2.0
"""What a command loads, exactly: milliseconds differ between machines, `sys.modules` does not.

import-linter knows who imports whom, not when; a lazy import that became an eager one shows only here.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

UNAVAILABLE = 4  # the exit code where an engine or a Redis does not answer, as here none does
HEAVY = {"celery", "docker", "google", "jinja2", "kombu", "kubernetes", "redis", "requests", "rich"}

# Runs `flow …` as its entry point does, then says which of the heavy ones are there.
PROBE = """
import sys
from fleetflow_tasks.cli.commands import run
code = run(sys.argv[1:])
print("LOADED", code, *sorted({name.partition(".")[0] for name in sys.modules}))
"""

PROJECT = """\
project "weight"
service "api" { image "fleetflow/base"; version 1 }
stage "local" { service "api" }
"""


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "fleet.kdl").write_text(PROJECT, encoding="utf-8")
    return tmp_path


def loaded(desk: Path, *arguments: str, code: int) -> set[str]:
    """The heavy packages that `flow *arguments*` has loaded when it ends with *code*: it got as far as it should."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("FLEET", "COVERAGE", "DOCKER"))
    }
    nowhere = f"unix://{desk}/nobody.sock"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        cwd=desk,
        env={
            **environ,
            "DOCKER_HOST": nowhere,
            "FLEETFLOW_REDIS_URL": nowhere,
            "FLEETFLOW_STATE_DIR": str(desk / "state"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
    assert lines, done.stderr
    _, left_with, *modules = lines[0].split()
    assert int(left_with) == code, done.stderr
    return HEAVY & set(modules)


def test_help_loads_nothing_heavy(desk: Path) -> None:
    assert loaded(desk, "--help", code=0) == set()


def test_a_wrong_command_loads_nothing_heavy(desk: Path) -> None:
    assert loaded(desk, "depoly", code=2) == set()


def test_validate_talks_to_nobody(desk: Path) -> None:
    assert loaded(desk, "validate", code=0) == set()


def test_graph_talks_to_nobody(desk: Path) -> None:
    assert loaded(desk, "graph", code=0) == set()


def test_fmt_loads_jinja_only_for_a_template(desk: Path) -> None:
    assert loaded(desk, "fmt", "--check", code=0) == set()

    (desk / "fleet.kdl").write_text("a {{ X }}\n", encoding="utf-8")

    assert loaded(desk, "fmt", "--check", code=0) == {"jinja2"}


def test_init_loads_nothing_heavy(desk: Path) -> None:
    assert loaded(desk, "init", "new", "--force", code=0) == set()


def test_version_reads_what_is_installed_and_loads_nothing_of_it(desk: Path) -> None:
    assert loaded(desk, "version", "--json", code=0) == set()


def test_plan_asks_the_engine_but_no_redis_and_no_celery(desk: Path) -> None:
    assert loaded(desk, "plan", code=UNAVAILABLE) <= {"docker", "requests"}


def test_diff_asks_the_engine_but_no_redis_and_no_celery(desk: Path) -> None:
    assert loaded(desk, "diff", code=UNAVAILABLE) <= {"docker", "requests"}


@pytest.mark.parametrize("words", ["exec api -- true", "port-forward api 80", "logs"])
def test_reaching_into_a_service_loads_no_redis_and_no_celery(desk: Path, words: str) -> None:
    assert loaded(desk, *words.split(), code=UNAVAILABLE) <= {"docker", "requests"}


def test_render_talks_to_nobody(desk: Path) -> None:
    assert loaded(desk, "render", code=0) == set()


def test_up_looks_at_the_engine_before_it_loads_anything_else(desk: Path) -> None:
    assert loaded(desk, "up", code=UNAVAILABLE) <= {"docker", "requests"}


def test_submit_loads_neither_celery_nor_a_platform(desk: Path) -> None:
    assert loaded(desk, "submit", code=UNAVAILABLE) == {"redis"}


def test_watch_loads_neither_celery_nor_a_platform(desk: Path) -> None:
    assert loaded(desk, "watch", "r1234", code=UNAVAILABLE) == {"redis"}


@pytest.mark.parametrize("words", ["runs", "show r1234", "queue", "cancel r1234", "retry r1234", "rollback shop/stg"])
def test_operators_verbs_load_neither_celery_nor_a_platform(desk: Path, words: str) -> None:
    assert loaded(desk, *words.split(), code=UNAVAILABLE) == {"redis"}
