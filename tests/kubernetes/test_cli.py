# SPDX-License-Identifier: Apache-2.0
"""`flow` at a real cluster, for who looks at a stage and reaches into it."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetflow_tasks.runtimes.kubernetes import kinds
from tests.desk import BASE, Desk, state_folder

from .conftest import Cluster

SHOP = f"""
service "api" {{
    image "{BASE}"
    command "sh" "-c" "echo I am $HOSTNAME; exec nc -ll -p 80 -e hostname"
    environment {{ LOG "info" }}
    port container=80
    replicas 2
    depends_on "db"
}}
service "db" {{ image "{BASE}"; command "nc" "-ll" "-p" "5432" "-e" "cat"; port container=5432 }}
stage "stg" {{ runtime "kubernetes"; service "api"; service "db" }}
"""


@pytest.fixture
def shop(node: Cluster, tmp_path: Path) -> Iterator[Desk]:
    """Somebody's place of work with the shop in it; what becomes of it goes with the test."""
    folder = tmp_path / "work"
    folder.mkdir()
    with state_folder() as state:
        desk = Desk(folder, state)
        desk.environ |= {"KUBECONFIG": str(node.kubeconfig), "FLEETFLOW_WAIT_IMAGE": BASE}
        desk.write(SHOP)
        yield desk
        desk.close()
    node.removed(f"{desk.project}-stg")


def pods(node: Cluster, shop: Desk, service: str) -> list[str]:
    """Their names, sorted."""
    found = node.client.list(kinds.POD, f"{shop.project}-stg", {"fleetflow.io/service": service}).items
    return sorted(pod["metadata"]["name"] for pod in found)


def test_a_stage_is_looked_at_and_reached_into(shop: Desk, node: Cluster) -> None:
    new = shop.flow("diff")
    up = shop.flow("up", "-q")
    assert up.code == 0, up
    names = pods(node, shop, "api")
    ends = {name.rpartition("-")[2] for name in names}

    same = shop.flow("diff")
    logs = shop.flow("logs", "api")
    as_json = shop.flow("logs", "api", "--json")
    hosts = [shop.flow("exec", "api", "--pod", pod, "--", "hostname").out.strip() for pod in ("1", "2")]
    nobody = shop.flow("exec", "api", "--pod", "3", "--", "hostname")
    before = shop.flow("logs", "--previous")

    assert (new.code, same.code) == (1, 0), (new, same)
    assert {"create api: not there  fleet.kdl:3", "create db: not there  fleet.kdl:11"} <= set(new.out.splitlines())
    assert same.out == f"{shop.project}/stg: nothing differs\n"
    assert sorted(logs.out.splitlines()) == sorted(f"api/{end} | I am api-{rest}" for end, rest in split(names))
    assert {json.loads(line)["source"] for line in as_json.out.splitlines()} == ends
    assert sorted(hosts) == names
    assert nobody.code == 4, nobody
    assert "service `api` has no pod `3`" in nobody.err
    assert (before.out, before.err) == ("", "nothing that ran before a restart is known\n")


def test_a_change_of_the_environment_is_told_by_its_variables_and_never_by_a_secret_s_value(shop: Desk) -> None:
    one = 'environment { LOG "info"; OLD "x" }; secrets { TOKEN env="TOKEN"; KEPT env="KEPT" }'
    two = 'environment { LOG "debug"; NEW "y" }; secrets { TOKEN env="TOKEN"; KEPT env="KEPT" }'
    text = f"""
    service "api" {{ image "{BASE}"; command "sleep" "1000"; %s }}
    stage "stg" {{ runtime "kubernetes"; service "api" }}
    """
    shop.environ |= {"TOKEN": "canary-1", "KEPT": "canary-2"}
    shop.write(text % one)
    up = shop.flow("up", "-q")
    assert up.code == 0, up
    shop.write(text % two)

    result = shop.flow("diff", TOKEN="canary-3")

    assert result.out.splitlines() == [
        "replace api: environment changed  fleet.kdl:3",
        "  environment.LOG  fleet.kdl:3",
        "    - info",
        "    + debug",
        "  environment.NEW  fleet.kdl:3",
        "    + y",
        "  environment.OLD  fleet.kdl:3",
        "    - x",
        "  environment.TOKEN  fleet.kdl:3",
        "    ~ [hidden], changed",
        "",
        "diff: 1 to replace",
    ]
    assert "canary" not in result.out + result.err


