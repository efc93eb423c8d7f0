# SPDX-License-Identifier: Apache-2.0
"""`flow config`: what is printed makes the same plan, says where each value came from, and shows no secret."""

import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fleetflow_tasks import api
from fleetflow_tasks.api.request import chosen, foreign, runtime_of
from fleetflow_tasks.config.as_kdl import Mixed, Node, Reference, Remark, Scalar, block, kdl, node
from fleetflow_tasks.errors import ConfigError, PlanError
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.model import Plan
from fleetflow_tasks.view import settled


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ: dict[str, str] = {"HOME": "/home/ann"}

    def write(self, files: Mapping[str, str]) -> "Desk":
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text).strip("\n") + "\n", encoding="utf-8")
        return self

    def request(self, stage: str | None = None, **fields: Any) -> api.Request:
        request = api.Request(directory=str(self.folder), stage=stage, environ=self.environ)
        return replace(request, **fields)

    def config(
        self, stage: str | None = None, *, origins: bool = True, only: tuple[str, ...] = (), **fields: Any
    ) -> str:
        found = api.configured(self.request(stage, **fields), only=only)
        return settled.text(found.settled, found.row, origins=origins).replace(f"{self.folder}/", "./")

    def lines(self, stage: str | None = None, **fields: Any) -> list[str]:
        """Those with an origin, without their indentation."""
        return [line.strip() for line in self.config(stage, **fields).splitlines() if "//" in line]

    def json(self, stage: str | None = None) -> Mapping[str, Mapping[str, Mapping[str, Mapping[str, object]]]]:
        found = api.configured(self.request(stage))
        answer: Mapping[str, Mapping[str, Mapping[str, Mapping[str, object]]]] = json.loads(
            settled.as_json(found.settled)
        )
        return answer

    def variables(self, stage: str | None = None, **fields: Any) -> list[str]:
        return settled.variables(api.known_variables(self.request(stage, **fields)).variables).splitlines()

    def plan(self, file: str | None = None, **fields: Any) -> Plan:
        """Where a text says something is no part of what it says."""
        request = self.request(file=file, **fields)
        loaded, stage = chosen(request)
        made = build(
            loaded.project,
            stage,
            runtime=runtime_of(request),
            known=foreign(loaded, request),
            home=self.environ["HOME"],
        )
        return replace(made, services=tuple(replace(service, places={}) for service in made.services))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


SHOP = """
project "shop"
variables { TAG "1.4"; DOMAIN "example.org" }
service "api" {
    image "ghcr.io/shop/api"
    version "{{ TAG }}"
    port 8080 80
    environment { LOG "info"; URL "https://${DOMAIN}" }
    env_file ".env.api"
    depends_on "db"
}
service "db" { image "postgres:16"; healthcheck { test "pg_isready"; interval 2 } }
"""
STG = """
stage "stg" {
    variables { LEVEL "debug" }
    service "db"
    service "api" { environment { LOG "${LEVEL}" } }
}
"""


def test_every_line_says_where_it_came_from_and_what_it_beat(desk: Desk) -> None:
    desk.write({"fleet.kdl": SHOP, "stages/stg.kdl": STG, ".env.api": "A=1\nLEVEL=weak\nLOG=file", ".env": "TAG=0"})

    assert (
        desk.config("stg").splitlines()
        == dedent("""
        project "shop"  // fleet.kdl:1

        stage "stg" {  // stages/stg.kdl:1
            runtime "docker"  // default

            variables {
                LEVEL "debug"  // stages/stg.kdl:2
            }

            service "db" {  // fleet.kdl:11
                image "postgres:16"  // fleet.kdl:11
                healthcheck {  // fleet.kdl:11
                    test "CMD-SHELL" "pg_isready"  // fleet.kdl:11
                    interval 2  // fleet.kdl:11
                }
                pull "missing"  // default
                timeout 300  // default
                retries 2  // default
            }

            service "api" {  // fleet.kdl:3
                image "ghcr.io/shop/api:1.4"  // fleet.kdl:4; version from fleet.kdl:5; TAG from fleet.kdl:2
                port 8080 80 protocol="tcp"  // fleet.kdl:6
                environment {
                    A "1"  // .env.api:1
                    LEVEL "weak"  // .env.api:2, over stages/stg.kdl:2
                    LOG "debug"  // stages/stg.kdl:4, over fleet.kdl:7, .env.api:3; LEVEL from stages/stg.kdl:2
                    URL "https://example.org"  // fleet.kdl:7; DOMAIN from fleet.kdl:2
                }
                depends_on {  // fleet.kdl:9
                    service "db" condition="healthy"  // fleet.kdl:9
                }
                pull "missing"  // default
                timeout 300  // default
                retries 2  // default
            }
        }
    """)
        .strip("\n")
        .splitlines()
    )


