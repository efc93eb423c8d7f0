# SPDX-License-Identifier: Apache-2.0
"""Values that stand outside the text: `.env`, `env_file`, secrets, read for one stage.

A value that is not there is an error only where it is needed: for the stage that was asked for. Reading every stage at
once, as `flow validate` does, leaves it open and says so.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from fleetflow_tasks.config.discover import Disk
from fleetflow_tasks.config.dotenv import dotenv
from fleetflow_tasks.config.variables import Scope, Variable
from fleetflow_tasks.errors import ConfigError, Place, Problem


class StageSources:
    """needed: whether a missing value is an error. problems: what was wrong so far.

    The scope comes after the `.env` files, which are part of it.
    """

    def __init__(self, disk: Disk, stage: str | None, environ: Mapping[str, str], *, needed: bool) -> None:
        self.disk = disk
        self.environ = environ
        self.needed = needed
        self.problems: list[Problem] = []
        names = [".env"] if stage is None else [".env", f".env.{stage}"]
        self.levels = [self._dotenv(disk.root / name) for name in names if disk.exists(disk.root / name)]
        self.scope = Scope(self.levels)

    def env_file(self, path: str, place: Place | None) -> dict[str, str]:
        """The variables of that file; empty where it cannot be read."""
        try:
            lines, problems = dotenv(self.disk.read(self._path(path), place), self.environ)
            self.problems += problems
            return {name: variable.value(self.scope) for name, variable in lines.items()}
        except ConfigError as error:
            self._missing(*error.problems)
            return {}

    def secret(self, kind: str, name: str, place: Place | None) -> str | None:
        """None for a reference, which the platform reads, and for what is not there."""
        match kind:
            case "env":
                return self._variable(name, place)
            case "file":
                return self._file(name, place)
            case _:
                return None

    def _variable(self, name: str, place: Place | None) -> str | None:
        if name in self.environ:
            return self.environ[name]
        for level in reversed(self.levels):
            if name in level:
                return level[name].value(self.scope)
        fix = f"export {name}, or write it into `.env`"
        self._missing(
            Problem(code="secret-missing", message=f"the secret's variable `{name}` is not set", fix=fix, place=place)
        )
        return None

    def _file(self, name: str, place: Place | None) -> str | None:
        try:
            return self.disk.read(self._path(name), place).source.removesuffix("\n")
        except ConfigError as error:
            self._missing(*error.problems)
            return None

    def _path(self, typed: str) -> Path:
        """Unlike `Path.expanduser`, this leaves the home of nobody as it stands."""
        return self.disk.root / os.path.expanduser(typed)  # noqa: PTH111

    def _missing(self, *problems: Problem) -> None:
        if self.needed:
            self.problems += problems

    def _dotenv(self, path: Path) -> dict[str, Variable]:
        try:
            found, problems = dotenv(self.disk.read(path), self.environ)
        except ConfigError as error:
            self.problems += error.problems
            return {}
        self.problems += problems
        return found
