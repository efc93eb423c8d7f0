# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes cannot honour, as it is told: before anything is touched, and without a cluster."""

from typing import Any

import pytest
from msgspec.structs import replace

from fleetflow_tasks.config.model import (
    Ingress,
    Port,
    ProjectName,
    Resources,
    RuntimeName,
    Scaling,
    Secret,
    StageName,
    Volume,
)
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.kubernetes.check import check

from .made import on, plan, rich, service

WEB = (Port(container=80),)
DATA = Volume(source="data", target="/d", size=1 << 30)
TOLD = "service `api`: runtime `kubernetes` "


def at(line: int) -> Place:
    return Place(file="fleet.kdl", line=line, column=5)


def said(stage: Plan) -> list[str]:
    return [printed(problem) for problem in check(stage)]


def told(*others: ResolvedService, **fields: Any) -> list[str]:
    """What is said of the service `api`, without what is always the same."""
    return [line.replace(TOLD, "") for line in said(plan(service(**fields), *others))]


def printed(problem: Problem) -> str:
    where = f"{problem.place}: " if problem.place else ""
    fix = f" => {problem.fix}" if problem.fix else ""
    return f"{problem.severity}: {where}{problem.message}{fix}"


def test_a_stage_in_order_is_not_spoken_of() -> None:
    assert told(ports=WEB, volumes=(DATA,), replicas=2, restart="always", resources=Resources(cpu=1)) == []
    assert said(plan(service(runtime=RuntimeName("docker"), options={"init": True}))) == []


def test_the_rich_stage_is_spoken_of_only_in_passing() -> None:
    assert [line.partition("kubernetes` ")[2] for line in said(rich())] == [
        'gives volume `uploads` 1Gi: the text says no size => say `size="10Gi"`',
        'gives volume `conf` 1Gi: the text says no size => say `size="10Gi"`',
        (
            "keeps what is in `/tmp` only as long as a pod lives: the volume has no name => "
            'name it to keep it: `volume "data" "/tmp"`'
        ),
        'gives volume `uploads` 1Gi: the text says no size => say `size="10Gi"`',
    ]


def test_a_block_that_cannot_be_read_is_told_before_all_else() -> None:
    place = {"options": at(9)}
    found = said(plan(service(options={"max_surge": [1]}, replicas=2, restart="no", places=place)))

    assert found == [
        (
            f"error: fleet.kdl:9:5: {TOLD}does not understand its `kubernetes` block: "
            "Expected `str`, got `array` - at `$.max_surge` => correct the block"
        )
    ]


def test_a_problem_has_the_place_of_its_element_else_of_its_list_else_of_the_service() -> None:
    bind = (Volume(source="/srv", target="/d"),)

    def place(**places: Place) -> str:
        return str(next(check(plan(service(volumes=bind, places=places)))).place)

    assert place(**{"": at(1), "volumes": at(2), "volumes.0": at(3)}) == "fleet.kdl:3:5"
    assert place(**{"": at(1), "volumes": at(2)}) == "fleet.kdl:2:5"
    assert place(**{"": at(1)}) == "fleet.kdl:1:5"
    assert place() == "None"


# --- names


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "a" * 63}, ""),
        ({"name": "a" * 64}, ""),  # too long anywhere: the plan's own check says so
        ({"name": "a" * 54, "job": True}, ""),
        ({"name": "a" * 48, "job": True, "rerun": "always"}, ""),
        (
            {"name": "a" * 55, "job": True},
            (
                "takes no name longer than 54 characters for a job, whose object's name ends in a hash; this one has 55"
                f" => call it `{'a' * 54}`"
            ),
        ),
        (
            {"name": "a" * 49, "job": True, "rerun": "always"},
            (
                "takes no name longer than 48 characters for a job, whose object's name ends in a hash; this one has 49"
                f" => call it `{'a' * 48}`"
            ),
        ),
        ({"name": "a" * 52, "volumes": (DATA,)}, ""),
        (
            {"name": "a" * 51 + "-b", "volumes": (DATA,)},
            (
                "takes no name longer than 52 characters for a service with volumes of its own, which a StatefulSet runs;"
                f" this one has 53 => call it `{'a' * 51}`"
            ),
        ),
    ],
)
def test_a_name_that_does_not_fit_is_an_error_with_one_that_does(fields: dict[str, Any], problem: str) -> None:
    found = [line.partition("kubernetes` ")[2] for line in said(plan(service(**fields)))]

    assert "".join(found) == problem


