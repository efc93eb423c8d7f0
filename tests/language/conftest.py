# SPDX-License-Identifier: Apache-2.0
"""A project on disk, and what its user is told of it: through the front door, in the form that `flow` prints."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from fleetflow_tasks.api import Planned, Request, plan, validated
from fleetflow_tasks.config.model import ServiceName
from fleetflow_tasks.errors import FleetFlowError
from fleetflow_tasks.plan.describe import describe
from fleetflow_tasks.plan.model import ResolvedService
from fleetflow_tasks.view.problems import render_all


class Written:
    """A folder with files. What is asked of it means the stage `local`, where no other is said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ: dict[str, str] = {}
        self.variables: dict[str, str] = {}

    def __call__(self, text: str, **others: str) -> "Written":
        """text: of `fleet.kdl`, indented as it likes. others: `a_kdl="…"` is a file `a.kdl`."""
        return self.files({"fleet.kdl": text, **{name.replace("_", "."): other for name, other in others.items()}})

    def files(self, files: Mapping[str, str]) -> "Written":
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).strip("\n") + "\n", encoding="utf-8")
        return self

    def plan(
        self,
        stage: str | None = "local",
        *,
        runtime: str | None = None,
        strict: bool = False,
        here: str = ".",
        file: str | None = None,
    ) -> Planned:
        return plan(self._request(stage, runtime, here, file, strict=strict))

    def service(
        self, name: str, stage: str | None = "local", *, runtime: str | None = None, here: str = "."
    ) -> ResolvedService:
        return self.plan(stage, runtime=runtime, here=here).plan.service(ServiceName(name))

    def steps(self, stage: str = "local") -> list[str]:
        return describe(self.plan(stage).plan)

    def told(
        self,
        stage: str | None = "local",
        *,
        runtime: str | None = None,
        strict: bool = False,
        file: str | None = None,
        validate: bool = False,
    ) -> str:
        """Everything that a user sees: errors and warnings where there are errors, else the warnings."""
        request = self._request(stage, runtime, ".", file, strict=strict)
        try:
            found = (validated if validate else plan)(request).warnings
        except FleetFlowError as error:
            found = error.problems
        return render_all(found).replace(str(self.path), "/shop")

    def headlines(self, stage: str | None = "local", *, runtime: str | None = None, strict: bool = False) -> list[str]:
        """The first line of each problem, and its last word on it where there is one: `place: message => fix`."""
        request = self._request(stage, runtime, ".", None, strict=strict)
        try:
            found = plan(request).warnings
        except FleetFlowError as error:
            found = error.problems
        return [
            render_all([each]).splitlines()[0] + (f" => {each.fix}" if each.fix else "")
            for each in found
            if each.severity != "note"
        ]

    def _request(self, stage: str | None, runtime: str | None, here: str, file: str | None, *, strict: bool) -> Request:
        return Request(
            directory=str(self.path / here),
            file=file,
            stage=stage,
            runtime=runtime,
            variables=self.variables,
            environ=self.environ,
            strict=strict,
        )


@pytest.fixture
def shop(tmp_path: Path) -> Written:
    return Written(tmp_path / "shop")


def lines(text: str) -> str:
    """What a terminal would show, written down indented."""
    return dedent(text).strip("\n")
