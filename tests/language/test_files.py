# SPDX-License-Identifier: Apache-2.0
"""The language, 2: files."""

import pytest

from fleetflow_tasks.plan.model import ResolvedService

from .conftest import Written, lines

WEB = 'service "web" { image "nginx:1" }\nstage "local" { service "web" }'


def environment(service: ResolvedService) -> dict[str, str]:
    return dict(service.environment)


# --- which file


@pytest.mark.parametrize("name", [".fleetflow/fleet.kdl", "fleet.kdl", "flow.kdl", "fleetflow.kdl"])
def test_the_file_is_found_from_the_working_directory_upwards(shop: Written, name: str) -> None:
    shop.files({name: WEB, "deep/down/x.txt": ""})

    assert shop.service("web", here="deep/down").image == "nginx:1"


def test_the_names_have_an_order(shop: Written) -> None:
    names = [".fleetflow/fleet.kdl", "fleet.kdl", "flow.kdl", "fleetflow.kdl"]
    shop.files({name: WEB.replace("nginx:1", f"nginx:{index}") for index, name in enumerate(names)})

    found = []
    for name in names:
        found.append(shop.service("web").image)
        (shop.path / name).unlink()

    assert found == ["nginx:0", "nginx:1", "nginx:2", "nginx:3"]


def test_a_nearer_file_wins_over_one_further_up(shop: Written) -> None:
    shop.files({"fleet.kdl": WEB, "in/fleetflow.kdl": WEB.replace("nginx:1", "nginx:2")})

    assert shop.service("web", here="in").image == "nginx:2"


def test_the_path_in_file_or_in_fleetflow_file_is_taken_instead(shop: Written) -> None:
    shop.files({"fleet.kdl": WEB, "a.kdl": WEB.replace("1", "2"), "b.kdl": WEB.replace("1", "3")})
    shop.environ = {"FLEETFLOW_FILE": "a.kdl"}

    assert shop.service("web").image == "nginx:2"
    assert shop.plan(file="b.kdl").plan.services[0].image == "nginx:3"


def test_no_file_at_all_is_an_error_that_shows_one_that_works(shop: Written) -> None:
    shop.files({"readme": ""})

    assert shop.told().splitlines()[:2] == [
        "there is no FleetFlow file here",
        "  looked for `.fleetflow/fleet.kdl`, `fleet.kdl`, `flow.kdl`, `fleetflow.kdl` in /shop and in every folder above it",
    ]


def test_a_file_that_is_not_there_is_an_error_with_its_name(shop: Written) -> None:
    shop(WEB)

    assert shop.told(file="nope.kdl") == lines("""
        there is no file `nope.kdl`, looked for from /shop
          fix: give the path of a KDL file, or leave `--file` out to search upwards from here
    """)


# --- what lies beside it


def test_services_stages_and_variables_beside_it_are_read_too(shop: Written) -> None:
    shop.files(
        {
            "fleet.kdl": 'project "shop"',
            "services/db/postgres.kdl": 'service "db" { image "postgres:{{ VERSION }}" }',
            "services/web.kdl": 'service "web" { image "nginx:1" }',
            "stages/local.kdl": 'stage "local" { service "db"; service "web" }',
            "variables/versions.kdl": "variables { VERSION 16 }",
            "services/notes.txt": "none of ours",
        }
    )

    assert [service.image for service in shop.plan().plan.services] == ["postgres:16", "nginx:1"]


@pytest.mark.parametrize("name", ["fleet.local.kdl", "flow.local.kdl"])
def test_the_file_of_a_stage_counts_for_that_stage_alone(shop: Written, name: str) -> None:
    shop(f'{WEB}\nstage "prd" {{ service "web" }}').files({name: 'service "web" { environment { WHERE "here" } }'})

    assert environment(shop.service("web", "local")) == {"WHERE": "here"}
    assert environment(shop.service("web", "prd")) == {}


def test_a_later_file_wins_over_an_earlier_one(shop: Written) -> None:
    def said(name: str) -> str:
        return f'service "web" {{ environment {{ {name} "{name}"; LAST "{name}" }} }}'

    order = ["services/a.kdl", "services/b.kdl", "stages/a.kdl", "variables/a.kdl", "fleet.local.kdl", "flow.local.kdl"]
    shop(WEB).files({path: said(f"F{index}") for index, path in enumerate(order)})

    found = []
    for path in reversed(order):
        found.append(environment(shop.service("web"))["LAST"])
        (shop.path / path).unlink()

    assert found == ["F5", "F4", "F3", "F2", "F1", "F0"]


# --- include


