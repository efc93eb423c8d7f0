# SPDX-License-Identifier: Apache-2.0
"""The node `build`."""

from fleetflow_tasks.config.model import Build
from fleetflow_tasks.runtimes.docker.options import SCHEMA

from .conftest import Folder


def test_a_build_says_what_it_is_made_of(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
                service "api" {
                    build { context "./api"; dockerfile "ops/Dockerfile"; target "prod"; args { V 1; DEBUG true } }
                }
                stage "local" { service "api" }
            """
        }
    )

    made = folder.service("api")

    assert made.build == Build(
        context="./api", dockerfile="ops/Dockerfile", target="prod", args={"V": "1", "DEBUG": "true"}
    )
    assert str(made.place("build.target")) == "fleet.kdl:2:59"
    assert str(made.place("build.args.V")) == "fleet.kdl:2:81"
    assert made.place("build.context.nothing") == made.place("build.context")


def test_a_build_is_the_projects_root_where_it_says_nothing_else(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'stage "local" { service "api" { build "." } }'})

    assert folder.service("api").build == Build()


def test_a_stage_builds_otherwise_or_not_at_all(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
                service "api" { build "api" { args { A 1; B 1 } } }
                stage "local" { service "api" { build { target "dev"; args { B 2 } } } }
                stage "prd" { service "api" { build; image "x"; version "1" } }
            """
        }
    )

    assert folder.service("api").build == Build(context="api", target="dev", args={"A": "1", "B": "2"})
    assert folder.service("api", "prd").build is None


def test_an_image_is_built_for_the_platform_that_it_runs_on(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'stage "local" { service "api" { build "."; docker { platform "linux/arm64" } } }'})

    assert folder.service("api", blocks={"docker": SCHEMA}).build == Build(platform="linux/arm64")


def test_what_is_no_text_is_told(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'stage "local" { service "api" { build "." { args { V null }; targett "x" } } }'})

    assert folder.problems("local") == [
        'fleet.kdl:1:54: `V` has no value => write `""` where an empty text is meant',
    ]
