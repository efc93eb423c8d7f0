# SPDX-License-Identifier: Apache-2.0
"""What a service may say, what comes of it, and what is said of what it may not."""

import pytest

from fleetflow_tasks.config.model import (
    Dependency,
    Healthcheck,
    Ingress,
    Port,
    Readiness,
    Resources,
    Scaling,
    ServiceName,
    Volume,
)
from fleetflow_tasks.config.schema import Row

from .conftest import Folder, ProblemsText, ServiceText


@pytest.mark.parametrize(
    ("body", "ports"),
    [
        ("port 5432", [Port(host=5432, container=5432)]),
        ("port 8080 80", [Port(host=8080, container=80)]),
        ("port container=80", [Port(container=80)]),
        ("port host=80", [Port(host=80, container=80)]),
        ("port 8080 container=80", [Port(host=8080, container=80)]),
        ("port 8080 80 host=9", [Port(host=9, container=80)]),
        ('port "8080" 80.0', [Port(host=8080, container=80)]),
        (
            'port host=11053 container=53 protocol="udp" host_ip="127.0.0.1"',
            [Port(container=53, host=11053, protocol="udp", host_ip="127.0.0.1")],
        ),
        ("port 1; port 2", [Port(host=1, container=1), Port(host=2, container=2)]),
        ("ports { port 1; port { host 3; container 2 } }", [Port(host=1, container=1), Port(host=3, container=2)]),
        ("ports { port 1 }; port 2", [Port(host=1, container=1), Port(host=2, container=2)]),
        ("ports 1 2", [Port(host=1, container=1), Port(host=2, container=2)]),
        ("ports", []),
    ],
)
def test_ports(service: ServiceText, body: str, ports: list[Port]) -> None:
    assert list(service(body).ports) == ports


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("port 0", "3:6: `port` takes a whole number from 1 to 65535, not `0`"),
        ("port 99999", "3:6: `port` takes a whole number from 1 to 65535, not `99999`"),
        (
            "port 99999999999999999999999",
            "3:6: `port` takes a whole number from 1 to 65535, not `99999999999999999999999`",
        ),
        ('port "8080:80"', '3:6: `port` takes a whole number from 1 to 65535, not `"8080:80"` => write `port 8080 80`'),
        ("port true", "3:6: `port` takes a whole number from 1 to 65535, not `true`"),
        ("port 1.5", "3:6: `port` takes a whole number from 1 to 65535, not `1.5`"),
        ("port", "3:1: `port` needs a number => write `port 8080 80` or `port container=80`"),
        (
            "port 1 2 3",
            (
                '3:10: `port` takes no value `3` here => write `port 8080 80; port host=11053 container=53 protocol="udp"'
                ' host_ip="127.0.0.1"; port container=80`'
            ),
        ),
        ('port 1 protocol="tpc"', '3:17: `protocol` cannot be `"tpc"` => did you mean `tcp`?'),
    ],
)
def test_wrong_ports(wrong: ProblemsText, body: str, expected: str) -> None:
    assert wrong(body) == [expected]


@pytest.mark.parametrize(
    ("body", "volumes"),
    [
        ('volume "./data" "/data"', [Volume(source="./data", target="/data")]),
        (
            'volumes { volume "pg" "/d" size="10Gi" read_only=false }',
            [Volume(source="pg", target="/d", size=10 * 1024**3)],
        ),
        ('volume "gs://b" "/d" read_only=true', [Volume(source="gs://b", target="/d", read_only=True)]),
        ('volume "/cache"', [Volume(source="", target="/cache")]),
        ('volume target="/cache"', [Volume(source="", target="/cache")]),
        ('volume source="a" { target "/b"; size 5 }', [Volume(source="a", target="/b", size=5)]),
    ],
)
def test_volumes(service: ServiceText, body: str, volumes: list[Volume]) -> None:
    assert list(service(body).volumes) == volumes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            'volume "pg:/data"',
            '3:1: `volume` needs an absolute path inside the container => write `volume "pg" "/data"`',
        ),
        (
            'volume "/a:/b:ro"',
            '3:1: `volume` needs an absolute path inside the container => write `volume "/a" "/b" read_only=#true`',
        ),
        ('volume "pg"', '3:1: `volume` needs an absolute path inside the container => write `volume "data" "/data"`'),
        (
            'volume "pg" "data"',
            '3:1: `volume` needs an absolute path inside the container => write `volume "pg" "/data"`',
        ),
        ('volume "a" "/b" size="big"', '3:22: `size` takes bytes (`256Mi`, `1g`) of at least 1, not `"big"`'),
        ('volume "a" target=null', '3:19: `target` has no value => write `""` where an empty text is meant'),
    ],
)
def test_wrong_volumes(wrong: ProblemsText, body: str, expected: str) -> None:
    assert wrong(body) == [expected]


