# SPDX-License-Identifier: Apache-2.0
"""Leave for what cannot be undone: asked for on a terminal, a process of its own that has one."""

import os
import pty
import subprocess
import sys
from collections.abc import Sequence

import click
import pytest
from click.testing import CliRunner

from fleetflow_tasks.cli.confirm import Confirm, confirm_options, confirmed
from fleetflow_tasks.errors import RefusedError

ASKING = """
import sys
from fleetflow_tasks.cli.confirm import confirmed
from fleetflow_tasks.errors import FleetFlowError
try:
    confirmed("Remove it?", about=["a volume"], yes="-y" in sys.argv, no_input="--no-input" in sys.argv)
    print("done")
except FleetFlowError as error:
    print(error.exit_code, error.problems[0].message)
"""


def asked(typed: str, *words: str) -> tuple[str, str]:
    """(stdout, what stands on the terminal), after *typed* at it."""
    ours, theirs = pty.openpty()
    os.write(ours, typed.encode())
    command = [sys.executable, "-c", ASKING, *words]
    done = subprocess.run(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    return done.stdout.decode(), seen(ours)


def seen(terminal: int) -> str:
    try:
        return os.read(terminal, 65536).decode().replace("\r\n", "\n")
    except OSError:  # Linux says EIO where nothing was written
        return ""
    finally:
        os.close(terminal)


def test_a_yes_is_asked_for_and_what_it_is_about_stands_above() -> None:
    out, screen = asked("y\n")

    assert out == "done\n"
    assert "a volume\nRemove it? [y/N]: " in screen


@pytest.mark.parametrize("typed", ["n\n", "\n"])
def test_all_but_a_yes_leaves_everything_as_it_is(typed: str) -> None:
    assert asked(typed)[0] == "6 nothing was done: the answer was no\n"


def test_who_has_said_yes_before_is_told_and_not_asked() -> None:
    out, screen = asked("", "-y")

    assert out == "done\n"
    assert "a volume\n" in screen
    assert "Remove it?" not in screen


def test_nobody_is_asked_who_must_not_be_even_on_a_terminal() -> None:
    assert asked("y\n", "--no-input")[0] == "5 not confirmed, so nothing was done: Remove it?\n"


@pytest.mark.parametrize(
    ("no_input", "why"),
    [(False, "there is no terminal to ask on"), (True, "`--no-input` forbids to ask")],
)
def test_where_nobody_can_answer_it_is_refused_and_said_how_it_goes(no_input: bool, why: str) -> None:
    with pytest.raises(RefusedError) as caught:
        confirmed("Remove it?", about=("a volume",), yes=False, no_input=no_input)

    (problem,) = caught.value.problems
    assert problem.message == "not confirmed, so nothing was done: Remove it?"
    assert problem.cause == ("a volume", why)
    assert problem.fix == "if that is meant, add `--yes`"


def test_yes_beats_no_input_for_a_yes_is_no_question() -> None:
    confirmed("Remove it?", yes=True, no_input=True)


@pytest.mark.parametrize(("words", "code"), [(["-y"], 0), (["--yes", "--no-input"], 0), ([], 1), (["--no-input"], 1)])
def test_a_command_asks_with_what_was_said_on_its_line(words: Sequence[str], code: int) -> None:
    @click.command()
    @confirm_options
    def command(confirm: Confirm) -> None:
        confirm("Remove it?", about=("a volume",))

    assert CliRunner().invoke(command, words).exit_code == code
