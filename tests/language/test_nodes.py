# SPDX-License-Identifier: Apache-2.0
"""The language, 3: nodes."""

import pytest

from fleetflow_tasks.config.model import (
    Healthcheck,
    Ingress,
    Port,
    Readiness,
    Resources,
    Scaling,
    Service,
    Volume,
)
from fleetflow_tasks.config.schema import SERVICE_ROWS

from .conftest import Written

HERE = '\nstage "local" { service "web" }'
CLUSTER = '\nstage "local" { runtime "kubernetes"; service "web" }'


def web(body: str, stage: str = HERE) -> str:
    """One service whose body begins in line 2, column 5."""
    return f'service "web" {{\n    image "nginx:1"; {body}\n}}{stage}'


# --- project, variables, stage


def test_the_project_is_named_after_its_folder_where_the_text_says_no_name(shop: Written) -> None:
    assert shop(web("")).plan().plan.project == "shop"
    assert shop('project "store"\n' + web("")).plan().plan.project == "store"


def test_a_stages_own_variables_win_over_the_projects(shop: Written) -> None:
    shop(
        """
        variables { DOMAIN "example.org"; TEAM "core" }
        service "web" { image "nginx:1"; labels { at "{{ DOMAIN }}"; by "{{ TEAM }}" } }
        stage "local" { variables { DOMAIN "localhost" }; service "web" }
        stage "prd" { service "web" }
        """
    )

    assert shop.service("web", "local").labels == {"at": "localhost", "by": "core"}
    assert shop.service("web", "prd").labels == {"at": "example.org", "by": "core"}


def test_a_block_in_a_stage_overrides_for_this_stage_alone(shop: Written) -> None:
    shop(
        """
        service "web" { image "nginx:1"; environment { LOG "debug"; PORT 80 } }
        stage "local" { service "web" }
        stage "stg" { runtime "kubernetes"; service "web" { replicas 2; environment { LOG "info" } } }
        """
    )

    local, stg = shop.service("web", "local"), shop.service("web", "stg")

    assert (local.replicas, local.environment) == (None, {"LOG": "debug", "PORT": "80"})
    assert (stg.replicas, stg.environment) == (2, {"LOG": "info", "PORT": "80"})


def test_a_stage_may_hold_a_service_of_its_own(shop: Written) -> None:
    shop('stage "local" { service "mail" { image "mailpit:1" } }')

    assert shop.service("mail").image == "mailpit:1"


def test_a_stage_that_names_an_unknown_service_is_an_error(shop: Written) -> None:
    shop('service "web" { image "nginx:1" }\nstage "local" { service "webb" }')

    assert shop.headlines() == ["fleet.kdl:2:17: stage `local` names an unknown service `webb` => did you mean `web`?"]


# --- each node of a service


@pytest.mark.parametrize(
    ("body", "ports"),
    [
        ("port 5432", [Port(host=5432, container=5432)]),
        ("port 8080 80", [Port(host=8080, container=80)]),
        ("port container=80", [Port(container=80)]),
        ("port 1 2 host=8080 container=80", [Port(host=8080, container=80)]),
        ("port 8080 80; port 9000", [Port(host=8080, container=80), Port(host=9000, container=9000)]),
        (
            'ports { port 8080 80; port host=11053 container=53 protocol="udp" host_ip="127.0.0.1" }',
            [Port(host=8080, container=80), Port(host=11053, container=53, protocol="udp", host_ip="127.0.0.1")],
        ),
    ],
)
def test_port(shop: Written, body: str, ports: list[Port]) -> None:
    assert list(shop(web(body)).service("web").ports) == ports


@pytest.mark.parametrize(
    "body",
    ['environment { LOG "info"; WORKERS 4 }', 'env LOG="info" WORKERS=4', 'env LOG="info"; environment WORKERS=4'],
)
def test_environment_and_env_are_the_same_node(shop: Written, body: str) -> None:
    assert shop(web(body)).service("web").environment == {"LOG": "info", "WORKERS": "4"}


