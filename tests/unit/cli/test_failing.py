# SPDX-License-Identifier: Apache-2.0
"""How a failing command says so to people and to programs. Each a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.printed import checked

FLOW = "from fleetflow_tasks.cli.main import main\nmain()"

# A mistake of ours: something in the middle of a command is not what it should be.
MISTAKEN = f"""
import fleetflow_tasks.view.tables as tables
del tables.validated
{FLOW}
"""

# Ctrl-C at a question; nothing else sends an Abort.
ASKED = f"""
import click
from fleetflow_tasks.cli import validate

@click.command("validate")
@click.option("--json", is_flag=True)
def command(json):
    click.confirm("sure?", abort=True, err=True)

validate.command = command
{FLOW}
"""


class Done:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    def problem(self) -> Any:
        (line,) = checked(self.out)
        (problem,) = line["problems"]
        assert line["exit_code"] == self.code
        return problem


def ran(folder: Path, *words: str, script: str = FLOW) -> Done:
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=folder,
        env={**os.environ, "FLEETFLOW_STATE_DIR": str(folder / "state")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def write(folder: Path, text: str) -> None:
    (folder / "fleet.kdl").write_text(f'project "p"\n{text}\n', encoding="utf-8")


def test_what_is_wrong_is_told_to_people_and_to_programs(tmp_path: Path) -> None:
    write(tmp_path, 'service "api" { imagee "a:1" }\nstage "local" { service "api"')

    done = ran(tmp_path, "graph", "--json")

    problem = done.problem()
    assert done.code == 3
    assert (problem["severity"], problem["place"]["file"]) == ("error", "fleet.kdl")
    assert problem["message"] in done.err


def test_without_json_stdout_stays_empty(tmp_path: Path) -> None:
    done = ran(tmp_path, "graph")

    assert (done.code, done.out) == (3, "")


def test_a_wrong_command_line_is_told_as_json_with_a_way_to_the_help(tmp_path: Path) -> None:
    option = ran(tmp_path, "graph", "--json", "--formt=dot")
    command = ran(tmp_path, "grap", "--json")
    value = ran(tmp_path, "graph", "--format=svg", "--json")

    assert [each.code for each in (option, command, value)] == [2, 2, 2]
    assert {each.problem()["code"] for each in (option, command, value)} == {"usage"}
    assert option.problem()["fix"] == "flow graph --help"
    assert "did you mean `graph`?" in command.problem()["message"]
    assert "Usage: flow graph" in option.err


def test_the_words_of_other_tools_lead_to_ours(tmp_path: Path) -> None:
    removing = ran(tmp_path, "destroy")
    looking = ran(tmp_path, "status")
    before = ran(tmp_path, "-f", "fleet.kdl", "up")

    assert [each.code for each in (removing, looking, before)] == [2, 2, 2]
    assert "unknown command `destroy`; did you mean `down`?" in removing.err
    assert "unknown command `status`; did you mean `ps`?" in looking.err
    assert "No such option '-f'; a command's options stand behind it, as in `flow up --file=fleet.kdl`" in before.err


def test_what_stands_behind_two_dashes_is_meant_for_another_command(tmp_path: Path) -> None:
    done = ran(tmp_path, "exec", "api", "--", "tool", "--json")

    assert (done.code, done.out) == (3, "")


def test_a_mistake_of_ours_is_told_without_its_traceback(tmp_path: Path) -> None:
    write(tmp_path, 'service "api" { image "a:1" }\nstage "local" { service "api" }')

    wrong = ran(tmp_path, "validate", script=MISTAKEN)
    as_json = ran(tmp_path, "validate", "--json", "nowhere", script=MISTAKEN)

    assert (wrong.code, wrong.out) == (70, "")
    assert "Traceback" not in wrong.err
    assert "last-bug.txt" in wrong.err
    assert as_json.code == 3


def test_a_question_that_nobody_answers_is_told_too(tmp_path: Path) -> None:
    done = ran(tmp_path, "validate", "--json", script=ASKED)

    assert (done.code, done.problem()["code"]) == (130, "interrupted")
    assert done.problem()["message"] == "a question was not answered"


def test_what_cannot_be_told_leaves_with_its_own_exit_code_all_the_same(tmp_path: Path) -> None:
    read, write_ = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", FLOW, "graph", "--json"],
        cwd=tmp_path,
        stdout=write_,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write_)

    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def test_warnings_stand_in_the_answer_and_on_stderr(tmp_path: Path) -> None:
    write(tmp_path, 'service "api" { image "a:1"; colour "red" }\nstage "local" { service "api" }')

    done = ran(tmp_path, "graph", "--json")

    (told,) = checked(done.out)
    assert done.code == 0
    assert [each["code"] for each in told["warnings"]] == ["unknown-node"]
    assert told["warnings"][0]["message"] in done.err
    assert json.loads(done.out)["type"] == "graph"
