# SPDX-License-Identifier: Apache-2.0
"""What Cloud Run cannot honour, as it is told: before anything is touched, and without a project."""

from collections.abc import Mapping
from typing import Any

import pytest

from fleetflow_tasks.config.model import (
    Healthcheck,
    Ingress,
    Port,
    Readiness,
    Resources,
    RuntimeName,
    Scaling,
    Secret,
    Volume,
)
from fleetflow_tasks.errors import Place, Problem
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes.cloudrun.check import check

from .made import WEB, job, on, plan, rich, service

TOLD = "service `api`: runtime `cloudrun` "
GI = 1 << 30


def at(line: int) -> Place:
    return Place(file="fleet.kdl", line=line, column=5)


def printed(problem: Problem) -> str:
    where = f"{problem.place}: " if problem.place else ""
    cause = "".join(f" ({line})" for line in problem.cause)
    fix = f" => {problem.fix}" if problem.fix else ""
    return f"{problem.severity}: {where}{problem.message}{cause}{fix}"


def said(stage: Plan) -> list[str]:
    return [printed(problem) for problem in check(stage)]


def told(*others: ResolvedService, **fields: Any) -> list[str]:
    """What is said of the service `api`, without what is always the same."""
    return [line.replace(TOLD, "") for line in said(plan(service(**fields), *others))]


def block(**options: Any) -> list[str]:
    return told(options=options)


def of_job(**fields: Any) -> list[str]:
    return [line.replace(TOLD, "") for line in said(plan(job("api", **fields)))]


def test_a_stage_in_order_is_not_spoken_of() -> None:
    assert told(volumes=(), scaling=Scaling(min=0, max=3), restart="always", resources=Resources(cpu=1)) == []
    assert of_job(restart="no", options={"tasks": 3, "max_retries": 1, "timeout": 7200}) == []
    assert said(plan(service(runtime=RuntimeName("docker"), options={"init": True}), project="")) == []


def test_the_rich_stage_is_spoken_of_only_in_passing() -> None:
    assert [line.partition("cloudrun` ")[2] for line in said(rich())] == [
        "sets `PORT` itself, to 80 too: yours is left out",
        (
            "keeps what is in `/uploads` in the bucket `uploads`: without locks, and the last write wins => "
            "say `read_only=#true` if it only reads, or keep state in a database"
        ),
        "asks a job nothing: `readiness` has no effect => leave `readiness` out",
        (
            "sends requests to port 8080, and tells it as `PORT`: the text names none => "
            "say `port container=…` if the service listens on another one"
        ),
    ]


def test_a_block_that_cannot_be_read_is_told_before_all_else() -> None:
    found = said(plan(service(options={"concurrency": [1]}, replicas=2, places={"options": at(9)})))

    assert found == [
        (
            f"error: fleet.kdl:9:5: {TOLD}does not understand its `cloudrun` block: "
            "Expected `int | null`, got `array` - at `$.concurrency` => correct the block"
        )
    ]


def test_a_problem_has_the_place_of_its_element_else_of_its_list_else_of_the_service() -> None:
    bind = (Volume(source="/srv", target="/d"),)

    def places(**found: Place) -> list[str]:
        spelled = {name.replace("__", "."): place for name, place in found.items()}
        return [str(each.place) for each in check(plan(service(volumes=bind, places={"": at(1), **spelled})))]

    assert places() == ["fleet.kdl:1:5"]
    assert places(volumes=at(2)) == ["fleet.kdl:2:5"]
    assert places(volumes=at(2), volumes__0=at(3)) == ["fleet.kdl:3:5"]


def test_a_problem_is_known_by_a_word() -> None:
    found = check(plan(service(replicas=2, secret_refs={"A": "a b"}, options={"timeout": 9000}), project=""))

    assert [each.code for each in found] == [
        "cloudrun-project",
        "cloudrun-replicas",
        "cloudrun-secrets",
        "cloudrun-options",
    ]


