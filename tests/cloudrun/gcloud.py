# SPDX-License-Identifier: Apache-2.0
"""The installed `gcloud`, at work against the server: the one client here that nobody of us wrote."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleetflow_tasks.testing.cloudrun import Server
from fleetflow_tasks.testing.cloudrun.rest import environ

from .stage import PROJECT, REGION

SLOWEST = 180  # seconds for one command; it takes one to three, of which most are its start


class Result:
    """err: what it says to people, in one line."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.out = done.stdout
        self.err = " ".join(done.stderr.split())


class Gcloud:
    """folder: all that it may write to."""

    def __init__(self, server: Server, folder: Path) -> None:
        if shutil.which("gcloud") is None:
            pytest.fail("gcloud is not there: install google-cloud-cli")
        self.folder = folder
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            **environ(server.http.url, server.accounts.token(), folder / "gcloud", PROJECT),
            "CLOUDSDK_RUN_REGION": REGION,
        }

    def __call__(self, *arguments: str) -> Result:
        return Result(_run(["gcloud", "run", *arguments], self.environ))

    def well(self, *arguments: str) -> str:
        """What it printed, once it ended well."""
        done = self(*arguments)
        assert done.code == 0, done.err
        return done.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.well(*arguments, "--format=json"))

    def replaced(self, kind: str, name: str, text: str, *arguments: str) -> Result:
        """kind: `services` or `jobs`. text: of the file."""
        file = self.folder / f"{name}.yaml"
        file.write_text(text, encoding="utf-8")
        return self(kind, "replace", str(file), *arguments)


def flow_import(text: str, *arguments: str) -> str:
    """What `flow import cloudrun -` makes of *text*."""
    command = [sys.executable, "-m", "fleetflow_tasks", "import", "cloudrun", "-", *arguments]
    done = _run(command, os.environ, text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _run(command: list[str], environ: Mapping[str, str], said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environ, input=said, capture_output=True, text=True, timeout=SLOWEST, check=False
    )
