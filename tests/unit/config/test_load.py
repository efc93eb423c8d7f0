# SPDX-License-Identifier: Apache-2.0
"""From files to a project: stages, runtimes, variables, merging, and everything wrong at once."""

import subprocess
import sys
from collections.abc import Mapping

import pytest

from fleetflow_tasks.config.model import StageName

from .conftest import Folder

FOUR_STAGES = """
    project "shop"

    service "api" {
        image "ghcr.io/shop/api"
        version "1.0"
        port 8080 80
        environment { LOG "info" }
    }
    service "db" { image "postgres"; version 16 }

    stage "local" {
        variables { DEBUG "true"; DATABASE_URL "postgres://localhost/shop" }
        service "db"
        service "api"
    }
    stage "dev" {
        variables { RUNTIME "docker"; DOCKER_HOST "ssh://dev"; DEBUG "true" }
        service "api"
    }
    stage "stg" {
        variables { RUNTIME "kubernetes"; NAMESPACE "stg"; DEBUG "false" }
        service "api" { replicas 2; environment { LOG "debug" } }
    }
    stage "prd" {
        variables { RUNTIME "cloudrun"; PROJECT "shop-prd"; REGION "europe-west1"; DEBUG "false" }
        service "api" { version "0.9" }
        service "db" runtime="k8s"
    }
"""


def test_one_file_with_four_stages_on_three_runtimes(folder: Folder) -> None:
    folder.write({"fleet.kdl": FOUR_STAGES})

    project = folder.load().project

    assert project.name == "shop"
    assert project.declared == ("api", "db")
    assert {
        stage.name: (stage.runtime.name, dict(stage.runtime.options), dict(stage.variables)) for stage in project.stages
    } == {
        "local": ("docker", {}, {"DEBUG": "true", "DATABASE_URL": "postgres://localhost/shop"}),
        "dev": ("docker", {"docker_host": "ssh://dev"}, {"DEBUG": "true"}),
        "stg": ("kubernetes", {"namespace": "stg"}, {"DEBUG": "false"}),
        "prd": ("cloudrun", {"project": "shop-prd", "region": "europe-west1"}, {"DEBUG": "false"}),
    }
    assert [[service.name for service in stage.services] for stage in project.stages] == [
        ["db", "api"],
        ["api"],
        ["api"],
        ["api", "db"],
    ]


def test_a_stage_overrides_for_itself_alone(folder: Folder) -> None:
    folder.write({"fleet.kdl": FOUR_STAGES})

    local, stg, prd = (folder.service("api", stage) for stage in ("local", "stg", "prd"))

    assert (local.version, dict(local.environment), local.replicas) == ("1.0", {"LOG": "info"}, None)
    assert (stg.version, dict(stg.environment), stg.replicas) == ("1.0", {"LOG": "debug"}, 2)
    assert (prd.version, prd.ports) == ("0.9", local.ports)
    assert folder.service("db", "prd").runtime == "kubernetes"


def test_who_only_looks_needs_neither_secrets_nor_their_files(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "a" { image "a"; secrets { X; Y file="none" } }
            service "b" { image "b"; env_file "none" }
            stage "prd" { service "a" }
            stage "stg" { service "a"; service "b" }
            """
        }
    )

    assert not folder.load("prd", values=False).incomplete
    assert folder.load("stg", values=False).incomplete
    assert len(folder.problems("stg")) == 3


def test_asked_for_one_stage_only_that_one_is_read(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "a" { image "a" }
            stage "local" { service "a" }
            stage "prd" { service "a" { secrets { X }; env_file "none"; env A="${NOPE}" } }
            """
        }
    )

    assert [stage.name for stage in folder.load("local").project.stages] == ["local"]
    assert folder.problems("prd") == [
        "fleet.kdl:3:39: the secret's variable `X` is not set => export X, or write it into `.env`",
        "fleet.kdl:3:44: `none` cannot be read: no such file or directory => write the file, or mend the path: it starts at the project's folder",
        "fleet.kdl:3:67: variable `NOPE` is not defined => define it in `variables`, pass `--var NOPE=…`, or write `${NOPE:-default}`",
    ]
    assert len(folder.problems()) == 1