def test_a_field_that_another_tool_has_set_is_taken_over_only_with_leave(shop: Desk, node: Cluster) -> None:
    shop.write(SHOP.replace("replicas 2", "replicas 1").replace('depends_on "db"', ""))
    assert shop.flow("up", "-q").code == 0
    namespace = f"{shop.project}-stg"
    theirs = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "db"},
        "spec": {
            "template": {"spec": {"containers": [{"name": "db", "args": ["nc", "-ll", "-p", "5433", "-e", "cat"]}]}}
        },
    }
    node.client.apply(kinds.DEPLOYMENT, namespace, theirs, force=True, manager="helm")

    refused = shop.flow("up")
    taken = shop.flow("up", "-q", "--force-conflicts")

    assert refused.code == 1, refused
    assert "helm" in refused.out + refused.err
    assert "--force-conflicts" in refused.out + refused.err
    assert taken.code == 0, taken
    found = node.client.get(kinds.DEPLOYMENT, namespace, "db")
    assert found is not None
    assert found["spec"]["template"]["spec"]["containers"][0]["args"] == ["nc", "-ll", "-p", "5432", "-e", "cat"]


def split(names: list[str]) -> list[tuple[str, str]]:
    return [(name.rpartition("-")[2], name.removeprefix("api-")) for name in names]


def test_a_port_leads_to_a_pod_and_to_the_next_one_when_it_goes(shop: Desk, node: Cluster) -> None:
    up = shop.flow("up", "-q")
    assert up.code == 0, up
    running = shop.start("port-forward", "api", ":80")
    line = running.until(r"127\.0\.0\.1:\d+ -> api:80 \(pod api-[a-z0-9-]+\)")
    port, first = int(re.findall(r":(\d+) ", line)[0]), re.findall(r"pod (api-[a-z0-9-]+)", line)[0]

    assert answer(port) == first
    found = node.client.get(kinds.POD, f"{shop.project}-stg", first)
    assert found is not None
    node.client.delete(kinds.POD, f"{shop.project}-stg", first, uid=found["metadata"]["uid"], grace=0)
    second = answer(port)
    running.process.send_signal(signal.SIGINT)

    assert second != first
    assert second in pods(node, shop, "api")
    assert running.wait().code == 0


def answer(port: int) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        return line.recv(100).decode().strip()


def test_doctor_says_which_cluster_it_is_as_whom_we_come_and_what_we_may(shop: Desk, node: Cluster) -> None:
    found = {check["name"]: check for check in json.loads(shop.flow("doctor", "--json").out)["checks"]}

    major, minor = node.client.version()
    assert found["engine"]["text"] == (
        f"kubernetes, of stage stg: Kubernetes {major}.{minor} at {node.client.server}, {node.client.origin}, "
        f"namespace {shop.project}-stg, as admin"
    )
    assert found["rights"]["text"] == f"all that is needed in namespace {shop.project}-stg, not made yet"


def test_doctor_names_each_rule_that_a_role_lacks(shop: Desk, node: Cluster, tmp_path: Path) -> None:
    shop.environ["KUBECONFIG"] = str(visitor(node, tmp_path, shop.project))

    result = shop.flow("doctor")

    assert result.code == 4, result
    assert "stage `stg` cannot be deployed: rights are missing" in result.out
    assert (
        '- {apiGroups: ["apps"], resources: ["deployments"], '
        'verbs: ["create", "delete", "get", "list", "patch", "watch"]}'
    ) in result.out
    assert "`flow exec` does not work: a right is missing" in result.out


def visitor(node: Cluster, folder: Path, name: str) -> Path:
    """The administrator's kubeconfig, but as a user who may nothing."""
    import yaml

    config = yaml.safe_load(node.kubeconfig.read_text(encoding="utf-8"))
    config["users"][0]["user"] |= {"as": name}
    path = folder / "visitor"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
