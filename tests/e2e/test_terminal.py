# SPDX-License-Identifier: Apache-2.0
"""What a person at a terminal sees: the live tree, colours, and at the end the same words as in a log."""

import os
import pty
import re
import signal
import subprocess
import termios
from collections.abc import Iterator

from tests.desk import FLOW
from tests.e2e.conftest import BASE, Desk

TWO = f"""
service "db" {{ image "{BASE}"; command "sleep" "1000"; docker {{ init #true }} }}
service "web" {{ image "{BASE}"; depends_on "db"; command "sleep" "1000"; docker {{ init #true }} }}
stage "local" {{ service "db"; service "web" }}
"""


def _seen(desk: Desk, *arguments: str, leave: str = "", **environ: str) -> tuple[int, str]:
    """The exit code of `flow …` on a terminal of 80 columns, and all that it wrote there.

    leave: with Ctrl-C, as soon as that stands there.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = subprocess.Popen(
        [*FLOW, *arguments],
        cwd=desk.folder,
        env={**desk.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen, left = b"", not leave
    for piece in _pieces(ours):
        seen += piece
        if not left and leave.encode() in seen:
            process.send_signal(signal.SIGINT)
            left = True
    os.close(ours)
    return process.wait(60), seen.decode()


def _pieces(terminal: int) -> Iterator[bytes]:
    """Linux says EIO when the other side has gone."""
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:
            return
        if not piece:
            return
        yield piece


def test_up_draws_a_tree_that_moves_and_ends_with_a_summary(desk: Desk) -> None:
    desk.write(TWO)

    code, text = _seen(desk, "up")

    assert code == 0, text
    assert f"{desk.project}/local" in text
    assert "├─" in text
    words = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"web +(waits for db|starting: )", words), words
    assert re.search(r"┕━ . web +waits for db", words), words  # on the longest way
    assert re.search(r"succeeded in [\d.]+s: 2 services deployed", words), words


def test_who_watches_is_told_what_the_run_waits_for_and_may_leave(desk: Desk) -> None:
    desk.start("worker", "docker.elsewhere").until("worker.ready")
    desk.write(TWO)

    code, text = _seen(desk, "submit", "--wait", "--wait-workers", leave="queued: no worker serves")

    assert code == 130, text
    assert re.search(r"\(stage\) .*queued: no worker serves queue `docker`, none was ever", text), text
    assert text.count("the run goes on") == 1
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is there again


def test_a_terminal_that_cannot_draw_gets_lines(desk: Desk) -> None:
    desk.write(TWO)

    code, text = _seen(desk, "up", TERM="dumb", NO_COLOR="1")

    assert code == 0, text
    assert "\x1b" not in text
    assert re.search(r"web: ready, started", text), text


def test_no_color_is_obeyed_on_a_terminal(desk: Desk) -> None:
    desk.write('service "api" { imag "a:1" }\nstage "local" { service "api" }')

    _, coloured = _seen(desk, "validate")
    _, plain = _seen(desk, "validate", NO_COLOR="1")

    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
