# SPDX-License-Identifier: Apache-2.0
"""Where a stage goes, in words, from what lies on this machine alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from fleetflow_tasks.config.model import ProjectName, RuntimeName, StageName
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.runtimes import registry
from fleetflow_tasks.runtimes.base import Placed

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: gke_dev
contexts: [{name: gke_dev, context: {cluster: c}}]
"""


def place(runtime: str, environ: Mapping[str, str], **options: str) -> str:
    plan = Plan(
        project=ProjectName("shop"),
        stage=StageName("stg"),
        root="/",
        services=(),
        steps=(),
        options={runtime: options} if options else {},
    )
    made = registry.get(RuntimeName(runtime), environ)
    try:
        return cast(Placed, made).place(plan)
    finally:
        made.close()


def test_docker_is_the_engine_that_would_be_asked(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "gone"}')

    assert place("docker", {**home, "DOCKER_HOST": "unix:///run/d.sock"}) == "docker at unix:///run/d.sock"
    assert place("docker", home, docker_host="ssh://web1") == "docker at ssh://web1"
    assert place("docker", home) == "docker"


@pytest.mark.parametrize(
    ("text", "environ", "options", "told"),
    [
        (KUBECONFIG, {}, {}, "context gke_dev, namespace shop-stg"),
        (KUBECONFIG, {}, {"context": "gke_stg", "namespace": "stg"}, "context gke_stg, namespace stg"),
        ("no: [kubeconfig", {}, {}, "no context, namespace shop-stg"),
        ("", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, {}, "the cluster that this runs in, namespace shop-stg"),
    ],
)
def test_kubernetes_is_a_context_and_a_namespace(
    tmp_path: Path, text: str, environ: Mapping[str, str], options: Mapping[str, str], told: str
) -> None:
    file = tmp_path / "config"
    if text:
        file.write_text(text, encoding="utf-8")

    assert place("kubernetes", {"KUBECONFIG": str(file), **environ}, **options) == f"kubernetes, {told}"


def test_cloud_run_is_a_project_and_a_region() -> None:
    assert place("cloudrun", {}, project="p", region="r") == "cloudrun, project p, region r"
    assert place("cloudrun", {}) == "cloudrun, project (not said), region (not said)"
