# SPDX-License-Identifier: Apache-2.0
"""How `flow` leaves where nobody reads it, nobody can, or somebody stops it before it is there. Each a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FLOW = "from fleetflow_tasks.cli.main import main\nmain()"

# Ctrl-C while the first heavy package is loaded.
INTERRUPTED = """
import os, signal, sys

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{signal})

sys.meta_path.insert(0, Impatient())
from fleetflow_tasks.cli.main import main
main()
"""


@pytest.mark.parametrize(("signal", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_whoever_is_fast_enough_to_interrupt_the_start_sees_no_traceback(signal: str, code: int) -> None:
    script = INTERRUPTED.format(signal=signal)
    done = subprocess.run([sys.executable, "-c", script, "--help"], capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (code, b"", b"")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_full_disk_under_the_output_is_said_in_a_line(tmp_path: Path, form: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = _validate(tmp_path, full.fileno(), *form)

    assert (done.returncode, done.stderr) == (74, b"the output could not be written: No space left on device\n")


def test_a_reader_that_has_gone_ends_it_without_a_word_and_without_a_success(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = _validate(tmp_path, write)
    os.close(write)

    assert (done.returncode, done.stderr) == (141, b"")


def _validate(folder: Path, output: int, *form: str) -> "subprocess.CompletedProcess[bytes]":
    (folder / "fleet.kdl").write_text('project "p"\nservice "api" { image "a:1" }\nstage "local" { service "api" }\n')
    return subprocess.run(
        [sys.executable, "-c", FLOW, "validate", *form],
        cwd=folder,
        stdout=output,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