def test_what_comes_from_the_command_line_or_the_process_is_said_to(desk: Desk) -> None:
    desk.write({"fleet.kdl": SHOP, "stages/stg.kdl": STG.replace('LEVEL "debug"', 'LEVEL "debug"; APP_X "s"')})
    desk.write({".env.api": "INHERITED", ".env": "LEVEL='d'"})
    desk.environ |= {"APP_X": "p", "FLEETFLOW_RUNTIME": "k8s", "INHERITED": "i"}

    found = desk.lines("stg", variables={"LEVEL": "v", "TAG": "9"})

    assert [line for line in found if line.startswith(("runtime", "LEVEL", "APP_X", "image", "INHERITED"))] == [
        'runtime "kubernetes"  // FLEETFLOW_RUNTIME of the process',
        'LEVEL "v"  // --var, over stages/stg.kdl:2, .env:1',
        'APP_X "p"  // APP_X of the process, over stages/stg.kdl:2',
        'image "postgres:16"  // fleet.kdl:11',
        'image "ghcr.io/shop/api:9"  // fleet.kdl:4; version from fleet.kdl:5; TAG from --var',
        'INHERITED "i"  // INHERITED of the process',
    ]
    assert 'runtime "cloudrun"  // --runtime' in desk.lines("stg", runtime="cloudrun")


