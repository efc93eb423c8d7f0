# SPDX-License-Identifier: Apache-2.0
"""TAB in a real bash, zsh and fish, each at a terminal of its own."""

import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.desk import Desk, Result, eventually, state_folder

SHOP = """
service "api" { image "api:1" }
service "apollo" { image "apollo:1" }
service "db" { image "db:1" }
stage "local" { service "db"; service "api"; service "apollo" }
stage "staging" { service "db" }
"""

BEGIN: Mapping[str, tuple[list[str], str]] = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "source <(flow completion bash)"),
    "zsh": (["zsh", "-f", "-i"], "autoload -Uz compinit; compinit -u -D; source <(flow completion zsh)"),
    "fish": (["fish", "--no-config", "-i"], "flow completion fish | source"),
}
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].|[\x0f\x0e]")


class Shell:
    """Somebody who types, and reads what then stands there."""

    def __init__(self, name: str, desk: Desk) -> None:
        command, self.begin = BEGIN[name]
        self.keys, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 160))
        os.set_blocking(self.keys, False)
        home = desk.folder.parent / "home"
        home.mkdir()
        environ = {**desk.environ, "HOME": str(home), "TERM": "xterm", "PS1": "$ ", "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *command],
            cwd=desk.folder,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = ""

    def ready(self) -> "Shell":
        self.type("echo re''ady\n")
        self._until("ready")
        self.type(f"{self.begin}; echo lo''aded\n")
        self._until("loaded")
        return self

    def tab(self, text: str, expected: str) -> None:
        """*text* and TAB make the line *expected*, or show it; the line is then thrown away."""
        self.seen = ""
        self.type(text)
        self._until(text.rstrip())
        self.type("\t")
        self._until(expected)
        self.type("\x15")

    def type(self, keys: str) -> None:
        os.write(self.keys, keys.encode())

    def _until(self, expected: str) -> None:
        eventually(lambda: expected in self._read(), 60, lambda: f"no {expected!r} in:\n{self._read()}")

    def _read(self) -> str:
        with suppress(BlockingIOError):
            while piece := os.read(self.keys, 65536):
                self.seen += piece.decode(errors="replace")
        return _ESCAPES.sub("", self.seen)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.keys)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "work"
    folder.mkdir()
    with state_folder() as state:
        made = Desk(folder, state)
        made.write(SHOP)
        yield made
        made.close()


@pytest.fixture(params=list(BEGIN))
def shell(request: pytest.FixtureRequest, desk: Desk) -> Iterator[Shell]:
    made = Shell(request.param, desk)
    try:
        yield made.ready()
    finally:
        made.close()


def test_a_shell_completes_commands_options_stages_and_services(shell: Shell) -> None:
    shell.tab("flow val", "flow validate")
    shell.tab("flow plan --exi", "flow plan --exit-code")
    shell.tab("flow up sta", "flow up staging")
    shell.tab("flow up --stage=sta", "flow up --stage=staging")
    shell.tab("flow logs apo", "flow logs apollo")
    shell.tab("flow up --only db,apo", "flow up --only db,apollo")
    shell.tab("flow up --only=db,apo", "flow up --only=db,apollo")
    shell.tab("flow validate -f fl", "flow validate -f fleet.kdl")


def completed(desk: Desk, line: str, **environ: str) -> Result:
    """What bash is answered on TAB behind *line*."""
    asked = {"_FLOW_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    return desk.flow(timeout=120, **asked, **environ)


def offered(desk: Desk, line: str, **environ: str) -> list[str]:
    found = completed(desk, line, **environ)
    assert found.err == ""
    return [word.partition(",")[2] for word in found.out.split()]


def test_services_are_those_of_the_stage_on_the_line_and_not_said_twice(desk: Desk) -> None:
    assert offered(desk, "flow logs -s staging ") == ["db"]
    assert offered(desk, "flow up staging --only ") == ["db"]
    assert offered(desk, "flow up --only ", FLEETFLOW_STAGE="staging") == ["db"]
    assert offered(desk, "flow logs db ") == ["api", "apollo"]
    assert offered(desk, "flow exec ") == ["api", "apollo", "db"]
    assert offered(desk, "flow up --only db,api,") == ["db,api,apollo"]


def test_files_are_looked_for_where_the_line_says(desk: Desk, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.kdl").write_text('stage "elsewhere" { service "x" { image "x" } }', encoding="utf-8")

    assert offered(desk, f"flow up -f {other}/x.kdl ") == ["elsewhere"]
    assert offered(desk, f"flow up -C {other} ") == []
    assert offered(desk, "flow up ", FLEETFLOW_FILE=str(other / "x.kdl")) == ["elsewhere"]


def test_runs_are_offered_where_there_are_any_and_nothing_is_started_to_look(desk: Desk) -> None:
    assert offered(desk, "flow show ") == []
    assert not (Path(desk.environ["FLEETFLOW_STATE_DIR"]) / "redis").exists()

    desk.start("worker", "docker.nobody")
    run = re.findall(r"\w{26}", desk.flow("submit", "local", "--wait-workers").err)[0]

    eventually(lambda: offered(desk, "flow show ") == [run], 60, lambda: f"no {run}")
    eventually(lambda: offered(desk, f"flow cancel {run[:4]}") == [run], 60, lambda: f"no {run}")
    eventually(lambda: offered(desk, f"flow cancel {run[-4:]}") == [run], 60, lambda: f"no {run}")
    assert offered(desk, "flow watch nothing") == []


@pytest.mark.parametrize(
    "text", ["{{", 'stage "', 'stage "{{ X }}" { service "a" }', "\x00", 'include "fleet.kdl"', "{% if %}", "/*", ""]
)
@pytest.mark.parametrize("line", ["flow up ", "flow up --only ", "flow depoly ", "flow logs --nonsense x "])
def test_whatever_the_files_hold_and_whatever_was_typed_nothing_is_said(desk: Desk, text: str, line: str) -> None:
    (desk.folder / "fleet.kdl").write_text(text, encoding="utf-8")

    found = completed(desk, line)

    assert (found.err, found.out.strip()) == ("", "")


def test_a_redis_that_does_not_answer_is_not_waited_for(desk: Desk) -> None:
    assert offered(desk, "flow show ", FLEETFLOW_REDIS_URL="redis://127.0.0.1:1/0") == []
    assert offered(desk, "flow show ", FLEETFLOW_REDIS_URL="nonsense") == []


def test_an_unknown_shell_is_told_which_there_are(desk: Desk) -> None:
    found = desk.flow("completion", "csh")

    assert found.code == 2
    assert "'bash', 'zsh', 'fish'" in found.err