@pytest.mark.parametrize("version", ["1.27", "1.3", "2.0", "newest", "1.30.1", "v1.30"])
def test_a_version_must_be_one_that_we_speak_to(version: str) -> None:
    assert said(plan(service(), version=version)) == [
        (
            f"error: runtime `kubernetes` makes nothing for version `{version}`"
            ' => write `runtime "kubernetes" { version "1.28" }`, or leave it out for 1.30'
        )
    ]


@pytest.mark.parametrize("version", ["", "1.28", "1.30", "1.34", "1.100"])
def test_a_version_that_we_speak_to_is_not_spoken_of(version: str) -> None:
    assert said(plan(service(), version=version)) == []


def test_a_namespace_must_be_a_name_that_a_cluster_takes() -> None:
    assert said(plan(service(), namespace="Shop_Stg")) == [
        (
            "error: runtime `kubernetes` cannot have the namespace `Shop_Stg`"
            ' => write `runtime "kubernetes" { namespace "shop-stg" }`'
        )
    ]
    assert said(plan(service(), namespace="___"))[0].endswith('{ namespace "shop" }`')


def test_project_and_stage_are_one_label_together() -> None:
    stage = replace(plan(service(), namespace="n"), project=ProjectName("p" * 40), stage=StageName("s" * 40))

    (problem,) = check(stage)

    assert problem.message.startswith("the names of project and stage are too long together for runtime `kubernetes`")
    assert problem.cause == ("they are one label's value, of 63 characters at most; these are 81",)


# --- one service


@pytest.mark.parametrize(
    ("volume", "problem"),
    [
        (
            Volume(source="/shop/data", target="/d"),
            (
                "error: cannot mount the host's path `/shop/data`: pods move between hosts"
                ' => build the files into the image, or name a volume: `volume "data" "…"`'
            ),
        ),
        (Volume(source="gs://b", target="/d"), "error: cannot mount the bucket `gs://b` => use a named volume"),
        (
            Volume(source="", target="/d"),
            (
                "note: keeps what is in `/d` only as long as a pod lives: the volume has no name"
                ' => name it to keep it: `volume "data" "/d"`'
            ),
        ),
        (
            Volume(source="pg_data", target="/d"),
            "error: takes no volume called `pg_data` => call it `pg-data`",
        ),
        (Volume(source="___", target="/d"), "error: takes no volume called `___` => call it `data`"),
        (
            Volume(source="data", target="/d"),
            'note: gives volume `data` 1Gi: the text says no size => say `size="10Gi"`',
        ),
    ],
)
def test_volumes(volume: Volume, problem: str) -> None:
    assert told(volumes=(volume,)) == [problem]


def test_a_size_that_another_service_says_is_said() -> None:
    many = {"options": {"access_mode": "ReadWriteMany"}}

    assert told(service("b", volumes=(DATA,), **many), volumes=(Volume(source="data", target="/x"),), **many) == []


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        (
            {"scaling": Scaling(min=0, max=2)},
            [
                "error: cannot scale to zero copies => say `scaling min=1`",
                (
                    "warning: cannot scale before `resources` says how much cpu a copy asks for: the percent is of that"
                    ' => say `resources { cpu "100m" }`'
                ),
            ],
        ),
        (
            {"scaling": Scaling(min=1, max=2), "replicas": 2, "resources": Resources(cpu_limit=1)},
            ["note: lets `scaling` choose the number of copies: `replicas` has no effect"],
        ),
        (
            {"scaling": Scaling(min=1, max=2), "volumes": (DATA,), "resources": Resources(cpu=1)},
            [
                (
                    "warning: scales a service whose every copy has volumes of its own: a new copy begins with empty ones"
                    " => leave `scaling` out, if the copies do not share the data themselves"
                )
            ],
        ),
    ],
)
def test_scaling(fields: dict[str, Any], problems: list[str]) -> None:
    assert told(**fields) == problems