# --- the stage


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"project": ""},
            (
                "error: stage `prd` does not say in which Google Cloud project its services run => "
                'write `runtime "cloudrun" { project "my-project"; region "europe-west1" }`; `gcloud projects list` shows yours'
            ),
        ),
        (
            {"project": "Shop"},
            (
                "error: runtime `cloudrun` has no Google Cloud project called `Shop` (an id is 6 to 30 lower-case letters, "
                "digits and, inside, `-`, and begins with a letter) => write its id, which `gcloud projects list` shows"
            ),
        ),
        (
            {"region": ""},
            (
                "error: stage `prd` does not say in which region its services run => "
                'write `runtime "cloudrun" { project "shop-prd"; region "europe-west1" }`; `gcloud run regions list` shows all'
            ),
        ),
        (
            {"region": "us-central1-a"},
            (
                "error: runtime `cloudrun` runs in regions, and `us-central1-a` is a zone => "
                'write `runtime "cloudrun" { project "shop-prd"; region "us-central1" }`'
            ),
        ),
        (
            {"region": "Europe"},
            (
                "error: runtime `cloudrun` has no region called `Europe` (a region's name is as `europe-west1` and "
                "`us-central1` are) => write one that `gcloud run regions list` shows"
            ),
        ),
        (
            {"canary": "half"},
            (
                "error: `half` is no share of the requests that a new revision could get => "
                "say percent, from 0 to 100: `--canary 10`"
            ),
        ),
        ({"canary": "101"}, "error: `101` is no share"),
    ],
)
def test_what_is_wrong_with_the_stage(options: Mapping[str, str], expected: str) -> None:
    (found,) = said(plan(service(), service("web"), **options))

    assert found.startswith(expected)


def test_what_is_wrong_with_the_stage_is_told_at_its_first_service() -> None:
    first = service(places={"": at(3)})

    assert said(plan(first, service("web"), project=""))[0].startswith("error: fleet.kdl:3:5: stage `prd` does not say")


@pytest.mark.parametrize("project", ["shop-prd", "example.com:shop-prd", "123456789012"])
@pytest.mark.parametrize("region", ["europe-west1", "northamerica-northeast2", "me-central2", "asia-southeast12"])
def test_projects_and_regions_are_known_by_their_form(project: str, region: str) -> None:
    assert said(plan(service(), project=project, region=region)) == []


@pytest.mark.parametrize(
    ("named", "stage", "expected"),
    [
        (
            "shop_x",
            "prd",
            (
                "the names of project and stage cannot begin a name on runtime `cloudrun`: `shop_x-prd` (it takes lower-case "
                "letters, digits and, inside, `-`, and begins with a letter) => call them so that they make `shop-x-prd`"
            ),
        ),
        ("1", "2", "the names of project and stage cannot begin a name on runtime `cloudrun`: `1-2` ("),
        (
            "s" * 44,
            "prd",
            (
                f"the names of project and stage are too long together for runtime `cloudrun`: `{'s' * 44}-prd` "
                f"(`{'s' * 44}-prd-` stands before each service's name, and all of it has 49 characters at most) => "
                "shorten one of them"
            ),
        ),
    ],
)
def test_project_and_stage_begin_each_name(named: str, stage: str, expected: str) -> None:
    (found,) = [line for line in said(plan(service("a"), named=named, stage=stage)) if "project and stage" in line]

    assert found.removeprefix("error: ").startswith(expected)
    assert said(plan(service("a"), named="s" * 40, stage="a--b")) == []


# --- one service


def test_a_name_has_49_characters_at_most() -> None:
    fits, long = service("a" * 40), service("a" * 39 + "-b")

    assert said(plan(fits)) == []
    assert said(plan(long)) == [
        (
            f"error: service `{long.name}`: runtime `cloudrun` takes names of 49 characters at most: "
            f"`shop-prd-{long.name}` has 50 => call it `{'a' * 39}`"
        )
    ]
    assert said(plan(service("ab"), named="s" * 43))[0].endswith("has 50 => call it `a`")


