# SPDX-License-Identifier: Apache-2.0
"""The tutorial's chapter on Kubernetes, followed on a node."""

from pathlib import Path

from tests.desk import BASE, Desk, state_folder
from tests.kubernetes.conftest import Cluster
from tests.pages import Reader

PAGE = Path(__file__).resolve().parents[3] / "docs" / "tutorial.md"


def test_the_same_services_on_kubernetes(node: Cluster, tmp_path: Path) -> None:
    with state_folder() as state:
        desk = Desk(tmp_path, state)
        desk.environ |= {"KUBECONFIG": str(node.kubeconfig), "FLEETFLOW_WAIT_IMAGE": BASE}
        reader = Reader(desk.folder, desk.environ, {"greetings": desk.project})
        try:
            reader.follow(PAGE, "Kubernetes")
        finally:
            reader.close()
            desk.close()
            node.removed(f"{desk.project}-stg")