def test_env_file(shop: Written) -> None:
    shop(web('env_file "a.env" "b.env"; environment { OWN "mine" }')).files(
        {"a.env": "OWN=a\nA=a\nBOTH=a", "b.env": "BOTH=b"}
    )

    assert shop.service("web").environment == {"A": "a", "BOTH": "b", "OWN": "mine"}


def test_an_env_file_that_is_not_there_is_an_error(shop: Written) -> None:
    assert shop(web('env_file "no.env"')).headlines() == [
        (
            "fleet.kdl:2:22: `no.env` cannot be read: no such file or directory"
            " => write the file, or mend the path: it starts at the project's folder"
        )
    ]


def test_secrets_from_a_variable_a_file_and_a_reference(shop: Written) -> None:
    shop(
        """
        service "web" {
            image "nginx:1"
            secrets { POSTGRES_PASSWORD env="PG_PASSWORD"; API_KEY file="secrets/api"; DB_URL ref="db/url"; OWN }
        }
        stage "local" { runtime "kubernetes"; service "web" }
        """
    ).files({"secrets/api": "sesame\n", ".env": "OWN=from the file of the project"})
    shop.environ = {"PG_PASSWORD": "hunter2"}

    service = shop.service("web")

    assert {name: secret.reveal() for name, secret in service.secrets.items()} == {
        "API_KEY": "sesame",
        "OWN": "from the file of the project",
        "POSTGRES_PASSWORD": "hunter2",
    }
    assert service.secret_refs == {"DB_URL": "db/url"}
    assert "hunter2" not in repr(service)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("KEY", "the secret's variable `KEY` is not set => export KEY, or write it into `.env`"),
        ('KEY env="PG"', "the secret's variable `PG` is not set => export PG, or write it into `.env`"),
        (
            'KEY file="no"',
            (
                "`no` cannot be read: no such file or directory"
                " => write the file, or mend the path: it starts at the project's folder"
            ),
        ),
        ('KEY env="PG" file="no"', "secret `KEY` has two sources: `env` and `file` => keep one"),
    ],
)
def test_a_secret_without_a_value_is_an_error(shop: Written, body: str, expected: str) -> None:
    assert shop(web(f"secrets {{ {body} }}")).headlines() == [f"fleet.kdl:2:32: {expected}"]


def test_volumes(shop: Written) -> None:
    shop(
        web('volumes { volume "./data" "/data"; volume "pgdata" "/db" size="10Gi" read_only=#true }; volume "/scratch"')
    )

    assert list(shop.service("web").volumes) == [
        Volume(source=str(shop.path / "data"), target="/data"),
        Volume(source="pgdata", target="/db", size=10 * 1024**3, read_only=True),
        Volume(source="", target="/scratch"),
    ]


@pytest.mark.parametrize("node", ["command", "entrypoint"])
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ('"postgres -c max_connections=200"', ("postgres", "-c", "max_connections=200")),
        ("\"sh -c 'a b'\"", ("sh", "-c", "a b")),
        ('"sh" "-c" "a b; c"', ("sh", "-c", "a b; c")),
    ],
)
def test_one_string_is_shell_words_and_several_are_taken_as_they_are(
    shop: Written, node: str, said: str, words: tuple[str, ...]
) -> None:
    assert getattr(shop(web(f"{node} {said}")).service("web"), node) == words


def test_a_quote_that_is_never_closed_is_an_error(shop: Written) -> None:
    assert shop(web('command "sh -c \'a"')).headlines() == [
        (
            "fleet.kdl:2:22: `command` opens a quote and does not close it"
            " => close it, or write each word as a text of its own"
        )
    ]


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ('"CMD-SHELL" "pg_isready"', ("CMD-SHELL", "pg_isready")),
        ('"CMD" "pg_isready" "-q"', ("CMD", "pg_isready", "-q")),
        ('"pg_isready || exit 1"', ("CMD-SHELL", "pg_isready || exit 1")),
        ('"pg_isready" "-q"', ("CMD", "pg_isready", "-q")),
        ('"NONE"', ("NONE",)),
    ],
)
def test_healthcheck(shop: Written, test: str, expected: tuple[str, ...]) -> None:
    shop(web(f'healthcheck {{ test {test}; interval 2; timeout "3s"; retries 20; start_period "1m" }}'))

    assert shop.service("web").healthcheck == Healthcheck(
        test=expected, interval=2.0, timeout=3.0, retries=20, start_period=60.0
    )


