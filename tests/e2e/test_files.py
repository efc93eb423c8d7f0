# SPDX-License-Identifier: Apache-2.0
"""A folder becomes a project, its files get their form, and what does it all is told: `flow init`, `fmt`, `version`."""

import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fleetflow_tasks import __version__
from tests.desk import FLOW, Desk, Result, eventually, state_folder
from tests.e2e.conftest import BASE
from tests.e2e.conftest import Desk as DeskWithEngine
from tests.printed import checked

UGLY = 'service  "api" {image "a:1"; port 80}\nstage "local" {\n  service "api" // ours\n}'
FINE = 'service "api" { image "a:1"; port 80 }\nstage "local" {\n    service "api"  // ours\n}\n'


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Desk]:
    """A desk that no Engine is asked from."""
    folder = tmp_path / "shop"
    folder.mkdir()
    with state_folder() as state:
        made = Desk(folder, state)
        yield made
        made.close()


def read(desk: Desk, file: str = "fleet.kdl") -> str:
    return (desk.folder / file).read_text(encoding="utf-8")


def piped(desk: Desk, text: bytes, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*FLOW, *arguments], cwd=desk.folder, env=desk.environ, input=text, capture_output=True, check=False
    )


class Conversation:
    """`flow …` on a terminal, and somebody who answers what it asks."""

    def __init__(self, process: "subprocess.Popen[bytes]", ours: int) -> None:
        self.process = process
        self.ours = ours
        self.seen = ""

    def answer(self, question: str, keys: str) -> None:
        """Wait for the question, then type. What was seen up to it counts no more."""
        found = eventually(lambda: re.search(re.escape(question), self._read()), 30, lambda: self.seen)
        self.seen = self.seen[found.end() :]
        os.write(self.ours, keys.encode())

    def end(self) -> Result:
        eventually(lambda: self._read() is not None and self.process.poll() is not None, 60, lambda: self.seen)
        return Result(self.process.returncode, self._read().replace("\r\n", "\n"), "")

    def _read(self) -> str:
        with suppress(OSError):  # nothing new, or, once it has ended, nobody there
            self.seen += os.read(self.ours, 65536).decode()
        return self.seen