def test_a_name_with_a_tag_is_shorter_still() -> None:
    name = "a" * 40
    text = "takes names of 42 characters at most, where a new revision is tried at an address with the tag `next`"

    for found in (plan(service(name, options={"traffic": 10})), plan(service(name), canary="10")):
        assert [line.partition("cloudrun` ")[2] for line in said(found)] == [
            f"{text}: `shop-prd-{name}` has 49 => call it `{'a' * 33}`"
        ]
    assert said(plan(job(name), canary="10")) == []
    assert said(plan(service("ab"), named="s" * 42, canary="1"))[0].endswith(
        "=> shorten the name of the project or the stage"
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"image": "ghcr.io/shop/api:1"},
            (
                "warning: takes images from Artifact Registry and Docker Hub alone, not from `ghcr.io` => "
                "push it to Artifact Registry, or make a remote repository there that fetches it"
            ),
        ),
        ({"pull": "always"}, 'note: asks the registry once for each revision: `pull "always"` has no effect'),
        (
            {"ports": (Port(container=80), Port(container=53, protocol="udp"))},
            (
                "error: has no UDP: port 53/udp cannot be reached => "
                "leave it out for this stage, or run the service on another runtime"
            ),
        ),
        (
            {"ports": (Port(container=90), Port(container=80))},
            (
                "error: sends requests to one port, and the service has 2: 80, 90 => "
                "keep the one for requests in this stage: `ports { port container=80 }`"
            ),
        ),
        (
            {"ports": (Port(container=80, host_ip="127.0.0.1"),)},
            (
                "warning: cannot listen on the address `127.0.0.1`: a service is reached at its HTTPS address => "
                "leave `host_ip` out for this stage"
            ),
        ),
        (
            {"ports": (Port(container=80, host=8080),)},
            "note: opens no port 8080 on a host: the service is reached at its HTTPS address",
        ),
        (
            {"ports": ()},
            (
                "note: sends requests to port 8080, and tells it as `PORT`: the text names none => "
                "say `port container=…` if the service listens on another one"
            ),
        ),
        (
            {"replicas": 3},
            (
                "error: does not run exactly 3 copies: the number follows the requests => "
                "say between which: `scaling min=3 max=3`"
            ),
        ),
        (
            {"replicas": 0},
            (
                "error: cannot run no copies of a service that is there: without requests it has none anyway => "
                "leave the service out of this stage"
            ),
        ),
        (
            {"replicas": 1},
            (
                "note: has an instance when there are requests, and more when there are many: `replicas 1` has no effect => "
                "`scaling min=1 max=1` keeps exactly one"
            ),
        ),
        (
            {"replicas": 3, "scaling": Scaling(min=1, max=3)},
            "note: lets `scaling` choose the number of instances: `replicas` has no effect",
        ),
        (
            {"scaling": Scaling(min=1, max=3, cpu=70)},
            (
                "warning: starts one more instance when requests ask for it: `cpu=70` of `scaling` has no effect => "
                "say `cpu=` in the stages whose runtime can, or `concurrency` here"
            ),
        ),
        (
            {"restart": "no"},
            (
                'error: starts what ends again, always: `restart "no"` cannot be kept => '
                'mark it with `job #true` if it ends by itself, or say `restart "always"`'
            ),
        ),
        (
            {"restart": "on-failure"},
            'warning: starts what ends again also after a good end, not `on-failure` alone => say `restart "always"`',
        ),
        (
            {"ingress": (Ingress(host="shop.example.org"),)},
            (
                "error: leads no host name to a service: not `shop.example.org` => say `cloudrun { public #true }`, and map "
                "the name with a load balancer or `gcloud beta run domain-mappings`"
            ),
        ),
    ],
)
def test_the_shape_of_a_service(fields: Any, expected: str) -> None:
    assert told(**fields) == [expected]


