# SPDX-License-Identifier: Apache-2.0
"""Plans for these tests, and how what is made of them is printed: one line per field, so that a test reads like a diff."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleetflow_tasks.config.model import (
    Condition,
    Port,
    ProjectName,
    Readiness,
    Resources,
    RuntimeName,
    Scaling,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, ResolvedService
from fleetflow_tasks.runtimes.cloudrun.desired import Desired, Json, desired

IMAGE = "europe-docker.pkg.dev/p/shop/api:1"
WEB = (Port(container=80),)
SOMEWHERE = {"project": "shop-prd", "region": "europe-west1"}


def service(name: str = "api", **fields: Any) -> ResolvedService:
    usual = {"name": ServiceName(name), "runtime": RuntimeName("cloudrun"), "image": IMAGE, "ports": WEB}
    return ResolvedService(**{**usual, **fields})


def job(name: str = "migrate", **fields: Any) -> ResolvedService:
    return service(name, **{"job": True, "ports": (), **fields})


def plan(*services: ResolvedService, named: str = "shop", stage: str = "prd", **options: str) -> Plan:
    """named: of the project of ours. options: what the stage says of its place, beside the usual; "" for what it does not say."""
    said = {name: text for name, text in {**SOMEWHERE, **options}.items() if text}
    return Plan(
        project=ProjectName(named),
        stage=StageName(stage),
        root="/shop",
        services=services,
        steps=(),
        options={"cloudrun": said},
    )


def on(name: str, condition: Condition = "healthy") -> ResolvedDependency:
    return ResolvedDependency(service=ServiceName(name), condition=condition)


def wanted(*others: ResolvedService, **fields: Any) -> Desired:
    """Of the service `api`, in a stage with *others*."""
    api = service(**fields)
    return desired(plan(api, *others), api)


def container(found: Desired) -> Json:
    template = found.body["template"]
    (only,) = (template if found.kind == "service" else template["template"])["containers"]
    first: Json = only
    return first


def lines(value: object, where: str = "") -> list[str]:
    """`template.containers[0].image: x`, sorted by name within an object."""
    return list(_lines(value, where))


def _lines(value: object, where: str) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from _lines(value[key], f"{where}.{key}" if where else key)
    elif isinstance(value, Sequence) and not isinstance(value, str) and value:
        for index, each in enumerate(value):
            yield from _lines(each, f"{where}[{index}]")
    else:
        yield f"{where}: {value}"


def rich() -> Plan:
    """A stage that says everything that can be said."""
    api = service(
        command=("serve", "--now"),
        entrypoint=("/app",),
        environment={"LOG": "info", "PORT": "80", "DB_URL": "hidden by a secret"},
        secret_refs={"DB_URL": "projects/other/secrets/db/versions/7", "TOKEN": "token"},
        volumes=(
            Volume(source="gs://assets/public/", target="/assets", read_only=True),
            Volume(source="gs://uploads", target="/uploads"),
        ),
        readiness=Readiness(path="/health", port=81, timeout=60, interval=2),
        resources=Resources(cpu_limit=2, memory_limit=1 << 30),
        scaling=Scaling(min=1, max=10),
        labels={"team": "core"},
        options={
            "public": True,
            "ingress": "internal-and-cloud-load-balancing",
            "concurrency": 40,
            "timeout": 60,
            "cpu_always": True,
            "cpu_boost": True,
            "service_account": "api@shop-prd.iam.gserviceaccount.com",
            "vpc": {"network": "default", "subnet": "run", "tags": ["api"], "egress": "all-traffic"},
            "session_affinity": True,
            "protocol": "h2c",
            "traffic": 10,
            "liveness": {"grpc": "", "delay": 5, "interval": 30, "timeout": 3, "retries": 2},
            "cloud_sql": ["shop-prd:europe-west1:shop"],
            "memory_volumes": [{"target": "/cache", "size": 256 << 20}, {"target": "/tmp/scratch"}],
            "nfs_volumes": [
                {"source": "10.0.0.2:/share", "target": "/share", "read_only": True},
                {"source": "10.0.0.2:/more", "target": "/more"},
            ],
            "secret_files": [{"ref": "tls:3", "target": "/etc/tls/key.pem"}],
            "working_dir": "/srv",
            "encryption_key": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "description": "the shop's API",
            "annotations": {"example.org/owner": "core"},
        },
    )
    web = service(
        "web",
        ports=(),
        depends_on=(on("api"),),
        options={
            "service_account": "web@shop-prd.iam.gserviceaccount.com",
            "invokers": ["user:me@example.org"],
            "execution_environment": "gen1",
            "ingress": "internal",
            "vpc": {"connector": "inside"},
            "startup": {"tcp": True, "interval": 2, "retries": 30, "port": 9000},
            "liveness": {"http": "/alive"},
        },
    )
    migrate = job(
        resources=Resources(cpu=1, memory=512 << 20),
        command=("migrate",),
        labels={"team": "core"},
        environment={"PORT": "80"},
        readiness=Readiness(),
        timeout=90.5,
        options={"tasks": 3, "parallelism": 2, "max_retries": 1, "execution_environment": "gen2"},
    )
    elsewhere = service("db", runtime=RuntimeName("docker"), image="postgres:16")
    return plan(api, elsewhere, migrate, web)