@contextmanager
def talking(desk: Desk, *arguments: str) -> Iterator[Conversation]:
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    termios.tcsetwinsize(theirs, (24, 100))
    environ = {**desk.environ, "PYTHONUTF8": "1"}
    process = subprocess.Popen(
        [*FLOW, *arguments], cwd=desk.folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield Conversation(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


# --- fmt


def test_a_project_is_formatted_once_and_then_stays(table: Desk) -> None:
    (table.folder / "fleet.kdl").write_text(UGLY, encoding="utf-8")
    (table.folder / "fleet.stg.kdl").write_text("a  1", encoding="utf-8")

    checked_before = table.flow("fmt", "--check")
    shown = table.flow("fmt", "--diff")
    first = table.flow("fmt")
    again = table.flow("fmt")
    checked_after = table.flow("fmt", "--check")

    assert (checked_before.code, checked_before.out) == (1, "fleet.kdl\nfleet.stg.kdl\n")
    assert checked_before.err == "2 files would be formatted\n"
    assert shown.code == 1
    assert '-  service "api" // ours\n' in shown.out
    assert '+    service "api"  // ours\n' in shown.out
    assert (first.code, first.out, first.err) == (0, "fleet.kdl\nfleet.stg.kdl\n", "2 files formatted\n")
    assert (again.code, again.out, again.err) == (0, "", "2 files unchanged\n")
    assert (checked_after.code, checked_after.out) == (0, "")
    assert read(table) == FINE


def test_a_file_with_an_error_is_told_with_its_place_and_the_others_are_formatted(table: Desk) -> None:
    (table.folder / "fleet.kdl").write_text(UGLY, encoding="utf-8")
    table.write('service "db" {\n  image "a:1\n}\n', "services/db.kdl")

    result = table.flow("fmt")
    as_json = table.flow("fmt", "--json")

    assert result.code == 3, result
    assert result.out == "fleet.kdl\n"
    assert "services/db.kdl:2:9: this string is never closed" in result.err
    assert "1 file formatted, 1 left alone" in result.err
    assert read(table, "services/db.kdl").startswith('service "db" {\n  image')
    (told,) = checked(as_json.out)
    assert (as_json.code, told["changed"], told["same"]) == (3, [], ["fleet.kdl"])
    assert [problem["code"] for problem in told["problems"]] == ["syntax"]


def test_a_pipe_is_formatted_into_a_pipe(table: Desk) -> None:
    done = piped(table, UGLY.encode(), "fmt", "-")
    check = piped(table, UGLY.encode(), "fmt", "-", "--check")
    diff = piped(table, b"a  1\n", "fmt", "-", "--diff")
    fine = piped(table, FINE.encode(), "fmt", "-", "--check")
    wrong = piped(table, b'a "1', "fmt", "-")

    assert (done.returncode, done.stdout.decode()) == (0, FINE)
    assert (check.returncode, check.stdout) == (1, b"standard input\n")
    assert (diff.returncode, diff.stdout.splitlines()[0]) == (1, b"--- standard input")
    assert (fine.returncode, fine.stdout) == (0, b"")
    assert (wrong.returncode, wrong.stdout) == (3, b"")
    assert b"standard input:1:3: this string is never closed" in wrong.stderr


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("fmt", 3, "there is no FleetFlow file here"),
        ("fmt gone.kdl", 3, "there is no file `gone.kdl`"),
        ("fmt .", 3, "folder `.` holds none of"),
        ("fmt - x.kdl", 2, "`-` cannot be formatted together with files"),
        ("fmt -f x.kdl y.kdl", 2, "--file names a project, FILE single files"),
        ("fmt - --json", 2, "--json and it exclude each other"),
        ("fmt --chek", 2, "--check"),
        ("fmt -C gone", 2, "gone"),
        ("version extra", 2, "extra"),
        ("init --stage A! --no-input", 2, "`A!` cannot be the name of a stage"),
        ("init --project A! --no-input", 2, "`A!` cannot be the name of a project"),
        ("init --port 0 --no-input", 2, "`0` is no port"),
        ("init --image A: --no-input", 2, "image `A:`"),
        ("init --image . --no-input", 2, "there is no Dockerfile in"),
    ],
)
def test_what_cannot_be_meant_is_told_and_nothing_is_written(table: Desk, words: str, code: int, text: str) -> None:
    result = table.flow(*words.split())

    assert result.code == code, result
    assert text in result.err, result
    assert "Traceback" not in result.err
    assert list(table.folder.iterdir()) == []


# --- init


def test_without_a_terminal_init_takes_what_it_finds_and_says_it(table: Desk) -> None:
    subprocess.run(["git", "init", "-q", str(table.folder)], check=True)
    (table.folder / "Dockerfile").write_text("FROM x\nEXPOSE 9000\n", encoding="utf-8")
    (table.folder / "compose.yaml").touch()

    result = table.flow("init")
    again = table.flow("init")

    assert result.code == 0, result
    assert result.out.splitlines() == [
        "wrote fleet.kdl: project `shop`, stage `local`, service `web` from the Dockerfile here",
        "wrote .gitignore: .env, .env.*, !.env.example",
        "",
        "Next:",
        "  flow plan  # shows what would be done",
        "  flow up    # does it",
    ]
    assert result.err.splitlines()[1:] == [
        "project shop, after the folder",
        "image from the Dockerfile here",
        "port 9000, which the Dockerfile exposes",
    ]
    assert result.err.startswith("compose.yaml is here: ")
    assert table.flow("validate").code == 0
    assert table.flow("fmt", "--check").code == 0
    assert again.code == 5
    assert "fleet.kdl` is there already, and is left as it is" in again.err