@pytest.mark.parametrize("many", [{"replicas": 2}, {"scaling": Scaling(max=2), "resources": Resources(cpu=1)}])
def test_copies_that_write_one_volume_must_be_on_one_node(many: dict[str, Any]) -> None:
    other = service("b", volumes=(DATA,))

    assert told(other, volumes=(DATA,), **many) == [
        (
            "warning: runs 2 copies that write one volume, which pods of one node alone can do"
            ' => say `access_mode "ReadWriteMany"`, where the storage class can, or `replicas 1`'
        ),
        (
            "warning: mounts volume `data` in `api`, `b`: they share one claim, so all their pods must run on one node"
            " => give each a volume of its own name, "
            'or say `kubernetes { access_mode "ReadWriteMany" }` in each, where the storage class can'
        ),
    ]


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"replicas": 2}, ["error: runs a job once, not in several copies => leave `replicas` out"]),
        ({"scaling": Scaling(max=2)}, ["error: runs a job once, not in several copies => leave `scaling` out"]),
        (
            {"ports": WEB, "ingress": (Ingress(host="a.org"),)},
            [
                "error: has no ingress for a job => leave `ingress` out",
                "note: gives a job no address: nobody can reach its ports",
            ],
        ),
        (
            {"restart": "on-failure"},
            [
                (
                    'warning: does not restart a job: `restart "on-failure"` has no effect'
                    " => leave `restart` out; `kubernetes { backoff_limit 3 }` lets the cluster begin it again"
                )
            ],
        ),
        ({"restart": "no", "replicas": 1}, []),
        ({"ports": (Port(container=80, host=8080),)}, ["note: gives a job no address: nobody can reach its ports"]),
    ],
)
def test_jobs(fields: dict[str, Any], problems: list[str]) -> None:
    assert told(job=True, **fields) == problems


@pytest.mark.parametrize(
    ("restart", "problems"),
    [
        (
            "no",
            [
                (
                    'error: starts what ends again, always: `restart "no"` cannot be kept'
                    ' => mark it with `job #true` if it ends by itself, or say `restart "always"`'
                )
            ],
        ),
        (
            "on-failure",
            ['warning: starts what ends again also after a good end, not `on-failure` alone => say `restart "always"`'],
        ),
        ("always", []),
        ("unless-stopped", []),
    ],
)
def test_what_ends_is_started_again(restart: str, problems: list[str]) -> None:
    assert told(restart=restart) == problems


@pytest.mark.parametrize(
    ("ports", "options", "problems"),
    [
        ((Port(container=80, host=80), Port(container=53), Port(container=53, protocol="udp")), {}, []),
        (
            (Port(container=80, host=8080),),
            {},
            [
                (
                    "note: opens no port 8080 on a host: inside the cluster it is `api:80`"
                    ' => `ingress`, or `kubernetes { service_type "LoadBalancer" }`, lets it be reached from outside'
                )
            ],
        ),
        ((Port(container=80, host=8080),), {"service_type": "LoadBalancer"}, []),
        (
            (Port(container=80, host_ip="127.0.0.1"),),
            {},
            [
                (
                    "warning: cannot listen on the address `127.0.0.1`: a pod has its own"
                    " => leave `host_ip` out for this stage"
                )
            ],
        ),
        (
            (Port(container=8080, host=80), Port(container=80, host=81)),
            {"service_type": "LoadBalancer"},
            [
                "error: cannot lead port 80/tcp of the service to 80 and to 8080 => give one of them another host port",
            ],
        ),
        (
            WEB,
            {"node_port": 30080},
            [
                (
                    "error: opens `node_port` 30080 only for another type of service than ClusterIP"
                    ' => say `service_type "NodePort"`'
                )
            ],
        ),
        (WEB, {"node_port": 30080, "service_type": "NodePort"}, []),
        (
            WEB,
            {"node_port": 80, "service_type": "NodePort"},
            [
                (
                    "warning: opens `node_port` 80 only where the cluster's range was widened: it is 30000-32767"
                    " => take one of 30000 to 32767, or leave `node_port` out"
                )
            ],
        ),
        (
            (Port(container=80, host=8080),),
            {"node_port": 30080, "service_type": "NodePort"},
            [
                (
                    "error: cannot tell which of its 2 ports `node_port` 30080 is for"
                    " => leave it out: the cluster chooses, or let the service have one port, the same on host and container"
                )
            ],
        ),
    ],
)
def test_ports(ports: tuple[Port, ...], options: dict[str, Any], problems: list[str]) -> None:
    assert told(ports=ports, options=options) == problems