@pytest.mark.parametrize(
    ("body", "runtime", "options"),
    [
        ("", "docker", {}),
        ('runtime "k8s"', "kubernetes", {}),
        ('runtime "Cloud-Run"', "cloudrun", {}),
        ('runtime "kubernetes" { namespace "n"; context "c" }', "kubernetes", {"namespace": "n", "context": "c"}),
        ('runtime "docker" host="web1"', "docker", {"host": "web1"}),
        ('backend "cloud_run"', "cloudrun", {}),
        ('backend "docker"; runtime "k8s"', "kubernetes", {}),
        ('variables { RUNTIME "k8s" }', "kubernetes", {}),
        (
            'variables { RUNTIME "k8s"; NAMESPACE "v" }; runtime "docker" { namespace "n" }',
            "docker",
            {"namespace": "n"},
        ),
        ('variables { RUNTIME ""; CONTEXT "" }', "docker", {}),
        ('runtime "nomad"', "nomad", {}),
    ],
)
def test_a_stages_runtime(folder: Folder, body: str, runtime: str, options: dict[str, str]) -> None:
    folder.write({"fleet.kdl": f'service "a" {{ image "a" }}\nstage "local" {{ service "a"; {body} }}'})

    chosen = folder.load("local", blocks={"nomad": ()}).project.stages[0].runtime

    assert (chosen.name, dict(chosen.options)) == (runtime, options)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('runtime "dokcer"', "2:38: unknown runtime `dokcer` => did you mean `docker`?"),
        (
            'backend "nope"',
            "2:30: unknown runtime `nope` => known are `cloud-run`, `cloud_run`, `cloudrun`, `docker`, `k8s`, `kubernetes`",
        ),
        ('variables { RUNTIME "k9s" }', "2:50: unknown runtime `k9s` => did you mean `k8s`?"),
        (
            "runtime",
            '2:30: `runtime` needs `name` => write `runtime "kubernetes" { namespace "stg"; context "gke_stg" }`',
        ),
        ('service "b" { image "b"; runtime "k9s" }', "2:55: unknown runtime `k9s` => did you mean `k8s`?"),
    ],
)
def test_an_unknown_runtime_is_an_error_not_docker(folder: Folder, body: str, expected: str) -> None:
    folder.write({"fleet.kdl": f'service "a" {{ image "a" }}\nstage "local" {{ service "a"; {body} }}'})

    assert folder.problems("local") == [f"fleet.kdl:{expected}"]


def test_project_variables_and_var_can_configure_the_runtime_and_env_files_cannot(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'variables { RUNTIME "k8s"; NAMESPACE "p" }\nservice "a" { image "a" }\nstage "local" { service "a" }',
            ".env": "REGION=r",
        }
    )

    assert dict(folder.load("local").project.stages[0].runtime.options) == {"namespace": "p"}
    chosen = folder.load("local", variables={"RUNTIME": "docker", "CONTEXT": "c"}).project.stages[0].runtime
    assert (chosen.name, dict(chosen.options)) == ("docker", {"namespace": "p", "context": "c"})


@pytest.mark.parametrize(
    ("files", "environ", "variables", "expected"),
    [
        ({".env": "V=env"}, {}, {}, "env"),
        ({".env": "V=env", ".env.local": "V=local", ".env.prd": "V=prd"}, {}, {}, "local"),
        ({".env.local": "V=local", "variables/v.kdl": 'variables { V "project" }'}, {}, {}, "project"),
        ({"variables/v.kdl": 'variables { V "project" }\nstage "local" { variables { V "stage" } }'}, {}, {}, "stage"),
        ({"stages/v.kdl": 'stage "local" { variables { V "stage" } }'}, {"V": "process"}, {}, "stage"),
        ({"stages/v.kdl": 'stage "local" { variables { V "stage" } }'}, {}, {"V": "var"}, "var"),
    ],
)
def test_the_strength_of_variables(
    folder: Folder, files: dict[str, str | bytes], environ: dict[str, str], variables: Mapping[str, str], expected: str
) -> None:
    folder.write(
        {"fleet.kdl": 'service "a" { image "a:${V}"; env V="{{ V }}" }\nstage "local" { service "a" }', **files}
    )
    folder.environ = environ

    built = folder.service("a", variables=variables)

    assert (built.image, built.environment["V"]) == (f"a:{expected}", expected)


def test_only_variables_of_the_process_with_a_known_prefix_reach_a_file(folder: Folder) -> None:
    folder.environ = {"APP_V": "1", "CI_V": "2", "FLEET_V": "3", "FLEETFLOW_V": "4", "HOME": "/root"}
    folder.write(
        {
            "fleet.kdl": 'variables { APP_V "0" }\nservice "a" { image "a"; env A="${APP_V}${CI_V}${FLEET_V}${FLEETFLOW_V}${HOME:-none}" }\nstage "local" { service "a" }'
        }
    )

    assert folder.service("a").environment["A"] == "1234none"