RUNTIME = """
variables {{ NAMESPACE "weak" }}
service "a" {{ version 1 }}
stage "local" {{ {words}; service "a" {{ image "x" }} }}
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ('backend "k8s"', ['runtime "kubernetes" {  // fleet.kdl:3', 'namespace "weak"  // fleet.kdl:1']),
        ('variables { RUNTIME "k8s" }', ['runtime "kubernetes" {  // fleet.kdl:3', 'namespace "weak"  // fleet.kdl:1']),
        (
            'backend "docker"\nruntime "k8s" { namespace "a" }\nvariables { NAMESPACE "b"; RUNTIME "docker" }',
            [
                'runtime "kubernetes" {  // fleet.kdl:4, over fleet.kdl:3, fleet.kdl:5',
                'namespace "a"  // fleet.kdl:4, over fleet.kdl:5, fleet.kdl:1',
            ],
        ),
    ],
)
def test_a_runtime_says_which_of_its_ways_counts(desk: Desk, words: str, expected: list[str]) -> None:
    desk.write({"fleet.kdl": RUNTIME.format(words=words)})

    assert [line for line in desk.lines() if line.startswith(("runtime", "namespace"))] == expected


def test_an_image_of_which_only_the_version_is_said_says_so(desk: Desk) -> None:
    desk.write({"fleet.kdl": 'service "a" { version 1 }\nservice "b"\nstage "local" { service "a"; service "b" }'})

    found = [line for line in desk.lines() if line.startswith(("project", "image"))]

    assert found == [
        f'project "{desk.folder.name}"  // default',
        'image "a:1"  // fleet.kdl:1',
        'image "b:latest"  // default',
    ]


def test_a_job_that_nobody_called_one_says_what_made_it_one(desk: Desk) -> None:
    desk.write({"fleet.kdl": 'service "m" {\n  image "m:1"\n  restart "no"\n}\nstage "local" { service "m" }'})

    assert [line for line in desk.lines() if line.startswith(("job", "rerun"))] == [
        "job #true  // fleet.kdl:3",
        'rerun "changed"  // default',
    ]


def test_only_some_services_are_told_with_what_they_depend_on(desk: Desk) -> None:
    desk.write(
        {
            "fleet.kdl": SHOP + 'service "x" { image "x" }',
            "stages/stg.kdl": STG.replace('service "db"', 'service "x"; service "db"'),
        }
    )
    desk.write({".env.api": ""})

    def told(only: tuple[str, ...]) -> list[str]:
        return [line.split()[1] for line in desk.lines("stg", only=only) if line.startswith("service") and "{" in line]

    assert (told(()), told(("api",)), told(("x",))) == (['"x"', '"db"', '"api"'], ['"db"', '"api"'], ['"x"'])
    with pytest.raises(PlanError, match="holds no service `y`"):
        desk.lines("stg", only=("y",))


def test_strict_takes_a_warning_as_an_error(desk: Desk) -> None:
    desk.write({"fleet.kdl": 'service "a" { image "a"; imige "x" }\nstage "local" { service "a" }'})

    with pytest.raises((ConfigError, PlanError), match="imige"):
        desk.lines(strict=True)

    desk.write(
        {"fleet.kdl": 'service "a" { image "a" }\nstage "local" { runtime "docker" { region "r" }; service "a" }'}
    )
    with pytest.raises(PlanError, match="region"):
        desk.lines(strict=True)


# --- secrets

SECRET = """
variables { BARE "${PIN}" }
service "api" {
    image "api:1"
    environment {
        DB "postgres://u:${PG_PASSWORD}@db"
        PLAIN "geheim/1"
        SHOUTED "{{ PG_PASSWORD | upper }}"
        CODE "no. ${PIN}"
        OTHER "7 up"
        BY_FILE "<from the file>"
        FILLED "${BARE}"
    }
    secrets { PASSWORD env="PG_PASSWORD"; PIN; KEY file="key"; TOKEN ref="projects/p/x"; GONE env="NOBODY" }
}
stage "local" { service "api" }
"""


def test_no_secret_is_shown_and_what_holds_one_names_its_variable_again(desk: Desk) -> None:
    desk.write({"fleet.kdl": SECRET.replace('; GONE env="NOBODY"', ""), "key": "<from the file>"})
    desk.write({".env": "START=gehe\nPG_PASSWORD=${START}im/1\nPIN=7"})

    found = desk.lines()

    assert [line for line in found if line.split()[0].isupper()] == [
        'DB "postgres://u:${PG_PASSWORD}@db"  // fleet.kdl:5; PG_PASSWORD from .env:2',
        'PLAIN "${PG_PASSWORD}"  // fleet.kdl:6',
        'SHOUTED "[hidden]"  // fleet.kdl:7; PG_PASSWORD from .env:2',
        'CODE "no. ${PIN}"  // fleet.kdl:8; PIN from .env:3',
        'OTHER "7 up"  // fleet.kdl:9',
        'BY_FILE "[hidden]"  // fleet.kdl:10',
        'FILLED "${PIN}"  // fleet.kdl:11; BARE from fleet.kdl:1',
        'PASSWORD env="PG_PASSWORD"  // [hidden], fleet.kdl:13; PG_PASSWORD from .env:2',
        'PIN env="PIN"  // [hidden], fleet.kdl:13; PIN from .env:3',
        'KEY file="key"  // [hidden], fleet.kdl:13',
        'TOKEN ref="projects/p/x"  // [hidden], fleet.kdl:13',
    ]
    assert "geheim/1" not in json.dumps(desk.json())
    assert desk.json()["services"]["api"]["environment.DB"]["value"] == "postgres://u:[hidden]@db"


def test_a_secret_that_was_changed_on_its_way_is_hidden_behind_every_variable(desk: Desk) -> None:
    desk.write(
        {
            "fleet.kdl": """
            variables {
                LOUD "{{ PG_PASSWORD | upper }}"
                AGAIN "<${LOUD}>"
                WHOLE "postgres://u:${PG_PASSWORD}@db"
            }
            service "api" {
                image "api:1"
                environment { A "${AGAIN}"; B "${WHOLE}"; C "x${EMPTY}" }
                secrets { PASSWORD env="PG_PASSWORD"; EMPTY }
            }
            stage "local" { service "api" }
        """,
            ".env": "PG_PASSWORD=geheim\nEMPTY=",
        }
    )

    said = desk.config(origins=False)

    assert 'A "[hidden]"' in said
    assert 'B "postgres://u:${PG_PASSWORD}@db"' in said
    assert 'C "x"' in said
    assert [line for line in desk.variables() if not line.startswith(" ")] == [
        'AGAIN "[hidden]"  // fleet.kdl:3; LOUD from fleet.kdl:2',
        'EMPTY "[hidden]"  // .env:2',
        'LOUD "[hidden]"  // fleet.kdl:2; PG_PASSWORD from .env:1',
        'PG_PASSWORD "[hidden]"  // .env:1',
        'WHOLE "postgres://u:[hidden]@db"  // fleet.kdl:4; PG_PASSWORD from .env:1',
    ]


def test_variables_of_secrets_are_hidden_too_and_so_is_what_nobody_uses(desk: Desk) -> None:
    desk.write({"fleet.kdl": SECRET.replace('; GONE env="NOBODY"', ""), "key": "k"})
    desk.write({".env": "START=gehe\nPG_PASSWORD=${START}im/1\nPIN=7\nUNUSED=x"})
    desk.environ |= {"FLEETFLOW_KEY": "not ours", "APP_NOTHING": "x"}

    assert (
        desk.variables(variables={"EXTRA": "1"})
        == dedent("""
        BARE "[hidden]"  // fleet.kdl:1; PIN from .env:3
            used by service api at fleet.kdl:11
        EXTRA  // --var
            used by nobody
        PG_PASSWORD "[hidden]"  // .env:2; START from .env:1
            used by service api at fleet.kdl:5
            used by service api at fleet.kdl:7
            used by secret PASSWORD of service api
        PIN "[hidden]"  // .env:3
            used by variables at fleet.kdl:1
            used by service api at fleet.kdl:8
            used by secret PIN of service api
        START "[hidden]"  // .env:1
            used by .env:2
        UNUSED  // .env:4
            used by nobody
    """)
        .strip("\n")
        .splitlines()
    )


# --- variables


def test_a_variable_says_its_value_what_it_beats_and_who_uses_it(desk: Desk) -> None:
    desk.write(
        {
            "fleet.kdl": SHOP + "{% if DOMAIN %}\n{% endif %}",
            "stages/stg.kdl": STG,
            "stages/prd.kdl": 'stage "prd" { variables { X "${ONLY_PRD}" }; service "db" }',
        }
    )
    desk.write(
        {
            ".env.api": "A=${TAG}",
            ".env": "TAG=0\nBROKEN=${BROKEN}",
            "fleet.stg.kdl": 'variables { NAMESPACE "n"; USES "${NEVER:-x}" }',
        }
    )

    assert (
        desk.variables("stg", variables={"TAG": "9"})
        == dedent("""
        BROKEN  // .env:2; BROKEN from .env:2
            used by .env:2
        DOMAIN "example.org"  // fleet.kdl:2
            used by service api at fleet.kdl:7
            used by fleet.kdl:12
        LEVEL "debug"  // stages/stg.kdl:2
            used by service api at stages/stg.kdl:4
            used by every service, in its environment
        NAMESPACE "n"  // fleet.stg.kdl:1
            used by the stage's runtime
        NEVER  // not set
            used by variables at fleet.stg.kdl:1
        TAG "9"  // --var, over fleet.kdl:2, .env:1
            used by service api at fleet.kdl:5
            used by .env.api:1
        USES  // fleet.stg.kdl:1
            used by nobody
    """)
        .strip("\n")
        .splitlines()
    )


def test_a_stage_without_variables_says_so(desk: Desk) -> None:
    desk.write({"fleet.kdl": 'service "a" { image "a" }\nstage "local" { service "a" }'})

    assert desk.variables() == ["the stage knows no variables"]


# --- what is printed is the same plan

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0="), min_size=1, max_size=8)
REFERENCE = Mixed(pieces=(Reference(name="PG_PASSWORD"),))
TEXTS: st.SearchStrategy[Scalar] = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
    st.sampled_from(
        [
            "${PG_PASSWORD}",
            Mixed(pieces=("a", Reference(name="PIN"), "b")),
            REFERENCE,
            "{{ X }}",
            "$$ $",
            "geheim/1",
            "'a b'",
            "",
            "//",
            "${X:-y}",
        ]
    ),
)
PORTS = st.builds(
    lambda host, container, protocol: Node(
        name="port",
        props={**({"host": host} if host else {}), "container": container, **({"protocol": "udp"} if protocol else {})},
    ),
    st.none() | st.integers(1, 65535),
    st.integers(1, 65535),
    st.booleans(),
)
SOURCES = st.sampled_from(["./data", "../x/", "/srv//a", "~/b", "pgdata", "gs://bucket"])
VOLUMES = st.builds(
    lambda source, target, more: Node(name="volume", args=(source, f"/{target}"), props=more),
    SOURCES,
    st.sampled_from(["a", "b/c"]),
    st.dictionaries(st.sampled_from(["size"]), st.sampled_from([1, 1024, 3 << 30, "10Gi"]), max_size=1),
)
TIMES = st.floats(0.5, 86_400)


def one(name: str, values: st.SearchStrategy[Scalar]) -> st.SearchStrategy[Node]:
    return values.map(lambda value: node(name, value))


def inside(name: str, *children: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.tuples(*children).map(lambda found: block(name, *found))


CHOICES: list[st.SearchStrategy[Node | Remark]] = [
    one("version", st.sampled_from(["1", "16", "2.0-rc"])),
    st.lists(TEXTS, min_size=2, max_size=3).map(lambda words: Node(name="command", args=tuple(words))),
    one("command", st.sampled_from(["run --fast 'a b'", "run", "'a b'", "''", "", '"$x"', "{{", "'${PG_PASSWORD}'"])),
    st.lists(NAMES, min_size=2, max_size=3).map(lambda words: Node(name="entrypoint", args=tuple(words))),
    PORTS,
    VOLUMES,
    st.dictionaries(NAMES, TEXTS, max_size=3).map(
        lambda found: block("environment", *(node(key, value) for key, value in found.items()))
    ),
    st.dictionaries(NAMES, TEXTS, max_size=2).map(
        lambda found: block("labels", *(node(key, value) for key, value in found.items()))
    ),
    inside("healthcheck", one("test", NAMES), one("interval", TIMES), one("retries", st.integers(1, 9))),
    inside("readiness", one("path", st.just("/up")), one("port", st.just(80)), one("timeout", TIMES)),
    inside("resources", one("cpu", st.floats(0.001, 64)), one("memory", st.integers(1, 1 << 40))),
    inside("scaling", one("min", st.integers(0, 3)), one("max", st.integers(3, 9))),
    one("restart", st.sampled_from(["no", "always", "unless-stopped"])),
    one("replicas", st.integers(0, 9)),
    one("job", st.booleans()),
    one("rerun", st.sampled_from(["changed", "always"])),
    one("pull", st.sampled_from(["missing", "always"])),
    one("timeout", TIMES),
    one("retries", st.integers(0, 9)),
    one("runtime", st.sampled_from(["k8s", "docker"])),
    st.just(block("secrets", Node(name="A", props={"env": "PG_PASSWORD"}), Node(name="PIN"))),
    inside("docker", one("init", st.booleans()), one("user", NAMES)),
    st.just(Node(name="ingress", props={"host": "h", "port": 80})),
]
SERVICES = st.lists(
    st.sampled_from(CHOICES).flatmap(lambda choice: choice),
    max_size=8,
    unique_by=lambda found: getattr(found, "name", ""),
)


@example([], [], [node("restart", "no"), node("job", False)], {})
@given(
    SERVICES,
    SERVICES,
    SERVICES,
    st.dictionaries(st.sampled_from(["LEVEL", "RUNTIME", "NAMESPACE"]), st.just("k8s"), max_size=3),
)
@settings(max_examples=60)
def test_what_is_printed_makes_the_same_plan_and_prints_the_same_again(
    api_: list[Node], override: list[Node], db: list[Node], variables: dict[str, str]
) -> None:
    text = kdl(
        [
            block("service", node("image", "api"), *api_, node("depends_on", "db"), args=("api",)),
            block("service", node("image", "pg"), *db, args=("db",)),
            block(
                "stage",
                block("variables", *(node(name, value) for name, value in variables.items())),
                node("service", "db"),
                block("service", *override, args=("api",)),
                args=("local",),
            ),
        ]
    )
    with TemporaryDirectory() as folder:
        desk = Desk(Path(folder)).write({"fleet.kdl": text})
        desk.write({".env": "PG_PASSWORD=geheim/1\nPIN=7"})
        desk.write({"printed.kdl": desk.config(origins=False)})

        assert desk.plan("printed.kdl") == desk.plan()
        assert desk.config(origins=False, file="printed.kdl") == desk.config(origins=False)