def test_texts_keep_what_was_written(service: ServiceText) -> None:
    built = service(
        'version 1.10\nenvironment { N 4; D true; F 1.50; H 0x1F; U 1_000; Z 007; E ""; T (u8)5 }; env X="1"; labels { team "core" }'
    )

    assert built.version == "1.10"
    assert dict(built.environment) == {
        "N": "4",
        "D": "true",
        "F": "1.50",
        "H": "0x1F",
        "U": "1_000",
        "Z": "007",
        "E": "",
        "T": "5",
        "X": "1",
    }
    assert dict(built.labels) == {"team": "core"}
    assert str(built.places["environment.D"]) == "fleet.kdl:4:20"
    assert str(built.places["version"]) == "fleet.kdl:3:1"
    assert str(built.places[""]) == "fleet.kdl:1:1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("environment { A }", "3:15: `A` has no value"),
        ("environment { A 1 2 }", "3:19: `A` takes one value, not 2"),
        ("environment { A 1 { b } }", "3:21: `A` takes no block"),
        ("environment { A 1 b=2 }", "3:21: `A` takes no property `b`"),
        ('environment { "" 1 }', '3:15: `""` cannot be a name in `environment` => use letters, digits and `_`'),
        ('environment { "a=b" 1 }', '3:15: `"a=b"` cannot be a name in `environment` => use letters, digits and `_`'),
        ("environment { A null }", '3:17: `A` has no value => write `""` where an empty text is meant'),
        ('environment { A "\\u{0}" }', '3:17: `A` takes text, not `"\\u{0}"`'),
        (
            'environment "A=1"',
            '3:13: `environment` takes names with values, not `"A=1"` => write `environment { LOG "info"; WORKERS 4 }`',
        ),
        ("labels A=null", '3:10: `A` has no value => write `""` where an empty text is meant'),
        ('image "a" "b"', "3:11: `image` takes one value, not 2"),
        ("image", '3:1: `image` has no value => write `image "ghcr.io/shop/api"`'),
        ("replicas -1", "3:10: `replicas` takes a whole number from 0 to 10000, not `-1`"),
        (
            'restart "sometimes"',
            '3:9: `restart` cannot be `"sometimes"` => known are `always`, `no`, `on-failure`, `unless-stopped`',
        ),
        ('job "maybe"', '3:5: `job` takes true or false, not `"maybe"`'),
        ("job 1", "3:5: `job` takes true or false, not `1` => write `#true`"),
        ("timeout 0", "3:9: `timeout` takes seconds (`30`, `5m`) from 0.001 to 86400, not `0`"),
        ("timeout true", "3:9: `timeout` takes seconds (`30`, `5m`) from 0.001 to 86400, not `true`"),
        ("timeout 1e400", "3:9: `timeout` takes seconds (`30`, `5m`) from 0.001 to 86400, not `1e400`"),
        ("timeout 1e300", "3:9: `timeout` takes seconds (`30`, `5m`) from 0.001 to 86400, not `1e300`"),
        (
            'command "echo \'x"',
            "3:1: `command` opens a quote and does not close it => close it, or write each word as a text of its own",
        ),
    ],
)
def test_wrong_values(wrong: ProblemsText, body: str, expected: str) -> None:
    assert wrong(body) == [expected]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("command \"postgres -c 'max connections'=200\"", ("postgres", "-c", "max connections=200")),
        ('command "sh" "-c" "echo a b"', ("sh", "-c", "echo a b")),
        ("command 5 true", ("5", "true")),
        ("command", None),
        ('command ""', None),
    ],
)
def test_one_text_is_split_as_a_shell_does_and_several_are_taken_as_they_are(
    service: ServiceText, body: str, words: tuple[str, ...] | None
) -> None:
    assert service(body).command == words


@pytest.mark.parametrize(
    ("body", "dependencies"),
    [
        ('depends_on "a" "b"', [("a", None, True), ("b", None, True)]),
        (
            'depends_on { service "a" condition="healthy"; service "b" required=false }',
            [("a", "healthy", True), ("b", None, False)],
        ),
        ('depends_on "a" condition="completed" required=false', [("a", "completed", False)]),
        ('depends_on "a" { service "b" condition="started" }', [("a", None, True), ("b", "started", True)]),
        ('depends_on "a"; depends_on "b"; depends_on "a" required=false', [("a", None, False), ("b", None, True)]),
        ("depends_on", []),
    ],
)
def test_dependencies(service: ServiceText, body: str, dependencies: list[tuple[str, str | None, bool]]) -> None:
    found = service(body)

    assert [(each.service, each.condition, each.required) for each in found.depends_on] == dependencies
    assert all(f"depends_on.{each.service}" in found.places for each in found.depends_on)


