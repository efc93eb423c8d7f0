# SPDX-License-Identifier: Apache-2.0
"""Every exit code that `flow --help` explains, provoked."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fleetflow_tasks.errors import EXITS
from tests.e2e.conftest import BASE, Desk
from tests.printed import checked

SHOP = f"""
service "api" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}
stage "local" {{ service "api" }}
"""
NOBODY = "unix:///nobody-listens.sock"

# A mistake of ours: something in the middle of a command is not what it should be.
MISTAKEN = """
import fleetflow_tasks.view.tables as tables
del tables.validated
from fleetflow_tasks.cli.main import main
main()
"""


def _done(desk: Desk) -> int:
    return desk.flow("validate").code


def _differs(desk: Desk) -> int:
    return desk.flow("plan", "--exit-code").code


def _misused(desk: Desk) -> int:
    return desk.flow("validate", "--no-such-option").code


def _wrong_files(desk: Desk) -> int:
    desk.write('service "api" {')
    return desk.flow("validate").code


def _unavailable(desk: Desk) -> int:
    return desk.flow("runs", FLEETFLOW_REDIS_URL=NOBODY).code


def _refused(desk: Desk) -> int:
    return desk.flow("cancel", "xy").code


def _cancelled(desk: Desk) -> int:
    (submitted,) = checked(desk.flow("submit", "--wait-workers", "--json").out)
    assert desk.flow("cancel", submitted["run"]).code == 0
    return desk.flow("watch", submitted["run"]).code


def _bug(desk: Desk) -> int:
    return _piped(desk, subprocess.DEVNULL, sys.executable, "-c", MISTAKEN, "validate")


def _unwritten(desk: Desk) -> int:
    with Path("/dev/full").open("wb") as full:
        return _piped(desk, full.fileno(), "flow", "validate")


def _no_command(desk: Desk) -> int:
    assert desk.flow("up", "-q").code == 0
    code = desk.flow("exec", "api", "--", "no-such-command").code
    return 127 if code == 126 else code  # of some Docker Engines


def _interrupted(desk: Desk) -> int:
    desk.flow("submit", "--wait-workers")
    watching = desk.start("watch")
    watching.until(desk.project)
    watching.process.send_signal(signal.SIGINT)
    return watching.wait().code


def _unread(desk: Desk) -> int:
    read, write = os.pipe()
    os.close(read)
    try:
        return _piped(desk, write, "flow", "validate")
    finally:
        os.close(write)


def _piped(desk: Desk, out: int, *words: str) -> int:
    done = subprocess.run(
        words, cwd=desk.folder, env=desk.environ, stdout=out, stderr=subprocess.PIPE, timeout=60, check=False
    )
    assert b"Traceback" not in done.stderr
    return done.returncode


PROVOKED: Mapping[int, Callable[[Desk], int]] = {
    0: _done,
    1: _differs,
    2: _misused,
    3: _wrong_files,
    4: _unavailable,
    5: _refused,
    6: _cancelled,
    70: _bug,
    74: _unwritten,
    127: _no_command,
    130: _interrupted,
    141: _unread,
}


@pytest.mark.parametrize("code", EXITS)
def test_every_exit_code_is_what_it_is_said_to_be(desk: Desk, code: int) -> None:
    desk.write(SHOP)

    assert PROVOKED[code](desk) == code