def test_a_stage_variable_is_environment_with_its_strongest_value_and_a_project_variable_is_not(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'variables { P "p"; Q "q" }\nservice "a" { image "a" }\nstage "local" { variables { Q "s"; U "${P}/{{ Q }}" }; service "a" }'
        }
    )

    loaded = folder.load("local", variables={"Q": "var"})

    assert dict(loaded.project.stages[0].variables) == {"Q": "var", "U": "p/var"}
    scope = loaded.told[StageName("local")].sources.scope
    assert {name: variable.origin for name, variable in scope.variables.items()} == {
        "P": "fleet.kdl:1",
        "Q": "--var",
        "U": "fleet.kdl:3",
    }


def test_variables_take_any_scalar_and_every_way_to_write_it(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'variables A=1 { B 1.10; C #true; D "x"; "E" #"r"#; F {{ 2 + 3 }}; G bare }\nservice "a" { image "a"; command "${A}${B}${C}${D}${E}${F}${G}" }\nstage "local" { service "a" }'
        }
    )

    assert folder.service("a").command == ("11.10truexr5bare",)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ('A "${B}"; B "${A}"', ["1:15: variables need each other: A -> B -> A => give one of them a plain value"]),
        ('A "{{ B }}"', ["1:19: variable `B` is not defined"]),
        ('A "${A}"', ["1:15: variables need each other: A -> A"]),
        ("A null", ["1:15: `A` has no value"]),
        ("A", ["1:13: `A` has no value", "2:32: variable `A` is not defined"]),
    ],
)
def test_wrong_variables(folder: Folder, variables: str, expected: list[str]) -> None:
    folder.write(
        {
            "fleet.kdl": f'variables {{ {variables} }}\nservice "a" {{ image "a"; env A="${{A}}" }}\nstage "local" {{ service "a" }}'
        }
    )

    problems = [line.removeprefix("fleet.kdl:") for line in folder.problems("local")]

    for text in expected:
        assert any(line.startswith(text) for line in problems), problems


def test_a_variable_that_cannot_be_worked_out_is_told_where_it_is_defined(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'service "a" { image "${V}${W}" }\nstage "local" { service "a" }',
            "variables/v.kdl": 'variables { V "{{ B }}" }',
            "variables/w.kdl": "variables { W 500m }",
        }
    )

    assert [line.split(" => ")[0] for line in folder.problems("local")] == [
        "variables/v.kdl:1:15: variable `B` is not defined",
        "variables/v.kdl:1:19: variable `B` is not defined",
        "variables/w.kdl:1:15: `500m` is no number",
    ]


def test_a_value_that_is_no_kdl_still_fills_references_so_that_only_it_is_told(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'service "a" { image "${W}" }\nstage "local" { service "a" }',
            "variables/w.kdl": "variables { W 500m }",
        }
    )

    assert folder.problems("local") == ['variables/w.kdl:1:15: `500m` is no number => write `"500m"`']


def test_names_and_paths_that_are_no_values_are_left_to_the_parser(folder: Folder) -> None:
    folder.write({"fleet.kdl": "include 500m\nstage 1x { }"})

    assert folder.problems() == ['fleet.kdl:1:9: `500m` is no number => write `"500m"`']


def test_a_stage_may_stand_inside_a_condition(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "a" { image "a" }
            {% if WITH_DEV | default("yes") == "yes" %}
            stage "dev" { service "a" }
            {% endif %}
            stage 1 { service "a" }
            """
        }
    )

    assert [stage.name for stage in folder.load().project.stages] == ["dev", "1"]
    assert [stage.name for stage in folder.load(variables={"WITH_DEV": "no"}).project.stages] == ["1"]


def test_a_stage_variable_that_needs_itself_is_an_error(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'service "a" { image "a" }\nstage "local" { service "a"; variables { A "${A}" } }'})

    assert folder.problems("local") == [
        "fleet.kdl:2:44: variables need each other: A -> A => give one of them a plain value"
    ]


def test_variables_inside_a_condition_are_an_error(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": '{% if true %}variables { A "1" }{% endif %}\nstage "x" { {% if true %}variables { B "1" }{% endif %} }'
        }
    )

    assert folder.problems("x") == [
        (
            "fleet.kdl:1:14: `variables` cannot stand inside `{% %}`: it is read before templates are rendered"
            " => take it out, and put the condition into the value"
        )
    ]


def test_templates_see_only_the_stage_that_is_read(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "a" { image "a:{{ TAG }}" }
            stage "local" { variables { TAG "1" }; service "a" }
            stage "prd" { variables { TAG "2"; ONLY "3" }; service "a" { env X="{{ ONLY }}" {% if ONLY %} { Y "{{ ONLY }}" } {% endif %} } }
            """
        }
    )

    assert folder.service("a", "local").image == "a:1"
    assert folder.service("a", "prd").image == "a:2"
    assert dict(folder.service("a", "prd").environment) == {"X": "3", "Y": "3"}
    assert [stage.services[0].image for stage in folder.load().project.stages] == ["a:1", "a:2"]