@pytest.mark.parametrize(
    ("ingress", "ports", "problems"),
    [
        (Ingress(host="*.a.org", tls="cert"), WEB, []),
        (
            Ingress(host="A.org", path="x", tls="My Cert"),
            WEB,
            [
                (
                    "error: takes no ingress for the host `A.org`"
                    " => write a host name in lower case, such as `shop.example.org`"
                ),
                'error: takes no ingress for the path `x` => write `path="/x"`',
                "error: has no secret called `My Cert` => name the secret of the certificate",
            ],
        ),
        (
            Ingress(host="a.org"),
            (),
            [
                (
                    "error: cannot tell which port the ingress `a.org` leads to: the service has none"
                    " => say which: `ingress port=80`, and `port container=80`"
                )
            ],
        ),
        (
            Ingress(host="a.org"),
            (Port(container=80), Port(container=81)),
            [
                (
                    "error: cannot tell which port the ingress `a.org` leads to: the service has 2"
                    " => say which: `ingress port=80`, and `port container=80`"
                )
            ],
        ),
        (
            Ingress(host="a.org", port=81),
            WEB,
            [
                (
                    "error: cannot lead the ingress `a.org` to port 81, which the service does not have"
                    " => add `port container=81`"
                )
            ],
        ),
    ],
)
def test_ingress(ingress: Ingress, ports: tuple[Port, ...], problems: list[str]) -> None:
    assert told(ingress=(ingress,), ports=ports) == problems


def test_names_of_variables() -> None:
    assert told(environment={"1A": "x", "A.B-c_D": "x"}, secrets={"A B": Secret("x")}, secret_refs={"é": "n/k"}) == [
        f"error: takes no variable called `{name}` => use letters, digits, `_`, `-` and `.`, a digit not in front"
        for name in ("1A", "A B", "é")
    ]


def test_what_is_too_large_for_one_object() -> None:
    assert told(environment={"A": "é" * (1 << 19), "B": "x"}, secrets={"C": Secret("x" * 1_048_577)}) == [
        (
            "error: holds 1 MiB of `environment` at most; these are 1,048,577 bytes"
            " => put what is large into the image or a volume"
        ),
        (
            "error: holds 1 MiB of `secrets` at most; these are 1,048,577 bytes"
            " => put what is large into the image or a volume"
        ),
    ]
    assert told(environment={"A": "x" * (1 << 20)}, secrets={"B": Secret("x" * (1 << 20))}) == []


@pytest.mark.parametrize("ref", ["vault", "vault/", "/key", "Vault/key", "projects/p/secrets/s/versions/latest", ""])
def test_a_reference_must_name_a_secret_and_its_key(ref: str) -> None:
    assert told(secret_refs={"A": "vault/a.b", "B": ref}) == [
        (
            f"error: cannot read secret `B` from `{ref}`: that names no Secret and key"
            ' => write `B ref="secret/key"`, or give it with `env=`'
        )
    ]


def test_labels() -> None:
    rule = "use up to 63 letters, digits"
    found = told(labels={"fleetflow.io/run": "x", "a b": "x", "team": "a b", "good": "", "x.org/y": "z"})

    assert [line.partition(rule)[0] for line in found] == [
        "error: keeps `fleetflow.io/…` for its own labels: `fleetflow.io/run` => take another prefix",
        "error: takes no label called `a b` => ",
        "error: takes no label `team` with the value `a b` => ",
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"annotations": {"a b": "x"}}, "takes no `a b` in `annotations`"),
        ({"service_annotations": {"/a": "x"}}, "takes no `/a` in `service_annotations`"),
        ({"ingress_annotations": {"é": "x"}}, "takes no `é` in `ingress_annotations`"),
        (
            {"service_account": {"create": True, "annotations": {"a b": "x"}}},
            "takes no `a b` in `service_account`",
        ),
        ({"node_selector": {"a b": "x"}}, "takes no `a b` in `node_selector`"),
        ({"node_selector": {"a": "x y"}}, "takes no `node_selector` `a` with the value `x y`"),
        (
            {"image_pull_secrets": ["My Reg"]},
            "has no object called `My Reg` for `image_pull_secrets` => write `my-reg`",
        ),
        (
            {"priority_class": "___"},
            "has no object called `___` for `priority_class` => write `a name of lower-case letters and digits`",
        ),
        (
            {"service_account": {"annotations": {"a": "x"}}},
            (
                "writes annotations only on a service account that it makes itself"
                " => say `service_account create=#true { … }`"
            ),
        ),
        (
            {"max_surge": "0"},
            'cannot have `0` pods more during a rollout => write `max_surge 1` or `max_surge "25%"`',
        ),
        ({"max_surge": "a lot"}, "cannot have `a lot` pods more during a rollout"),
        (
            {"tolerations": [{"value": "x"}]},
            'cannot tolerate the value `x` of no taint => write `toleration "key" value="x"`',
        ),
        (
            {"tolerations": [{"key": "x", "effect": "NoSchedule", "seconds": 1}]},
            'counts `seconds` of a toleration only with `effect="NoExecute"` => leave `seconds` out, or say that effect',
        ),
        (
            {"restricted": True, "privileged": True},
            "cannot keep `restricted` and give `privileged` => leave one of them out",
        ),
        ({"restricted": True, "cap_add": ["NET_ADMIN"]}, 'cannot keep `restricted` and give `cap_add "NET_ADMIN"`'),
        ({"restricted": True, "run_as_user": 0}, "cannot keep `restricted` and give `run_as_user 0`"),
        (
            {"run_as_non_root": True, "run_as_user": 0},
            "cannot run as user 0 and not as root => leave one of them out",
        ),
    ],
)
def test_options(options: dict[str, Any], problem: str) -> None:
    (line,) = told(options=options)

    assert line.startswith(f"error: {problem}")


