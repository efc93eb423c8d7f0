# SPDX-License-Identifier: Apache-2.0
"""Any bytes give a project or our own errors, each of these can be shown, and the same bytes give the same again."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from hypothesis import given

from fleetflow_tasks.config.load import Loaded, load
from fleetflow_tasks.config.model import StageName
from fleetflow_tasks.errors import ConfigError, Problem
from fleetflow_tasks.view.problems import render_all
from tests.fuzz.effort import examples
from tests.fuzz.projects import Files, projects

Answer = Loaded | tuple[Problem, ...]


def answer(folder: Path, stage: str | None) -> Answer:
    """The project, or what is wrong; anything else that is raised is ours to mend."""
    try:
        return load(folder, file=Path("fleet.kdl"), stage=None if stage is None else StageName(stage))
    except ConfigError as error:
        return error.problems


def said(answered: Answer) -> tuple[Problem, ...]:
    return answered.warnings if isinstance(answered, Loaded) else answered


def check_shown(problems: Iterable[Problem], folder: Path) -> None:
    told = list(problems)
    assert render_all(told) or not told
    for problem in told:
        assert problem.message
        assert "\n" not in problem.message
        assert "\n" not in problem.fix
        if problem.place is not None:
            _check_place(problem, folder)


def _check_place(problem: Problem, folder: Path) -> None:
    """It lies within its file."""
    place = problem.place
    assert place is not None
    lines = (folder / place.file).read_bytes().replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert 1 <= place.line <= len(lines)
    assert place.column >= 1
    assert place.length >= 1
    if place.text:
        line = lines[place.line - 1].decode("utf-8").removeprefix("\ufeff" if place.line == 1 else "")
        assert place.text == line
        assert place.column - 1 + place.length <= max(len(line), place.column)


@examples(100)
@given(projects())
def test_any_bytes_give_a_project_or_our_errors_and_the_same_each_time(project: Files) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, content in project.files.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        first = answer(folder, project.stage)
        again = answer(folder, project.stage)

        check_shown(said(first), folder)
        assert said(first) == said(again)
        if isinstance(first, Loaded):
            assert isinstance(again, Loaded)
            assert first.project.stages
            assert first.project == again.project
