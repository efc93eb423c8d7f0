# SPDX-License-Identifier: Apache-2.0
"""`flow import` as a process: where the text comes from, and one line for what cannot be read."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FLOW = [sys.executable, "-m", "fleetflow_tasks", "import"]
SERVICE = {"name": "projects/p/locations/europe-west1/services/api", "template": {"containers": [{"image": "api:1"}]}}


def run(*arguments: str, said: bytes = b"") -> tuple[int, str, str]:
    done = subprocess.run([*FLOW, *arguments], input=said, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_a_file_and_standard_input_say_the_same(tmp_path: Path) -> None:
    file = tmp_path / "api.json"
    file.write_text(json.dumps(SERVICE), encoding="utf-8-sig")

    code, out, err = run("cloudrun", str(file), "--stage", "live")
    same = run("cloudrun", "-", "-s", "live", said=json.dumps(SERVICE).encode())

    assert (code, err) == (0, "")
    assert 'stage "live" {' in out.splitlines()
    assert same == (0, out.replace(f"from {file}", "from standard input"), "")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "`{file}` cannot be read: No such file or directory"),
        (b"\xff", "`{file}` is no UTF-8 text"),
        (b"{}", "{file} holds something that is neither a service nor a job of Cloud Run"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "api.json"
    if content is not None:
        file.write_bytes(content)

    code, out, err = run("cloudrun", str(file))

    assert (code, out, err.splitlines()[0]) == (3, "", message.format(file=file))