@pytest.mark.parametrize(
    ("body", "waits"),
    [
        ('depends_on "a"', [True]),
        ('depends_on "a" wait=#false', [False]),
        ('depends_on { service "a" wait=#false; service "b" { wait #true } }', [False, True]),
    ],
)
def test_a_dependency_may_not_be_waited_for_later(service: ServiceText, body: str, waits: list[bool]) -> None:
    assert [each.wait for each in service(body).depends_on] == waits


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('depends_on "a" condition="ready"', '3:26: `condition` cannot be `"ready"` => did you mean `healthy`?'),
        ("depends_on { service }", "3:14: `service` needs `name`"),
        ("depends_on { service null }", '3:22: `service` has no value => write `""` where an empty text is meant'),
        ("depends_on required=false", "3:21: `depends_on` takes no property `required`"),
    ],
)
def test_wrong_dependencies(wrong: ProblemsText, body: str, expected: str) -> None:
    problems = wrong(body)

    assert [problem.split(" => ")[0] for problem in problems] == [expected.split(" => ", maxsplit=1)[0]]


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ('test "CMD-SHELL" "pg_isready"; interval 2; timeout "3s"; retries 20; start_period 0.5', Healthcheck(test=("CMD-SHELL", "pg_isready"), interval=2.0, timeout=3.0, retries=20, start_period=0.5)),
        ('test "pg_isready -q"', Healthcheck(test=("CMD-SHELL", "pg_isready -q"))),
        ('test "pg_isready" "-q"', Healthcheck(test=("CMD", "pg_isready", "-q"))),
        ('test "CMD" "x"', Healthcheck(test=("CMD", "x"))),
        ('test "NONE"', Healthcheck(test=("NONE",))),
    ],
)  # fmt: skip
def test_healthchecks(service: ServiceText, body: str, check: Healthcheck) -> None:
    assert service(f"healthcheck {{ {body} }}").healthcheck == check


def test_readiness_resources_scaling_and_ingress(service: ServiceText) -> None:
    built = service("""
        readiness path="/health" port=8080 timeout=30 interval="500ms"
        resources { cpu "500m"; memory "256Mi"; cpu_limit 1; memory_limit 536870912 }
        scaling min=1 max=10 cpu=70
        ingress host="a.example" path="/x" port=80 tls="t"
        ingress host="b.example"
        restart "unless-stopped"; replicas 3; pull "always"; rerun "always"; timeout "5m"; retries 0; entrypoint "x"
    """)

    assert built.readiness == Readiness(path="/health", port=8080, timeout=30.0, interval=0.5)
    assert built.resources == Resources(cpu=0.5, memory=256 * 1024**2, cpu_limit=1.0, memory_limit=512 * 1024**2)
    assert built.scaling == Scaling(min=1, max=10, cpu=70)
    assert built.ingress == (Ingress(host="a.example", path="/x", port=80, tls="t"), Ingress(host="b.example"))
    assert (built.restart, built.replicas, built.pull, built.rerun) == ("unless-stopped", 3, "always", "always")
    assert (built.timeout, built.retries, built.entrypoint) == (300.0, 0, ("x",))


def test_an_empty_ingress_takes_back_those_before_it(service: ServiceText) -> None:
    assert service('ingress host="a.example"; ingress').ingress == ()
    assert service('ingress; ingress host="b.example"').ingress == (Ingress(host="b.example"),)