def test_a_folder_that_is_not_there_is_made_and_the_way_into_it_told(table: Desk) -> None:
    result = table.flow("init", "a b", "--stage", "stg", "--stage", "prd", "--stage", "stg", "--no-input")

    assert result.code == 0, result
    assert result.out.splitlines()[-3:] == [
        "  cd 'a b'",
        "  flow plan stg  # shows what would be done",
        "  flow up stg    # does it",
    ]
    assert 'stage "stg"' in read(table, "a b/fleet.kdl")
    assert table.flow("init", "a b/c", "--no-input").code == 5
    assert table.flow("init", "a b/c", "--force", "--no-input").code == 0


def test_on_a_terminal_init_asks_and_asks_again_until_it_can_be_meant(table: Desk) -> None:
    subprocess.run(["git", "init", "-q", str(table.folder)], check=True)
    (table.folder / "package.json").touch()

    with talking(table, "init") as talk:
        talk.answer("Project [shop]:", "My Shop\n")
        talk.answer("`My Shop` cannot be the name of a project", "")
        talk.answer("Project [shop]:", "\n")
        talk.answer("Image to run [nginx:stable-alpine]:", ".\n")
        talk.answer("there is no Dockerfile in", "")
        talk.answer("Image to run [nginx:stable-alpine]:", "ghcr.io/shop/api:9\n")
        talk.answer("Port that it listens on, or `none` [none]:", "8080\n")
        talk.answer("Add .env, .env.*, !.env.example to .gitignore, to keep secrets out of git? [Y/n]:", "n\n")
        result = talk.end()

    assert result.code == 0, result
    assert "wrote fleet.kdl: project `shop`, stage `local`, service `web` from ghcr.io/shop/api:9" in result.out
    assert 'image "ghcr.io/shop/api:9"' in read(table)
    assert "port container=8080" in read(table)
    assert not (table.folder / ".gitignore").exists()


def test_who_leaves_at_a_question_has_nothing_written(table: Desk) -> None:
    with talking(table, "init", "new") as talk:
        talk.answer("Project [new]:", "")
        talk.process.send_signal(signal.SIGINT)
        result = talk.end()

    assert result.code == 130, result
    assert "Traceback" not in result.out
    assert list(table.folder.iterdir()) == []


def test_what_init_writes_is_deployed_by_the_two_commands_it_names(desk: DeskWithEngine) -> None:
    words = ("init", "--project", desk.project, "--image", "fleetflow/hello:1", "--port", "8080", "--no-input")
    result = desk.flow(*words)

    plan = desk.flow("plan")
    up = desk.flow("up")

    assert (result.code, plan.code, up.code) == (0, 0, 0), (result, plan, up)
    assert desk.containers() == [f"{desk.project}-local-web"]
    assert re.search(r"web .*\d->8080/tcp", desk.flow("ps").out), desk.flow("ps")
    assert desk.flow("down").code == 0


def test_a_folder_with_a_dockerfile_runs_what_it_builds(desk: DeskWithEngine) -> None:
    dockerfile = f'FROM {BASE}\nEXPOSE 8080\nCMD ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]\n'
    (desk.folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")

    first = desk.flow("init", "--project", desk.project, "--no-input")
    up = desk.flow("up")

    assert (first.code, up.code) == (0, 0), (first, up)
    assert desk.containers() == [f"{desk.project}-local-web"]
    assert desk.flow("down").code == 0


# --- version


def test_the_version_is_told_with_all_that_has_to_fit(table: Desk) -> None:
    short = table.flow("--version")
    result = table.flow("version")
    as_json = table.flow("version", "--json")

    assert short.out == f"flow {__version__}\n"
    assert result.out.startswith(f"flow {__version__} on Python 3.")
    assert re.search(r"^  docker +docker \d", result.out, re.MULTILINE)
    (told,) = checked(as_json.out)
    assert {extra["name"] for extra in told["extras"]} >= {"docker", "kubernetes", "cloudrun"}
