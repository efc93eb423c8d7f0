# SPDX-License-Identifier: Apache-2.0
"""Which runtime a service is for: a service's own word, `--runtime`, FLEETFLOW_RUNTIME, the stage's; with its settings."""

from pathlib import Path

import pytest

from fleetflow_tasks.api.reading import plan
from fleetflow_tasks.api.request import Request

SHOP = """
project "shop"
service "api" {{ image "shop/api:1"; port container=8080; depends_on "edge" }}
service "edge" {{ image "shop/edge:1"; port container=8080 }}
stage "stg" {{ {stage}; variables {{ PROJECT "shop-stg"; REGION "europe-west1" }}; service "api"; service "edge" {edge} }}
"""


def runtimes(
    folder: Path, *, stage: str = "", edge: str = "", flag: str | None = None, environ: str = ""
) -> dict[str, str]:
    """service -> its runtime; and the settings of those that have some."""
    (folder / "fleet.kdl").write_text(SHOP.format(stage=stage, edge=edge), encoding="utf-8")
    told = {"FLEETFLOW_RUNTIME": environ} if environ else {}
    made = plan(Request(directory=str(folder), stage="stg", runtime=flag, environ=told)).plan
    services = {str(service.name): str(service.runtime) for service in made.services}
    return services | {f"{name} settings": " ".join(said.values()) for name, said in made.options.items()}


ALL = {"api": "cloudrun", "edge": "cloudrun", "cloudrun settings": "shop-stg europe-west1"}
EDGE = {"api": "docker", "edge": "cloudrun", "cloudrun settings": "shop-stg europe-west1"}


@pytest.mark.parametrize("name", ["cloudrun", "cloud-run", "cloud_run"])
def test_each_of_its_names_means_cloud_run(tmp_path: Path, name: str) -> None:
    assert runtimes(tmp_path, stage=f'runtime "{name}"') == ALL
    assert runtimes(tmp_path, flag=name) == ALL
    assert runtimes(tmp_path, environ=name) == ALL
    assert runtimes(tmp_path, edge=f'runtime="{name}"') == EDGE


def test_the_environment_beats_the_stage_and_the_flag_beats_the_environment(tmp_path: Path) -> None:
    stage = 'runtime "kubernetes"'

    assert runtimes(tmp_path, stage=stage, environ="cloudrun") == ALL
    assert runtimes(tmp_path, stage=stage, environ="kubernetes", flag="cloudrun") == ALL
    assert runtimes(tmp_path, stage='runtime "cloudrun"', environ="cloudrun", flag="docker") == {
        "api": "docker",
        "edge": "docker",
    }


def test_a_service_s_own_word_beats_all_of_them(tmp_path: Path) -> None:
    own = 'runtime="cloudrun"'

    assert runtimes(tmp_path, edge=own) == EDGE
    assert runtimes(tmp_path, edge=own, stage='runtime "kubernetes"', environ="docker") == EDGE
    assert runtimes(tmp_path, edge=own, stage='runtime "kubernetes"', environ="kubernetes", flag="docker") == EDGE
    assert runtimes(tmp_path, edge='runtime="docker"', environ="cloudrun") == ALL | {"edge": "docker"}