def test_how_it_stops_is_said_once_and_in_a_way_that_the_stages_kubernetes_knows() -> None:
    both = {"pre_stop": ["quit"], "stop_delay": 5}
    stage = plan(service(options={"stop_delay": 5}), version="1.29")

    assert told(options=both) == [
        ("warning: waits before it stops as `pre_stop` says: `stop_delay` has no effect => leave one of them out")
    ]
    assert told(options={**both, "stop_delay": 0}) == told(options={"stop_delay": 5}) == []
    assert said(stage) == [
        (
            f"error: {TOLD}cannot wait before it stops on Kubernetes 1.29, the stage's `version`"
            ' => say `pre_stop "sleep" "3"`, where the image has that command'
        )
    ]


# --- between services


def test_what_nobody_can_reach_is_told_where_somebody_waits_for_it() -> None:
    db = service("db")
    waiting = {"ports": WEB, "depends_on": (on("db", "started"),)}

    assert said(plan(service("a", **waiting), service("b", **waiting), db)) == [
        (
            "warning: service `db`: runtime `kubernetes` gives no address to a service without `port`:"
            " `a`, `b` cannot reach it => say `port container=…`, or `wait=#false` where it need not be reached"
        )
    ]
    assert said(plan(service("a", depends_on=(on("db", wait=False),)), db)) == []
    assert said(plan(service("a", runtime=RuntimeName("docker"), depends_on=(on("db"),)), db)) == []
    assert said(plan(service("a", **waiting), service("db", job=True))) == []


def test_two_services_cannot_have_one_port_of_the_nodes() -> None:
    options = {"service_type": "NodePort", "node_port": 30080}
    a = service("a", ports=WEB, options=options, places={"options": at(3)})

    (problem,) = check(plan(a, service("long", ports=WEB, options=options)))

    assert printed(problem) == (
        "error: services `a` and `long`: runtime `kubernetes` has one node port `30080`"
        " => give one of them another `node_port`"
    )
    assert problem.cause == ("a    wants it   fleet.kdl:3:5", "long wants it")


def test_two_services_cannot_have_one_address() -> None:
    address = (Ingress(host="a.org", path="/x"),)

    assert said(plan(service("a", ports=WEB, ingress=address), service("b", ports=WEB, ingress=address))) == [
        (
            "error: services `a` and `b`: runtime `kubernetes` has one address `a.org/x`"
            " => give one of them another host or path"
        )
    ]


def test_two_services_cannot_have_objects_of_one_name() -> None:
    assert said(plan(service("db", volumes=(DATA,)), service("db-pods", ports=WEB))) == [
        (
            "error: services `db` and `db-pods`: runtime `kubernetes` has one object `Service db-pods`"
            " => give one of the two services another name"
        )
    ]


def test_a_volume_has_one_class_and_one_mode() -> None:
    a = service("a", volumes=(DATA,), options={"storage_class": "fast", "access_mode": "ReadWriteMany"})
    b = service("b", volumes=(DATA,), options={"storage_class": "slow", "access_mode": "ReadOnlyMany"})
    c = service("c", volumes=(DATA,))

    assert said(plan(a, b, c)) == [
        (
            "error: service `b`: runtime `kubernetes` can give volume `data` only one `storage_class`, not `fast` and `slow`"
            " => say the same in `a`, `b`, `c`"
        ),
        (
            "error: service `b`: runtime `kubernetes` can give volume `data` only one `access_mode`,"
            " not `ReadWriteMany` and `ReadOnlyMany` => say the same in `a`, `b`, `c`"
        ),
    ]
    assert said(plan(a, c)) == []