@pytest.mark.parametrize(
    "image",
    ["api:1", "docker.io/shop/api:1", "gcr.io/p/api:1", "eu.gcr.io/p/api:1", "europe-west1-docker.pkg.dev/p/r/api:1"],
)
def test_images_come_from_where_the_platform_looks(image: str) -> None:
    assert told(image=image) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"replicas": 2},
            (
                "error: runs a job once, not in several copies => "
                "leave `replicas` out; `cloudrun { tasks 3 }` splits a job into tasks"
            ),
        ),
        (
            {"scaling": Scaling()},
            (
                "error: runs a job once, not in several copies => "
                "leave `scaling` out; `cloudrun { tasks 3 }` splits a job into tasks"
            ),
        ),
        (
            {"restart": "on-failure"},
            (
                'warning: does not restart a job: `restart "on-failure"` has no effect => '
                "leave `restart` out; `cloudrun { max_retries 3 }` lets the platform begin it again"
            ),
        ),
        ({"ports": WEB}, "note: gives a job no address: nobody can reach its ports"),
        (
            {"healthcheck": Healthcheck(test=("CMD", "true"))},
            (
                "error: runs no command inside a container to ask how it is => "
                'switch it off in this stage, `healthcheck { test "NONE" }`'
            ),
        ),
        ({"options": {"public": True}}, "error: has no `public` for a job => leave it out"),
        ({"options": {"invokers": ["user:a@b.c"]}}, "error: has no `invoker` for a job => leave it out"),
        ({"options": {"traffic": 0}}, "error: has no `traffic` for a job => leave it out"),
        ({"options": {"startup": {}}}, "error: has no `startup` for a job => leave it out"),
        ({"options": {"liveness": {}}}, "error: has no `liveness` for a job => leave it out"),
        (
            {"resources": Resources(cpu=0.5)},
            'error: gives a job 1, 2, 4, 6, 8 cpu, not 0.5 => say `resources { cpu "1" }`',
        ),
    ],
)
def test_the_shape_of_a_job(fields: Any, expected: str) -> None:
    assert of_job(**fields) == [expected]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"environment": {"PORT": "80"}}, "note: sets `PORT` itself, to 80 too: yours is left out"),
        (
            {"environment": {"PORT": "9000"}},
            (
                "error: sets `PORT` itself, to 80: it cannot be `9000` => "
                "leave it out, or let requests go there: `port container=9000`"
            ),
        ),
        ({"environment": {"PORT": "http"}}, "error: sets `PORT` itself, to 80: it cannot be `http` => leave it out"),
        (
            {"secret_refs": {"PORT": "port"}},
            (
                "error: sets `PORT` itself, to the port of the service: it can be no secret => "
                "leave it out, and say `port container=…`"
            ),
        ),
        (
            {"environment": {"K_SERVICE": "x"}},
            "error: sets `K_SERVICE` itself, and lets nobody else => call the variable otherwise",
        ),
        (
            {"secret_refs": {"CLOUD_RUN_TASK_INDEX": "x"}},
            "error: sets `CLOUD_RUN_TASK_INDEX` itself, and lets nobody else => call the variable otherwise",
        ),
        (
            {"environment": {"1A": "x"}},
            "error: takes no variable called `1A` => use letters, digits, `_`, `-` and `.`, a digit not in front",
        ),
        (
            {"environment": {"A": "ä" * (17 << 10)}},
            (
                "error: takes 32 KiB as a variable's value; that of `A` has 34,816 bytes => "
                "put it into the image, a bucket or a secret's file"
            ),
        ),
        (
            {"environment": {f"A{number}": "" for number in range(1001)}},
            "error: takes 1000 variables; these are 1001 => put some into a file",
        ),
        (
            {"secrets": {"API_KEY": Secret("geheim")}},
            (
                "error: takes secret `API_KEY` from Secret Manager alone, not by its value "
                "(by value it would stand in each revision, for all who may look at the service) => put it there, "
                "`gcloud secrets create shop-prd-api-key --project=shop-prd --data-file=-`, "
                'and write `API_KEY ref="shop-prd-api-key"` in this stage'
            ),
        ),
        (
            {"secret_refs": {"API_KEY": "vault/key"}},
            (
                "error: cannot read secret `API_KEY` from `vault/key`: that names no secret of Secret Manager => "
                'write `API_KEY ref="projects/shop-prd/secrets/…/versions/latest"`'
            ),
        ),
        (
            {"labels": {"fleetflow-stage": "x"}},
            "error: keeps `fleetflow-…` for its own labels: `fleetflow-stage` => take another name",
        ),
        (
            {"labels": {"com.example.Team": "core"}},
            (
                "error: takes no label called `com.example.Team` (a key is up to 63 lower-case letters, digits, `_` and `-`, "
                "and begins with a letter) => call it `com-example-team`, or say it in `cloudrun { annotations { … } }`"
            ),
        ),
        (
            {"labels": {"…": "x"}},
            (
                "error: takes no label called `…` (a key is up to 63 lower-case letters, digits, `_` and `-`, "
                "and begins with a letter) => call it `label`, or say it in `cloudrun { annotations { … } }`"
            ),
        ),
        (
            {"labels": {"team": "Core"}},
            (
                "error: takes no label `team` with the value `Core` (a value is up to 63 lower-case letters, digits, `_` "
                "and `-`) => write it so, or say it in `cloudrun { annotations { … } }`"
            ),
        ),
        (
            {"labels": {f"a{number}": "" for number in range(60)}},
            "error: takes 64 labels, of which 5 are its own; these are 60 => say some in `cloudrun { annotations { … } }`",
        ),
    ],
)
def test_variables_secrets_and_labels(fields: Any, expected: str) -> None:
    assert told(**fields) == [expected]


