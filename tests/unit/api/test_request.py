# SPDX-License-Identifier: Apache-2.0
"""What a user asked for, before any file is read."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetflow_tasks.api.request import Request, chosen, load_project
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


# --- runtimes that other packages bring

NOMAD = """
from fleetflow_tasks.config.schema import Row
from fleetflow_tasks.testing.recording import RecordingRuntime

class NomadRuntime(RecordingRuntime):
    schema = (Row(name="datacenter", doc="Where it runs."),)
"""
SHOP = """
project "shop"
service "api" {{ image "api:1"; nomad {{ {inside} "eu" }} }}
stage "stg" {{ {runtime}; service "api" }}
"""


@pytest.fixture
def said(tmp_path: Path) -> Callable[..., list[str]]:
    """What is wrong with a shop that has a block of `nomad`'s."""

    def read(runtime: str = 'runtime "nomad"', inside: str = "datacenter") -> list[str]:
        (tmp_path / "fleet.kdl").write_text(SHOP.format(runtime=runtime, inside=inside), encoding="utf-8")
        try:
            loaded = load_project(Request(directory=str(tmp_path)), None)
        except ConfigError as error:
            return [f"{each.severity}: {each.message}" for each in error.problems]
        (stage,) = loaded.project.stages
        options = [f"{name}: {dict(block)}" for name, block in stage.services[0].options.items()]
        return [f"{each.severity}: {each.message}" for each in loaded.warnings] or [stage.runtime.name, *options]

    return read


@pytest.fixture
def nomad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Installs the package that brings it, with this module."""

    def install(module: str) -> None:
        site = tmp_path / "site"
        about = site / "fleetflow_nomad-1.0.dist-info"
        about.mkdir(parents=True)
        (site / "fleetflow_nomad.py").write_text(module, encoding="utf-8")
        (about / "METADATA").write_text(
            "Metadata-Version: 2.1\nName: fleetflow-nomad\nVersion: 1.0\n", encoding="utf-8"
        )
        entry = "[fleetflow.runtimes]\nnomad = fleetflow_nomad:NomadRuntime\n"
        (about / "entry_points.txt").write_text(entry, encoding="utf-8")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, "fleetflow_nomad", raising=False)

    return install


def test_a_runtime_that_a_package_brings_is_named_in_the_text_and_its_block_is_read(
    nomad: Callable[[str], None], said: Callable[..., list[str]]
) -> None:
    nomad(NOMAD)

    assert said() == ["nomad", "nomad: {'datacenter': 'eu'}"]
    assert said('backend "nomad"') == said()
    assert said('runtime "docker"') == ["docker", "nomad: {'datacenter': 'eu'}"]
    assert said(inside="datacentre") == ["warning: unknown node `datacentre` in `nomad`"]
    assert said('runtime "nomda"') == ["error: unknown runtime `nomda`"]


def test_a_package_that_cannot_be_loaded_is_known_by_its_name_until_it_is_used(
    nomad: Callable[[str], None], said: Callable[..., list[str]]
) -> None:
    nomad("import no_such_module")

    assert said() == ["warning: unknown node `datacenter` in `nomad`"]


def test_a_runtime_that_nobody_brings_is_unknown(said: Callable[..., list[str]]) -> None:
    assert "error: unknown runtime `nomad`" in said()


def test_what_another_stage_lacks_does_not_stand_in_the_way_of_local(tmp_path: Path) -> None:
    text = 'service "a"\nstage "local" { service "a" }\nstage "prd" { service "a" { version "{{ NOWHERE }}" } }\n'
    (tmp_path / "fleet.kdl").write_text(text, encoding="utf-8")

    _, stage = chosen(Request(directory=str(tmp_path)))

    assert stage == "local"
