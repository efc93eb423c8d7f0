# SPDX-License-Identifier: Apache-2.0
"""What a real API server makes of our manifests: nothing that we would take for a change, and a book that can be read."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from fleetflow_tasks.config.model import (
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
from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.runtimes.kubernetes.client import Client
from fleetflow_tasks.runtimes.kubernetes.desired import desired
from fleetflow_tasks.runtimes.kubernetes.differences import differences
from fleetflow_tasks.runtimes.kubernetes.managed import owned, owners

Json = Mapping[str, Any]


def service(name: str, **fields: Any) -> ResolvedService:
    return ResolvedService(name=ServiceName(name), runtime=RuntimeName("kubernetes"), image=f"{name}:1", **fields)


def rich(namespace: str) -> Plan:
    """A stage whose objects hold nearly all that ours can."""
    db = service(
        "db",
        ports=(Port(container=5432),),
        volumes=(Volume(source="pgdata", target="/data", size=1 << 30),),
        secrets={"PASSWORD": Secret("geheim-canary")},
        healthcheck=Healthcheck(test=("CMD-SHELL", "pg_isready"), interval=2.0, retries=20),
        resources=Resources(cpu=0.5, memory=256 << 20, cpu_limit=1.5, memory_limit=1 << 30),
        options={"stop_grace": 60, "fs_group": 999},
    )
    migrate = service("migrate", job=True, command=("migrate",))
    waits = (ResolvedDependency(service=ServiceName("db"), condition="healthy", wait=True),)
    api = service(
        "api",
        ports=(Port(container=80, host=8080), Port(container=53), Port(container=53, protocol="udp")),
        environment={"LOG": "info", "EMPTY": "", "A.B": "$(LOG)"},
        volumes=(Volume(source="uploads", target="/up"), Volume(source="", target="/tmp")),
        command=("serve",),
        entrypoint=("/app",),
        depends_on=waits,
        readiness=Readiness(path="/health", port=80),
        scaling=Scaling(min=2, max=10, cpu=70),
        resources=Resources(cpu=0.1, memory=100_000_000),
        ingress=(Ingress(host="shop.example.org", port=80, tls="shop-tls"), Ingress(host="*.example.org", port=80)),
        options={
            "service_account": {"create": True},
            "image_pull_secrets": ["registry"],
            "node_selector": {"nowhere": "true"},
            "tolerations": [{"key": "gpu", "value": "yes", "effect": "NoExecute", "seconds": 60}, {}],
            "restricted": True,
            "run_as_user": 1000,
            "read_only": True,
            "pre_stop": ["sleep", "5"],
            "access_mode": "ReadWriteMany",
        },
    )
    return Plan(
        project=ProjectName("shop"),
        stage=StageName("stg"),
        root="/",
        services=(api, db, migrate),
        steps=(),
        options={"kubernetes": {"namespace": namespace}},
    )


def manifests(namespace: str) -> Iterator[tuple[str, Json]]:
    plan = rich(namespace)
    for each in plan.services:
        found = desired(plan, each)
        for manifest in (*found.added, *found.around, found.workload):
            yield f"{manifest['kind']} {manifest['metadata']['name']}", manifest


def applied(client: Client, namespace: str, manifest: Json) -> Json:
    return client.apply(kinds.named(manifest["kind"]), namespace, manifest)


def test_what_the_api_fills_in_and_spells_otherwise_is_no_change(client: Client, plane_namespace: str) -> None:
    told = {
        name: changes
        for name, manifest in manifests(plane_namespace)
        if (changes := differences(manifest, applied(client, plane_namespace, manifest)))
    }

    assert told == {}


def test_what_we_own_applied_again_changes_nothing(client: Client, plane_namespace: str) -> None:
    first = {name: applied(client, plane_namespace, manifest) for name, manifest in manifests(plane_namespace)}
    parts = {name: owned(live, "fleetflow") for name, live in first.items()}

    second = {name: applied(client, plane_namespace, part) for name, part in parts.items()}
    third = {name: applied(client, plane_namespace, part) for name, part in parts.items()}

    assert {name: owned(live, "fleetflow") for name, live in second.items()} == parts
    assert [live["metadata"].get("generation") for live in second.values()] == [
        live["metadata"].get("generation") for live in first.values()
    ]
    assert {name: book(live) for name, live in third.items()} == {name: book(live) for name, live in second.items()}


def book(live: Json) -> Any:
    """What is ours, and since when. A zero that the API drops is ours the first time alone."""
    return [entry for entry in live["metadata"]["managedFields"] if entry["manager"] == "fleetflow"]


def test_what_an_earlier_version_owned_brings_it_back(client: Client, plane_namespace: str) -> None:
    (before,) = (m for name, m in manifests(plane_namespace) if name == "StatefulSet db")
    kept = owned(applied(client, plane_namespace, before), "fleetflow")
    pod = before["spec"]["template"]["spec"]
    container = {**pod["containers"][0], "image": "db:2", "env": []}
    template = {**before["spec"]["template"], "spec": {**pod, "containers": [container]}}
    changed = applied(client, plane_namespace, {**before, "spec": {**before["spec"], "template": template}})

    again = applied(client, plane_namespace, kept)

    assert [change.field for change in differences(before, changed)] == ["environment.PASSWORD", "image"]
    assert differences(before, again) == ()


def test_fields_of_others_are_theirs_and_never_sent(client: Client, plane_namespace: str) -> None:
    (manifest,) = (m for name, m in manifests(plane_namespace) if name == "Deployment api")
    applied(client, plane_namespace, manifest)
    scale = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api"}, "spec": {"replicas": 7}}
    live = client.apply(kinds.DEPLOYMENT, plane_namespace, scale, manager="scaler")

    assert "replicas" not in owned(live, "fleetflow")["spec"]
    assert owners(live, ".spec.replicas") == ("scaler",)
    assert owners(live, '.spec.template.spec.containers[name="api"].image') == ("fleetflow",)
    assert differences(manifest, live) == ()


@pytest.mark.parametrize("gone", ["LOG", "EMPTY"])
def test_a_variable_that_is_no_longer_sent_is_told(client: Client, plane_namespace: str, gone: str) -> None:
    (manifest,) = (m for name, m in manifests(plane_namespace) if name == "Deployment api")
    live = applied(client, plane_namespace, manifest)
    pod = manifest["spec"]["template"]["spec"]
    fewer = {**pod["containers"][0], "env": [v for v in pod["containers"][0]["env"] if v["name"] != gone]}
    template = {**manifest["spec"]["template"], "spec": {**pod, "containers": [fewer]}}
    less = {**manifest, "spec": {**manifest["spec"], "template": template}}

    assert [change.field for change in differences(less, live)] == [f"environment.{gone}"]
    assert differences(less, applied(client, plane_namespace, less)) == ()
