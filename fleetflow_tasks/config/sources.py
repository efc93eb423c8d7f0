# SPDX-License-Identifier: Apache-2.0
"""Values that stand outside the text: `.env`, `env_file`, secrets, read for one stage.

A value that is not there is an error only where it is needed: for the stage that was asked for. Reading every stage at
once, as `flow validate` does, leaves it open and says so.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from fleetflow_tasks.config.discover import Disk
from fleetflow_tasks.config.dotenv import dotenv
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.variables import Scope, Variable, plain
from fleetflow_tasks.errors import ConfigError, Place, Problem


class StageSources:
    """needed: whether a missing value is an error. problems: what was wrong so far. texts: of the `.env` files.
    incomplete: an `env_file` is not there.

    The scope comes after the `.env` files, which are part of it.
    """

    def __init__(self, disk: Disk, stage: str | None, environ: Mapping[str, str], *, needed: bool) -> None:
        self.disk = disk
        self.environ = environ
        self.needed = needed
        self.problems: list[Problem] = []
        self.texts: list[Text] = []
        self.incomplete = False
        self._files: dict[str, dict[str, Variable]] = {}
        names = [".env"] if stage is None else [".env", f".env.{stage}"]
        self.levels = [self._dotenv(disk.root / name) for name in names if disk.exists(disk.root / name)]
        self.scope = Scope(self.levels)

    def env_file(self, path: str, place: Place | None) -> dict[str, str]:
        """The variables of that file; empty where it cannot be read."""
        try:
            return {
                name: self._counted(each.value(self.scope), place) for name, each in self._lines(path, place).items()
            }
        except ConfigError as error:
            self._missing(*(_advised(problem) for problem in error.problems))
            self.incomplete = True
            return {}

    def _lines(self, path: str, place: Place | None) -> dict[str, Variable]:
        """Read once: a thousand services may share a file."""
        if path not in self._files:
            self._files[path], problems = dotenv(self.env_text(path, place), self.environ)
            self.problems += problems
        return self._files[path]

    def _counted(self, value: str, place: Place | None) -> str:
        self.scope.count(len(value), place)
        return value

    def env_text(self, path: str, place: Place | None = None) -> Text:
        """Raises ConfigError where it cannot be read."""
        return self.disk.read(self._path(path), place)

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
        found = self.secret_variable(name)
        if found is not None:
            return found.value(self.scope)
        fix = f"export {name}, or write it into `.env`"
        self._missing(
            Problem(code="secret-missing", message=f"the secret's variable `{name}` is not set", fix=fix, place=place)
        )
        return None

    def secret_variable(self, name: str) -> Variable | None:
        """The one that a secret is taken from: of the whole process, unlike those of a template, else of the `.env` files."""
        if name in self.environ:
            return plain("environment", self.environ[name])
        return next((level[name] for level in reversed(self.levels) if name in level), None)

    def _file(self, name: str, place: Place | None) -> str | None:
        try:
            return self._counted(self.disk.read(self._path(name), place).source.removesuffix("\n"), place)
        except ConfigError as error:
            self._missing(*(_advised(problem) for problem in error.problems))
            return None

    def _path(self, typed: str) -> Path:
        """Unlike `Path.expanduser`, this leaves the home of nobody as it stands."""
        return self.disk.root / os.path.expanduser(typed)  # noqa: PTH111

    def _missing(self, *problems: Problem) -> None:
        if self.needed:
            self.problems += problems

    def _dotenv(self, path: Path) -> dict[str, Variable]:
        try:
            text = self.disk.read(path)
            found, problems = dotenv(text, self.environ)
        except ConfigError as error:
            self.problems += error.problems
            return {}
        self.problems += problems
        self.texts.append(text)
        return found


def _advised(problem: Problem) -> Problem:
    """Most often a path is meant to start elsewhere."""
    return replace(problem, fix=problem.fix or "write the file, or mend the path: it starts at the project's folder")
