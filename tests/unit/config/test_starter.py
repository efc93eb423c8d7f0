# SPDX-License-Identifier: Apache-2.0
"""The first file of a project: short, formatted, and a plan as it stands."""

import pytest

from fleetflow_tasks.config.formatting import formatted
from fleetflow_tasks.config.locate import Text
from fleetflow_tasks.config.starter import Start, starter

from .conftest import Folder


def test_what_a_folder_with_a_dockerfile_begins_with() -> None:
    assert starter(Start(project="shop", port=3000)).splitlines() == [
        "// What runs where. `flow plan` shows what would be done, `flow up` does it.",
        'project "shop"',
        "",
        'service "web" {',
        '    build { context "." }  // the Dockerfile in this folder',
        "    // Here on the first free port from 11000 up, which `flow ps` shows;",
        "    // `port 8080 3000` would take port 8080.",
        "    port container=3000",
        '    // environment { LOG "info" }',
        '    // secrets { TOKEN env="TOKEN" }  // from the shell or from `.env`, never from this file',
        '    // depends_on "db"  // starts when `db` is ready',
        "}",
        "",
        "// A stage says which services run somewhere. This one: Docker on this machine.",
        'stage "local" {',
        '    service "web"',
        "}",
    ]


@pytest.mark.parametrize(
    "start",
    [
        Start(project="shop", port=80),
        Start(project="a.b_c", image="registry:5000/x/y:1.2@sha256:" + "a" * 64),
        Start(project="shop", image="nginx", stages=("local", "stg", "prd"), port=65535),
    ],
)
def test_it_is_formatted_and_a_project_without_a_warning(folder: Folder, start: Start) -> None:
    text = starter(start)
    folder.write({"fleet.kdl": text})

    loaded = folder.load(None)

    assert formatted(Text("fleet.kdl", text)).text == text
    assert loaded.warnings == ()
    assert [stage.name for stage in loaded.project.stages] == list(start.stages)


def test_every_comment_that_holds_a_node_holds_one_that_is_right(folder: Folder) -> None:
    text = starter(Start(project="shop", image="nginx", stages=("stg",), port=80))
    uncommented = text.replace("    // ", "    ").replace("// runtime", "runtime")
    uncommented = uncommented.replace("    Here on", "    // Here on").replace("    `port", "    // `port")
    runtime = 'runtime "kubernetes" { namespace "shop-stg" }\n'
    inside = uncommented.replace(runtime, "").replace('stage "stg" {\n', f'stage "stg" {{\n    {runtime}')
    folder.write({"fleet.kdl": inside + 'service "db" { image "x" }\nstage "stg" { service "db" }\n'})
    folder.environ = {"TOKEN": "x"}

    loaded = folder.load("stg")

    assert loaded.warnings == ()
    assert loaded.project.stages[0].runtime.options["namespace"] == "shop-stg"
    assert loaded.project.stages[0].services[0].environment["LOG"] == "info"