def test_a_job_may_have_a_variable_of_that_name_and_the_value_of_a_secret_is_in_no_problem() -> None:
    assert of_job(environment={"PORT": "9000"}) == []
    assert "geheim" not in str(list(check(plan(service(secrets={"A": Secret("geheim")}), project=""))))
    assert told(labels={"größe": "übergroß"}) == []


# --- what it keeps


DATA = "/var/lib/postgresql"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"volumes": (Volume(source="/srv", target="/d"),)},
            (
                "error: cannot mount the host's path `/srv`: there is no host => "
                'build the files into the image, or mount a bucket: `volume "gs://…" "/d"`'
            ),
        ),
        (
            {"volumes": (Volume(source="data", target="/d"),)},
            (
                "error: has no disk for the volume `data` => "
                'mount a bucket: `volume "gs://…" "/d"`, or run the service on another runtime'
            ),
        ),
        (
            {"volumes": (Volume(source="", target="/d"),)},
            (
                'error: has no disk for what is in `/d` => say `cloudrun { memory "/d" }`, or mount a bucket: '
                '`volume "gs://…" "/d"`'
            ),
        ),
        (
            {"volumes": (Volume(source="gs://B", target="/d", read_only=True),)},
            (
                "error: has no bucket called `B` (a name is 3 to 222 lower-case letters, digits, `-`, `_` and `.`) => "
                "write it as `gcloud storage buckets list` shows it"
            ),
        ),
        (
            {"volumes": (Volume(source="gs://data", target="/d"),)},
            (
                "warning: keeps what is in `/d` in the bucket `data`: without locks, and the last write wins => "
                "say `read_only=#true` if it only reads, or keep state in a database"
            ),
        ),
        (
            {"volumes": (Volume(source="gs://data/in", target="/d", read_only=True, size=GI),)},
            "note: gives the bucket `data` no size: it takes what it needs",
        ),
        (
            {"image": "bitnami/postgresql:16", "volumes": (Volume(source="gs://data", target=DATA),)},
            (
                "error: cannot keep the files of a database, `postgresql`, in the bucket `data` "
                "(a bucket knows no locks, the last write wins, and each file is written as a whole) => "
                "use Cloud SQL: `cloudrun { cloud_sql … }` of those who ask it, or run it on another runtime"
            ),
        ),
        (
            {"image": "postgres:16"},
            (
                "warning: keeps nothing that `postgres` writes: an instance ends at any time, with all its files => "
                'use a managed one, such as Cloud SQL, or say `service "api" runtime="kubernetes"`'
            ),
        ),
        (
            {"volumes": (Volume(source="gs://data", target="/proc/x", read_only=True),)},
            "error: mounts nothing at `/proc/x`: `/proc` is the platform's own => mount it elsewhere",
        ),
        (
            {"options": {"memory_volumes": [{"target": "/"}]}},
            "error: mounts nothing at `/` => write an absolute path below `/`, without a colon",
        ),
        (
            {"options": {"memory_volumes": [{"target": "a"}]}},
            "error: mounts nothing at `a` => write an absolute path below `/`, without a colon",
        ),
        (
            {"options": {"memory_volumes": [{"target": "/a:b"}]}},
            "error: mounts nothing at `/a:b` => write an absolute path below `/`, without a colon",
        ),
        (
            {"options": {"memory_volumes": [{"target": "/a"}], "secret_files": [{"ref": "s", "target": "/a/s"}]}},
            "error: cannot mount two things at `/a` => give one of them another path",
        ),
        (
            {"options": {"nfs_volumes": [{"source": "10.0.0.2:/share", "target": "/d"}]}},
            (
                "error: reaches an NFS server only through a private network => "
                'say which: `cloudrun { vpc network="default" }`'
            ),
        ),
        (
            {"options": {"nfs_volumes": [{"source": "share", "target": "/d"}], "vpc": {"network": "n"}}},
            'error: cannot mount `share` by NFS => write server and path: `nfs "10.0.0.2:/share" "/d"`',
        ),
        (
            {"options": {"secret_files": [{"ref": "a/b", "target": "/etc/s"}]}},
            (
                "error: has no secret `a/b` for the file `/etc/s` => "
                'write `secret_file "projects/shop-prd/secrets/…/versions/latest" "/etc/s"`'
            ),
        ),
        (
            {"options": {"secret_files": [{"ref": "s", "target": "/etc/"}]}},
            "error: makes a file of a secret, and `/etc/` is a folder => name the file in it: `/etc/value`",
        ),
        (
            {"options": {"cloud_sql": ["shop"]}},
            (
                "error: has no Cloud SQL instance `shop` => "
                'write its connection name: `cloud_sql "shop-prd:europe-west1:shop"`'
            ),
        ),
        (
            {"options": {"cloud_sql": [""]}},
            (
                "error: has no Cloud SQL instance `` => "
                'write its connection name: `cloud_sql "shop-prd:europe-west1:shop"`'
            ),
        ),
    ],
)
def test_what_a_service_keeps(fields: Any, expected: str) -> None:
    assert told(**fields) == [expected]