def test_include_works_at_top_level_of_any_file_relative_to_it_and_nested(shop: Written) -> None:
    shop(f'include "teams/*.kdl"\n{WEB.replace("web", "api")}').files(
        {
            "teams/core.kdl": 'include "core/all.kdl"',
            "teams/core/all.kdl": 'include "../../shared/api.kdl"',
            "shared/api.kdl": 'service "api" { environment { FROM "shared" } }',
        }
    )

    assert environment(shop.service("api")) == {"FROM": "shared"}


def test_an_included_file_counts_at_the_place_of_its_include(shop: Written) -> None:
    shop(
        """
        service "web" { image "nginx:1"; version "1" }
        include "a.kdl"
        service "web" { environment { LAST "main" } }
        stage "local" { service "web" }
        """
    ).files({"a.kdl": 'service "web" { environment { LAST "a"; A "a" } }'})

    assert environment(shop.service("web")) == {"LAST": "main", "A": "a"}


def test_a_cycle_is_an_error_that_prints_the_chain(shop: Written) -> None:
    shop(f'include "a/x.kdl"\n{WEB}').files(
        {"a/x.kdl": 'include "../b/*.kdl"', "b/y.kdl": 'include "../a/../fleet.kdl"'}
    )

    assert shop.told() == lines("""
        b/y.kdl:1:9: files include each other: fleet.kdl -> a/x.kdl -> b/y.kdl -> fleet.kdl
            1 | include "../a/../fleet.kdl"
              |         ^^^^^^^^^^^^^^^^^^^
          fix: remove one `include`
    """)


def test_a_file_included_twice_by_different_paths_is_not(shop: Written) -> None:
    shop(f'include "a.kdl" "./a.kdl"\ninclude "b/../a.kdl" "link.kdl"\ninclude "*.kdl.part"\n{WEB}')
    shop.files({"a.kdl": 'service "db" { image "postgres:16"; port 5432 }', "b/x": "", "x.kdl.part": ""})
    (shop.path / "link.kdl").symlink_to("a.kdl")

    assert shop.told() == ""


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ('include "nope.kdl"', "1:9: `nope.kdl` cannot be read: no such file or directory"),
        ('include "folder"', "1:9: `folder` cannot be read: is a directory"),
        ('include "no/*.kdl"', "1:9: warning: `no/*.kdl` matches no file"),
        ("include", '1:1: `include` has no value => write `include "teams/*.kdl"`'),
        ('include file="a.kdl"', "1:14: `include` takes no property `file`"),
    ],
)
def test_an_include_of_what_is_not_there_is_told(shop: Written, include: str, expected: str) -> None:
    shop(f"{include}\n{WEB}").files({"folder/a.kdl": "", "a.kdl": ""})

    assert f"fleet.kdl:{expected}" in shop.headlines()


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        ('{% if true %}\ninclude "a.kdl"\n{% endif %}', "2:1: an `include` cannot stand inside `{% %}`: it is read before templates are rendered"),
        ('{% for x in "ab" %}\ninclude "a.kdl"\n{% endfor %}', "2:1: an `include` cannot stand inside `{% %}`: it is read before templates are rendered"),
        ('include "${WHO}.kdl"', "1:9: an `include` is read before variables are known: its path must be plain"),
        ('include "{{ WHO }}.kdl"', "1:9: an `include` is read before variables are known: its path must be plain"),
    ],
)  # fmt: skip
def test_an_include_is_read_before_templates_and_variables(shop: Written, include: str, expected: str) -> None:
    shop(f"{include}\n{WEB}").files({"a.kdl": ""})

    assert shop.headlines() == [
        f"fleet.kdl:{expected} => what only one stage has stands in `fleet.{{stage}}.kdl`, which is read by itself"
    ]


# --- paths


@pytest.mark.parametrize("main", ["fleet.kdl", ".fleetflow/fleet.kdl"])
def test_relative_paths_are_relative_to_the_project_root_not_to_the_working_directory(shop: Written, main: str) -> None:
    shop.files(
        {
            main: f"{WEB}",
            f"{main.removesuffix('fleet.kdl')}services/web.kdl": """
                service "web" { volume "./data" "/data"; volume "../up" "/up"; env_file "web.env"; secrets { KEY file="key" } }
            """,
            "web.env": "A=1",
            "key": "sesame",
            "deep/x": "",
        }
    )

    service = shop.service("web", here="deep")

    assert [volume.source for volume in service.volumes] == [str(shop.path / "data"), str(shop.path.parent / "up")]
    assert environment(service) == {"A": "1"}
    assert service.secrets["KEY"].reveal() == "sesame"