@pytest.mark.parametrize("said", ['path="/health"', '"/health"'])
def test_readiness(shop: Written, said: str) -> None:
    shop(web(f"readiness {said} port=8080 timeout=30 interval=2"))

    assert shop.service("web").readiness == Readiness(path="/health", port=8080, timeout=30.0, interval=2.0)


@pytest.mark.parametrize("policy", ["no", "always", "on-failure", "unless-stopped"])
def test_restart(shop: Written, policy: str) -> None:
    assert shop(web(f'port 80; restart "{policy}"')).service("web").restart == policy


def test_resources(shop: Written) -> None:
    shop(web('resources { cpu "500m"; memory "256Mi"; cpu_limit "1"; memory_limit "512Mi" }'))

    assert shop.service("web").resources == Resources(
        cpu=0.5, memory=256 * 1024**2, cpu_limit=1.0, memory_limit=512 * 1024**2
    )


def test_replicas_scaling_and_ingress(shop: Written) -> None:
    shop(
        web(
            "port 80; scaling min=1 max=10 cpu=70; resources cpu=1; "
            'ingress host="shop.example.org" path="/" port=80 tls="shop-tls"',
            CLUSTER,
        )
    )

    service = shop.service("web")

    assert service.scaling == Scaling(min=1, max=10, cpu=70)
    assert service.ingress == (Ingress(host="shop.example.org", path="/", port=80, tls="shop-tls"),)
    assert shop(web("replicas 3", CLUSTER)).service("web").replicas == 3


def test_labels(shop: Written) -> None:
    assert shop(web('labels { team "core" }')).service("web").labels == {"team": "core"}


def test_timeout_and_retries(shop: Written) -> None:
    shop(web('timeout "5m"; retries 4'))

    step = next(step for step in shop.plan().plan.steps if step.id == "web:deploy")

    assert (step.timeout, step.retries) == (300.0, 4)


@pytest.mark.parametrize(
    ("body", "job"),
    [
        ("job #true", True),
        ('restart "no"', True),
        ('restart "no"; port 80', False),
        ('restart "no"; job #false', False),
        ('restart "on-failure"', False),
        ("", False),
    ],
)
def test_a_job_runs_to_completion_and_restart_no_without_a_port_reads_the_same(
    shop: Written, body: str, job: bool
) -> None:
    assert shop(web(body)).service("web").job is job


def test_build(shop: Written) -> None:
    shop('service "web" { build { context "app"; dockerfile "Prod"; target "prod"; args { V "1" } } }' + HERE)
    shop.files({"app/Prod": "FROM scratch AS prod"})

    build = shop.service("web").build

    assert build is not None
    assert (build.context, build.dockerfile, build.target, build.args) == (
        "app",
        "Prod",
        "prod",
        {"V": "1"},
    )


@pytest.mark.parametrize("runtime", ["docker", "kubernetes", "cloudrun"])
def test_a_block_holds_what_only_one_runtime_has(shop: Written, runtime: str) -> None:
    shop(
        web(
            'port 80; docker { init #true }; kubernetes { priority_class "high" }; cloudrun { concurrency 40 }',
            f'\nstage "local" {{ runtime "{runtime}"; variables {{ PROJECT "shop-prd"; REGION "europe-west1" }}; service "web" }}',
        )
    )

    own = {"docker": {"init": True}, "kubernetes": {"priority_class": "high"}, "cloudrun": {"concurrency": 40}}
    assert shop.service("web").options == own[runtime]


def test_what_is_wrong_inside_such_a_block_is_told_where_it_stands(shop: Written) -> None:
    shop(web('kubernetes {\n        max_surge "many"\n        toleration "a" seconds=3\n    }', CLUSTER))

    assert shop.headlines() == [
        (
            "fleet.kdl:3:9: service `web`: runtime `kubernetes` cannot have `many` pods more during a rollout"
            ' => write `max_surge 1` or `max_surge "25%"`'
        ),
        (
            "fleet.kdl:4:32: service `web`: runtime `kubernetes` counts `seconds` of a toleration only with"
            ' `effect="NoExecute"` => leave `seconds` out, or say that effect'
        ),
    ]