def test_a_database_that_only_reads_a_bucket_or_is_asked_by_a_job_is_let_be() -> None:
    assert told(image="redis:7", volumes=(Volume(source="gs://seed", target="/d", read_only=True),)) == []
    assert of_job(image="postgres:16", command=("pg_dump",)) == []


# --- how large it is


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (
            Resources(cpu=3),
            'gives an instance 1, 2, 4, 6, 8 cpu, or less than one, not 3 => say `resources { cpu "4" }`',
        ),
        (
            Resources(cpu=9),
            'gives an instance 1, 2, 4, 6, 8 cpu, or less than one, not 9 => say `resources { cpu "8" }`',
        ),
        (
            Resources(cpu=1.5),
            'gives an instance 1, 2, 4, 6, 8 cpu, or less than one, not 1.5 => say `resources { cpu "2" }`',
        ),
        (Resources(cpu=0.07), 'gives an instance 0.08 cpu at least, not 0.07 => say `resources { cpu "80m" }`'),
        (Resources(cpu=0.2504), 'counts cpu in thousandths: 0.2504 is none => say `resources { cpu "250m" }`'),
        (
            Resources(cpu=0.25),
            None,
        ),
        (
            Resources(cpu=0.25, memory=GI),
            'gives an instance with 0.25 cpu 512Mi of memory at most, not 1Gi => say `resources { cpu "500m" }`, or less memory',
        ),
        (
            Resources(cpu=0.5, memory=2 * GI),
            'gives an instance with 0.5 cpu 1Gi of memory at most, not 2Gi => say `resources { cpu "1" }`, or less memory',
        ),
        (
            Resources(memory=5 * GI),
            'gives an instance with 1 cpu 4Gi of memory at most, not 5Gi => say `resources { cpu "2" }`, or less memory',
        ),
        (
            Resources(cpu=2, memory=20 * GI),
            'gives an instance with 2 cpu 8Gi of memory at most, not 20Gi => say `resources { cpu "6" }`, or less memory',
        ),
        (
            Resources(cpu=8, memory=33 * GI),
            (
                "gives an instance with 8 cpu 32Gi of memory at most, not 33Gi => "
                "32Gi is the most, with 8 cpu: split the service, or run it on another runtime"
            ),
        ),
        (
            Resources(cpu=4),
            'gives an instance with 4 cpu 2Gi of memory at least, not 512Mi => say `resources { memory "2Gi" }`',
        ),
        (
            Resources(memory=64 << 20),
            'gives an instance with 1 cpu 128Mi of memory at least, not 64Mi => say `resources { memory "128Mi" }`',
        ),
        (
            Resources(cpu=0.1, memory=64 << 20),
            'gives an instance with 0.1 cpu 128Mi of memory at least, not 64Mi => say `resources { memory "128Mi" }`',
        ),
        (Resources(cpu=8, memory=32 * GI), None),
    ],
)
def test_cpu_and_memory_come_in_pairs(resources: Resources, expected: str | None) -> None:
    assert told(resources=resources) == ([] if expected is None else [f"error: {expected}"])


