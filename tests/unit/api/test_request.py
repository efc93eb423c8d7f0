# SPDX-License-Identifier: Apache-2.0
"""What a user asked for, before any file is read."""

from pathlib import Path

import pytest

from fleetflow_tasks.api.request import Request, load_project
from fleetflow_tasks.errors import ConfigError


def test_a_working_directory_that_was_removed_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(ConfigError) as caught:
        load_project(Request(), None)

    (problem,) = caught.value.problems
    assert problem.message == "the folder in which this command was started is not there any more"
    assert problem.fix == "change into a folder that exists"
