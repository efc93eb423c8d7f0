# SPDX-License-Identifier: Apache-2.0
"""A registry of the tests' own, on loopback, where an Engine speaks plain HTTP."""

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def registry(folder: Path, users: str = "") -> Iterator[str]:
    """Its address; what it holds is kept in *folder*. users: who may log in, as lines of htpasswd; "": all without."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.fail("docker-registry is not installed: run `make setup` first")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    config = folder / "config.yml"
    (folder / "users").write_text(users)
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '{address}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: '{folder / 'data'}'}}}}\n"
        + (f"auth: {{htpasswd: {{realm: tests, path: '{folder / 'users'}'}}}}\n" if users else "")
    )
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
    try:
        _until_it_answers(address, folder / "log")
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _until_it_answers(address: str, log: Path) -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://{address}/v2/", timeout=1).close()
        except urllib.error.HTTPError:  # it asks who we are
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"the registry does not answer: {log.read_text()}")