def test_stages_can_come_out_of_a_loop(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "a" { image "a" }
            {% for name in ["dev", "stg"] %}
            stage "{{ name }}" { service "a" }
            {% endfor %}
            """
        }
    )

    assert [stage.name for stage in folder.load().project.stages] == ["dev", "stg"]
    assert [stage.name for stage in folder.load("stg").project.stages] == ["stg"]


def test_variables_of_a_stage_whose_name_is_a_template_are_its_environment(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'variables { S "dev" }\nservice "a" { image "a" }\nstage "{{ S }}" { service "a"; variables { A "1" } }'
        }
    )

    assert dict(folder.load("dev").project.stages[0].variables) == {"A": "1"}


def test_definitions_merge(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "a" {
                image "a"; port 1; depends_on "b"; labels { x 1; y 2 }
                healthcheck { test "up"; interval 3 }; docker { network "n" }
            }
            service "b" { image "b" }
            service "a" { version 2; healthcheck { interval 5 }; labels { y 3 } }
            stage "local" { service "a" { port 2; depends_on }; service "a" { labels { z 4 } } }
            stage "local" { service "b"; variables { A 1 } }
            """
        }
    )

    built = folder.service("a")

    assert (built.image, built.version, [port.host for port in built.ports], built.depends_on) == ("a", "2", [2], ())
    assert dict(built.labels) == {"x": "1", "y": "3", "z": "4"}
    assert built.healthcheck is not None
    assert (built.healthcheck.test, built.healthcheck.interval) == (("CMD-SHELL", "up"), 5.0)
    assert [service.name for service in folder.load("local").project.stages[0].services] == ["a", "b"]
    assert str(built.places[""]) == "fleet.kdl:1:1"
    assert str(built.places["ports.0"]) == "fleet.kdl:7:31"


def test_env_files_are_weaker_than_the_environment(folder: Folder) -> None:
    folder.environ = {"GIVEN": "g"}
    folder.write(
        {
            "fleet.kdl": 'variables { V "v" }\nservice "a" { image "a"; env_file "one.env" "two.env"; env B="text" }\nstage "local" { service "a" }',
            "one.env": "A=1\nB=1\nC=${V}\nGIVEN",
            "two.env": "A=2",
        }
    )

    assert dict(folder.service("a").environment) == {"A": "2", "B": "text", "C": "v", "GIVEN": "g"}


def test_bad_lines_of_env_files_are_errors(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'service "a" { image "a"; env_file "one.env"; secrets { S env="A" } }\nstage "local" { service "a" }',
            "one.env": "A=1\nbad line\n",
            ".env": "A=1\nbad line\n",
            ".env.local": b"\xff",
        }
    )

    assert folder.problems("local") == [
        ".env:2:1: this line is not `NAME=value` => write `NAME=value`; a comment begins with `#`, and a quote is closed",
        ".env.local:1:1: `.env.local` is no text: it is not UTF-8 => save it as UTF-8",
        "one.env:2:1: this line is not `NAME=value` => write `NAME=value`; a comment begins with `#`, and a quote is closed",
    ]


