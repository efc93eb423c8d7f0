# SPDX-License-Identifier: Apache-2.0
"""A folder on disk with a project in it, and what the room says of it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from fleetflow_tasks.config.load import Loaded, load
from fleetflow_tasks.config.model import Service, StageName
from fleetflow_tasks.config.schema import Blocks
from fleetflow_tasks.errors import ConfigError, Problem


def printed(problem: Problem) -> str:
    """One line: where, what, what to do."""
    where = f"{problem.place}: " if problem.place else ""
    fix = f" => {problem.fix}" if problem.fix else ""
    return f"{where}{problem.message}{fix}"


class Folder:
    """Files are written as attributes of a call: `folder(**{"fleet.kdl": "…"})`; the text may be indented."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ: dict[str, str] = {}

    def write(self, files: Mapping[str, str | bytes]) -> "Folder":
        for name, content in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                path.write_text(dedent(content).strip("\n") + "\n", encoding="utf-8")
        return self

    def load(
        self,
        stage: str | None = None,
        *,
        here: str = ".",
        file: str | None = None,
        variables: Mapping[str, str] | None = None,
        strict: bool = False,
        blocks: Blocks | None = None,
        values: bool = True,
    ) -> Loaded:
        return load(
            self.path / here,
            file=None if file is None else Path(file),
            stage=None if stage is None else StageName(stage),
            variables=variables or {},
            environ=self.environ,
            strict=strict,
            blocks=blocks or {},
            values=values,
        )

    def service(self, name: str, stage: str = "local", **options: object) -> Service:
        """One service of one stage."""
        loaded = self.load(stage, **options)  # type: ignore[arg-type]  # handed on as they are
        return next(each for each in loaded.project.stages[0].services if each.name == name)

    def problems(self, stage: str | None = None, **options: object) -> list[str]:
        """What is wrong, errors only, each as one line."""
        with pytest.raises(ConfigError) as caught:
            self.load(stage, **options)  # type: ignore[arg-type]  # handed on as they are
        return [printed(problem) for problem in caught.value.problems if problem.severity == "error"]

    def warnings(self, stage: str | None = None, **options: object) -> list[str]:
        return [printed(problem) for problem in self.load(stage, **options).warnings]  # type: ignore[arg-type]  # as above


ServiceText = Callable[[str], Service]
ProblemsText = Callable[[str], list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.fixture
def service(folder: Folder) -> ServiceText:
    """The body of a service -> the service."""

    def decoded(body: str) -> Service:
        folder.write({"fleet.kdl": f'service "x" {{\n image "i"\n{dedent(body)}\n}}\nstage "local" {{ service "x" }}'})
        return folder.service("x")

    return decoded


@pytest.fixture
def wrong(folder: Folder) -> ProblemsText:
    """The body of a service -> what is wrong with it. Its first line is line 3 of the file."""

    def problems(body: str) -> list[str]:
        text = dedent(body).strip("\n")
        folder.write({"fleet.kdl": f'service "x" {{\n image "i"\n{text}\n}}\nstage "local" {{ service "x" }}'})
        return [line.removeprefix("fleet.kdl:") for line in folder.problems("local")]

    return problems