def test_each_node_of_a_service_has_a_field_and_each_field_a_node() -> None:
    nodes = {row.field for row in SERVICE_ROWS} - {"env_file"}  # becomes a part of `environment`

    assert nodes == set(Service.__struct_fields__) - {"name", "options", "places"}


# --- a stage's runtime


@pytest.mark.parametrize(
    ("body", "runtime", "options"),
    [
        ('runtime "kubernetes" { namespace "stg"; context "gke_stg" }', "kubernetes", {"namespace": "stg", "context": "gke_stg"}),
        ('runtime "kubernetes" namespace="stg" context="gke_stg"', "kubernetes", {"namespace": "stg", "context": "gke_stg"}),
        ('variables { RUNTIME "kubernetes"; NAMESPACE "stg"; CONTEXT "gke_stg" }', "kubernetes", {"namespace": "stg", "context": "gke_stg"}),
        ('variables { RUNTIME "cloudrun"; PROJECT "shop-prd"; REGION "europe-west1" }', "cloudrun", {"project": "shop-prd", "region": "europe-west1"}),
        ('variables { DOCKER_HOST "ssh://web1" }', "docker", {"docker_host": "ssh://web1"}),
        ('backend "docker"', "docker", {}),
    ],
)  # fmt: skip
def test_the_runtime_of_a_stage_by_its_node_or_by_reserved_variables(
    shop: Written, body: str, runtime: str, options: dict[str, str]
) -> None:
    shop(web("port 80", f'\nstage "local" {{ {body}; service "web" }}'))

    made = shop.plan().plan

    assert made.runtimes == (runtime,)
    assert made.options.get(runtime, {}) == options
    assert made.services[0].environment == {}


STRENGTHS = [
    ("the option", "cloudrun"),
    ("FLEETFLOW_RUNTIME", "kubernetes"),
    ("the node", "docker"),
    ("backend", "kubernetes"),
    ("RUNTIME", "cloudrun"),
    ("nothing", "docker"),
]


@pytest.mark.parametrize("weaker", range(len(STRENGTHS)))
def test_the_stages_runtime_strongest_first(shop: Written, weaker: int) -> None:
    """From the *weaker*-th on, all are said; each names another runtime than its neighbour."""
    said = dict(STRENGTHS[weaker:])
    node = f'runtime "{said["the node"]}";' if "the node" in said else ""
    backend = f'backend "{said["backend"]}";' if "backend" in said else ""
    variable = f'RUNTIME "{said["RUNTIME"]}";' if "RUNTIME" in said else ""
    where = f'variables {{ {variable} PROJECT "shop-prd"; REGION "europe-west1" }}'
    shop.environ = {"FLEETFLOW_RUNTIME": said["FLEETFLOW_RUNTIME"]} if "FLEETFLOW_RUNTIME" in said else {}
    shop(web("port 80", f'\nstage "local" {{ {node} {backend} {where}; service "web" }}'))

    assert shop.service("web", runtime=said.get("the option")).runtime == STRENGTHS[weaker][1]


@pytest.mark.parametrize(
    ("said", "runtime"),
    [
        ("docker", "docker"),
        ("kubernetes", "kubernetes"),
        ("k8s", "kubernetes"),
        ("K8s", "kubernetes"),
        ("cloudrun", "cloudrun"),
        ("cloud-run", "cloudrun"),
        ("cloud_run", "cloudrun"),
    ],
)
def test_the_runtimes_that_are_known(shop: Written, said: str, runtime: str) -> None:
    where = 'variables { PROJECT "shop-prd"; REGION "europe-west1" }'
    shop(
        web(
            "port 80",
            f'\nstage "local" {{ runtime "{said}"; {where}; service "web" }}\nstage "bare" {{ {where}; service "web" }}',
        )
    )

    assert shop.service("web").runtime == runtime
    assert shop.service("web", "bare", runtime=said).runtime == runtime