def test_what_is_left_out_has_its_default(service: ServiceText) -> None:
    built = service('readiness; scaling; resources; retries 1; timeout 20; job false; readiness "/up"')

    assert built.readiness == Readiness(path="/up")
    assert built.scaling is None
    assert service("scaling { }").scaling == Scaling(min=1, max=1)
    assert built.resources == Resources()
    assert service("scaling min=0").scaling == Scaling(min=0, max=1)
    assert service("scaling min=3").scaling == Scaling(min=3, max=3)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "healthcheck { interval 3 }",
            '3:1: the healthcheck of `x` has no `test` => write `test "CMD-SHELL" "pg_isready"`',
        ),
        ('readiness path="up"', '3:1: the path `up` of `readiness` must begin with `/` => write `path="/up"`'),
        ("scaling min=5 max=2", "3:1: `min` 5 is more than `max` 2 => raise `max`"),
        (
            'resources { memory "2Gi"; memory_limit "1Gi" }',
            "3:13: `memory` is more than `memory_limit` => raise the limit",
        ),
        ('resources { cpu "x" }', '3:17: `cpu` takes cores (`0.5`, `500m`) from 0.001 to 4096, not `"x"`'),
        (
            'ingress path="/"',
            '3:1: `ingress` needs `host` => write `ingress host="shop.example.org" path="/" port=80 tls="shop-tls"`',
        ),
        ("ingress host=null", '3:14: `host` has no value => write `""` where an empty text is meant'),
    ],
)
def test_wrong_blocks(wrong: ProblemsText, body: str, expected: str) -> None:
    assert wrong(body) == [expected]


@pytest.mark.parametrize(
    ("body", "job"),
    [
        ('restart "no"', True),
        ('restart "no"; port 80', False),
        ('restart "no"; job false', False),
        ("job #true; port 80", True),
        ('job "true"', True),
        ('restart "always"', False),
        ("", False),
    ],
)
def test_a_service_that_does_not_restart_and_has_no_port_reads_as_job(
    service: ServiceText, body: str, job: bool
) -> None:
    assert service(body).job is job


def test_secrets_name_their_source(folder: Folder) -> None:
    folder.environ = {"PG": "s3cret", "B": "b"}
    folder.write(
        {
            "secrets/api": "k3y\n",
            ".env": "FROM_FILE=f1le",
            "fleet.kdl": """
                service "x" { image "i"; secrets { A env="PG"; B; C file="secrets/api"; D ref="projects/p"; E env="FROM_FILE" } }
                stage "local" { service "x" }
            """,
        }
    )

    secrets = folder.service("x").secrets

    assert {name: (each.kind, each.name, each.value and each.value.reveal()) for name, each in secrets.items()} == {
        "A": ("env", "PG", "s3cret"),
        "B": ("env", "B", "b"),
        "C": ("file", "secrets/api", "k3y"),
        "D": ("ref", "projects/p", None),
        "E": ("env", "FROM_FILE", "f1le"),
    }
    assert "s3cret" not in repr(secrets)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('X "literal"', '3:13: `X` takes no value `"literal"` here => write `NAME env="VARIABLE"`'),
        ('X env="A" file="B"', "3:11: secret `X` has two sources: `env` and `file` => keep one"),
        ("X env=null", '3:17: `env` has no value => write `""` where an empty text is meant'),
        ("X", "3:11: the secret's variable `X` is not set => export X, or write it into `.env`"),
        (
            'X file="none"',
            "3:11: `none` cannot be read: no such file or directory => write the file, or mend the path: it starts at the project's folder",
        ),
    ],
)
def test_wrong_secrets(wrong: ProblemsText, body: str, expected: str) -> None:
    assert expected in wrong(f"secrets {{ {body} }}")


def test_a_secret_cannot_be_a_property(wrong: ProblemsText) -> None:
    assert wrong('secrets X="v"') == ["3:11: `secrets` takes no values of its own => write `secrets { NAME env=… }`"]


def test_unknown_names_are_warnings_with_the_nearest_known_one_and_errors_when_strict(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            servce "a"
            service "x" {
                image "i"
                enviroment { LOG "info" }
                readiness prot=3
                depends_on { servce "y" }
                zzz
            }
            stage "local" { service "x" { whatever 1 } }
            """
        }
    )

    expected = [
        "fleet.kdl:1:1: unknown node `servce` => did you mean `service`?",
        "fleet.kdl:4:5: unknown node `enviroment` in service `x` => did you mean `environment`?",
        "fleet.kdl:5:15: unknown property `prot` in `readiness` => did you mean `port`?",
        "fleet.kdl:6:18: unknown node `servce` in `depends_on` => did you mean `service`?",
    ]
    assert folder.warnings("local")[:4] == expected
    assert folder.problems("local", strict=True)[:4] == expected
    assert folder.warnings("local")[4].startswith(
        "fleet.kdl:7:5: unknown node `zzz` in service `x` => known are `build`, "
    )


def test_nodes_of_the_earlier_tool_are_told_once_and_never_an_error(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'provider "a"\nprovider "b"\nserver "c"\nservice "x" { image "i"; type "y" }\nstage "local" { service "x" }'
        }
    )

    assert [line.split(" => ")[0] for line in folder.warnings("local", strict=True)] == [
        "fleet.kdl:1:1: `provider` is not used by this tool",
        "fleet.kdl:3:1: `server` is not used by this tool",
        "fleet.kdl:4:26: `type` is not used by this tool",
    ]


def test_errors_come_without_the_warnings_among_them(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "x" { image "a"; image "b"; readiness port=1 port=2; env A=1 { B b=1 b=2 }; ports { port 1 host=2 host=3 } }
            stage "local" { service "x" }
            """
        }
    )

    assert folder.problems("local") == [
        "fleet.kdl:1:72: `B` has no value",
        "fleet.kdl:1:80: `B` takes no property `b`",
    ]