def test_what_is_asked_for_and_what_is_the_limit_are_one() -> None:
    assert told(resources=Resources(cpu=0.5, cpu_limit=1, memory=GI, memory_limit=GI)) == [
        "note: gives an instance what `cpu_limit` says, all of it: `cpu` has no effect"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"options": {"concurrency": 2}}, "`concurrency 2`"),
        ({"options": {"cpu_always": True}}, "`cpu_always`"),
        ({"options": {"execution_environment": "gen2"}}, '`execution_environment "gen2"`'),
        (
            {"volumes": (Volume(source="gs://data", target="/d", read_only=True),)},
            "the buckets or NFS that it mounts",
        ),
        ({"options": {"concurrency": 1, "execution_environment": "gen1"}}, None),
    ],
)
def test_less_than_one_cpu_rules_much_out(fields: Any, expected: str | None) -> None:
    text = f'error: allows {expected} only with a whole cpu, not with 0.5 => say `resources {{ cpu "1" }}`, or leave it out'

    assert told(resources=Resources(cpu=0.5), **fields) == ([] if expected is None else [text])


def test_the_second_generation_is_needed_for_buckets_and_needs_memory() -> None:
    bucket = (Volume(source="gs://data", target="/d", read_only=True),)
    little = Resources(memory=256 << 20)
    told_little = (
        "error: gives an instance of the second generation 512Mi of memory at least, not 256Mi => "
        'say `resources { memory "512Mi" }`'
    )

    assert told(volumes=bucket, options={"execution_environment": "gen1"}) == [
        'error: mounts buckets and NFS only in `execution_environment "gen2"` => leave `execution_environment` out'
    ]
    assert told(volumes=bucket, resources=little) == [told_little]
    assert told(options={"execution_environment": "gen2"}, resources=little) == [told_little]
    assert told(resources=little) == []


# --- how it is asked


def test_a_command_inside_is_never_run() -> None:
    assert told(healthcheck=Healthcheck(test=("CMD", "true"))) == [
        (
            "error: runs no command inside a container to ask how it is => switch it off in this stage, "
            '`healthcheck { test "NONE" }`, and say `readiness path="/health"` or `cloudrun { liveness http="/health" }`'
        )
    ]
    assert told(healthcheck=Healthcheck(test=("NONE",))) == []


def test_a_start_takes_four_minutes_at_most() -> None:
    assert told(readiness=Readiness(timeout=240)) == []
    assert told(readiness=Readiness(timeout=300)) == [
        "error: gives an instance 240 s to start, not 300 => say `readiness timeout=240`, or less"
    ]
    assert told(readiness=Readiness(), options={"startup": {}}) == [
        "warning: asks at the start what `startup` says: `readiness` has no effect => leave one of them out"
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"startup": {"interval": 60, "retries": 5}},
            (
                "gives an instance 240 s to start: `interval` times `retries` of `startup` is 300 => "
                "say `retries=4`, or a shorter interval"
            ),
        ),
        (
            {"startup": {"http": "/", "tcp": True}},
            "asks one question as `startup`, not `http` and `tcp` => keep one of them",
        ),
        (
            {"startup": {"http": "health"}},
            'asks for a path as `startup`, and `health` is none => write `startup http="/health"`',
        ),
        (
            {"startup": {"interval": 2.5}},
            "counts whole seconds: `interval` of `startup` is 2.5 => write `interval=3`",
        ),
        (
            {"liveness": {"grpc": "", "interval": 5, "timeout": 6}},
            (
                "waits no longer for an answer than until the next question: `timeout` of `liveness` is 6 => "
                "say `interval=6`, or a shorter timeout"
            ),
        ),
        (
            {"liveness": {"tcp": True}},
            'asks whether an instance lives by HTTP or gRPC, not by its port alone => say `liveness http="/health"`',
        ),
        (
            {"liveness": {}},
            'asks whether an instance lives by HTTP or gRPC, not by its port alone => say `liveness http="/health"`',
        ),
    ],
)
def test_the_platforms_own_questions(options: Any, expected: str) -> None:
    assert block(**options) == [f"error: {expected}"]


def test_a_question_in_order_is_not_spoken_of() -> None:
    assert block(startup={"tcp": True, "interval": 2, "retries": 120}, liveness={"http": "/"}) == []
    assert block(liveness={"grpc": "shop"}) == []


