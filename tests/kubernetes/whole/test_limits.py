# SPDX-License-Identifier: Apache-2.0
"""Names as long as they may be, two fleets in one namespace, and manifests for who wants to apply them himself."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from fleetflow_tasks.runtimes.kubernetes.kinds import CLAIM, DEPLOYMENT, JOB, NAMESPACE, STATEFUL_SET, named, path
from tests.desk import BASE
from tests.kubernetes.conftest import Cluster
from tests.kubernetes.whole.conftest import Fleets
from tests.kubernetes.whole.fleet import FAILED, Fleet, service

PORT = "port container=8080"
ROWS = 'volumes { volume "rows" "/rows" size="1Mi" }'


def test_names_may_be_as_long_as_the_cluster_takes_them(fleet: Fleet) -> None:
    api, db, job = "a" * 63, "d" * 52, "j" * 54

    fleet.up(
        service(api, "exec httpd -f -p 8080 -h /", more=PORT)
        + service(db, more=f'depends_on "{api}"; {ROWS}')
        + f'service "{job}" {{ image "{BASE}"; job #true; command "true" }}\n'
    )

    assert fleet.get(DEPLOYMENT, api)["status"]["readyReplicas"] == 1
    assert fleet.get(STATEFUL_SET, db)["status"]["readyReplicas"] == 1
    assert fleet.get(CLAIM, f"rows-{db}-0")["status"]["phase"] == "Bound"
    assert [len(each["metadata"]["name"]) for each in fleet.all(JOB)] == [63]
    ps = fleet.flow("ps")
    assert [line.split()[:2] for line in ps.out.splitlines()[1:]] == [
        [api, "running"],
        [db, "running"],
        [job, "completed"],
    ]


def test_two_fleets_in_one_namespace_do_not_touch_each_other(fleets: Fleets) -> None:
    one = fleets()
    other = fleets(one.namespace)
    one.up(service("api") + service("db", more=ROWS))
    theirs = one.made()

    other.up(service("web") + service("mail"))
    other.up(service("web"))
    taken = other.fails(service("web") + service("api", "sleep 2000"))
    cleared = other.flow("down", "--volumes", "--yes")

    assert [line.replace(one.project, "ONE") for line in other.told(taken, "api:prepare")] == [
        f"api:prepare {FAILED}: a Deployment called `api` is in namespace `NS` already, and it is not ours",
        "  it belongs to stage `stg` of project `ONE`",
        "  fix: give each stage a namespace of its own: two stages that share one must not hold services of one name",
    ]
    assert cleared.code == 0, cleared
    assert one.made() == theirs
    assert other.made() == []
    assert "up to date: 2 services unchanged" in one.flow("up").out


@pytest.fixture
def apply(node: Cluster) -> Callable[[Path, str], list[str]]:
    """`kubectl apply --dry-run=server`, where there is a kubectl; else the request that it would send, by ourselves."""

    def by_kubectl(folder: Path, namespace: str) -> list[str]:
        done = subprocess.run(
            ["kubectl", f"--kubeconfig={node.kubeconfig}", "apply", "--dry-run=server", "-f", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return sorted(line.removesuffix(" (server dry run)").split()[0] for line in done.stdout.splitlines())

    def by_request(folder: Path, namespace: str) -> list[str]:
        return sorted(taken(node, each, namespace) for each in documents(folder))

    return by_kubectl if shutil.which("kubectl") else by_request


def documents(folder: Path) -> list[Any]:
    return [each for file in sorted(folder.iterdir()) for each in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def taken(node: Cluster, manifest: Any, namespace: str) -> str:
    """What kubectl calls an object that the server would take."""
    kind, name = named(manifest["kind"]), manifest["metadata"]["name"]
    asked = [("dryRun", "All"), ("fieldValidation", "Strict"), ("fieldManager", "test")]
    node.client.line.ask(
        f"take {name}",
        "PATCH",
        path(kind, namespace, name),
        query=asked,
        body=msgspec.json.encode(manifest),
        content="application/apply-patch+yaml",
    )
    return f"{kind.name.lower()}{f'.{kind.group}' if kind.group else ''}/{name}"


def test_rendered_manifests_are_taken_by_the_server(fleet: Fleet, apply: Callable[[Path, str], list[str]]) -> None:
    fleet.write(
        service("web", more=f'{PORT}; replicas 2; environment {{ A "1" }}; ingress host="shop.example.org"')
        + service(
            "auto", more='scaling min=1 max=3; resources { cpu "10m" }; kubernetes { service_account create=#true }'
        )
        + service("db", more=f'{ROWS}; {PORT}; secrets {{ TOKEN env="TOKEN" }}')
        + f'service "migrate" {{ image "{BASE}"; job #true; command "true"; depends_on "db" }}\n'
    )

    rendered = fleet.flow("render", "-o", "manifests", TOKEN="a word")

    assert rendered.code == 0, rendered
    answered = apply(fleet.folder / "manifests", fleet.namespace)
    assert len(answered) == len(documents(fleet.folder / "manifests"))
    assert {name.partition("/")[0] for name in answered} == {
        "configmap",
        "deployment.apps",
        "horizontalpodautoscaler.autoscaling",
        "ingress.networking.k8s.io",
        "job.batch",
        "namespace",
        "poddisruptionbudget.policy",
        "secret",
        "service",
        "serviceaccount",
        "statefulset.apps",
    }
    assert fleet.made() == []
    assert fleet.cluster.client.get(NAMESPACE, "", fleet.namespace) is not None