@pytest.mark.parametrize(
    ("text", "stage", "expected"),
    [
        ("", None, ['`fleet.kdl` has no stage => add one: `stage "local" { service "…" }`']),
        ("", "local", ['`fleet.kdl` has no stage => add one: `stage "local" { service "…" }`']),
        ('service "a" { image "a" }\nstage "local" { service "a" }\nstage "dev" { service "a" }', "lokal", ["unknown stage `lokal` => did you mean `local`? known are `local`, `dev`"]),
        ('service "a" { image "a" }\nstage "local" { service "a" }', "zzz", ["unknown stage `zzz` => known are `local`"]),
        ('service "api" { image "a" }\nstage "local" { service "apy" }', "local", ["fleet.kdl:2:17: stage `local` names an unknown service `apy` => did you mean `api`?"]),
        ('stage "local" { service "api" }', "local", ['fleet.kdl:1:17: stage `local` names an unknown service `api` => define it at top level: `service "api" { image "…" }`']),
        ('service "a" { image "a" }\nstage "local"', "local", ['fleet.kdl:2:1: stage `local` holds no service => write `service "…"` for each that it holds: `a`']),
        ('stage "local" { }', "local", ['fleet.kdl:1:1: stage `local` holds no service => write `service "…"` for each that it holds']),
        ('stage { service "a" }', None, ['fleet.kdl:1:1: `stage` needs `name` => write `stage "local" { service "api" }`']),
        ('stage "local" { service }', None, ['fleet.kdl:1:1: stage `local` holds no service => write `service "…"` for each that it holds', 'fleet.kdl:1:17: `service` needs `name` => write `service "api" { image "ghcr.io/shop/api"; port 8080 80 }`']),
        ('stage null { service "a" }', None, ['fleet.kdl:1:7: `stage` has no value => write `""` where an empty text is meant']),
        ('project "Sh op"\nstage "l" { service "stage" { image "x" } }', "l", ["fleet.kdl:1:1: `Sh op` cannot be the name of a project => begin and end with a letter or digit, between them also `-`, `_` and `.`, 63 at most: `sh-op`", "fleet.kdl:2:13: a service cannot be called `stage`: FleetFlow's own steps are => choose another name"]),
        ('service "-" { image "x" }\nstage "a/b" { service "-" }', "a/b", ["fleet.kdl:1:1: `-` cannot be the name of a service => begin and end with a letter or digit, between them also `-`, `_` and `.`, 63 at most", "fleet.kdl:2:1: `a/b` cannot be the name of a stage => begin and end with a letter or digit, between them also `-`, `_` and `.`, 63 at most: `a-b`"]),
        ('stage "local" {', None, ["fleet.kdl:1:15: this `{` is never closed => add a `}`"]),
        ("a {{", None, ["fleet.kdl:1:3: the template cannot be read: unexpected 'end of template' => a text that is no template stands between `{% raw %}` and `{% endraw %}`"]),
    ],
)  # fmt: skip
def test_what_cannot_be(folder: Folder, text: str, stage: str | None, expected: list[str]) -> None:
    folder.write({"fleet.kdl": text})

    assert folder.problems(stage) == expected


def test_a_service_of_one_stage_alone_needs_an_image_or_a_version(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'stage "local" { service "redis" { version "7" }; service "x" { image "y" } }'})

    assert [service.version for service in folder.load("local").project.stages[0].services] == ["7", None]


def test_all_problems_of_all_files_come_at_once_in_the_order_of_the_files(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'servce "x"\nservice "a" { image "a"; port 0 }\nstage "local" { service "a" }\nstage "dev" { service "b" }',
            "services/b.kdl": 'service "b" { image "b"\n',
            "services/c.kdl": 'service "c" { image "c"; port 0; replicas "x" }',
        }
    )

    assert folder.problems() == [
        "fleet.kdl:2:31: `port` takes a whole number from 1 to 65535, not `0`",
        "fleet.kdl:4:15: stage `dev` names an unknown service `b` => known are `a`, `c`",
        "services/b.kdl:1:13: this `{` is never closed => add a `}`",
        "services/c.kdl:1:31: `port` takes a whole number from 1 to 65535, not `0`",
        'services/c.kdl:1:43: `replicas` takes a whole number from 0 to 10000, not `"x"`',
    ]


def test_two_files_may_be_of_different_kdl_versions(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'service "a" { image "a"; job true }\nstage "local" { service "a" }',
            "services/b.kdl": 'service "a" { env X=#true }',
        }
    )

    assert folder.service("a").job
    assert dict(folder.service("a").environment) == {"X": "true"}


@pytest.mark.parametrize(("name", "project"), [("My Shop!", "my-shop"), ("shop.v2", "shop.v2"), ("---", "project")])
def test_a_project_without_a_name_is_called_after_its_folder(folder: Folder, name: str, project: str) -> None:
    folder.write({f"{name}/fleet.kdl": 'service "a" { image "a" }\nstage "local" { service "a" }'})

    assert folder.load("local", here=name).project.name == project


def test_loading_a_plain_file_imports_neither_jinja2_nor_anything_heavy(folder: Folder) -> None:
    folder.write({"fleet.kdl": FOUR_STAGES})
    code = (
        "import sys; from pathlib import Path; from fleetflow_tasks.config.load import load\n"
        f"load(Path({str(folder.path)!r}), stage='local')\n"
        "print([name for name in ('jinja2', 'difflib', 'redis', 'celery') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