def test_anything_else_is_an_error_unlike_a_silent_fall_to_docker(shop: Written) -> None:
    shop(web("", '\nstage "local" { runtime "dokcer"; service "web" }\nstage "bare" { service "web" }'))

    assert shop.headlines() == ["fleet.kdl:4:25: unknown runtime `dokcer` => did you mean `docker`?"]
    assert shop.headlines("bare", runtime="k9s") == ["unknown runtime `k9s` => did you mean `k8s`?"]


def test_a_services_own_runtime_beats_its_stages(shop: Written) -> None:
    shop(
        """
        service "web" { image "nginx:1"; port 80 }
        service "edge" { image "edge:1"; port 80 }
        stage "local" {
            runtime "docker"
            variables { PROJECT "shop-prd"; REGION "europe-west1" }
            service "web"
            service "edge" runtime="cloudrun"
        }
        """
    )

    assert {service.name: service.runtime for service in shop.plan().plan.services} == {
        "edge": "cloudrun",
        "web": "docker",
    }
    assert shop.service("edge", runtime="kubernetes").runtime == "cloudrun"


def test_a_setting_of_a_runtime_that_the_stage_does_not_use_is_a_warning(shop: Written) -> None:
    shop(web("", '\nstage "local" { runtime "docker" { namespace "x" }; service "web" }'))

    assert shop.headlines() == [
        (
            "fleet.kdl:4:36: warning: `namespace` is a setting of kubernetes, and stage `local` runs on docker"
            ' => leave it out, or write `runtime "kubernetes"`'
        )
    ]


def test_all_other_stage_variables_are_template_variables_and_environment_of_every_service(shop: Written) -> None:
    shop(
        """
        service "web" { image "nginx:{{ TAG }}"; environment { LOG "mine" } }
        service "api" { image "api:1" }
        stage "local" {
            variables { RUNTIME "docker"; TAG "1"; LOG "info"; DATABASE_URL "postgres://db" }
            service "web"; service "api"
        }
        """
    )

    assert shop.service("web").image == "nginx:1"
    assert shop.service("web").environment == {"DATABASE_URL": "postgres://db", "LOG": "mine", "TAG": "1"}
    assert shop.service("api").environment == {"DATABASE_URL": "postgres://db", "LOG": "info", "TAG": "1"}


# --- which stage


TWO = 'service "web" { image "nginx:1" }\nstage "stg" { service "web" }\nstage "prd" { service "web" }'


def test_the_stage_is_the_one_that_is_named_else_the_variables_else_local_else_the_only_one(shop: Written) -> None:
    def stage(text: str, named: str | None = None, **environ: str) -> str:
        shop.environ = environ
        return shop(text).plan(named).plan.stage

    local = f'{TWO}\nstage "local" {{ service "web" }}'

    assert stage(TWO, "prd", FLEETFLOW_STAGE="stg") == "prd"
    assert stage(TWO, FLEETFLOW_STAGE="stg", FLEET_STAGE="prd") == "stg"
    assert stage(local, FLEET_STAGE="prd") == "prd"
    assert stage(local) == "local"
    assert stage(TWO.rpartition("\n")[0]) == "stg"


def test_several_stages_and_none_called_local_is_an_error_that_names_them(shop: Written) -> None:
    assert shop(TWO).told(None).splitlines() == [
        "project `shop` has 2 stages, and none is called `local`",
        "  they are: stg, prd",
        "  fix: say which: --stage=stg",
    ]


def test_an_unknown_stage_is_an_error_with_the_nearest_one(shop: Written) -> None:
    assert shop(TWO).told("prod").splitlines() == [
        "unknown stage `prod`",
        "  did you mean `prd`? known are `stg`, `prd`",
    ]


def test_a_project_without_a_stage_is_an_error(shop: Written) -> None:
    assert shop('service "web" { image "nginx:1" }').told(None).splitlines() == [
        "`fleet.kdl` has no stage",
        '  fix: add one: `stage "local" { service "…" }`',
    ]
