# SPDX-License-Identifier: Apache-2.0
"""The tutorial's chapter on Cloud Run, followed on the server of these tests, with containers behind its URLs. The file is that of the chapter before."""

import os
from pathlib import Path

import pytest

from fleetflow_tasks.testing.cloudrun.live import live
from tests.desk import Desk, state_folder
from tests.pages import Reader, fences

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial.md"


@pytest.mark.docker
def test_the_same_services_on_cloud_run(tmp_path: Path) -> None:
    [file] = [fence for fence in fences(PAGE, "Kubernetes") if fence.language == "kdl"]
    with state_folder() as state, live(os.environ) as server:
        desk = Desk(tmp_path, state)
        desk.environ |= server.environ()
        desk.write(file.text.partition("\n")[2])
        reader = Reader(desk.folder, desk.environ, {"greetings": desk.project})
        try:
            reader.follow(PAGE, "Cloud Run")
            assert desk.flow("down", "prd").code == 0
        finally:
            reader.close()
            desk.close()
