# SPDX-License-Identifier: Apache-2.0
"""A user at a terminal with a real Engine."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import desk as terminal
from tests.desk import BASE, Result, Running, eventually, state_folder

__all__ = ["BASE", "Desk", "Result", "Running", "desk", "eventually"]


class Desk(terminal.Desk):
    def docker(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(["docker", *arguments], env=self.environ, capture_output=True, text=True, check=False)
        if check and done.returncode != 0:
            pytest.fail(f"docker {' '.join(arguments)}: {done.stderr}")
        return done.stdout.strip()

    def containers(self) -> list[str]:
        """Names of this project's running containers, sorted."""
        listed = self.docker("ps", "--filter", f"label=fleetflow.project={self.project}", "--format", "{{.Names}}")
        return sorted(listed.split())

    def container_ids(self) -> list[str]:
        """Ids of all of this project's containers, running or not, sorted."""
        return sorted(self.docker("ps", "-aq", "--filter", f"label=fleetflow.project={self.project}").split())

    def close(self) -> None:
        super().close()
        ids = self.container_ids()
        if ids:
            self.docker("rm", "-f", "-v", *ids, check=False)
        label = f"label=fleetflow.project={self.project}"
        for kind in ("network", "volume"):
            found = self.docker(kind, "ls", "-q", "--filter", label, check=False).split()
            if found:
                self.docker(kind, "rm", *found, check=False)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "work"
    folder.mkdir()
    with state_folder() as state:
        made = Desk(folder, state)
        yield made
        made.close()
