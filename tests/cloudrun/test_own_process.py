# SPDX-License-Identifier: Apache-2.0
"""The server as a process of its own, as a person or a demo starts it."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping

from fleetflow_tasks.runtimes.cloudrun.access import connect

from .stage import PARENT, REGION

COMMAND = [sys.executable, "-m", "fleetflow_tasks.testing.cloudrun"]
NO_ENGINE = {**os.environ, "DOCKER_HOST": "tcp://127.0.0.1:1"}


def told(process: "subprocess.Popen[str]") -> Mapping[str, str]:
    """What it says leads there; it listens once it has said the last of it."""
    found: dict[str, str] = {}
    assert process.stdout is not None
    while "FLEETFLOW_CLOUDRUN_ENDPOINT" not in found:
        export, pair = shlex.split(process.stdout.readline())
        name, _, value = pair.partition("=")
        assert export == "export"
        found[name] = value
    return found


def test_it_says_what_leads_there_and_ends_when_it_is_told_to() -> None:
    with subprocess.Popen(COMMAND, env=NO_ENGINE, stdout=subprocess.PIPE, text=True) as process:
        client = connect(told(process), REGION)
        found = list(client.services(PARENT))
        client.close()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=60)

    assert (found, rest, process.returncode) == ([], "", 0)


def test_a_secret_that_nobody_set_is_told() -> None:
    done = subprocess.run(
        [*COMMAND, "--secret", "key=NOBODY_SET_IT"], env=NO_ENGINE, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (1, "", "not set: NOBODY_SET_IT\n")