def test_twice_the_same_node_keeps_the_last(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'service "x" { image "a"; image "b"; readiness port=1 port=2; port host=2 host=3 }\nstage "local" { service "x" }'
        }
    )

    assert folder.service("x").image == "b"
    assert folder.warnings("local") == [
        "fleet.kdl:1:26: `image` is said twice in service `x`; the last one counts",
        "fleet.kdl:1:52: `readiness` gives a property twice; the last one counts",
        "fleet.kdl:1:72: `port` gives a property twice; the last one counts",
    ]


def test_nodes_of_one_block_become_one_and_what_both_say_is_told(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "x" {
                image "i"
                env A=1 { A 2 }
                readiness "/up" port=1
                readiness "/health" port=2 { port 3 }
            }
            stage "local" { service "x" }
            """
        }
    )

    assert folder.service("x").readiness == Readiness(path="/health", port=3)
    assert folder.warnings("local") == [
        "fleet.kdl:3:15: `A` is said twice in `environment`; the last one counts",
        "fleet.kdl:5:15: `path` is said twice; the last one counts",
        "fleet.kdl:5:30: `port` is said twice; the last one counts",
        "fleet.kdl:5:34: `port` is said twice in `readiness`; the last one counts",
    ]


def test_a_later_file_may_say_a_variable_again(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": 'variables { A 1 }; service "x" { image "i:${A}" }; stage "local" { service "x" }',
            "fleet.local.kdl": "variables { A 2 }",
        }
    )

    assert folder.warnings("local") == []


def test_an_include_needs_a_path(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'include\nservice "x" { image "i" }\nstage "local" { service "x" }'})

    assert folder.problems() == ['fleet.kdl:1:1: `include` has no value => write `include "teams/*.kdl"`']


def test_a_property_of_the_earlier_tool_is_not_used_either(folder: Folder) -> None:
    folder.write({"fleet.kdl": 'service "x" type="static" { image "i" }\nstage "local" { service "x" }'})

    assert [line.partition(" => ")[0] for line in folder.warnings()] == [
        "fleet.kdl:1:13: `type` is not used by this tool"
    ]


BLOCK = (
    Row(name="network", doc="Its network."),
    Row(name="cap_add", kind="values", doc="Capabilities."),
    Row(name="sysctls", kind="map", doc="Kernel settings.", rows=(Row(name="NAME", doc="One."),)),
    Row(name="ulimits", kind="list", doc="Limits.", rows=(Row(name="limit", kind="block", doc="One.", positional=("name",), rows=(Row(name="name", doc="Its name."), Row(name="soft", type="int", doc="Soft."))),)),
    Row(name="init", kind="block", doc="Init.", rows=(Row(name="on", type="bool", doc="On."),)),
)  # fmt: skip


def test_a_runtimes_own_block_is_checked_by_its_own_rows(folder: Folder) -> None:
    folder.write(
        {
            "fleet.kdl": """
            service "x" { image "i"; docker { network "n"; cap_add "A" "B"; sysctls { a 1 }; ulimits { limit "nofile" soft=5 }; init { on true }; netwrk 1 } }
            stage "local" { service "x" { docker { network "m" } } }
            """
        }
    )

    assert folder.service("x", blocks={"docker": BLOCK}).options == {
        "docker": {
            "network": "m",
            "cap_add": ("A", "B"),
            "sysctls": {"a": "1"},
            "ulimits": ({"name": "nofile", "soft": 5},),
            "init": {"on": True},
        }
    }
    assert folder.warnings("local", blocks={"docker": BLOCK}) == [
        "fleet.kdl:1:135: unknown node `netwrk` in `docker` => did you mean `network`?"
    ]


def test_values_rows_can_be_properties_too(service: ServiceText) -> None:
    assert service('healthcheck test="pg_isready"').healthcheck == Healthcheck(test=("CMD-SHELL", "pg_isready"))
    assert Dependency(service=ServiceName("a")).required
