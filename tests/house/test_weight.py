# SPDX-License-Identifier: Apache-2.0
"""What a command loads, exactly: milliseconds differ between machines, `sys.modules` does not.

import-linter knows who imports whom, not when; a lazy import that became an eager one shows only here.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetflow_tasks.cli.commands import COMMANDS

UNAVAILABLE = 4  # the exit code where an engine or a Redis does not answer, as here none does
HEAVY = {"celery", "docker", "google", "jinja2", "kombu", "kubernetes", "redis", "requests"}
READING = {"fleetflow_tasks.config.load", "fleetflow_tasks.runtimes.registry"}  # what TAB has no time for
TAB = "_FLOW_COMPLETE"

# Runs `flow …` as its entry point does, then says which of the heavy ones are there.
PROBE = """
import sys
from fleetflow_tasks.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as left:
    code = left.code or 0
print("LOADED", code, *sorted(sys.modules))
"""

PROJECT = """\
project "weight"
service "api" { image "fleetflow/base"; version 1 }
service "run" { image "fleetflow/base:1"; port container=80; runtime "cloudrun" }
stage "local" { service "api" }
stage "stg" { service "api" }
stage "gcp" { runtime "cloudrun" { project "shop-prd"; region "europe-west1" }; service "run" }
"""

BUILT = 'service "api" { build "." }\nstage "local" { service "api" }'


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, text: str, file: str = "fleet.kdl") -> None:
        (self.folder / file).write_text(text, encoding="utf-8")

    def loaded(self, *arguments: str, code: int, **environ: str) -> set[str]:
        """The heavy packages that `flow *arguments*` has loaded when it ends with *code*: it got as far as it should."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("FLEET", "COVERAGE", "DOCKER"))
        }
        nowhere = f"unix://{self.folder}/nobody.sock"
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *arguments],
            cwd=self.folder,
            env={
                **inherited,
                "DOCKER_HOST": nowhere,
                "FLEETFLOW_REDIS_URL": nowhere,
                "FLEETFLOW_STATE_DIR": str(self.folder / "state"),
                **environ,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED ")]
        assert lines, done.stderr
        _, left_with, *modules = lines[0].split()
        assert int(left_with) == code, done.stdout + done.stderr
        return (HEAVY & {name.partition(".")[0] for name in modules}) | (
            READING & set(modules) if TAB in environ else set()
        )


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    made.write(PROJECT)
    made.write(BUILT, "built.kdl")
    (tmp_path / "Dockerfile").write_text("FROM fleetflow/base:1\n", encoding="utf-8")
    return made


ENGINE = frozenset({"docker", "requests"})
REDIS = frozenset({"redis"})
NOTHING: frozenset[str] = frozenset()

# command -> words that bring it as far as here is anybody to talk to, the exit code then, and what it may load until then.
# Loaded later, by `up` say once the engine has answered, is what carries a plan out.
COMMANDS_AND_WEIGHTS: Mapping[str, tuple[str, int, frozenset[str]]] = {
    "up": ("up", UNAVAILABLE, ENGINE),
    "submit": ("submit", UNAVAILABLE, REDIS),
    "watch": ("watch r1234", UNAVAILABLE, REDIS),
    "runs": ("runs", UNAVAILABLE, REDIS),
    "show": ("show r1234", UNAVAILABLE, REDIS),
    "queue": ("queue", UNAVAILABLE, REDIS),
    "cancel": ("cancel r1234", UNAVAILABLE, REDIS),
    "retry": ("retry r1234", UNAVAILABLE, REDIS),
    "rollback": ("rollback shop/stg", UNAVAILABLE, REDIS),
    "promote": ("promote --from local --to stg", UNAVAILABLE, REDIS | ENGINE),
    "promote-traffic": ("promote-traffic gcp --to 50", UNAVAILABLE, REDIS),
    "ps": ("ps", UNAVAILABLE, ENGINE),
    "logs": ("logs", UNAVAILABLE, ENGINE),
    "exec": ("exec api -- true", UNAVAILABLE, ENGINE),
    "port-forward": ("port-forward api 80", UNAVAILABLE, ENGINE),
    "restart": ("restart", UNAVAILABLE, ENGINE),
    "down": ("down", UNAVAILABLE, ENGINE),
    "plan": ("plan", UNAVAILABLE, ENGINE),
    "diff": ("diff", UNAVAILABLE, ENGINE),
    "render": ("render", 0, NOTHING),
    "import": ("import cloudrun nobody.yaml", 3, NOTHING),
    "config": ("config", 0, NOTHING),
    "validate": ("validate", 0, NOTHING),
    "build": ("build -f built.kdl", UNAVAILABLE, ENGINE),
    "fmt": ("fmt", 0, NOTHING),
    "graph": ("graph", 0, NOTHING),
    "doctor": ("doctor", UNAVAILABLE, REDIS | ENGINE),
    "version": ("version", 0, NOTHING),
    "completion": ("completion bash", 0, NOTHING),
    "worker": ("worker docker", UNAVAILABLE, REDIS | ENGINE | {"celery", "kombu"}),
    "init": ("init other --force", 0, NOTHING),
}


def test_the_weight_of_every_command_is_known() -> None:
    assert set(COMMANDS_AND_WEIGHTS) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS_AND_WEIGHTS)
def test_a_command_loads_what_it_needs_and_nothing_else(desk: Desk, command: str) -> None:
    words, code, allowed = COMMANDS_AND_WEIGHTS[command]

    assert desk.loaded(*words.split(), code=code) <= allowed


@pytest.mark.parametrize("words", ["--help", "--version", *(f"{name} --help" for name in COMMANDS)])
def test_help_loads_nothing_heavy(desk: Desk, words: str) -> None:
    assert desk.loaded(*words.split(), code=0) == set()


def test_a_wrong_command_loads_nothing_heavy(desk: Desk) -> None:
    assert desk.loaded("depoly", code=2) == set()


@pytest.mark.parametrize("line", ["flow ", "flow up ", "flow up --only ", "flow logs -s ", "flow up -f "])
def test_completion_loads_nothing_heavy(desk: Desk, line: str) -> None:
    last = str(len(line.split(" ")) - 1)

    assert desk.loaded(code=0, _FLOW_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=last) == set()


def test_a_template_is_rendered_by_jinja_and_completed_without_it(desk: Desk) -> None:
    desk.write(PROJECT.replace("version 1", "version {{ 1 }}"))

    assert desk.loaded("validate", code=0) == {"jinja2"}
    assert desk.loaded(code=0, _FLOW_COMPLETE="bash_complete", COMP_WORDS="flow up ", COMP_CWORD="2") == set()