# --- the block


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"tasks": 2},
            "error: has no `tasks` for a service that is no job => leave it out, or mark the service with `job #true`",
        ),
        (
            {"timeout": 3601},
            "error: lets a request take 3600 s at most, not 3601 => say `timeout 3600`, or less",
        ),
        ({"invokers": ["allUsers"]}, "error: takes `allUsers` as no invoker => say `public #true`"),
        (
            {"invokers": ["me@example.org"]},
            'error: knows nobody called `me@example.org` => write whose it is: `invoker "user:me@example.org"`',
        ),
        (
            {"invokers": ["a@p.iam.gserviceaccount.com"]},
            (
                "error: knows nobody called `a@p.iam.gserviceaccount.com` => "
                'write whose it is: `invoker "serviceAccount:a@p.iam.gserviceaccount.com"`'
            ),
        ),
        (
            {"invokers": ["me"]},
            (
                "error: knows nobody called `me` => "
                "write `user:…`, `group:…`, `serviceAccount:…` with an address, or `domain:…`"
            ),
        ),
        (
            {"public": True, "invokers": ["user:a@b.c"]},
            "warning: lets anybody call a `public` service: `invoker` has no effect => leave one of them out",
        ),
        (
            {"service_account": "api"},
            (
                "error: has no service account called `api` => "
                'write its address: `service_account "name@project.iam.gserviceaccount.com"`'
            ),
        ),
        (
            {"encryption_key": "k"},
            "error: has no key called `k` => write `projects/…/locations/…/keyRings/…/cryptoKeys/…`",
        ),
        (
            {"description": "x" * 513},
            "error: takes a description of 512 characters; this one has 513 => shorten it",
        ),
        (
            {"vpc": {}},
            'error: cannot tell into which private network `vpc` leads => say `vpc network="default"`',
        ),
        (
            {"vpc": {"connector": "c", "tags": ["t"]}},
            (
                "error: takes one way into a private network: a connector, or `network` with `subnet` and `tags` => "
                "leave `connector` out"
            ),
        ),
        (
            {"vpc": {"connector": "a/b"}},
            "error: has no connector called `a/b` => write its name, or `projects/…/locations/…/connectors/…`",
        ),
        (
            {"annotations": {"fleetflow.io/x": "1"}},
            "error: keeps `fleetflow.io/…` for its own annotations: `fleetflow.io/x` => take another prefix",
        ),
        (
            {"annotations": {"run.googleapis.com/ingress": "all"}},
            (
                "error: takes no annotation `run.googleapis.com/ingress`: what it means has a word of its own in the block => "
                "leave it out, and say it with that word"
            ),
        ),
        (
            {"annotations": {"a b": "1"}},
            (
                "error: takes no annotation called `a b` => "
                "use up to 63 letters, digits, `-`, `_` and `.`, before them a domain and `/` if need be"
            ),
        ),
    ],
)
def test_the_block(options: Any, expected: str) -> None:
    assert block(**options) == [expected]


def test_what_is_right_in_the_block_is_not_spoken_of() -> None:
    members = ["user:a@b.c", "group:a@b.c", "domain:b.c", "allAuthenticatedUsers", "principal://iam.googleapis.com/x"]

    assert block(invokers=members, annotations={"example.org/owner": "Core", "plain": "x"}) == []
    assert block(vpc={"subnet": "run"}, service_account="a@p.iam.gserviceaccount.com") == []
    assert block(vpc={"connector": "projects/p/locations/l/connectors/c"}) == []


def test_a_private_service_says_who_of_its_callers_has_no_name() -> None:
    caller = service("web", depends_on=(on("api"),), options={"service_account": "w@p.iam.gserviceaccount.com"})
    nobody = service("cron", depends_on=(on("api"),))

    assert told(caller, nobody) == [
        (
            "note: lets `cron` call `api` only if the account that it runs as may: it names none => "
            'say `cloudrun { service_account "name@project.iam.gserviceaccount.com" }` for `cron`, '
            "or `public #true` here"
        )
    ]
    assert told(nobody, options={"public": True}) == []
    assert said(plan(job(), service("web", depends_on=(on("migrate", "completed"),)))) == []
