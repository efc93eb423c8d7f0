# SPDX-License-Identifier: Apache-2.0
"""Plans for these tests, and how their objects are printed: one line per field, so that a test reads like a diff."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleetflow_tasks.config.model import (
    Condition,
    Healthcheck,
    Ingress,
    Port,
    ProjectName,
    Readiness,
    Resources,
    RuntimeName,
    Scaling,
    Secret,
    ServiceName,
    StageName,
    Volume,
)
from fleetflow_tasks.plan.model import Plan, ResolvedDependency, ResolvedService
from fleetflow_tasks.runtimes.kubernetes.desired import Desired, Json, desired


def service(name: str = "api", **fields: Any) -> ResolvedService:
    usual = {"name": ServiceName(name), "runtime": RuntimeName("kubernetes"), "image": f"{name}:1"}
    return ResolvedService(**{**usual, **fields})


def plan(*services: ResolvedService, **options: str) -> Plan:
    """options: what the stage says of its cluster."""
    return Plan(
        project=ProjectName("shop"),
        stage=StageName("stg"),
        root="/shop",
        services=services,
        steps=(),
        options={"kubernetes": options},
    )


def on(name: str, condition: Condition = "healthy", *, wait: bool = True) -> ResolvedDependency:
    return ResolvedDependency(service=ServiceName(name), condition=condition, wait=wait)


def wanted(*others: ResolvedService, run: str = "", **fields: Any) -> Desired:
    """The objects of the service `api`, in a stage with *others*."""
    api = service(**fields)
    return desired(plan(api, *others), api, run=run)


def objects(found: Desired, kind: str) -> list[Json]:
    return [each for each in found.objects if each["kind"] == kind]


def one(found: Desired, kind: str) -> Json:
    (only,) = objects(found, kind)
    return only


def pod(found: Desired) -> Json:
    spec: Json = found.workload["spec"]["template"]["spec"]
    return spec


def container(found: Desired) -> Json:
    (only,) = pod(found)["containers"]
    first: Json = only
    return first


def named(found: Desired) -> list[str]:
    """Every object by kind and name."""
    return [f"{each['kind']} {each['metadata']['name']}" for each in found.objects]


def lines(value: object, where: str = "") -> list[str]:
    """`spec.ports[0].port: 80`, sorted by name within an object."""
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
    db = service(
        "db",
        ports=(Port(container=5432),),
        volumes=(Volume(source="pgdata", target="/var/lib/postgresql", size=10 << 30),),
        secrets={"POSTGRES_PASSWORD": Secret("geheim-canary")},
        healthcheck=Healthcheck(test=("CMD-SHELL", "pg_isready"), interval=2.0, retries=20, start_period=5.0),
        resources=Resources(cpu=0.5, memory=256 << 20, cpu_limit=1.5, memory_limit=512 << 20),
        options={"storage_class": "fast", "stop_grace": 60, "fs_group": 999},
    )
    migrate = service("migrate", job=True, rerun="always", command=("migrate",), depends_on=(on("db"),))
    api = service(
        "api",
        ports=(Port(container=80, host=8080), Port(container=53, protocol="udp")),
        environment={"LOG": "info", "A.B": "x"},
        secrets={"TOKEN": Secret("geheim-canary")},
        secret_refs={"DB_URL": "vault/url"},
        volumes=(
            Volume(source="uploads", target="/up"),
            Volume(source="conf", target="/conf", read_only=True),
            Volume(source="", target="/tmp"),
        ),
        command=("serve", "--now"),
        entrypoint=("/app",),
        depends_on=(on("db"), on("migrate", "completed"), on("cache", "started")),
        healthcheck=Healthcheck(test=("CMD", "/app", "check")),
        readiness=Readiness(path="/health", port=80),
        labels={"team": "core"},
        scaling=Scaling(min=2, max=10, cpu=70),
        resources=Resources(cpu=0.1),
        ingress=(
            Ingress(host="shop.example.org", port=80, tls="shop-tls"),
            Ingress(host="shop.example.org", path="/v2", port=80, tls="shop-tls"),
            Ingress(host="*.example.org", port=80),
        ),
        pull="always",
        options={
            "service_type": "LoadBalancer",
            "service_annotations": {"a/b": "c"},
            "ingress_class": "nginx",
            "ingress_annotations": {"cert-manager.io/cluster-issuer": "letsencrypt"},
            "annotations": {"prometheus.io/scrape": "true"},
            "service_account": {"create": True, "annotations": {"iam.example/account": "api"}, "automount": True},
            "image_pull_secrets": ["registry"],
            "node_selector": {"kubernetes.io/arch": "arm64"},
            "tolerations": [{"key": "gpu", "value": "yes", "effect": "NoExecute", "seconds": 60}, {}],
            "priority_class": "high",
            "run_as_user": 1000,
            "run_as_group": 1000,
            "run_as_non_root": True,
            "read_only": True,
            "cap_add": ["NET_BIND_SERVICE"],
            "restricted": True,
            "working_dir": "/srv",
            "pre_stop": ["sleep", "5"],
            "access_mode": "ReadWriteMany",
            "max_surge": "2",
        },
    )
    cache = service(
        "cache", ports=(Port(container=6379),), options={"service_type": "NodePort", "node_port": 30379}, replicas=2
    )
    worker = service(
        "worker",
        volumes=(Volume(source="uploads", target="/up"),),
        options={"privileged": True, "cap_drop": ["ALL"], "strategy": "recreate", "service_account": {"name": "batch"}},
    )
    elsewhere = service("edge", runtime=RuntimeName("docker"), depends_on=(on("api"),))
    return plan(api, cache, db, elsewhere, migrate, worker, wait_image="mirror.example/busybox:1")
