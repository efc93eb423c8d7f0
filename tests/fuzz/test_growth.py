# SPDX-License-Identifier: Apache-2.0
"""A project of ten times the services takes ten times the work. Calls are counted: a clock would know what else runs."""

import cProfile
from pathlib import Path

import pytest

from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.model import StageName


def shop(services: int, *, template: bool) -> str:
    domain = "{{ DOMAIN }}" if template else "${DOMAIN}"
    lines = [
        f'service "s{number}" {{ image "shop/s{number}"; version "1.{number}"; port {number + 1} 80; '
        f'environment {{ URL "http://s{number}.{domain}/"; WORKERS 4 }}; depends_on "s{max(0, number - 1)}"; '
        'resources { cpu "100m"; memory "128Mi" } }'
        for number in range(services)
    ]
    held = [f'    service "s{number}"' for number in range(services)]
    return "\n".join(['variables { DOMAIN "example.org" }', *lines, 'stage "local" {', *held, "}"])


def calls(folder: Path, services: int, *, template: bool) -> int:
    (folder / "fleet.kdl").write_text(shop(services, template=template), encoding="utf-8")
    profile = cProfile.Profile()
    loaded = profile.runcall(load, folder, file=Path("fleet.kdl"), stage=StageName("local"))
    assert len(loaded.project.stages[0].services) == services
    return sum(entry.callcount for entry in profile.getstats())


@pytest.mark.parametrize("template", [False, True])
def test_the_work_of_reading_grows_with_the_project_and_no_faster(tmp_path: Path, template: bool) -> None:
    calls(tmp_path, 1, template=template)  # what is made once: the schema, Jinja2

    small = calls(tmp_path, 100, template=template)
    large = calls(tmp_path, 1000, template=template)

    assert large < 10.5 * small


def test_no_limit_is_near_a_project_of_five_thousand_services(tmp_path: Path) -> None:
    (tmp_path / "fleet.kdl").write_text(shop(5000, template=False), encoding="utf-8")

    loaded = load(tmp_path, file=Path("fleet.kdl"), stage=StageName("local"))

    assert len(loaded.project.stages[0].services) == 5000
