# SPDX-License-Identifier: Apache-2.0
"""One stage on three runtimes: each service is deployed where it belongs, and told where the others are."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetflow_tasks.runtimes.kubernetes import kinds
from fleetflow_tasks.testing.cloudrun import PROJECT, REGION, Server
from tests.e2e.conftest import BASE, Desk, Result
from tests.kubernetes.conftest import Cluster

READY = "scripted/ready:0ms"
CHECK = 'healthcheck { test "CMD" "true"; interval 0.2 }'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as started:
        yield started


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    kubeconfig = os.environ.get("FLEETFLOW_TEST_PLANE", "")
    if not kubeconfig:
        pytest.fail("no cluster for tests: FLEETFLOW_TEST_PLANE names no kubeconfig: run `make test`")
    cluster = Cluster(Path(kubeconfig))
    yield cluster
    cluster.client.close()


class Shop:
    """`edge` is on Cloud Run, `api` on Kubernetes, `web` on Docker; each is told where those before it are."""

    def __init__(self, desk: Desk, server: Server, plane: Cluster) -> None:
        self.desk = desk
        self.server = server
        self.plane = plane
        self.google = server.environ()
        self.cluster = {"KUBECONFIG": str(plane.kubeconfig)}

    def write(self, *, web: str = BASE) -> None:
        self.desk.write(
            f"""
            service "edge" {{ image "{READY}"; port container=8080 }}
            service "api" {{
                image "{READY}"; port container=8080; {CHECK}; depends_on "edge"
                ingress host="api.{self.desk.project}.test" path="/" port=8080
            }}
            service "web" {{
                image "{web}"; pull "never"; command "sleep" "1000"; docker {{ init #true }}; {CHECK}
                depends_on "edge" "api"
            }}
            stage "stg" {{
                variables {{ PROJECT "{PROJECT}"; REGION "{REGION}" }}
                service "edge" runtime="cloudrun"
                service "api" runtime="kubernetes"
                service "web"
            }}
            """
        )

    def flow(self, *arguments: str) -> Result:
        """By somebody who reaches all three."""
        self.desk.environ |= {**self.google, **self.cluster}
        try:
            return self.desk.flow(*arguments)
        finally:
            for name in (*self.google, *self.cluster):
                del self.desk.environ[name]

    def worker(self, queue: str, **environ: str) -> None:
        """One that reaches what *environ* leads to, and nothing else."""
        self.desk.start("worker", queue, **environ).until("worker.ready")

    def url(self) -> str:
        """Of `edge`, as Cloud Run says."""
        name = f"projects/{PROJECT}/locations/{REGION}/services/{self.desk.project}-stg-edge"
        with self.server.state.look() as state:
            return str(state.services[name].body["uri"])

    def told(self) -> dict[str, dict[str, str]]:
        """What `api` and `web` were told of others."""
        web = self.desk.docker("inspect", "-f", "{{json .Config.Env}}", f"{self.desk.project}-stg-web")
        held = {"api": self._variables(), "web": dict(each.split("=", 1) for each in json.loads(web))}
        theirs = re.compile("(EDGE|API)_(URL|HOST)")
        return {service: {name: has[name] for name in has if theirs.fullmatch(name)} for service, has in held.items()}

    def close(self) -> None:
        self.plane.removed(f"{self.desk.project}-stg")

    def _variables(self) -> dict[str, str]:
        namespace = f"{self.desk.project}-stg"
        maps = self.plane.client.list(kinds.CONFIG_MAP, namespace, {"fleetflow.io/service": "api"}).items
        return {name: value for each in maps for name, value in each["data"].items()}


@pytest.fixture
def shop(desk: Desk, server: Server, plane: Cluster) -> Iterator[Shop]:
    made = Shop(desk, server, plane)
    made.write()
    yield made
    made.close()


def expected(shop: Shop) -> dict[str, dict[str, str]]:
    url, host = shop.url(), f"api.{shop.desk.project}.test"
    edge = {"EDGE_URL": url, "EDGE_HOST": url.removeprefix("https://")}
    return {"api": edge, "web": {**edge, "API_URL": f"http://{host}", "API_HOST": host}}


def states(shop: Shop) -> dict[str, str]:
    shown = json.loads(shop.flow("ps", "--json").out)["services"]
    return {
        each["service"]: f"{each['runtime']} {each['state']}{' drift' * each.get('drift', False)}" for each in shown
    }


UP = {"api": "kubernetes running", "edge": "cloudrun running", "web": "docker running"}


def test_a_stage_on_three_runtimes_comes_up_stays_as_it_is_and_goes(shop: Shop) -> None:
    before = shop.flow("plan")
    up = shop.flow("up")
    assert up.code == 0, up
    told, wanted, there = shop.told(), expected(shop), states(shop)
    again = shop.flow("up")
    down = shop.flow("down")

    assert "plan: 3 to create" in before.out
    assert told == wanted
    assert there == UP
    assert again.out == f"{shop.desk.project}/stg is up to date: 3 services unchanged\n"
    assert down.code == 0, down
    assert set(states(shop).values()) == {"cloudrun missing", "docker missing", "kubernetes missing"}
    assert shop.desk.containers() == []


def test_a_stage_on_three_runtimes_is_restarted_in_order_and_is_what_it_was(shop: Shop) -> None:
    assert shop.flow("up").code == 0
    told = shop.told()

    done = shop.flow("restart")

    assert done.code == 0, done
    project = shop.desk.project
    for place in (f"cloudrun, project {PROJECT}, region {REGION}", "docker at unix://", f"namespace {project}-stg"):
        assert place in done.err.splitlines()[0], done
    lines = [line for line in done.out.splitlines() if "restarted" in line]
    assert [line.split()[1] for line in lines[:-1]] == ["edge:", "api:", "web:"]
    assert "restarted as revision" in lines[0]
    assert "the old one served until the new one was ready" in lines[2]  # it was told the same URLs
    assert shop.told() == told
    assert shop.flow("up").out == f"{project}/stg is up to date: 3 services unchanged\n"
    assert shop.flow("down", "--only", "web").code == 0
    assert {name: state for name, state in states(shop).items() if "missing" in state} == {"web": "docker missing"}


def test_workers_that_reach_one_platform_each_hand_the_urls_on(shop: Shop) -> None:
    shop.worker("cloudrun", **shop.google)
    shop.worker("kubernetes", **shop.cluster)
    shop.worker("docker")

    first = shop.desk.flow("submit", "--wait")
    told, there = shop.told(), states(shop)
    again = shop.desk.flow("submit", "--wait")

    assert first.code == 0, first
    assert told == expected(shop)
    assert there == UP
    assert again.code == 0, again
    assert shop.told() == told
    assert again.out.count("unchanged") >= 3, again


def test_a_retry_tells_what_the_run_before_was_told_and_deploys_nothing_twice(shop: Shop) -> None:
    image = f"fleetflow/{shop.desk.project}:1"
    shop.write(web=image)
    shop.worker("cloudrun", **shop.google)
    shop.worker("kubernetes", **shop.cluster)
    shop.worker("docker")
    failed = shop.desk.flow("submit", "--wait")
    run = re.search(r"run (\w+) of", failed.out)
    assert run
    shop.desk.docker("tag", BASE, image)
    asked = len(shop.server.trace)

    again = shop.desk.flow("retry", run[1], "--wait")
    shop.desk.docker("rmi", "-f", image, check=False)

    assert failed.code == 1, failed
    assert again.code == 0, again
    assert shop.told() == expected(shop)
    assert len(shop.server.trace) == asked + 2  # what is pruned is listed


def test_a_part_of_a_stage_is_told_what_was_deployed_before(shop: Shop) -> None:
    alone = shop.flow("up", "--only=web", "--no-deps")
    whole = shop.flow("up")
    shop.desk.docker("rm", "-f", f"{shop.desk.project}-stg-web")
    part = shop.flow("up", "--only=web", "--no-deps")

    assert alone.code == 1, alone
    assert "service `web` is to be told the URL of `edge`, which is not on cloudrun yet" in alone.out + alone.err
    assert whole.code == 0, whole
    assert part.code == 0, part
    assert shop.told() == expected(shop)


def test_a_stage_stays_on_each_of_its_platforms(shop: Shop) -> None:
    assert shop.flow("up").code == 0
    with Server() as other:
        shop.google = other.environ()

        moved = shop.flow("up")
        adopted = shop.flow("up", "--adopt-engine")

    assert moved.code == 1, moved
    assert f"stage `{shop.desk.project}/stg` is on another engine" in moved.out + moved.err
    assert adopted.code == 0, adopted


def test_what_is_rendered_and_planned_says_what_is_not_known_yet(shop: Shop) -> None:
    planned = shop.flow("diff", "--json")
    rendered = shop.flow("render")

    unknown = "(known after the first deployment of edge)"
    assert planned.code == 1, planned
    assert rendered.code == 0, rendered
    assert rendered.out.count(unknown) == 4
    assert shop.flow("diff").out.count(unknown) == 4


def test_what_runs_on_kubernetes_is_promoted_to_cloud_run(shop: Shop) -> None:
    shop.desk.write(
        f"""
        service "api" {{ image "{READY}"; port container=8080 }}
        stage "stg" {{ runtime "kubernetes"; service "api" }}
        stage "prd" {{ runtime "cloudrun" {{ project "{PROJECT}"; region "{REGION}" }}; service "api" }}
        """
    )
    shop.worker("cloudrun", **shop.google)
    up = shop.flow("up", "stg")
    (runs,) = json.loads(shop.flow("ps", "stg", "--json").out)["services"]

    promoted = shop.flow("promote", "--from=stg", "--to=prd", "--wait")

    assert up.code == 0, up
    assert promoted.code == 0, promoted
    assert re.fullmatch(rf"{READY}@sha256:[0-9a-f]{{64}}", runs["digest"])
    assert [each["image"] for each in json.loads(shop.flow("ps", "prd", "--json").out)["services"]] == [runs["digest"]]
